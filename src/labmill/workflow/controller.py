"""Snakemake's main process: what it does around the execution of jobs."""

import atexit
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labmill.cluster import cost_estimate, orphaned_jobs, packs
from labmill.cluster.site import Site
from labmill.core.errors import LabmillError
from labmill.core.files import remove_partial, writing
from labmill.core.lock import ControllerLocks
from labmill.core.snakemake_internals import (
    JobsFailedError,
    Stopped,
    WorkflowLockedError,
    extend_execution,
    target_files,
)
from labmill.core.trees import JsonObject
from labmill.plan.plan import Plan
from labmill.plan.rerun_reasons import explanation
from labmill.study.check_networks import check_networks
from labmill.watch.handler import LogHandler
from labmill.watch.terminal import show
from labmill.workflow.check_words import check_words

# Exit status where jobs failed and all others finished, so that a report of the others
# can be made. Any other failure is Snakemake's 1, or 128 and the number of a signal.
JOBS_FAILED = 3
SIGNALS: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGHUP: "a closed terminal"}


class Controller:
    """The preparation of a run, and its end in one sentence."""

    def __init__(self, config: JsonObject, plans: Mapping[str, Plan]) -> None:
        self.config, self.plans = config, plans
        self.locks = ControllerLocks()

    def extend(self, workflow: Any) -> None:
        """Let Snakemake prepare before it runs jobs, and end in our words."""

        def prepare(dry: bool) -> None:
            files = target_files(workflow)
            plans = {
                study_path: plan
                for study_path, plan in self.plans.items()
                if not files or any(f.startswith(f"{plan.results}/") for f in files)
            }
            (self.announce if dry else self.prepare)(plans)

        LogHandler.workflow, LogHandler.plans = workflow, self.plans
        extend_execution(workflow, prepare)
        execute = workflow.execute

        def ended(**settings: Any) -> None:
            try:
                with writing(Path.cwd()):
                    execute(**settings)
            except LabmillError as error:
                sys.exit(f"Error: {error}")
            except WorkflowLockedError:
                others = "; ".join(self.locks.others()) or "another Snakemake"
                sys.exit(
                    f"Error: {others} works on the same files in {Path.cwd()}; wait "
                    "until it ends, or stop it and give the same command again"
                )
            except JobsFailedError as error:
                print(f"Error: {error}", file=sys.stderr)
                sys.exit(JOBS_FAILED)
            except Stopped as stopped:
                stop(stopped)

        workflow.execute = ended

    def announce(self, plans: Mapping[str, Plan]) -> None:
        """Print why each job would run and, where there is a budget, its cost."""
        for plan in plans.values():
            check_words(plan)
            print(explanation(plan), file=sys.stderr)
        if (budget := self.config.get("budget")) is None:
            return
        costs = cost_estimate.estimates(plans.values(), self.config)
        for plan, part in costs.items():
            print(cost_estimate.cost_table(plan, part), file=sys.stderr)
        if refused := cost_estimate.over_budget(costs, budget):
            print(f"Would not start: {refused}", file=sys.stderr)

    def prepare(self, plans: Mapping[str, Plan]) -> None:
        """Claim the studies; on a cluster, wait for orphaned jobs and submit packs."""
        self.locks.remove_stale()
        if self.config.get("packed"):
            return
        site = Site.of(self.config)
        if site:
            site.check_modules()
        check_writable([plan.results for plan in plans.values()])
        show("Checking the networks …")
        for plan in plans.values():
            check_words(plan)
            check_networks(plan.resolved.values(), plan.facts, plan.source, plan.study)
        for study_path in plans:
            self.locks.claim(study_path)
        if site:
            orphaned_jobs.wait(plans)
        for plan in plans.values():
            remove_partial(Path(plan.results))
        if (budget := self.config.get("budget")) is not None:
            costs = cost_estimate.estimates(plans.values(), self.config)
            if refused := cost_estimate.over_budget(costs, budget):
                raise LabmillError(refused)
        if not self.config.get("partial"):
            packs.run(plans.values(), self.config)
        show("Comparing with the results on disk …")


def check_writable(results: list[str]) -> None:
    """Check that files can be written to all folders that jobs write to."""
    folders = [*results, "data", "logs", "benchmarks", ".snakemake"]
    for folder in [*map(Path, folders), Path(tempfile.gettempdir())]:
        while not folder.exists():
            folder = folder.parent
        with (
            writing(folder),
            tempfile.NamedTemporaryFile(dir=folder, prefix=".labmill.") as file,
        ):
            file.write(bytes(65536))
            file.flush()
            os.fsync(file.fileno())


def stop(stopped: Stopped) -> None:
    """End the process with one sentence: what is saved, and how to continue.

    Raises:
        SystemExit: where no thread can be in the way.
    """
    name = SIGNALS.get(stopped.number) or signal.Signals(stopped.number).name
    text = "its jobs stay in the queue" if stopped.queued else "its jobs have ended"
    print(
        f"\nStopped by {name}: {text}. Finished results and the saved states of trainings "
        "are kept; the same command continues.",
        file=sys.stderr,
        flush=True,
    )
    if stopped.queued:
        # Threads of the cluster's executor would watch the queue for ever.
        os._exit(128 + stopped.number)
    # Python's own end would take apart all that was imported, for seconds.
    atexit.register(os._exit, 128 + stopped.number)
    sys.exit(128 + stopped.number)
