"""Which studies have results, and whether these are up to date."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypedDict

from labmill.core.errors import LabmillError
from labmill.core.files import read_json
from labmill.plan.job import Job
from labmill.plan.plan import Plan
from labmill.study.scales import SCALES


class StudyStatus(TypedDict):
    """Whether one study at one scale is up to date."""

    place: str  # its folder below `results`
    name: str
    scale: str
    state: str
    why: str
    made: str | None  # fingerprint of the summary that the report was written from


def studies_status(
    names: Iterable[str], plan_of: Callable[[str], Plan], results: Path
) -> Iterator[StudyStatus]:
    """Yield one record per study and scale that has results, then those without any."""
    idle = []
    for name in sorted(names):
        found = [
            study_status(name, scale, plan_of, results)
            for scale in SCALES
            if (results / study_path(name, scale) / "index.json").is_file()
        ]
        yield from found
        if not found:
            idle.append(name)
    for name in idle:
        yield StudyStatus(
            place=name, name=name, scale="full", state="not run", why="", made=None
        )


def study_path(name: str, scale: str) -> str:
    """Return a study's folder below `results`."""
    return name if scale == "full" else f"{scale}/{name}"


def study_status(
    name: str, scale: str, plan_of: Callable[[str], Plan], results: Path
) -> StudyStatus:
    """Return the status of one study that has results at this scale."""
    place = study_path(name, scale)
    index = read_json(results / place / "index.json")
    made = index["provenance"]["fingerprint"]
    state, why = "complete", ""
    lost = sum(run["status"] == "failed" for run in index["runs"])
    try:
        planned = plan_of(place).summarize_job().fingerprint
    except LabmillError as error:
        planned, why = None, str(error).partition("\n")[0]
    if not (results / place / "report.html").is_file():
        state, why = "no report", "the report was not written"
    elif lost:
        state = "incomplete"
        why = f"{lost} of {len(index['runs'])} networks are missing"
    elif planned != made:
        state = "stale"
        why = why or "the study or the code has changed since this report was made"
    return StudyStatus(
        place=place, name=name, scale=scale, state=state, why=why, made=made
    )


def overview_job(studies: Iterable[StudyStatus]) -> Job:
    """Return the job of results/index.html: stale when a study or a report changes."""
    return Job("overview", {"studies": list(studies)}, ("report.index_page",))
