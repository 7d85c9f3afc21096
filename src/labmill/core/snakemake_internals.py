"""All that relies on Snakemake's internals, in one file.

Snakemake promises none of this. pyproject.toml therefore bounds its version from both
sides, and tests/core/test_snakemake_internals.py fails when one of these things moves.
"""

import argparse
import ast
import base64
import gc
import json
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CalledProcessError
from types import FrameType
from typing import Any, ClassVar

from labmill.core.job_workers import JobWorkers
from labmill.core.trees import JsonObject, Settings

METADATA = Path(".snakemake/metadata")
SNAKEMAKE_LOCKS = Path(".snakemake/locks")
SHELLS = ("bash", "sh")
# What Snakemake's shell sets to a job's threads.
THREAD_VARIABLES = [
    f"{library}_THREADS"
    for library in (
        *("OMP_NUM", "GOTO_NUM", "OPENBLAS_NUM", "MKL_NUM"),
        *("VECLIB_MAXIMUM", "NUMEXPR_NUM"),
    )
]


def recorded_params(output: str, metadata: Path = METADATA) -> list[Any]:
    """Return the params that Snakemake recorded when it last made an output."""
    name = base64.urlsafe_b64encode(output.encode()).decode()
    # Snakemake cuts long names into folders, each but the last marked with @.
    parts = [name[i : i + 254] for i in range(0, len(name), 254)]
    path = metadata.joinpath(*[f"@{part}" for part in parts[:-1]], parts[-1])
    try:
        params = json.loads(path.read_text(encoding="utf-8"))["params"]
        return [ast.literal_eval(text) for text in params]
    except (OSError, ValueError, KeyError, SyntaxError):
        return []


def profile_folder() -> Path | None:
    """Return the folder of the profile that this process was started with."""
    from snakemake.cli import get_profile_dir

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--profile", default=os.environ.get("SNAKEMAKE_PROFILE"))
    name = parser.parse_known_args()[0].profile
    found = name and get_profile_dir(name)
    return Path(found[0]) if found else None


def command_line_targets() -> list[str]:
    """Return the targets that this process was started with."""
    from snakemake.cli import get_argument_parser

    return list(get_argument_parser().parse_known_args(sys.argv[1:])[0].targets or [])


def add_config_file(workflow: Any, path: Path) -> None:
    """Let Snakemake read one more config file and hand it on to every job."""
    workflow.config_settings.configfiles.insert(0, path.absolute())


def set_resources(workflow: Any, rule: str, values: JsonObject) -> None:
    """Set a rule's resources, but for those that `set-resources` gives."""
    chosen = workflow.resource_settings.overwrite_resources.get(rule, {})
    resources = next(r for r in workflow.rules if r.name == rule).resources
    resources.update({k: v for k, v in values.items() if k not in chosen})


def resumable_rules(workflow: Any) -> set[str]:
    """Return the rules that have a `state` among their params."""
    return {rule.name for rule in workflow.rules if hasattr(rule.params, "state")}


def target_files(workflow: Any) -> set[str]:
    """Return the targets of the command line that are files."""
    return set(workflow.dag_settings.targets) - {rule.name for rule in workflow.rules}


def request_steps(requests: Iterable[Callable[[], object]]) -> None:
    """Ask for several outputs of checkpoints at once.

    An input function ends at the first checkpoint that is not made yet; the exception
    that says so can carry them all, so that all loops continue at once.
    """
    from snakemake.exceptions import IncompleteCheckpointException

    missing: list[Any] = []
    for request in requests:
        try:
            request()
        except IncompleteCheckpointException as error:
            missing.append(error)
    if missing:
        missing[0].targetfile = [error.targetfile for error in missing]
        raise missing[0]


def prepare_scripts() -> None:
    """Let scripts run from a path with a space, and leave signals to the controller.

    Snakemake does not quote the interpreter of a script. Jobs ignore the
    terminal's signals and end by the controller's SIGTERM: a training saves its state.
    """
    from snakemake import script
    from snakemake.shell import shell

    class QuotedSys:
        """The module `sys` with an interpreter that a shell can read."""

        executable = shlex.quote(sys.executable)

        def __getattr__(self, name: str) -> Any:
            return getattr(sys, name)

    script.sys = QuotedSys()
    shell.prefix("trap '' INT HUP; ")


@contextmanager
def warm_workers() -> Iterator[None]:
    """Run the scripts of local jobs in warm processes while this is entered.

    A script gets the environment that Snakemake's shell would give it. A job whose worker
    died runs the ordinary way.
    """
    from snakemake.benchmark import benchmarked
    from snakemake.script import PythonScript

    workers, ordinary = JobWorkers(), PythonScript.execute_script

    def execute(job: Any, script: str, edit: bool = False) -> None:
        record = job.bench_record

        def watching(pid: int) -> AbstractContextManager[Any]:
            return nullcontext() if record is None else benchmarked(pid, record)

        variables = dict.fromkeys(THREAD_VARIABLES, str(job.threads))
        if folder := job.resources.get("tmpdir"):
            variables |= dict.fromkeys(("TMPDIR", "TMP", "TEMPDIR", "TEMP"), folder)
        status = workers.run(script, variables, watching)
        if status is None:
            ordinary(job, script, edit)
        elif status:
            if status == os.EX_TEMPFAIL:
                Stop.expect()
            raise CalledProcessError(status, f"{sys.executable} {script}")

    PythonScript.execute_script = execute
    try:
        yield
    finally:
        PythonScript.execute_script = ordinary
        workers.close()


def plan_faster() -> None:
    """Let Snakemake plan thousands of jobs faster.

    It reads the script of a rule again for every job, to see that it exists, and Python's
    garbage collector passes over all jobs again and again although none goes.
    """
    from snakemake.dag import ScriptProcessor

    process, seen = ScriptProcessor.process_job, set()

    def process_once(self: Any, job: Any) -> None:
        if job.rule.name not in seen:
            seen.add(job.rule.name)
            process(self, job)

    ScriptProcessor.process_job = process_once
    gc.set_threshold(100_000, 20, 100)


def repair_list_changes() -> None:
    """Let `--list-changes params` list only jobs whose params changed.

    Snakemake 9.27 lists every job: an unchanged one iterates over its files all the same.
    """
    from snakemake.persistence import ParamsChange

    ParamsChange.__iter__ = lambda self: iter(self.files if self else ())


# --- the execution of jobs -------------------------------------------------------------


class WorkflowLockedError(Exception):
    """Another Snakemake works on the same files."""


class JobsFailedError(Exception):
    """Some jobs failed for good, and all others finished."""


class Stopped(BaseException):
    """Somebody stopped the workflow.

    `queued`: whether jobs of a cluster remain in its queue.
    """

    def __init__(self, number: int, *, queued: bool = False) -> None:
        super().__init__(number)
        self.number, self.queued = number, queued


def extend_execution(workflow: Any, prepare: Callable[[bool], None]) -> None:
    """Let Snakemake's controller prepare before it runs jobs, and end in an exception.

    Snakemake reads the workflow for many purposes: a dry run, --dag, --summary, --unlock,
    and again in every job. Only `Workflow.execute` runs jobs.

    Args:
        workflow: Snakemake's workflow object, still being read.
        prepare: called before a real run (False) and before a dry run (True). The run
            then raises WorkflowLockedError, JobsFailedError or Stopped where it does not finish.
    """
    from snakemake.exceptions import LockException, WorkflowError

    execute = workflow.execute

    def extended(**settings: Any) -> None:
        kind = settings["executor_plugin"].common_settings
        if kind.dryrun_exec or kind.touch_exec:
            if kind.dryrun_exec:
                prepare(True)
            execute(**settings)
            return
        # A full disk must not print a traceback for each line of Snakemake's log.
        logging.raiseExceptions = False
        warm = warm_workers() if kind.local_exec else nullcontext()
        with warm, stopping(workflow) as stop:
            try:
                prepare(False)
                execute(**settings)
            except LockException:
                raise WorkflowLockedError from None
            except (KeyboardInterrupt, WorkflowError) as error:
                if stop.number or isinstance(error, KeyboardInterrupt):
                    stop.wait()
                    raise Stopped(stop.number or signal.SIGINT) from None
                scheduler = workflow.scheduler
                if scheduler is None or not scheduler.failed:
                    raise
                raise JobsFailedError(str(error)) from error

    workflow.execute = extended


def listed_jobs(workflow: Any) -> Iterator[tuple[Settings, bool]]:
    """Yield the jobs that will run (True) or are done and kept, as log events show them."""
    dag = workflow.dag
    for job in list(dag.jobs):
        if job.output and not dag.finished(job):
            values = {"rule_name": job.rule.name, "wildcards": job.wildcards}
            yield values | {"log": job.log, "output": job.output}, dag.needrun(job)


@dataclass
class Stop:
    """The signals that stop a workflow: noted, and handed on to its jobs.

    Snakemake's own handler of SIGTERM takes a lock that the interrupted code may hold;
    this one takes none.
    """

    # Of this process: what shows the running jobs can say so at once.
    requested: ClassVar[bool] = False
    workflow: Any
    number: int = 0
    at: float = 0.0  # seconds of the first signal
    jobs: list[Any] = field(default_factory=list)

    def handle(self, number: int, frame: FrameType | None = None) -> None:
        """End the jobs with their states saved; at a second signal at once.

        Of `labmill run`, and below a batch system, one stop may send the same signal to
        the group and to this process: within a second it is one.
        """
        import psutil
        from snakemake.logging import logger

        again, self.number = bool(self.number), number
        if again and time.monotonic() - self.at < 1:
            return
        self.at = time.monotonic()
        Stop.requested = True
        # All that Snakemake reports from now on are consequences of the signal.
        logger.addFilter(lambda record: False)
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                # A shell ends with its command, which may need time to save.
                if again or process.name() not in SHELLS:
                    process.send_signal(signal.SIGKILL if again else signal.SIGTERM)
                    self.jobs.append(process)
        if again:
            return  # what the first one raised is on its way
        if number != signal.SIGINT and not self.workflow.local_exec:
            # Of a cluster's controller: its jobs stay in the queue.
            raise Stopped(number, queued=True)
        raise KeyboardInterrupt

    @classmethod
    def expect(cls, seconds: float = 2.0) -> None:
        """Wait until a signal that has ended a job was noted here too.

        A terminal sends it to all processes; until this one notes it, Snakemake reports
        the job as failed. No longer than `seconds`: the job may have been stopped alone.
        """
        end = time.monotonic() + seconds
        while not cls.requested and time.monotonic() < end:
            time.sleep(0.05)

    def wait(self) -> None:
        """Wait until the jobs have ended."""
        import psutil

        psutil.wait_procs(self.jobs)


@contextmanager
def stopping(workflow: Any) -> Iterator[Stop]:
    """Handle the signals that stop a workflow while it is entered."""
    from snakemake.scheduling.job_scheduler import JobScheduler

    stop = Stop(workflow)
    snakemakes = JobScheduler.exit_gracefully
    JobScheduler.exit_gracefully = lambda _, number, frame: stop.handle(number, frame)
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = {number: signal.getsignal(number) for number in signals}
    # What is ignored stays so: SIGHUP below nohup.
    caught = [number for number in signals if before[number] != signal.SIG_IGN]
    for number in caught:
        signal.signal(number, stop.handle)
    try:
        yield stop
    finally:
        JobScheduler.exit_gracefully = snakemakes
        for number in caught:
            signal.signal(number, before[number])
