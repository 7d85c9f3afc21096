"""Rule confirm: which of the briefly trained edits are worth a full training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labmill.runtime import log, read_json, write_json
from labmill.search.pareto import front
from labmill.search.select import figures


def confirm(
    *,
    proposed: Path,
    trials: Sequence[Mapping[str, Any]],
    out: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write `out`: the trials, those first that nothing dominates.

    proposed: chosen.json of the proposal; trials: `rank` in it, `seed`, `history` and
    `description` of every brief training, rank 1 the network as it is. Settings:
    `tolerance`. An edit is dominated by another, or by the network as it is, that is as
    quick and as accurate on the validation images and better in one.
    """
    settings = provenance["settings"]
    table = read_json(proposed)
    rows = [table["ranking"][t["rank"] - 1] | figures(t) for t in trials]
    control, *edits = ordered(rows, settings["tolerance"])
    log.info("to be confirmed: %s", "; ".join(row["words"] for row in edits))
    write_json(
        out,
        {
            "rule": "not dominated in measured time and validation accuracy, first",
            "base": {},
            "settings": edits[0]["settings"],
            "unchanged": control,
            "ranking": edits,
            "provenance": dict(provenance),
        },
    )


def ordered(rows: Sequence[dict[str, Any]], tolerance: float) -> list[dict[str, Any]]:
    """The control, then edits: within tolerance by saving, then by accuracy.

    `undominated` is added to each; those come first. Diverged ones are last.
    """
    accuracies = [
        float("nan")
        if row["validation_accuracy"] is None
        else row["validation_accuracy"]
        for row in rows
    ]
    on = front([-row["measured"]["saving"] for row in rows], accuracies)
    rows = [
        row | {"undominated": bool(kept)} for row, kept in zip(rows, on, strict=True)
    ]
    control, *edits = rows

    def place(row: Mapping[str, Any]) -> tuple[Any, ...]:
        accuracy = row["validation_accuracy"]
        if accuracy is None:
            return (2,)
        least = (control["validation_accuracy"] or 0.0) - tolerance
        within = accuracy >= least
        value = row["measured"]["saving"] if within else accuracy
        return (0 if row["undominated"] else 1, 0 if within else 1, -value)

    return [control, *sorted(edits, key=place)]
