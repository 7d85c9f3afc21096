"""The rounds of a search with a budget: those made, and the most that may follow."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labmill.core.trees import JsonObject
from labmill.plan.checkpoints import CheckpointRecords, all_unfinished, on_disk
from labmill.plan.planned_study import PlannedStudy
from labmill.study.search_budget import Round, next_round, spent_runs, unit_of


@dataclass(frozen=True)
class Rounds:
    """What is known of the rounds of a search.

    Attributes:
        stages: point → the stage that its training reached.
        number: of the last round, or of the next one while none was the last.
    """

    stages: dict[str, str]
    number: int


def read_rounds(study: PlannedStudy, search: str, records: CheckpointRecords) -> Rounds:
    """Return the rounds that `records` has; all points of a search without rounds."""
    declared = study.study.search[search]
    every = [point.name for point in study.points(search)]
    if declared.method == "grid":
        return Rounds(dict.fromkeys(every, "dense"), 0)
    found: JsonObject = {"rounds": []}
    number = 0
    while not found.get("finished"):
        number += 1
        record = records("round", round_of(search, number))
        if "rounds" not in record:
            if not record["finished"]:
                return Rounds(dict.fromkeys(every, "dense"), number)
            break
        found = record
    return Rounds(
        {
            point: study.stage_at(search, made["end"])
            for made in found["rounds"]
            for point in made["points"]
        },
        number,
    )


def round_of(search: str, number: int) -> dict[str, str]:
    """Return the wildcards of a round."""
    return {"search": search, "round": str(number)}


def up_to(records: CheckpointRecords, last: int) -> CheckpointRecords:
    """Return `records` in which no search has a round after `last`."""

    def read(rule: str, at: Mapping[str, Any]) -> JsonObject:
        if rule == "round" and int(at["round"]) > last:
            return {"finished": True}
        return records(rule, at)

    return read


def upper_bound(study: PlannedStudy) -> CheckpointRecords:
    """Read checkpoints from the results; what was not made takes as much as it may.

    Which points it will try is not known: the first ones take their place.
    """
    made = on_disk(study)

    def read(rule: str, at: Mapping[str, Any]) -> JsonObject:
        found = made(rule, at)
        if rule == "decide" and "undecided" not in found:
            return all_unfinished(rule, at)
        if rule != "round" or "rounds" in found:
            return found
        before: JsonObject = {"rounds": []}
        if at["round"] != "1":
            before = made("round", round_of(at["search"], int(at["round"]) - 1))
        return assumed_rounds(study, at["search"], before["rounds"])

    return read


def assumed_rounds(
    study: PlannedStudy, search: str, rounds: list[JsonObject]
) -> JsonObject:
    """Return the rounds of a search until its budget is spent, after those made."""
    declared, ends = study.study.search[search], study.rungs[search]
    assert declared.budget is not None
    unit, size = unit_of(declared.budget)
    most = size / len(declared.seeds) if unit == "runs" else math.inf
    names = [point.name for point in study.points(search)]
    rounds = list(rounds)
    while True:
        tried = {point for made in rounds for point in made["points"]}
        counted = [Round(made["end"], len(made["points"])) for made in rounds]
        left = most - spent_runs(counted, ends)
        unseen = len(names) - len(tried)
        following = next_round(declared, ends, counted, left=left, unseen=unseen)
        if following is None:
            return {"rounds": rounds, "finished": True}
        pool = (
            rounds[-1]["points"]
            if following.continued
            else (name for name in names if name not in tried)
        )
        points = list(itertools.islice(pool, following.points))
        rounds.append({"end": following.end, "points": points})
