"""Which studies a command line asks for, and messages for targets that nothing makes."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from labmill.cluster.rule_resources import RULES
from labmill.core.errors import LabmillError, nearest, suggest
from labmill.core.paths import CHECKOUT
from labmill.plan import status
from labmill.plan.checkpoints import all_unfinished
from labmill.plan.job_files import job_outputs
from labmill.plan.outputs import OUTPUTS, results_index, rounds_made, stage_records
from labmill.plan.plan import Plan
from labmill.study.scales import SCALES
from labmill.study.schema import LONGEST_NAME

STATUS_PAGE = "results/index.html"
# Rules without wildcards.
WHOLE = ("all", "overview")
FOLDERS = (Path("studies"), CHECKOUT / "studies")
STUDY_NAME = re.compile(r"[a-z][a-z0-9_]*")
RULE = "a study's file name is lower-case letters, digits and _"
RUN = re.compile(
    r"^(?P<variant>[^/]+)/seed(?P<seed>[^/]+)/(?P<stage>[^/]+)/(?P<file>[^/]+)$"
)


def study_names() -> set[str]:
    """Return the names of all study files that can be built."""
    stems = {path.stem for folder in FOLDERS for path in folder.glob("*.yaml")}
    return {stem for stem in stems if STUDY_NAME.fullmatch(stem)} - set(SCALES)


def study_file(name: str) -> Path:
    """Return `studies/<name>.yaml` of the working directory, else of labmill itself."""
    if len(name) > LONGEST_NAME:
        raise LabmillError(
            f"studies/{name[:20]}….yaml: no such study; a name has at most "
            f"{LONGEST_NAME} characters"
        )
    for path in (folder / f"{name}.yaml" for folder in FOLDERS):
        if path.exists():
            if not STUDY_NAME.fullmatch(name) or name in SCALES:
                good = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
                raise LabmillError(
                    f"{path}: {RULE}; rename it, for example to {good}.yaml"
                )
            return path
    stem = name.removesuffix(".yaml")
    if name != stem and stem in study_names():
        raise LabmillError(f"{name}: a study is named without .yaml: {stem}")
    hint = suggest(name, study_names())
    if not FOLDERS[0].is_dir():
        near = nearest(name, study_names())
        hint = "no studies/ folder here; `labmill init FOLDER` writes one" + (
            f"; did you mean labmill's own {near!r}?" if near else ""
        )
    raise LabmillError(f"studies/{name}.yaml: no such study; {hint}")


def parse_study(text: str, asked: str = "full") -> str:
    """Return the study path of what a user calls a study.

    `text` is such as `quickstart`, `smoke/quickstart`, `studies/quickstart.yaml`,
    `results/quickstart/report.html`; `asked` is the scale where it names none.
    """
    name = Path(text.strip()).as_posix()
    if name == ".":
        raise LabmillError(
            f"study: found {text!r}; expected a name such as quickstart or mine"
        )
    path = Path(name)
    if path.suffix == ".yaml" and (
        path.stem in study_names() or path.parent == FOLDERS[0]
    ):
        name = path.stem
    if parts := split_target(name):
        name = parts[0]
    before, _, name = name.removeprefix("results/").rpartition("/")
    scale = before or asked
    if scale not in SCALES:
        raise LabmillError(f"{text}: no scale {scale!r}; {suggest(scale, SCALES)}")
    study_file(name)
    if before and asked not in ("full", before):
        raise LabmillError(
            f"{text}: scale {before}, but asked for {asked}; leave one out"
        )
    return status.study_path(name, scale)


def split_target(target: str) -> tuple[str, str] | None:
    """Return the study path and the rest of a target below results; None if elsewhere."""
    if not target.startswith("results/") or target == STATUS_PAGE:
        return None
    first, *rest = target.removeprefix("results/").split("/")
    if first in SCALES[1:] and rest:
        return f"{first}/{rest[0]}", "/".join(rest[1:])
    if rest and rest[0] in study_names() and first not in study_names():
        hint = suggest(first, SCALES[1:])
        raise LabmillError(f"{target}: no scale {first!r}; {hint}; full has none")
    return first, "/".join(rest)


def requested_studies(targets: Iterable[str]) -> list[str]:
    """Return the study paths whose files are among the targets."""
    found = [part[0] for target in targets if (part := split_target(target))]
    for study_path in found:
        study_file(study_path.rpartition("/")[2])
    return list(dict.fromkeys(found))


def check_scale(studies: Iterable[str], scale: str | None) -> None:
    """Check that the scale of `--config`, if any, is the one of the targets' paths.

    Each path has its scale: without this one of the two would be ignored.
    """
    for requested in studies:
        before, _, name = requested.rpartition("/")
        if scale and scale != (before or "full"):
            asked = status.study_path(name, scale)
            raise LabmillError(
                f"results/{requested}: scale {before or 'full'}, but --config scale={scale}; "
                f"leave that out, or request results/{asked}/report.html"
            )


def check_target(target: str, plan_of: Callable[[str], Plan]) -> None:
    """Check that a study makes the file that is requested by name."""
    parts = split_target(target)
    if parts is None:
        if target in study_names() or target in RULES.keys() - set(WHOLE):
            raise LabmillError(
                f"{target}: a target is a file, such as results/{target}/report.html"
                if target in study_names()
                else f"{target}: this rule has wildcards; request one of its files"
            )
        if not target.startswith(("results/", "data/")) and target not in WHOLE:
            raise LabmillError(
                f"{target}: no rule makes it; targets are files below results, such as "
                "results/quickstart/report.html"
            )
        return
    plan, rest = plan_of(parts[0]), parts[1]
    index = results_index(plan, all_unfinished)
    run = RUN.match(rest)
    if run is None:
        known = _study_files(plan)
        if rest not in known:
            hint = (
                suggest(rest, known) if rest else f"name a file: {target}/report.html"
            )
            raise LabmillError(f"{target}: {plan.path} makes no such file; {hint}")
        return
    runs = stage_records(index)
    for key in ("variant", "seed", "stage"):
        known = list(dict.fromkeys(str(getattr(record, key)) for record in runs))
        if run[key] not in known:
            hint = suggest(run[key], known)
            raise LabmillError(f"{target}: no {key} {run[key]!r}; {hint}")
        runs = [record for record in runs if str(getattr(record, key)) == run[key]]
    files = {name for names in OUTPUTS.values() for name in names.values()}
    if run["file"] not in files:
        hint = suggest(run["file"], files)
        raise LabmillError(f"{target}: no file {run['file']!r}; {hint}")


def _study_files(plan: Plan) -> list[str]:
    """Return the files of a study that belong to no run, below its results."""
    jobs: list[tuple[str, dict[str, str]]] = [("summarize", {}), ("report", {})]
    jobs += plan.splits
    jobs += [("select", {"search": search}) for search in plan.study.search]
    jobs += [("decide", {"round": str(n)}) for n in rounds_made(plan, all_unfinished)]
    for variant in plan.edited:
        jobs += [(rule, {"variant": variant}) for rule in ("propose", "confirm")]
    return [
        path.removeprefix(f"{plan.results}/")
        for rule, wildcards in jobs
        for path in job_outputs(plan, rule, wildcards).values()
    ]
