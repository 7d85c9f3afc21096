"""What a head does around the execution of jobs, and only there.

Snakemake reads the workflow for many ends: a dry run, --dag, --summary, --unlock, and
again in every job. Only `Workflow.execute` runs jobs, in a real run as in a dry one, so
that is what is extended here: whatever the command line, nothing else acts.
"""

import sys
from collections.abc import Mapping
from typing import Any

from snakemake.exceptions import WorkflowError

from labmill.cluster import leftovers, pack, price
from labmill.cluster.site import Site
from labmill.errors import LabmillError
from labmill.explain import explanation
from labmill.lock import claim, heal_stale_lock
from labmill.plan import Plan

# Exit status where jobs failed and all others ended: a report of what there is can be
# made. Any other failure is Snakemake's 1 or a signal's.
JOBS_FAILED = 3


def extend(workflow: Any, config: Mapping[str, Any], plans: Mapping[str, Plan]) -> None:
    """Let Snakemake's main process prepare before it runs jobs.

    Args:
        workflow: Snakemake's workflow object, still being read.
        config: all of Snakemake's config.
        plans: of the studies that were asked for, by place.
    """
    execute = workflow.execute

    def extended(**settings: Any) -> None:
        kind = settings["executor_plugin"].common_settings
        files = set(workflow.dag_settings.targets) - {"all"}
        mine = {
            place: plan
            for place, plan in plans.items()
            if not files or any(file.startswith(f"{plan.results}/") for file in files)
        }
        try:
            if kind.dryrun_exec:
                announce(config, mine)
            elif not kind.touch_exec:
                prepare(config, mine)
        except LabmillError as error:
            sys.exit(f"Error: {error}")
        try:
            execute(**settings)
        except WorkflowError as error:
            done = workflow.scheduler
            # Ctrl-C leaves running ones, SIGTERM a note: somebody stopped the whole.
            stopped = done is None or done.running or done._user_kill
            if stopped or not done.failed:
                raise
            print(f"Error: {error}", file=sys.stderr)
            sys.exit(JOBS_FAILED)

    workflow.execute = extended


def announce(config: Mapping[str, Any], plans: Mapping[str, Plan]) -> None:
    """Say why each job would run and, where there is a budget, what it would cost."""
    for plan in plans.values():
        print(explanation(plan), file=sys.stderr)
    if (budget := config.get("budget")) is None:
        return
    costs = price.bill(plans.values(), config)
    for plan, part in costs.items():
        print(price.told(plan, part), file=sys.stderr)
    if refused := price.over_budget(costs, budget):
        print(f"Would not start: {refused}", file=sys.stderr)


def prepare(config: Mapping[str, Any], plans: Mapping[str, Plan]) -> None:
    """On a cluster become the head of these studies, let a dead one's jobs end, pack.

    Raises:
        LabmillError: another head works on a study, a module is not loaded, the budget
            does not do, or the queue fails.
    """
    heal_stale_lock()
    if config.get("packed"):
        return
    if site := Site.of(config):
        site.check_modules()
        for place in plans:
            claim(place)
        leftovers.wait(plans)
    if (budget := config.get("budget")) is not None:
        costs = price.bill(plans.values(), config)
        if refused := price.over_budget(costs, budget):
            raise LabmillError(refused)
    if not config.get("partial"):
        pack.run(plans.values(), config)
