"""`labmill watch`: what it finds in a study's files, and its page."""

import json
import os
import re
import shutil
import socket
import time
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from helpers.workflow_run import ROOT, TINY
from labmill.cluster.orphaned_jobs import Queued
from labmill.core import lock
from labmill.core.progress import state_file
from labmill.plan.job_files import job_name
from labmill.plan.plan import Plan, PlannedJob
from labmill.watch import study_files
from labmill.watch.page import write_page
from labmill.watch.study_files import StudyFiles

HISTORY = "epoch,train_loss,validation_accuracy\n1,2.0,0.5\n2,1.0,{last}\n"


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "studies/tiny.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(TINY, sort_keys=False))
    return Plan(path)


def job(plan: Plan, subject: str, rule: str = "train") -> PlannedJob:
    return next(j for j in plan.jobs() if (j.rule, j.subject) == (rule, subject))


def publish(planned: PlannedJob, **state) -> None:
    path = state_file(planned.log)
    path.parent.mkdir(parents=True, exist_ok=True)
    now = time.time()
    common = {"began": now - 60, "updated": now, "pid": os.getpid()}
    path.write_text(json.dumps(common | {"host": socket.gethostname()} | state))


def make(planned: PlannedJob, last: float = 0.75) -> None:
    for path in map(Path, planned.outputs.values()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HISTORY.format(last=last))


def test_every_rule_logs_where_the_plan_says():
    text = "".join(path.read_text() for path in ROOT.glob("workflow/rules/*.smk"))
    logs: dict[str, list[str]] = {}
    for rule, name in re.findall(r'"logs/(\w+)/(.*)\.log"', text):
        logs.setdefault(rule, []).append(name)
    plan = Plan(ROOT / "studies/quickstart.yaml", "smoke")
    planned = [(j.rule, dict(j.wildcards)) for j in plan.jobs()]
    run = {"variant": "cnn", "seed": "0"}
    planned += [("control", run | {"loop": "prune", "control": "scratch"})]
    planned += [("represent", run | {"stage": "dense"}), ("examine", run)]
    planned += [("select", {"search": "rates"}), ("propose", {"variant": "cnn"})]
    planned += [("decide", {"round": "1"})]
    assert len(planned) > 20
    for rule, wildcards in planned:
        at = {"study": plan.study_path, **wildcards}
        # Two rules may share a name: a split of the study and one for each seed.
        fits = [
            n
            for n in logs[rule]
            if {*re.findall(r"{(\w+)}", n)} - {"study"} == {*wildcards}
        ]
        found = job_name(plan.study_path, rule, wildcards)
        assert found in [name.format(**at) for name in fits]


def test_rounds_of_seeds_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    study = {key: value for key, value in TINY.items() if key != "pruning"}
    study["seeds"] = {"start": 3, "most": 8}
    Path("rounds.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    watched = StudyFiles(Plan("rounds.yaml"))
    watched.look()
    assert "round 1 of at most 3 (3 seeds)" in watched.board.head
    before = watched.board.total
    path = Path("results/rounds/round_1.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"undecided": ["vit"]}))
    watched.list_jobs()
    watched.look()
    assert "round 2 of at most 3 (5 seeds)" in watched.board.head
    # Two trainings, two evaluations, the next round.
    assert watched.board.total == before + 5


def test_finished_running_and_failed_jobs(plan: Plan):
    make(job(plan, "vit seed 0"), last=0.75)
    publish(job(plan, "vit seed 1"), epoch=1.5, epochs=2, curve=[[1, 2.0, 0.25]])
    publish(job(plan, "cnn seed 0"), ended=time.time(), error="out of disk")
    study = StudyFiles(plan)
    study.look()
    board = study.board
    assert board.done == 1 and board.total == sum(1 for _ in plan.jobs())
    assert [j.title for j in board.running.values()] == ["train vit seed 1"]
    assert [j.title for j in board.failed] == ["train cnn seed 0"]
    assert board.ranked() == [("vit", 1, 2, 0.75)]
    # The last value of a finished training is that of its history.csv.
    running = job(plan, "vit seed 1")
    publish(running, ended=time.time(), curve=[[1, 2.0, 0.25]])
    make(running, last=0.875)
    study.look()
    assert board.done == 2 and not board.running
    assert board.trainings()["vit"]["1"] == ((1, 2.0, 0.5), (2, 1.0, 0.875))
    assert board.idle and board.seconds_left() is None


def test_a_killed_job_and_main_process_are_not_running(plan: Plan):
    planned = job(plan, "vit seed 0")
    publish(planned, pid=2**22 + 1)
    study = StudyFiles(plan)
    study.look()
    assert not study.board.running and not study.complete
    assert "nothing runs; labmill run tiny continues" in study.board.head
    # On another machine, only silence tells.
    publish(planned, host="elsewhere", epoch=1.0)
    study.look()
    assert study.board.running
    publish(planned, host="elsewhere", epoch=1.0, updated=time.time() - 600)
    study.look()
    assert not study.board.running
    path = lock.STUDIES / "tiny"
    path.parent.mkdir(parents=True)
    since = datetime.now().strftime(lock.SINCE)
    path.write_text(f"process {os.getpid()} on {socket.gethostname()} since {since}\n")
    study.look()
    assert f"process {os.getpid()}" in study.board.head


def test_the_queue_with_its_reasons(plan: Plan, monkeypatch: pytest.MonkeyPatch):
    rows = [Queued(str(n), "PENDING", "Priority", "/", "rule_train") for n in range(3)]
    rows += [Queued("9", "RUNNING", "None", "/", "rule_train")]
    monkeypatch.setattr(study_files, "queued_jobs", lambda studies: rows)
    study = StudyFiles(plan)
    study.look()
    assert "pending" not in study.board.head
    Path("logs/slurm").mkdir(parents=True)
    study.look()
    assert "3 pending (Priority); 1 running" in study.board.head


def test_one_look_reads_at_most_two_files_of_a_job(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
):
    publish(job(plan, "vit seed 1"), epoch=1.5, epochs=2)
    study = StudyFiles(plan)
    opened: list[str] = []
    read_bytes, exists = Path.read_bytes, Path.exists
    monkeypatch.setattr(
        Path, "read_bytes", lambda p: (opened.append(str(p)), read_bytes(p))[1]
    )
    monkeypatch.setattr(Path, "exists", lambda p: (opened.append(str(p)), exists(p))[1])
    study.look()
    assert 0 < len(opened) <= study_files.EVERY * study.board.total


def test_the_page_has_every_curve_and_becomes_the_report(plan: Plan):
    make(job(plan, "vit seed 0"), last=0.75)
    make(job(plan, "vit seed 1"), last=0.25)
    publish(job(plan, "cnn seed 0"), epochs=2, curve=[[1, 2.0, 0.5], [2, 1.0, 0.5]])
    study, page = StudyFiles(plan), Path("live.html")
    study.look()
    write_page(page, study)
    html = page.read_text()
    assert html.count("<svg") == 4  # two variants, accuracy and loss
    assert html.count('class="seed"') == 6
    assert html.count("<polygon") == 1  # of vit; equal losses have no interval
    assert "50.0 %" in html and "location.reload" in html
    assert "http:" not in html and "https:" not in html
    for planned in plan.jobs():
        make(planned)
    study = StudyFiles(plan)
    study.look()
    assert study.complete
    write_page(page, study)
    assert 'location.replace("report.html")' in page.read_text()


@pytest.mark.browser
def test_the_page_is_accessible_in_light_and_dark(plan: Plan, tmp_path: Path):
    sync_api = pytest.importorskip("playwright.sync_api")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    chromium = shutil.which("chromium") or pytest.skip("apt-get install chromium")
    make(job(plan, "vit seed 0"), last=0.75)
    publish(
        job(plan, "vit seed 1"),
        epoch=2.0,
        epochs=3,
        curve=[[1, 2.1, 0.5], [2, 1.5, 0.6]],
    )
    publish(job(plan, "cnn seed 0"), ended=1.0, error="no space")
    study, page_file = StudyFiles(plan), tmp_path / "live.html"
    study.look()
    write_page(page_file, study)
    said: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        for scheme in ("light", "dark"):
            for width in (390, 1280):
                page = browser.new_page(
                    color_scheme=scheme,
                    bypass_csp=True,
                    viewport={"width": width, "height": 900},
                )
                page.on("request", lambda r: said.append(r.url))
                page.on("pageerror", lambda error: said.append(str(error)))
                page.goto(page_file.as_uri())
                page.get_by_role("button", name="Stop reloading").click()
                assert page.locator("svg[role=img]").count() == 2
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                found = axe.Axe().run(page).response["violations"]
                assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == []
                page.close()
        browser.close()
    assert set(said) == {page_file.as_uri()}
