"""Between Snakemake and the plans: which studies, at which scale, from which file.

Imported once by workflow/rules/common.smk; pure Python, tested without Snakemake.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from labmill import index
from labmill.cluster import failure, leftovers, pack, price
from labmill.errors import LabmillError, suggest
from labmill.explain import explanation
from labmill.index import Finished
from labmill.job import Job
from labmill.lock import heal_stale_lock
from labmill.plan import Plan
from labmill.runtime import read_json

ROOT = Path(__file__).parents[2]
DRY_RUN = {"-n", "--dry-run", "--dryrun"}
PLACE = re.compile(r"^results/((?:(?:smoke|laptop)/)?[a-z][a-z0-9_]*)/")


def start(workflow: Any, config: dict[str, Any]) -> list[str]:
    """Check what was asked for before anything runs; return what config.yaml lists.

    Args:
        workflow: Snakemake's workflow object.
        config: the content of config.yaml and of --config.

    Raises:
        LabmillError: a study that was asked for is wrong.
    """
    scale = config.get("scale", "full")
    prefix = "" if scale == "full" else f"{scale}/"
    places = [f"{prefix}{name}" for name in config.get("studies") or ()]
    asked = asked_for(sys.argv[1:]) or places
    for place in asked:
        plan(place)
    if workflow.is_main_process and DRY_RUN & set(sys.argv):
        for place in asked:
            print(explanation(plan(place)), file=sys.stderr)
    elif workflow.is_main_process:
        head = heal_stale_lock(Path.cwd())
        if head and "site" in config:
            leftovers.wait(Path.cwd())
        price.check_budget(map(plan, asked), config.get("budget"))
        if head and not config.get("partial"):
            pack.run(map(plan, asked), config)
    return places


def asked_for(arguments: Iterable[str]) -> list[str]:
    """The studies, with their scales, whose files stand on the command line."""
    found = [match[1] for text in arguments if (match := PLACE.match(text))]
    return list(dict.fromkeys(found))


PLANS: dict[str, Plan] = {}


def plan(place: str) -> Plan:
    """The plan of `quickstart` or `smoke/quickstart`, made once per process."""
    if place not in PLANS:
        scale, _, name = place.rpartition("/")
        PLANS[place] = Plan(study_file(name), scale or "full")
    return PLANS[place]


def study_file(name: str) -> Path:
    """`studies/<name>.yaml` of the working directory, else of labmill itself."""
    folders = [Path("studies"), ROOT / "studies"]
    for folder in folders:
        path = folder / f"{name}.yaml"
        if path.exists():
            return path
    known = {p.stem for folder in folders for p in folder.glob("*.yaml")}
    raise LabmillError(f"studies/{name}.yaml: no such study; {suggest(name, known)}")


def download_job(key: str) -> Job:
    """The download of a dataset folder that some loaded study uses."""
    for made in PLANS.values():
        if made.dataset_key == key:
            return made.download_job()
    raise LabmillError(f"data/{key}: no study that was asked for uses this dataset")


def results_index(
    wildcards: Any, checkpoints: Any, partial: bool
) -> list[dict[str, Any]]:
    """What a study's summary reads; if `partial`, of what there is."""
    made = plan(wildcards.study)
    if partial:
        records = index.results_index(made, index.ended_on_disk(made))
        return index.without_missing(records, failure.reason)
    return index.results_index(made, finished(wildcards, checkpoints))


def finished(wildcards: Any, checkpoints: Any) -> Finished:
    """Ask Snakemake for a prune step, then its record whether the loop ended there."""

    def ask(loop: str, variant: str, seed: int | str, step: int) -> bool:
        names = {"loop": loop, "variant": variant, "seed": seed, "step": step}
        output = checkpoints.prune.get(study=wildcards.study, **names).output
        return bool(read_json(output.record)["finished"])

    return ask
