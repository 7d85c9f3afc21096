"""Which studies have results, and whether these are what the study would give now."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from labmill.closing import summarize_job
from labmill.errors import LabmillError
from labmill.job import Job
from labmill.loading import SCALES
from labmill.plan import Plan
from labmill.runtime import read_json


def overview(
    names: Iterable[str], plan_of: Callable[[str], Plan], results: Path
) -> Iterator[dict[str, Any]]:
    """One record per study and scale that has results, then those that have none.

    names: of the study files; plan_of: the plan of a place such as `smoke/quickstart`;
    results: the folder `results`. Yields `place, name, scale, state, why, made`: `made`
    is the fingerprint of the summary that the report was written from.
    """
    idle = []
    for name in sorted(names):
        found = [
            record(name, scale, plan_of, results)
            for scale in SCALES
            if (results / place_of(name, scale) / "index.json").is_file()
        ]
        yield from found
        if not found:
            idle.append(name)
    for name in idle:
        yield {
            "place": name,
            "name": name,
            "scale": "full",
            "state": "not run",
            "why": "",
            "made": None,
        }


def place_of(name: str, scale: str) -> str:
    """A study's folder below `results`."""
    return name if scale == "full" else f"{scale}/{name}"


def record(
    name: str, scale: str, plan_of: Callable[[str], Plan], results: Path
) -> dict[str, Any]:
    """One study at one scale, of which there are results."""
    place = place_of(name, scale)
    index = read_json(results / place / "index.json")
    made = index["provenance"]["fingerprint"]
    state, why = "complete", ""
    lost = sum(run["status"] == "failed" for run in index["runs"])
    try:
        planned = summarize_job(plan_of(place)).fingerprint
    except LabmillError as error:
        planned, why = None, str(error).partition("\n")[0]
    if not (results / place / "report.html").is_file():
        state, why = "no report", "the report was not written"
    elif lost:
        state, why = (
            "incomplete",
            f"{lost} of {len(index['runs'])} networks are missing",
        )
    elif planned != made:
        state = "stale"
        why = why or "the study or the code has changed since this report was made"
    return {
        "place": place,
        "name": name,
        "scale": scale,
        "state": state,
        "why": why,
        "made": made,
    }


def overview_job(studies: Iterable[dict[str, Any]]) -> Job:
    """Write results/index.html; made again when any study's state or report changes."""
    return Job("overview", {"studies": list(studies)}, ("report.site",))
