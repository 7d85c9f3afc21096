"""Apply the settings that a search chose to a run that begins from it."""

from pathlib import Path

from labmill.core.errors import LabmillError
from labmill.core.files import read_json
from labmill.core.records import Settings
from labmill.core.trees import JsonObject, merge, nest
from labmill.study.schema import Run


def resolve(run: Run, chosen: Path | None, rank: int = 1) -> Run:
    """Return the run with the settings of a ranked point, except its `fixed` keys.

    `rank` 1 is the chosen point.
    """
    if chosen is None:
        return run
    settings = run.model_dump() | {"rank": rank}
    used = as_used(settings, chosen) | {"rank": run.rank}
    return Run.model_validate(used, strict=False)


def as_used(settings: JsonObject, chosen: Path | None) -> Settings:
    """Return a job's settings with those that a search chose.

    `settings` are a run's, or those of a prune step or control, which have a `run` and
    the training settings `finetune`.
    """
    used = dict(settings)
    if chosen is None:
        return used
    run = settings.get("run", settings)
    for key, value in settings_at(chosen, run["rank"] or 1).items():
        if key not in run["fixed"]:
            table, _, name = key.partition(".")
            if table == "training":
                over = nest({name: value})
                parts: tuple[str, ...] = ("training", "finetune")
            else:
                over = (
                    {"name": value} if name == "name" else {"arguments": {name: value}}
                )
                parts = ("model",)
            used |= {part: merge(used[part], over) for part in parts if part in used}
    if "run" in used:
        used["run"] = as_used(used["run"], chosen)
    return used


def resolved_run(settings: Settings, chosen: Path | str | None) -> Run:
    """Return the run of a job's settings, with the settings that a search chose."""
    run = Run.model_validate(settings, strict=False)
    return resolve(run, Path(chosen) if chosen else None, run.rank or 1)


def settings_at(path: Path, rank: int) -> Settings:
    """Return the settings of a ranked point, those of earlier searches included.

    `path` is chosen.json, or a ranking of architecture edits.
    """
    try:
        record = read_json(path)
        ranking = [{**record["base"], **row["settings"]} for row in record["ranking"]]
    except (OSError, KeyError, TypeError) as error:
        raise LabmillError(f"{path}: damaged, no ranking: {error}") from None
    if not 1 <= rank <= len(ranking):
        raise LabmillError(
            f"chosen.rank: found {rank}; {path} ranks {len(ranking)} points"
        )
    return ranking[rank - 1]
