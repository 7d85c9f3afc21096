"""Check a capsule against an assignment: `python -m labmill.report.grade x.zip a.yaml`.

Prints Markdown: each requirement met or not and why, then what differs from the base
study. The exit code is 0 when all requirements are met. No marks are given: whether the
report's own words are any good is for people to say.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from labmill.closing import told
from labmill.differences import Difference, differences, in_words
from labmill.errors import LabmillError
from labmill.loading import validate
from labmill.plan import Plan
from labmill.reading import Source
from labmill.report.capsule import unpack
from labmill.report.claims.words import escape
from labmill.report.read import UNUSABLE, Place
from labmill.report.verify import HOLDS, sealed, verify
from labmill.runtime import read_json
from labmill.study import Count, Name, Section


class Assignment(Section):
    """What a capsule must hold."""

    title: str = Field(description="Heading of the result.")
    variants: tuple[Name, ...] = Field((), description="Variants that must be there.")
    seeds: Count = Field(1, description="Finished runs per variant at least.")
    openings: Count = Field(
        1,
        description="How many networks of one run and stage the test set may be opened for at most.",
    )
    scale: Literal["full", "laptop", "smoke"] | None = Field(
        None, description="The scale it must have been run at."
    )
    base: str | None = Field(
        None, description="The study handed out; beside the assignment file."
    )
    may_differ: tuple[str, ...] = Field(
        ("title", "question", "author", "report"),
        description="Settings that students may change: dotted keys or their beginnings.",
    )


@dataclass(frozen=True)
class Check:
    """One requirement: its words, and what speaks against it."""

    requirement: str
    problems: Sequence[str]

    @property
    def met(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.problems


@dataclass(frozen=True)
class Grade:
    """A capsule's checks, and its differences from the base study."""

    title: str
    study: str
    author: str
    checks: Sequence[Check]
    differences: Sequence[str] | None

    @property
    def met(self) -> bool:
        """Whether all requirements are."""
        return all(check.met for check in self.checks)

    def markdown(self) -> str:
        """For a terminal or a page."""
        lines = [f"# {escape(self.title)}", ""]
        lines.append(f"Study: {escape(self.study)}. Author: {escape(self.author)}.")
        lines.append("")
        for check in self.checks:
            lines.append(f"- [{'x' if check.met else ' '}] {check.requirement}")
            lines += [f"    - {escape(problem)}" for problem in check.problems]
        if self.differences is not None:
            count = len(self.differences)
            lines += ["", f"## Differences from the base study: {count or 'none'}", ""]
            lines += [f"- {escape(difference)}" for difference in self.differences]
        done = sum(check.met for check in self.checks)
        lines += ["", f"{done} of {len(self.checks)} requirements are met."]
        return "\n".join(lines) + "\n"


def grade(capsule: Path, assignment: Path) -> Grade:
    """Check a capsule. LabmillError when it is none, or the assignment is wrong."""
    source = Source(assignment)
    spec = validate(Assignment, source.data, source, ())
    with tempfile.TemporaryDirectory() as folder:
        about = unpack(capsule, Path(folder))
        place = Place(Path(folder) / about["results"], about["results"])
        index = read_json(place.folder / "index.json")
        study = index["provenance"]["settings"]["study"]
        verdict = verify(place.folder)
        checks = [
            Check(
                HOLDS,
                [
                    *verdict.mismatches,
                    *(f"not checked: {w}" for w in verdict.unchecked),
                ],
            ),
            variants_check(spec, index),
            seeds_check(spec, index),
            openings_check(spec, index, place),
            Check(
                "Test figures are of the sealed test images, which stayed unseen.",
                sealed(index, place),
            ),
        ]
        if spec.scale:
            scale = about["scale"]
            wrong = [] if scale == spec.scale else [f"it was run at scale {scale}"]
            checks.append(Check(f"It was run at scale {spec.scale}.", wrong))
        found = None
        if spec.base:
            found = from_base(assignment.parent / spec.base, about["scale"], study)
            foreign = [in_words(d) for d in found if not allowed(d, spec.may_differ)]
            checks.append(
                Check("Only what may differ from the base study does.", foreign)
            )
    author = study["author"]
    names = [author[key] for key in ("name", "roll_number", "course") if author[key]]
    return Grade(
        title=spec.title,
        study=f"{study['title']} ({about['study']})",
        author=", ".join(names) or "not given",
        checks=checks,
        differences=None if found is None else list(map(in_words, found)),
    )


def finished(index: Mapping[str, Any]) -> dict[str, list[int]]:
    """Variant → seeds whose run came to its end."""
    found: dict[str, list[int]] = {}
    for run in index["runs"]:
        if run["kind"] == "variant" and run["stage"] == "dense":
            seeds = found.setdefault(run["variant"], [])
            if run["status"] not in UNUSABLE:
                seeds.append(run["seed"])
    return found


def variants_check(spec: Assignment, index: Mapping[str, Any]) -> Check:
    """The required variants are there."""
    known = finished(index)
    missing = [f"{name} is missing" for name in spec.variants if name not in known]
    what = ", ".join(spec.variants) or "any"
    return Check(f"The required variants are there: {what}.", missing)


def seeds_check(spec: Assignment, index: Mapping[str, Any]) -> Check:
    """Enough runs of each required variant came to their end."""
    known = finished(index)
    names = [name for name in spec.variants or known if name in known]
    few = [
        f"{name}: {len(known[name])} finished (seeds {known[name] or 'none'})"
        for name in names
        if len(known[name]) < spec.seeds
    ]
    return Check(f"At least {spec.seeds} finished runs of each variant.", few)


def openings_check(spec: Assignment, index: Mapping[str, Any], place: Place) -> Check:
    """No run opened its test set for more networks than allowed."""
    found = []
    for run in index["runs"]:
        path = run["files"].get("metrics")
        if path and place.path(path).is_file():
            times = read_json(place.path(path))["test_openings"]
            if times > spec.openings:
                who = f"{run['variant']} seed {run['seed']} {run['stage']}"
                found.append(f"{who}: opened for {times} networks")
    return Check(
        f"The test set was opened for at most {spec.openings} networks per run and "
        "stage.",
        found,
    )


def from_base(base: Path, scale: str, study: dict[str, Any]) -> list[Difference]:
    """The settings in which a study differs from the base study."""
    return list(differences(told(Plan(base, scale))["study"], study))


def allowed(difference: Difference, keys: Sequence[str]) -> bool:
    """Whether a difference lies under one of the keys."""
    at = difference["key"]
    return any(at == key or at.startswith(f"{key}.") for key in keys)


def main(arguments: Sequence[str]) -> int:
    """0 when all requirements are met, 1 when not, 2 for a wrong call."""
    if len(arguments) != 2:
        print("Say which one: python -m labmill.report.grade x.zip assignment.yaml")
        return 2
    try:
        found = grade(Path(arguments[0]), Path(arguments[1]))
    except LabmillError as error:
        print(f"Error: {error}")
        return 2
    print(found.markdown(), end="")
    return 0 if found.met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
