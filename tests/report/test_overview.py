"""results/index.html: every study, the state of its results, its answers."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from helpers.finish_report import finish
from helpers.report_page import Page, plain
from helpers.synthetic_results import make_results
from labmill.plan.plan import Plan
from labmill.plan.status import studies_status
from labmill.report.index_page import site
from labmill.report.text import unescaped


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A working directory: one study at two scales, one without results."""
    finish(tmp_path, *make_results(tmp_path, seeds=1))
    smoke = finish(tmp_path, *make_results(tmp_path, seeds=1, scale="smoke"))
    for folder in (smoke, tmp_path / "results/synthetic"):
        for kind in ("html", "pdf"):
            (folder / f"report.{kind}").touch()
    study = tmp_path / "studies/synthetic.yaml"
    shutil.copy(study, tmp_path / "studies/idle.yaml")
    return tmp_path


def states(root: Path) -> dict[str, tuple[str, str]]:
    """Place → state and why."""

    def plan_of(place: str) -> Plan:
        scale, _, name = place.rpartition("/")
        return Plan(root / f"studies/{name}.yaml", scale or "full")

    studies = list(studies_status(["synthetic", "idle"], plan_of, root / "results"))
    site(studies, root / "results/index.html")
    return {one["place"]: (one["state"], one["why"]) for one in studies}


def page(root: Path) -> Page:
    """The index."""
    return Page((root / "results/index.html").read_text(encoding="utf-8"))


def test_all_studies_with_state_answers_and_links(root: Path):
    found = states(root)
    assert {place: state for place, (state, _) in found.items()} == {
        "synthetic": "complete",
        "smoke/synthetic": "complete",
        "idle": "not run",
    }
    made = page(root)
    record = json.loads((root / "results/synthetic/report.json").read_text())
    assert plain(unescaped(record["sentence"])) in made.text
    assert plain("Does it matter how positions are told?") in made.text
    assert plain("smoke scale: a test of the pipeline, not a result") in made.text
    assert made.text.count(plain("cannot separate it")) == 1, "not of the smoke scale"
    assert plain("make study NAME=idle") in made.text
    links = {a["href"] for a in made.all("a")}
    assert {"synthetic/report.pdf", "smoke/synthetic/report.html"} <= links
    assert all((root / "results" / link).is_file() for link in links)


def test_a_report_is_stale_once_its_study_has_changed(root: Path):
    path = root / "studies/synthetic.yaml"
    study = yaml.safe_load(path.read_text())
    path.write_text("# a comment\n" + yaml.safe_dump(study, sort_keys=False))
    assert states(root)["synthetic"] == ("complete", "")
    study["defaults"]["training"]["epochs"] += 1
    path.write_text(yaml.safe_dump(study))
    state, why = states(root)["synthetic"]
    assert state == "stale" and "changed" in why
    assert why in " ".join(" ".join(page(root).words).split())
    path.write_text("nonsense: 1")
    state, why = states(root)["synthetic"]
    assert state == "stale" and "title: missing" in why


def test_missing_runs_and_reports_are_named(root: Path):
    (root / "results/smoke/synthetic/report.html").unlink()
    path = root / "results/synthetic/index.json"
    index = json.loads(path.read_text())
    index["runs"][0]["status"] = "failed"
    path.write_text(json.dumps(index))
    found = states(root)
    assert found["smoke/synthetic"][0] == "no report"
    networks = len(index["runs"])
    assert found["synthetic"] == ("incomplete", f"1 of {networks} networks are missing")
