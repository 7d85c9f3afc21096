"""Snakemake still has the internals that labmill relies on; nothing else uses them."""

import ast
import inspect
import json
import os
import re
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
import snakemake.api  # noqa: F401  first: of the others, some import it in a circle

from helpers.workflow_run import ROOT
from labmill.core import snakemake_internals

ONLY = ROOT / "src/labmill/core/snakemake_internals.py"
# The logger plugin has a documented interface; of its helpers it uses the public names.
ALLOWED = {
    "labmill/watch": {"snakemake.common", "snakemake.logging"},
    "labmill/core/snakemake_internals.py": None,
}


def test_the_version_is_one_that_was_tested():
    bounds = re.search(r'"snakemake>=(9\.\d+),<(9\.\d+)"', text("pyproject.toml"))
    assert bounds and version("snakemake").startswith(f"{bounds[1]}.")
    assert f'min_version("{bounds[1]}")' in text("workflow/Snakefile")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_no_other_file_imports_snakemake():
    for path in sorted((ROOT / "src/labmill").rglob("*.py")):
        name = path.relative_to(ROOT / "src").as_posix()
        allowed = next((v for k, v in ALLOWED.items() if name.startswith(k)), set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = getattr(node, "module", None) or ""
            if allowed is not None and module.split(".")[0] == "snakemake":
                assert module in allowed, f"{name} imports {module}"


def test_execution_can_be_extended():
    from snakemake.exceptions import LockException, WorkflowError
    from snakemake.scheduling.job_scheduler import JobScheduler
    from snakemake.workflow import Workflow

    assert "executor_plugin" in inspect.signature(Workflow.execute).parameters
    source = inspect.getsource(Workflow.execute)
    assert "self.scheduler = JobScheduler(" in source
    assert issubclass(LockException, WorkflowError)
    body = inspect.getsource(JobScheduler)
    assert "signal.signal(signal.SIGTERM, self.exit_gracefully)" in body
    assert "self.failed = set()" in body
    assert "except (KeyboardInterrupt, SystemExit):" in body
    for name in ("is_main_process", "local_exec", "localrules"):
        assert hasattr(Workflow, name), name


def test_scripts_are_started_by_the_interpreter_of_sys():
    from snakemake import script
    from snakemake.shell import shell

    assert script.sys is sys or script.sys.executable
    assert "py_exec = sys.executable" in inspect.getsource(script.PythonScript)
    assert hasattr(shell, "prefix")
    run = inspect.signature(script.PythonScript.execute_script)
    assert list(run.parameters) == ["self", "fname", "edit"]
    # Workers set the same variables as Snakemake's shell.
    source = inspect.getsource(shell)
    assert set(re.findall(r'envvars\["(\w+_THREADS)"\]', source)) == {
        *snakemake_internals.THREAD_VARIABLES
    }


def test_scripts_are_looked_at_job_by_job():
    from snakemake.dag import ScriptProcessor

    assert list(inspect.signature(ScriptProcessor.process_job).parameters)[1:] == [
        "job"
    ]


def test_recorded_params_are_where_snakemake_writes_them(tmp_path: Path):
    from snakemake.persistence.file import FilePersistence

    output = "results/study/" + "a_long_name/" * 40 + "model.json"
    maker = SimpleNamespace(_fetch_max_len=lambda subject: 255)
    path = Path(FilePersistence._record_path(maker, str(tmp_path), output))
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"params": [repr('{"code": 1}'), repr("state")]}))
    found = snakemake_internals.recorded_params(output, tmp_path)
    assert found == ['{"code": 1}', "state"]


def test_several_checkpoints_are_requested_at_once():
    from snakemake.exceptions import IncompleteCheckpointException

    def missing(name: str):
        def request() -> None:
            raise IncompleteCheckpointException("rule", name)

        return request

    with pytest.raises(IncompleteCheckpointException) as caught:
        snakemake_internals.request_steps([missing("a"), lambda: None, missing("b")])
    assert caught.value.targetfile == ["a", "b"]


def test_unchanged_params_are_not_listed():
    from snakemake.persistence import ParamsChange

    snakemake_internals.repair_list_changes()
    assert list(ParamsChange(files={"a"})) == []
    assert list(ParamsChange(only_new={"x"}, files={"a"})) == ["a"]


def test_targets_and_profile_are_read_from_the_command_line(monkeypatch):
    arguments = [
        "-n",
        "results/x/report.html",
        "--profile",
        str(ROOT / "profiles/local"),
    ]
    monkeypatch.setattr(sys, "argv", ["snakemake", *arguments])
    assert snakemake_internals.command_line_targets() == ["results/x/report.html"]
    assert snakemake_internals.profile_folder() == ROOT / "profiles/local"


def test_a_job_that_a_signal_ended_waits_for_the_signal(
    monkeypatch: pytest.MonkeyPatch,
):
    """The terminal's signal may reach a job first: that is no failure to print."""
    stop = snakemake_internals.Stop
    monkeypatch.setattr(stop, "requested", False)
    monkeypatch.setattr(
        snakemake_internals.JobWorkers, "run", lambda *_: os.EX_TEMPFAIL
    )
    threading.Timer(0.3, setattr, (stop, "requested", True)).start()
    job = SimpleNamespace(bench_record=None, threads=1, resources={})
    from snakemake.script import PythonScript

    with (
        snakemake_internals.warm_workers(),
        pytest.raises(subprocess.CalledProcessError),
    ):
        PythonScript.execute_script(job, "x.py")
    assert stop.requested
    monkeypatch.setattr(stop, "requested", False)
    began = time.monotonic()
    stop.expect(0.2)
    assert time.monotonic() - began >= 0.2, "nobody else was stopped"


def test_the_jobs_of_a_workflow_are_known():
    from snakemake.dag import DAG
    from snakemake.workflow import Workflow

    assert {"jobs", "finished", "needrun"} <= vars(DAG).keys()
    assert isinstance(vars(Workflow)["dag"], property)
