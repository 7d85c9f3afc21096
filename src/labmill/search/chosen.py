"""Lay what a search chose over a run that begins from it."""

from collections.abc import Mapping
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
    settings = run.model_dump() | {"rank": rank}
    used = as_used(settings, chosen) | {"rank": run.rank}
    return Run.model_validate(used, strict=False)


def as_used(settings: Mapping[str, Any], chosen: Path | None) -> dict[str, Any]:
    """A job's settings as declared, with what a search chose laid over them.

    settings: a run's, or those of a prune step or control, which hold a `run` and the
    recipe `finetune`; chosen: as for `resolve`, the rank being the run's own.
    """
    used = dict(settings)
    if chosen is None:
        return used
    run = settings.get("run", settings)
    found = settings_at(read_json(chosen), run["rank"] or 1, chosen)
    for key, value in found.items():
        if key not in run["fixed"]:
            table, _, name = key.partition(".")
            if table == "training":
                over, parts = nested(name, value), ("training", "finetune")
            else:
                over = (
                    {"name": value} if name == "name" else {"arguments": {name: value}}
                )
                parts = ("model",)
            used |= {part: merged(used[part], over) for part in parts if part in used}
    if "run" in used:
        used["run"] = as_used(used["run"], chosen)
    return used


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
