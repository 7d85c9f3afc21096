"""What an assignment demands of an archive: docs/grading.md has every key."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from labmill.archive.records import Opened
from labmill.archive.reproduce import TOLERANCE
from labmill.archive.verify import Check
from labmill.core.errors import LabmillError, suggest
from labmill.core.files import read_json
from labmill.core.trees import JsonObject, differences, in_words
from labmill.plan.plan import Plan
from labmill.report.runs import UNUSABLE
from labmill.report.text import anchor
from labmill.study.load import validate
from labmill.study.schema import Study
from labmill.study.schema.base import Count, Fraction, Name, Section
from labmill.study.yaml_source import YamlSource

MOST_MARKS = 1000


class Assignment(Section):
    """The content of an assignment file."""

    title: str = Field(description="Heading of the result.")
    variants: tuple[Name, ...] = Field((), description="Variants that must be there.")
    seeds: Count = Field(1, description="Finished runs per variant at least.")
    openings: Count = Field(
        1,
        description="For how many networks of one run and stage the test set may be "
        "opened at most.",
    )
    scale: Literal["full", "laptop", "smoke"] | None = Field(
        None, description="The scale it must have been run at."
    )
    base: str | None = Field(
        None, description="The study handed out; relative to the assignment file."
    )
    may_differ: tuple[str, ...] = Field(
        ("title", "question", "author", "report"),
        description="Settings that may differ from the base study: dotted keys or "
        "their beginnings.",
    )
    weights: bool = Field(
        True, description="Whether weights must be there and give the predictions."
    )
    marks: dict[str, float] = Field(
        default_factory=dict,
        description="Points for a requirement that is met, by its key; by default those "
        "of the tasks alone.",
    )
    tolerance: Fraction = Field(
        TOLERANCE,
        description="How far the test accuracy of a drawn rerun may differ, where it is "
        "not bit-equal.",
    )


# By which `marks` names a requirement; `task 1` and so on too.
KEYS = (
    *("files", "chain", "split", "report", "weights", "reruns"),
    *("variants", "seeds", "openings", "scale", "base", "base seeds"),
)


def load_assignment(path: Path) -> Assignment:
    """Return the content of an assignment file, checked with the study that it names."""
    source = YamlSource(path)
    spec = validate(Assignment, source.data, source, ())
    for key, value in spec.marks.items():
        if key not in KEYS and not re.fullmatch(r"task [1-9]\d*", key):
            allowed = suggest(key, [*KEYS, "task 1"])
            source.fail(f"found {key!r}; {allowed}", ("marks", key), ("marks",))
        if not 0 <= value <= MOST_MARKS:
            said = f"found {value:g}; expected 0 to {MOST_MARKS}"
            source.fail(said, ("marks", key), ("marks",))
    for key in spec.may_differ:
        if (first := key.partition(".")[0]) not in Study.model_fields:
            allowed = suggest(first, Study.model_fields)
            source.fail(f"found {key!r}; {allowed}", ("may_differ",))
    if spec.base is not None:
        try:
            Plan(path.parent / spec.base)
        except LabmillError as error:
            source.fail(f"found {spec.base!r}: {error}", ("base",))
    return spec


class Required(NamedTuple):
    """What an assignment demands in addition to honest results.

    Attributes:
        differences: from the base study; None where there is none.
        marks: of requirements, by their key.
    """

    checks: list[Check]
    differences: list[str] | None
    marks: dict[str, float]


def requirement_checks(spec: Assignment, opened: Opened, base: Path | None) -> Required:
    """Check an assignment's requirements.

    The tasks are those of the base study, if there is one: an author may change the others.
    """
    index = opened.index
    finished = finished_seeds(index)
    required = f"The required variants are there: {', '.join(spec.variants) or 'any'}."
    missing = [f"{name} is missing" for name in spec.variants if name not in finished]
    seeds = f"At least {spec.seeds} finished runs of each variant."
    too_few = [
        f"{name}: {len(finished[name])} finished (seeds {finished[name] or 'none'})"
        for name in spec.variants or finished
        if name in finished and len(finished[name]) < spec.seeds
    ]
    openings = f"The test set was opened for at most {spec.openings} networks per run and stage."
    checks = [
        Check("variants", required, missing),
        Check("seeds", seeds, too_few),
        Check("openings", openings, list(opened_too_often(spec, opened))),
    ]
    if spec.scale:
        wrong = [] if index["scale"] == spec.scale else [f"scale is {index['scale']}"]
        checks.append(Check("scale", f"It was run at scale {spec.scale}.", wrong))
    study = index["provenance"]["settings"]["study"]
    plan = Plan(base, index["scale"]) if base else None
    handed_out = plan.report_settings()["study"] if plan else study
    tasks = handed_out["report"]["tasks"]
    checks += task_checks(tasks, opened)
    by_key = {f"task {n}": task["marks"] or 0.0 for n, task in enumerate(tasks, 1)}
    marks = {key: value for key, value in by_key.items() if value} | spec.marks
    if plan is None:
        return Required(checks, None, marks)
    changed = list(differences(handed_out, study))
    forbidden = [
        in_words(change)
        for change in changed
        if not f"{change['key']}.".startswith(tuple(f"{k}." for k in spec.may_differ))
    ]
    # Where results decide who gets more, only the first round is known.
    least = plan.study.rounds.start if plan.study.rounds else None
    needed = {entry.name: entry.seeds[:least] for entry in plan.variants}
    lost = [
        f"{name}: no finished run of seeds {gone}"
        for name, seeds in needed.items()
        if (gone := sorted({*seeds} - {*finished.get(name, seeds)}))
    ]
    same = "Only what may differ from the base study does."
    checks.append(Check("base", same, forbidden))
    checks.append(Check("base seeds", "Every seed of the base study was run.", lost))
    return Required(checks, list(map(in_words, changed)), marks)


def task_checks(tasks: Sequence[JsonObject], opened: Opened) -> Iterator[Check]:
    """Check whether results answer each task of a study's `report.tasks`."""
    text = (opened.folder / "report.md").read_text(encoding="utf-8")
    claims = read_json(opened.folder / "claims.json")
    about = {part for claim in claims for part in claim["id"].split(":")}
    for number, task in enumerate(tasks, 1):
        missing = [
            f"no result about {name}"
            for name in task["answers"]
            if name not in about and f"{{#section-{anchor(name)}}}" not in text
        ]
        said = " ".join(task["text"].split())[:200]
        yield Check(f"task {number}", f"Results answer task {number}: {said}", missing)


def finished_seeds(index: JsonObject) -> dict[str, list[int]]:
    """Return variant → seeds whose run finished and did not diverge."""
    found: dict[str, list[int]] = {}
    for run in index["runs"]:
        if run["kind"] == "variant" and run["stage"] == "dense":
            seeds = found.setdefault(run["variant"], [])
            if run["status"] not in UNUSABLE:
                seeds.append(run["seed"])
    return found


def opened_too_often(spec: Assignment, opened: Opened) -> Iterator[str]:
    """Yield the stages that opened the test set for more networks than allowed."""
    for run in opened.index["runs"]:
        metrics = opened.read(run, "metrics")
        if metrics and metrics["test_openings"] > spec.openings:
            stage = "{variant} seed {seed} {stage}".format(**run)
            yield f"{stage}: opened for {metrics['test_openings']} networks"
