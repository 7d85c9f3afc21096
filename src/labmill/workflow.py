"""Between Snakemake and the plans: which studies, at which scale, from which file.

Imported once by workflow/rules/common.smk; pure Python, tested without Snakemake.
"""

import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from snakemake.exceptions import IncompleteCheckpointException

from labmill import head, index, overview
from labmill.cluster import failure, site
from labmill.cluster.script import batch_lines
from labmill.config import read_config
from labmill.errors import LabmillError, suggest
from labmill.index import Recorded
from labmill.job import Job
from labmill.loading import SCALES
from labmill.plan import Plan
from labmill.runtime import read_json
from labmill.study import Author

ROOT = Path(__file__).parents[2]
OVERVIEW = "results/index.html"
PLACE = re.compile(r"^results/((?:(?:smoke|laptop)/)?[a-z][a-z0-9_]*)/")
RUN = re.compile(
    r"^results/(?P<place>(?:(?:smoke|laptop)/)?[a-z][a-z0-9_]*)"
    r"/(?P<variant>[^/]+)/seed(?P<seed>[^/]+)/(?P<stage>[^/]+)/[^/]+$"
)


def start(workflow: Any, config: dict[str, Any]) -> list[str]:
    """Check what was asked for before anything runs; return what config.yaml lists.

    Args:
        workflow: Snakemake's workflow object.
        config: the content of config.yaml and of --config.

    Raises:
        LabmillError: a study that was asked for is wrong.
    """
    checked = read_config(config)
    config["partial"] = checked.partial
    prefix = "" if checked.scale == "full" else f"{checked.scale}/"
    if workflow.is_main_process:
        site.find(workflow, config)
    tell(config)
    places = [f"{prefix}{name}" for name in checked.studies or ()]
    asked = asked_for(sys.argv[1:])
    if not asked and OVERVIEW not in sys.argv:
        asked = places
    plans = {place: plan(place) for place in asked}
    for made in plans.values():
        made.download_job()
    for target in sys.argv[1:]:
        check_target(target)
    if workflow.is_main_process:
        head.extend(workflow, config, plans)
    return places


def asked_for(arguments: Iterable[str]) -> list[str]:
    """The studies, with their scales, whose files stand on the command line.

    Raises:
        LabmillError: what stands before a study's name is no scale.
    """
    found, known = [], study_names()
    for text in arguments:
        if match := PLACE.match(text):
            name, following = match[1], text[match.end() :].split("/")[0]
            if name not in known and following in known:
                hint = suggest(name, SCALES[1:])
                raise LabmillError(f"{text}: no scale {name!r}; {hint}; full has none")
            found.append(name)
    return list(dict.fromkeys(found))


def check_target(target: str) -> None:
    """A file of a run that is asked for by name is one that the study makes.

    Raises:
        LabmillError: no such variant, seed or stage.
    """
    run = RUN.match(target)
    if not run:
        return
    records = index.results_index(plan(run["place"]), lambda *_: {"finished": False})
    runs = [record for record in records if "seed" in record]
    for key in ("variant", "seed", "stage"):
        known = dict.fromkeys(str(record[key]) for record in runs)
        if run[key] not in known:
            hint = suggest(run[key], known)
            raise LabmillError(f"{target}: no {key} {run[key]!r}; {hint}")
        runs = [record for record in runs if str(record[key]) == run[key]]


# What config.yaml and the cluster's profile say, and no study does.
TOLD: dict[str, Any] = {}


def tell(config: dict[str, Any]) -> None:
    """Remember what plans made from now on tell the report.

    Raises:
        LabmillError: `author` is no mapping of known keys to text.
    """
    author = config.get("author") or {}
    if not isinstance(author, dict):
        raise LabmillError(f"config.yaml: author: found {author!r}; a mapping")
    for key, value in author.items():
        if key not in Author.model_fields:
            hint = suggest(key, Author.model_fields)
            raise LabmillError(f"config.yaml: author: no key {key!r}; {hint}")
        if isinstance(value, dict | list | bool):
            raise LabmillError(f"config.yaml: author.{key}: found {value!r}; text")
    known = {key: str(value) for key, value in author.items() if value is not None}
    TOLD.update(author=known, slurm=batch_lines(config))


PLANS: dict[str, Plan] = {}


def plan(place: str) -> Plan:
    """The plan of `quickstart` or `smoke/quickstart`, made once per process."""
    if place not in PLANS:
        scale, _, name = place.rpartition("/")
        PLANS[place] = Plan(study_file(name), scale or "full", **TOLD)
    return PLANS[place]


STUDIES = (Path("studies"), ROOT / "studies")


def study_file(name: str) -> Path:
    """`studies/<name>.yaml` of the working directory, else of labmill itself."""
    for folder in STUDIES:
        path = folder / f"{name}.yaml"
        if path.exists():
            return path
    hint = suggest(name, study_names())
    raise LabmillError(f"studies/{name}.yaml: no such study; {hint}")


def study_names() -> set[str]:
    """All studies that there are."""
    return {path.stem for folder in STUDIES for path in folder.glob("*.yaml")}


@cache
def overview_job() -> Job:
    """The index of all studies, as their files, the code and the results now are."""
    return overview.overview_job(
        overview.overview(study_names(), plan, Path("results"))
    )


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
        records = index.results_index(made, index.on_disk(made))
        return index.without_missing(records, failure.reason)
    return index.results_index(made, recorded(wildcards.study, checkpoints))


def fixed_files(wildcards: Any, partial: bool) -> list[str]:
    """What a summary reads whatever prune loops decide; of what there is, nothing."""
    return [] if partial else index.fixed_files(plan(wildcards.study))


def next_steps(wildcards: Any, checkpoints: Any, partial: bool) -> list[str]:
    """Ask Snakemake for the next step of every prune loop, so that all go on at once.

    An input function is left at the first step that is not made yet; the exception
    that says so carries all of them. Nothing, when all loops have ended.
    """
    made = plan(wildcards.study)
    ask = recorded(wildcards.study, checkpoints)
    waiting: list[IncompleteCheckpointException] = []
    for entry in () if partial else made.variants:
        for seed in entry.seeds:
            for loop in made.loops(entry.name):
                try:
                    index.loop_stages(made, loop, entry.name, seed, ask)
                except IncompleteCheckpointException as error:
                    waiting.append(error)
    if waiting:
        waiting[0].targetfile = [error.targetfile for error in waiting]
        raise waiting[0]
    return []


def recorded(study: str, checkpoints: Any) -> Recorded:
    """Ask Snakemake for a prune step, then read what it wrote."""

    def ask(loop: str, variant: str, seed: int | str, step: int) -> dict[str, Any]:
        names = {"loop": loop, "variant": variant, "seed": seed, "step": step}
        output = checkpoints.prune.get(study=study, **names).output
        return read_json(output.record)

    return ask


def steps(wildcards: Any, checkpoints: Any) -> list[str]:
    """The model.json of all steps of a prune loop, in order."""
    made = plan(wildcards.study)
    run = (wildcards.variant, wildcards.seed)
    ask = recorded(wildcards.study, checkpoints)
    last = index.steps_made(made, wildcards.loop, *run, ask)
    return [
        f"{made.folder(*run, f'{wildcards.loop}_{step}')}/model.json"
        for step in range(1, last + 1)
    ]
