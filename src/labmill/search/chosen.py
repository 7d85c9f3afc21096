"""Lay what a search chose over a run that begins from it."""

from pathlib import Path
from typing import Any

from labmill.errors import LabmillError
from labmill.reading import merged
from labmill.runtime import read_json
from labmill.study import Run


def resolve(run: Run, chosen: Path | None, rank: int = 1) -> Run:
    """The run with the settings of the point ranked `rank`, except its `fixed` keys.

    `chosen` is a chosen.json, or None for a run that begins from no search. Rank 1 is
    the selected point. LabmillError when fewer points were ranked.
    """
    if chosen is None:
        return run
    record = read_json(chosen)
    settings = {
        key: value
        for key, value in settings_at(record, rank, chosen).items()
        if key not in run.fixed
    }
    model, training = run.model.model_dump(), run.training.model_dump()
    for key, value in settings.items():
        table, _, name = key.partition(".")
        if table == "model":
            inside = model if name == "name" else model["arguments"]
            inside[name] = value
        else:
            training = merged(training, nested(name, value))
    update = {"model": model, "training": training}
    return Run.model_validate({**run.model_dump(), **update}, strict=False)


def resolved_run(settings: dict[str, Any], chosen: Path | str | None) -> Run:
    """The run that a job's settings say, with what a search chose laid over it."""
    run = Run.model_validate(settings, strict=False)
    return resolve(run, Path(chosen) if chosen else None, run.rank or 1)


def settings_at(record: dict[str, Any], rank: int, path: Path) -> dict[str, Any]:
    """The cumulative settings of the point at `rank`."""
    ranking = record["ranking"]
    if not 1 <= rank <= len(ranking):
        raise LabmillError(
            f"chosen.rank: found {rank}; {path} ranks {len(ranking)} points"
        )
    return {**record["base"], **ranking[rank - 1]["settings"]}


def nested(name: str, value: Any) -> dict[str, Any]:
    """`schedule.kind` and a value as nested mappings."""
    for part in reversed(name.split(".")):
        value = {part: value}
    return value
