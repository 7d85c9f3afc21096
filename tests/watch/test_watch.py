"""What the views of a running study show, from Snakemake's events."""

import io
import itertools
import json
import logging
import random
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent

from helpers.workflow_run import ROOT
from labmill.core import progress
from labmill.core.errors import LabmillError
from labmill.core.logs import logged
from labmill.core.progress import JobState
from labmill.plan.plan import Plan
from labmill.watch import board as board_module
from labmill.watch.board import Board, Job
from labmill.watch.ending import answers, ending, most_important
from labmill.watch.handler import LogHandler, failure
from labmill.watch.terminal import EVERY, Terminal, job_cells, view

SETTINGS = SimpleNamespace(
    dryrun=False,
    verbose=False,
    nocolor=True,
    stdout=False,
    quiet=None,
    show_failed_logs=True,
    debug_dag=False,
    printshellcmds=False,
)


def record(event: LogEvent | None, message: str = "", level=logging.INFO, **extra):
    made = logging.LogRecord("snakemake", level, "", 0, message, None, None)
    made.__dict__.update(event=event, **extra)
    return made


def announced(number: int, rule: str, log: Path, output: Path, **wildcards: str):
    return record(
        LogEvent.JOB_INFO,
        jobid=number,
        rule_name=rule,
        wildcards=wildcards,
        log=[str(log)],
        output=[str(output)],
        threads=1,
    )


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> LogHandler:
    monkeypatch.delenv("VERBOSE", raising=False)
    monkeypatch.setenv("LABMILL_QUIET_JOBS", "")
    return LogHandler(SETTINGS, None)


def test_a_line_per_job_with_the_accuracy_of_its_history(
    handler: LogHandler, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    history = tmp_path / "history.csv"
    history.write_text(
        "epoch,train_loss,validation_accuracy\n1,2.0,0.5\n2,1.0,0.9375\n"
    )
    events = [
        record(LogEvent.RESOURCES_INFO, cores=2),
        record(LogEvent.RUN_INFO, stats={"train": 1, "report": 1, "total": 2}),
        announced(1, "train", tmp_path / "x.log", history, variant="cnn", seed="1"),
        record(LogEvent.JOB_FINISHED, job_id=1),
    ]
    for event in events:
        handler.emit(event)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "2 jobs on 2 cores" in said[0]
    assert "[1/2] train cnn seed 1: 93.8 % validation accuracy" in said[1]


def test_the_quickstart_takes_at_most_60_lines(
    handler: LogHandler, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    jobs = list(Plan(ROOT / "studies/quickstart.yaml").jobs())
    stats = dict(Counter(job.rule for job in jobs)) | {"total": len(jobs)}
    handler.emit(record(LogEvent.RUN_INFO, stats=stats))
    for number, job in enumerate(jobs):
        out = tmp_path / job.output
        handler.emit(announced(number, job.rule, out, out, **job.wildcards))
        handler.emit(record(LogEvent.JOB_FINISHED, job_id=number))
    handler.close()
    lines = capsys.readouterr().err.splitlines()
    # Besides: four lines of a start, three answers, one for each quiet minute.
    assert 20 < len(lines) <= 50 < len(jobs)
    assert any(f"[{len(jobs)}/{len(jobs)}] write the report" in line for line in lines)


def test_the_line_of_a_prune_job_says_its_step_and_what_it_does(handler: LogHandler):
    study = ROOT / "studies/quickstart.yaml"
    handler.plans = {"quickstart": Plan(study)}
    at = {"study": "quickstart", "variant": "cnn", "seed": "0"}
    at |= {"loop": "prune", "step": "2"}
    values = {"rule_name": "prune", "wildcards": at, "log": ["x.log"], "output": ["x"]}
    job = handler.job_of(values)
    assert job.line == "prune cnn seed 0 step 2 of 3: waiting to start"
    state = {"began": 0.0, "updated": 0.0, "host": "", "pid": 1}
    state |= {"doing": "choosing units to remove", "validation_accuracy": 0.93}
    job.state = JobState(**state)
    cells = job_cells(job)
    assert cells[0] == "prune cnn seed 0 step 2 of 3: choosing units to remove"
    assert "93.0 %" in cells
    job.state = JobState(**state, epochs=3, epoch=1.0)
    assert job_cells(job)[:2] == ["prune cnn seed 0 step 2 of 3", "1/3"]


def test_jobs_are_listed_by_snakemake_not_by_the_files(handler: LogHandler):
    def job(number: int) -> SimpleNamespace:
        at, output = {"variant": "cnn", "seed": str(number)}, [f"train{number}"]
        rule = SimpleNamespace(name="train")
        return SimpleNamespace(rule=rule, wildcards=at, log=["x.log"], output=output)

    jobs = [job(0), job(1)]
    handler.workflow = SimpleNamespace(
        dag=SimpleNamespace(
            jobs=jobs,
            finished=lambda one: False,
            needrun=lambda one: one is not jobs[0],
        )
    )
    handler.emit(record(LogEvent.RUN_INFO, stats={"train": 1, "total": 1}))
    assert [*handler.board.kept] == ["train0"] and [*handler.board.waiting] == [
        "train1"
    ]
    assert (handler.board.done, handler.board.total) == (1, 2)
    assert "1 of 2 jobs (1 of 2 trainings)" in seen(handler.board, 100)
    jobs.append(job(2))  # a checkpoint decided that there is more
    handler.emit(record(LogEvent.PROGRESS, done=1, total=2))
    assert [*handler.board.waiting] == ["train1", "train2"]
    assert (handler.board.done, handler.board.total) == (2, 3)
    handler.close()


def seen(board: Board, width: int = 80, height: int = 24) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=False)
    console.print(view(board, width, height))
    return out.getvalue()


def test_a_failed_job_shows_its_error_and_log_and_nothing_else(
    handler: LogHandler, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    log = tmp_path / "x.log"
    log.write_text("10:00:00 epoch 1\n10:00:01 Error: no such class 'dgo'\n")
    handler.emit(announced(3, "split", log, tmp_path / "y"))
    handler.emit(record(LogEvent.JOB_ERROR, level=logging.ERROR, jobid=3))
    handler.close()
    said = capsys.readouterr().err
    assert "no such class 'dgo'" in said and str(log) in said
    assert "epoch 1" not in said
    assert "1 job failed (split the images)" in said


def test_the_end_of_the_log_where_a_job_names_no_error(tmp_path: Path):
    log = tmp_path / "x.log"
    log.write_text("\n".join(f"line {n}" for n in range(100)))
    shown = failure(Job("train", {}, str(log)))
    assert "line 99" in shown and "line 50" not in shown
    assert failure(Job("train", {}, str(tmp_path / "none")))


def test_an_error_of_a_rule_is_its_message_only(
    handler: LogHandler, capsys: pytest.CaptureFixture[str]
):
    text = (
        'RuleException:\nOSError in file "/x/measure.smk", line 29:\n'
        "[Errno 28] No space left on device\n"
        '  File "/python3.11/tempfile.py", line 483, in func_wrapper'
    )
    handler.emit(record(LogEvent.ERROR, text, logging.ERROR))
    handler.close()
    said = capsys.readouterr().err
    assert "[Errno 28] No space left on device" in said
    assert "RuleException" not in said and "line 29" not in said and "File" not in said


def test_a_warning_is_shown_once(
    handler: LogHandler, capsys: pytest.CaptureFixture[str]
):
    for _ in range(3):
        handler.emit(record(None, "disk is slow", logging.WARNING))
        handler.emit(record(None, "Select jobs to execute..."))
    assert capsys.readouterr().err.count("disk is slow") == 1
    handler.close()


def test_what_a_job_publishes_is_what_is_read(tmp_path: Path):
    log = tmp_path / "a.log"
    progress.open_state(log)
    assert read(log).began <= time.time() and read(log).ended is None
    progress.publish(epoch=2.0, epochs=10, loss=0.25, curve=((1, 0.5, None),))
    assert read(log).epoch is None, "replaced at most once a second"
    progress.close_state("no disk")
    found = read(log)
    assert (found.epoch, found.epochs, found.loss) == (2, 10, 0.25)
    assert found.curve == ((1, 0.5, None),)
    assert found.error == "no disk" and found.began <= found.ended
    progress.state_file(log).write_text("{")
    assert progress.read_state(log) is None


def read(log: Path) -> progress.JobState:
    state = progress.read_state(log)
    assert state is not None
    return state


def test_a_failed_job_publishes_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)  # no main process here that would settle the mistake
    log = tmp_path / "a.log"
    with pytest.raises(SystemExit), logged(log):
        raise LabmillError("no such class")
    assert read(log).error == "no such class"
    with logged(log):
        pass
    assert read(log).error is None and read(log).ended


@pytest.mark.parametrize("epochs", [1, 127, 128, 129, 1000, 5000])
def test_a_published_curve_is_short_and_ends_at_the_last_epoch(epochs: int):
    points = [(n, 1 / n, n / 5000) for n in range(1, epochs + 1)]
    found = progress.thinned(points)
    assert found[-1] == points[-1] and set(found) <= set(points)
    assert min(epochs, 64) <= len(found) <= progress.POINTS + 1
    # The epochs of a shorter run are among those of a longer one.
    longer = progress.thinned([(n, 0.0, 0.0) for n in range(1, 2 * epochs + 1)])
    shared = {n for n, *_ in found[:-1]} & {n for n, *_ in longer}
    assert len(shared) >= len(found[:-1]) // 2


def test_time_left_is_what_jobs_of_the_rule_took():
    board = Board(cores=2, total=5)
    trainings = [training("a", seed) for seed in range(4)]
    report = Job("report", {}, outputs=["report.html"])
    board.waiting = {job.output: job for job in [*trainings, report]}
    assert board.expected_seconds() is None
    board.start(1, trainings[0])
    board.running[1].began -= 30
    board.finish(1)
    # Three trainings of 30 s each on two cores, and a report of 20 s on one.
    assert board.expected_seconds() == pytest.approx(65, abs=1)
    # One that resumed: 10 s of it are left, and half of it was done before.
    state = JobState(began=0, updated=0, host="", pid=1, done=0.5, seconds_left=10)
    trainings[1].state = state
    board.start(2, trainings[1])
    left = (10 + 15) / 2  # by its own speed, and by the other's
    assert board.expected_seconds() == pytest.approx((left + 60) / 2 + 20, abs=1)
    trainings[2].began = time.time() - 100
    trainings[2].state = None
    board.start(3, trainings[2])
    assert trainings[2].left(30) == pytest.approx(20, abs=1), "longer than others"


def training(variant: str, seed: int) -> Job:
    at = {"variant": variant, "seed": str(seed)}
    return Job("train", at, outputs=[f"{variant}/{seed}"])


# Seconds of the jobs of a study as two cores took them, and how much they vary.
TOOK = {"a": 90.0, "b": 25.0, "c": 45.0, "evaluate": 2.0, "prune": 20.0, "report": 25.0}
VARIES = 0.25


@pytest.mark.parametrize("drawn", range(3))
def test_the_time_left_is_steady_and_about_right(
    drawn: int, monkeypatch: pytest.MonkeyPatch
):
    """Once a job of each kind has ended: right to a factor of 1.5, on two cores."""
    clock, draw = SimpleNamespace(now=1000.0), random.Random(drawn)
    monkeypatch.setattr(board_module.time, "time", lambda: clock.now)
    board, ends, numbers = Board(cores=2), {}, itertools.count()
    ready: list[list[Job]] = []  # jobs that follow each other
    for variant, seed in itertools.product("abc", range(6)):
        at, folder = {"variant": variant, "seed": str(seed)}, f"{variant}{seed}"
        rules = ["train", "evaluate"] + ["prune"] * 3 * (variant == "b")
        ready.append([Job(r, at, "", [f"{folder}{n}"]) for n, r in enumerate(rules)])
    last = Job("report", {}, "", ["report"])
    board.waiting = {job.output: job for chain in ready for job in chain}
    board.waiting["report"] = last
    shown: list[tuple[float, float | None, bool]] = []

    def publish(number: int) -> None:
        job, passed = board.running[number], clock.now - board.running[number].began
        whole = ends[number] - job.began
        if job.rule in ("train", "prune") and passed > 3:
            # The first steps are slow.
            expected = (whole - passed) * (1 + 5 / passed)
            state = {"began": job.began, "updated": clock.now, "host": "", "pid": 1}
            state |= {"done": passed / whole, "seconds_left": expected}
            job.state = JobState(**state)

    chains: dict[int, list[Job]] = {}
    while ready or chains:
        for number in [n for n, end in ends.items() if end <= clock.now]:
            board.finish(number)
            del ends[number]
            if left := chains.pop(number):
                ready.insert(0, left)
        while ready and len(ends) < 2:
            job, *rest = ready.pop(0)
            number = next(numbers)
            chains[number] = rest
            board.start(number, job)
            usual = TOOK.get(job.rule) or TOOK[job.wildcards["variant"]]
            ends[number] = clock.now + usual * draw.uniform(1 - VARIES, 1 + VARIES)
        if not ready and not ends and last.output in board.waiting:
            ready.append([last])
            continue
        for number in ends:
            publish(number)
        known = {job.rule for job in [*board.waiting.values(), *board.running.values()]}
        known -= {rule for (rule, _), times in board.work.items() if times}
        shown.append((clock.now, board.seconds_left(), known <= {"report"}))
        clock.now += 1
    end = clock.now
    told = [(at, said) for at, said, known in shown if known and said is not None]
    assert len(told) > 0.5 * len(shown)
    for at, said in told:
        assert said < 1.5 * (end - at) + 10 and said > (end - at) / 1.5 - 10, end - at
    for (_, before), (_, after) in itertools.pairwise(told):
        assert abs(after - before) < 3 + 0.1 * before, "a jump"


@pytest.mark.parametrize("height", [24, 60])
@pytest.mark.parametrize("width", [80, 200])
def test_the_terminal_fits_100_jobs(width: int, height: int, tmp_path: Path):
    board = Board(cores=2, total=900)
    for number in range(100):
        log = tmp_path / f"{number}.log"
        state = {"began": 0, "updated": 0, "host": "a", "pid": 1, "epoch": 3.2}
        state["updated"] = time.time()
        state |= {"epochs": 10, "loss": 0.5, "done": 0.3}
        progress.state_file(log).write_text(json.dumps(state))
        job = Job("train", {"variant": f"variant_{number}", "seed": "0"}, str(log))
        board.start(number, job)
    board.curves["cnn"] = {"0": ((1, 1.0, 0.9),), "1": ((1, 1.0, 0.8),)}
    board.refresh()
    lines = seen(board, width, height).splitlines()
    text = "\n".join(lines)
    assert "train variant_0 seed 0" in text and "3/10" in text
    assert "more" in text and "85.0 %" in text
    assert max(map(len, lines)) <= width and len(lines) < height


def test_a_resized_terminal_keeps_what_was_said():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=24)
    terminal = Terminal(Board(cores=2, total=3), console)
    terminal.say("3 jobs on 2 cores")
    with terminal.lock:
        terminal.resize()
    left = out.getvalue().rpartition("\x1b[2J")[2]
    terminal.close()
    assert "3 jobs on 2 cores" in left
    assert "\x1b[1A" not in left, "no line above the new view is erased"


def test_the_view_costs_less_than_a_hundredth_of_the_steps(tmp_path: Path):
    """Measure what docs/performance.md states: `pytest -s tests/watch -k costs`."""
    log, curve = tmp_path / "a.log", tuple((n, 0.5, 0.9) for n in range(128))
    board = Board(cores=2, total=500)
    jobs = [training(f"v{n % 20}", n) for n in range(400)]
    board.waiting = {job.output: job for job in jobs}
    board.work["train", "v0"].extend([3.0] * 50)
    for n in range(20):
        board.curves[f"v{n}"] = {"0": curve, "1": curve}
    for n in range(2):
        board.start(n, Job("train", {"variant": f"v{n}", "seed": "2"}, str(log)))
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=40)
    progress.open_state(log)

    def publish() -> None:
        progress._written = 0.0
        progress.publish(epoch=3.5, epochs=9, loss=0.3, seconds_left=9.0, curve=curve)

    def draw() -> None:
        board.read = 0.0
        board.refresh()
        console.print(view(board, 120, 40))

    seconds = {}
    for work in (publish, draw):
        each = []
        # The best, since other programs take from the cache.
        for _ in range(50):
            began = time.process_time()
            work()
            each.append(time.process_time() - began)
        seconds[work.__name__] = min(each)
    progress.close_state()
    print({name: f"{1000 * best:.2f} ms" for name, best in seconds.items()})
    assert seconds["publish"] < progress.EVERY / 100, "in each training"
    assert seconds["draw"] < EVERY / 100 * 2, "once for both cores"


def answer(question: str, topic: str, headline: list[str] | None = None, **more):
    row = {"question": question, "answer": "x better than y", "number": "+1 point"}
    return row | {"topic": topic, "headline": headline} | more


def test_answers_are_plain_text(tmp_path: Path):
    record = tmp_path / "report.json"
    rows = [answer(r"Which\*?", "results")]
    record.write_text(json.dumps({"sentence": r"a\*b is best", "answers": rows}))
    best = "Which*? → x better than y (+1 point)"
    assert answers(record) == (["a*b is best", best], 0)
    rows[0]["sentence"] = r"a\*b is best"
    record.write_text(json.dumps({"sentence": r"a\*b is best", "answers": rows}))
    assert answers(record) == ([best], 0)
    assert answers(tmp_path / "none.json") == ([], 0)


def test_of_many_answers_the_most_important_three(tmp_path: Path):
    decided = ["+1 point", "of x"]
    rows = [
        answer("Positions?", "comparisons"),
        answer("Activation?", "comparisons"),
        answer("Network?", "comparisons", decided),
        answer("Pruning?", "pruning"),
    ]
    found = [row["question"] for row in most_important(rows)]
    assert found == ["Positions?", "Network?", "Pruning?"]
    rows = [row | {"headline": decided} for row in rows]
    found = [row["question"] for row in most_important(rows)]
    assert found == ["Positions?", "Activation?", "Pruning?"]
    report = tmp_path / "results/report.html"
    report.parent.mkdir()
    report.with_suffix(".json").write_text(json.dumps({"answers": rows}))
    *said, files, _ = ending(report)
    assert len(said) == 3 and files.startswith("Report, with 1 more answer: ")
