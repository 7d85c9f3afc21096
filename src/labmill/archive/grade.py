"""Check archives against an assignment: one as Markdown, a class as a table.

Marks are given only for requirements to which the assignment gives some: whether the
report's own words are any good is for people to say. Each archive is checked in a separate process with limits, and none stops the others.
"""

import csv
import gc
import importlib
import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import jinja2

from labmill.archive.assignment import (
    Assignment,
    load_assignment,
    requirement_checks,
)
from labmill.archive.isolated import check_foreign
from labmill.archive.likeness import Fingerprints, fingerprints, likenesses
from labmill.archive.records import Opened
from labmill.archive.reproduce import (
    TIME_LIMIT,
    Outcome,
    draw,
    probability_of_finding,
    rerun,
    runs_of,
)
from labmill.archive.unpack import open_archive
from labmill.archive.verify import Check
from labmill.core import processes
from labmill.core.errors import LabmillError
from labmill.core.files import file_digest
from labmill.core.fingerprint import code_fingerprints, full_name
from labmill.core.trees import Settings
from labmill.plan.report_jobs import report_job
from labmill.report.text import escape

LIMIT = 300.0  # seconds of one archive without reruns
MARKS = {"met": "x", "failed": " ", "unchecked": "?"}
COMPUTED_BY = (
    *("labmill.training.train", "labmill.evaluation.evaluate"),
    *("labmill.profiling.measure", "labmill.pruning.step"),
)
AUTHOR = ("name", "roll_number", "course")


@dataclass(frozen=True)
class Rules:
    """How archives are checked."""

    assignment: Path  # the file with the requirements
    data: Path = Path("data")  # the folder of datasets of who checks
    reruns: int = 0  # how many runs of each archive are trained again
    secret: str = ""  # decides, with the archive, which runs
    trust_code: bool = False  # whether an archive's own code may run


@dataclass(frozen=True)
class Grade:
    """What was found in one archive."""

    archive: str
    title: str
    sha256: str = ""
    study: str = ""
    author: Mapping[str, str] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    differences: Sequence[str] | None = None
    notes: Sequence[str] = ()
    error: str | None = None
    marks: Mapping[str, float] = field(default_factory=dict)
    compared_by: Fingerprints = field(default_factory=Fingerprints)

    @property
    def score(self) -> float | None:
        """Return the marks of the requirements that are met; None if there are none."""
        if not self.marks:
            return None
        return sum(self.marks.get(key, 0.0) for key in self.in_state("met"))

    @property
    def met(self) -> bool:
        """Return True if no requirement failed."""
        return self.error is None and not self.in_state("failed")

    @property
    def states(self) -> dict[str, str]:
        """Return the state of each check by its key."""
        return {check.key: check.state for check in self.checks}

    def in_state(self, state: str) -> list[str]:
        """Return the keys of the checks in a state."""
        return [check.key for check in self.checks if check.state == state]

    def markdown(self) -> str:
        """Return the result for a terminal or a page."""
        lines = [f"# {escape(self.title)}", ""]
        if self.error is not None:
            lines.append(f"{escape(self.archive)}: {escape(self.error)}\n")
            return "\n".join(lines)
        author = ", ".join(self.author.values()) or "not given"
        lines += [f"Study: {escape(self.study)}. Author: {escape(author)}.", ""]
        for check in self.checks:
            lines.append(f"- [{MARKS[check.state]}] {escape(check.requirement)}")
            lines += [f"    - {escape(problem)}" for problem in check.problems]
            lines += [f"    - not checked: {escape(what)}" for what in check.unchecked]
        lines += [f"- {escape(note)}" for note in self.notes]
        if self.differences is not None:
            count = len(self.differences)
            lines += ["", f"## Differences from the base study: {count or 'none'}", ""]
            lines += [f"- {escape(difference)}" for difference in self.differences]
        return "\n".join([*lines, "", f"{self.summary()}\n"])

    def summary(self) -> str:
        """Return in one line how many requirements are met."""
        if self.error is not None:
            return self.error
        unchecked = self.in_state("unchecked")
        text = f"{len(self.in_state('met'))} of {len(self.checks)} requirements are met"
        more = f"; not checked: {', '.join(unchecked)}" if unchecked else ""
        return f"{text}{more}."


def grade(archive: Path, rules: Rules) -> Grade:
    """Check one archive."""
    spec = load_assignment(rules.assignment)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        notes: list[str] = []
        try:
            opened = open_archive(archive, root)
            checks = check_foreign(
                opened,
                rules.data,
                weights=spec.weights,
                trust_code=rules.trust_code,
                show=notes.append,
            )
            if not checks[0].problems:  # every file can be read
                return graded(spec, rules, archive, opened, checks, notes)
            digest = file_digest(archive)
            return Grade(
                archive.name, spec.title, digest, checks=checks, marks=spec.marks
            )
        except LabmillError as error:
            said = str(error).replace(f"{root}/", "")
            raise LabmillError(said) from None


def graded(
    spec: Assignment,
    rules: Rules,
    archive: Path,
    opened: Opened,
    checks: list[Check],
    notes: list[str],
) -> Grade:
    """Check the requirements of an archive whose files can be read."""
    if rules.reruns:
        checks.append(rerun_check(spec, rules, archive, opened, notes))
    base = rules.assignment.parent / spec.base if spec.base else None
    required = requirement_checks(spec, opened, base)
    study = opened.index["provenance"]["settings"]["study"]
    return Grade(
        archive=archive.name,
        title=spec.title,
        sha256=file_digest(archive),
        study=f"{study['title']} ({opened.index['study']})",
        author={key: study["author"][key] for key in AUTHOR if study["author"][key]},
        checks=[*checks, *required.checks],
        differences=required.differences,
        notes=notes,
        marks=required.marks,
        compared_by=fingerprints(opened, opened.weights),
    )


def rerun_check(
    spec: Assignment, rules: Rules, archive: Path, opened: Opened, notes: list[str]
) -> Check:
    """Train runs again that were drawn after submission.

    notes: gets how likely a forged run would have been drawn.
    """
    runs = list(runs_of(opened))
    drawn = draw(runs, rules.reruns, archive=archive, secret=rules.secret)
    problems, unchecked = [], []
    for run in drawn:
        try:
            stages = rerun(
                opened,
                run,
                trust_code=rules.trust_code,
                data=rules.data,
                tolerance=spec.tolerance,
                show=notes.append,
            )
        except LabmillError as error:
            unchecked.append(str(error))
            continue
        notes += map(str, stages)
        problems += [str(one) for one in stages if one.outcome is Outcome.DIFFERENT]
    chances = [
        f"{forged} of {len(runs)} forged: "
        f"{100 * probability_of_finding(forged, runs=len(runs), drawn=len(drawn)):.0f} %"
        for forged in (1, 2, 3, 5)
        if forged <= len(runs)
    ]
    notes.append(f"Probability of finding a forged run: {', '.join(chances)}")
    same = f"Runs drawn after submission give the same here: {', '.join(drawn)}."
    return Check("reruns", same, problems, unchecked)


def grade_class(
    archives: Sequence[Path], rules: Rules, *, jobs: int = 1, limit: float = LIMIT
) -> Iterator[Grade]:
    """Check several archives, each in a process with limits; yield in their order."""
    title = load_assignment(rules.assignment).title
    prepare()
    archives = list(dict.fromkeys(archives))
    calls = {str(archive): (archive, rules) for archive in archives}
    timeout = limit + rules.reruns * TIME_LIMIT
    names = short_names(calls)
    found = dict(processes.call_each(grade, calls, timeout=timeout, jobs=jobs))
    for archive in archives:
        result = found[str(archive)]
        if isinstance(result, LabmillError):
            said = str(result).removeprefix(f"{archive}: ")
            result = Grade(archive.name, title, error=said)
        yield replace(result, archive=names[str(archive)])


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Return the ends of paths, with as many folders as tell them apart."""
    found = {path: Path(path).parts for path in paths}
    for length in range(1, max(map(len, found.values()), default=0) + 1):
        names = {path: "/".join(parts[-length:]) for path, parts in found.items()}
        if len({*names.values()}) == len(found):
            return names
    return {path: path for path in found}


def prepare() -> None:
    """Import and read here what each check needs, for processes that are forked next."""
    report = report_job({"study": {"figures": [], "report": {}}}, "")
    modules = [full_name(name) for name in report.modules]
    for name in (*modules, *COMPUTED_BY):
        importlib.import_module(name)
    code_fingerprints([*modules, *COMPUTED_BY])
    # Each process ends with its archive: collecting garbage took a sixth of its time.
    gc.disable()


def unexpected(grades: Sequence[Grade]) -> dict[str, list[str]]:
    """Return archive → what it shares with others and honest work does not explain."""
    found: dict[str, list[str]] = {one.archive: [] for one in grades}
    for shared in likenesses({one.archive: one.compared_by for one in grades}):
        if shared.unexpected:
            found[shared.first].append(str(shared))
            found[shared.second].append(str(shared))
    return found


def as_table(grades: Sequence[Grade]) -> str:
    """Return one line per archive for a terminal."""
    rows = [("archive", "author", "met", "failed", "not checked")]
    for one in grades:
        met = f"{len(one.in_state('met'))}/{len(one.checks)}" if one.checks else "–"
        failed = one.error or ", ".join(one.in_state("failed"))
        author, open_ = ", ".join(one.author.values()), one.in_state("unchecked")
        rows.append((one.archive, author, met, failed[:100], ", ".join(open_)))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    lines += map(str, likenesses({one.archive: one.compared_by for one in grades}))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def as_csv(grades: Sequence[Grade]) -> str:
    """Return one row per archive, with a column per requirement."""
    keys = list(dict.fromkeys(check.key for one in grades for check in one.checks))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["archive", "sha256", *AUTHOR, "study", "error", *keys, "score", "like"]
    )
    like = unexpected(grades)
    for one in grades:
        states = one.states
        cells = [one.archive, one.sha256, *(one.author.get(key, "") for key in AUTHOR)]
        cells += [one.study, one.error or "", *(states.get(key, "") for key in keys)]
        cells += ["" if one.score is None else f"{one.score:g}"]
        cells += ["; ".join(like[one.archive])]
        # No spreadsheet shall take a cell for a formula.
        formula = ("=", "+", "-", "@", "\t")
        writer.writerow([f"'{c}" if c.startswith(formula) else c for c in cells])
    return file.getvalue()


def as_json(grades: Sequence[Grade]) -> str:
    """Return everything that was found, one object per archive."""
    like = unexpected(grades)
    found: list[Settings] = []
    for one in grades:
        checks = [asdict(check) | {"state": check.state} for check in one.checks]
        about = asdict(replace(one, compared_by=Fingerprints())) | {
            "met": one.met,
            "score": one.score,
            "checks": checks,
            "like": like[one.archive],
        }
        del about["compared_by"]
        found.append(about)
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def as_html(grades: Sequence[Grade]) -> str:
    """Return one page: a table of the class, and below it each archive's checks."""
    template = (Path(__file__).parent / "class.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template).render(
        grades=grades,
        keys=list(dict.fromkeys(check.key for one in grades for check in one.checks)),
        signs={"met": "✓", "failed": "✗", "unchecked": "?"},
        like=unexpected(grades),
        shared=likenesses({one.archive: one.compared_by for one in grades}),
    )


def as_gradescope(grade: Grade) -> str:
    """Return a results.json of Gradescope, which Otter-Grader's results follow too.

    A requirement without marks in the assignment is listed without a score.
    """
    tests: list[Settings] = []
    for check in grade.checks:
        said = [*check.problems, *(f"not checked: {what}" for what in check.unchecked)]
        test: Settings = {
            "name": check.requirement,
            "status": "passed" if check.state == "met" else "failed",
            "output": "\n".join(said),
        }
        if check.key in grade.marks:
            test["max_score"] = grade.marks[check.key]
            test["score"] = test["max_score"] if check.state == "met" else 0.0
        tests.append(test)
    result: Settings = {"output": grade.summary(), "tests": tests}
    if grade.score is not None:
        result["score"] = grade.score
    return json.dumps(result, indent=1, ensure_ascii=False) + "\n"
