"""Why each job would run, in words: which variant, and what changed.

Compares the plan's params with those that Snakemake recorded when it last made the
output, which is what Snakemake itself compares.
"""

import json
from pathlib import Path

from labmill.core.project import OWN
from labmill.core.snakemake_internals import METADATA, recorded_params
from labmill.core.trees import differences, in_words
from labmill.plan.job import JobRecord
from labmill.plan.plan import Plan
from labmill.study.schema import Training


def recorded(output: str, metadata: Path = METADATA) -> JobRecord | None:
    """Return the job record that Snakemake keeps for an output, or None."""
    for value in recorded_params(output, metadata):
        if isinstance(value, str) and value.startswith('{"code"'):
            record: JobRecord = json.loads(value)
            return record
    return None


def rerun_reason(output: str, now: JobRecord, metadata: Path = METADATA) -> str | None:
    """Return why the job that makes `output` would run; None if it need not.

    Only the job's own reasons: a job also runs when one that it reads from runs.
    """
    if not Path(output).exists():
        return "new"
    before = recorded(output, metadata)
    if before is None or before == now:
        return None
    words = [in_words(one) for one in differences(before["settings"], now["settings"])]
    code = [
        name.removeprefix(f"{OWN}.").replace(".", "/")
        for name in _changed(before["code"], now["code"])
    ]
    if code:
        words.append(f"code changed: {', '.join(code)}")
    if not words:
        consumed = _changed(before["consumes"], now["consumes"])
        words.append(f"{shortened(consumed)} changed")
    return "; ".join(words)


def _changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    names = sorted({*before, *now})
    return [name for name in names if before.get(name) != now.get(name)]


def shortened(names: list[str], most: int = 3) -> str:
    """Return at most that many names, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def explanation(plan: Plan) -> str:
    """Return the jobs that would run, grouped by the reason, for a terminal."""
    groups: dict[tuple[str, str], list[str]] = {}
    for planned in plan.jobs():
        if words := rerun_reason(planned.output, planned.job.record):
            groups.setdefault((words, planned.rule), []).append(planned.subject)
    if not groups:
        return f"{plan.study_path}: everything is up to date."
    lines = [
        f"  {rule} {shortened(names, 6)}: {words}"
        for (words, rule), names in groups.items()
    ]
    if rounds := plan.study.rounds:
        looks = ", ".join(map(str, rounds.looks))
        lines.append(
            f"  {rounds.start} to {rounds.most} seeds: rounds of {looks}, and after each "
            "only the variants of undecided questions get more"
        )
    # Who writes `optimizer: sgd` may expect PyTorch's default.
    usual = Training().momentum
    heavy = [
        entry.name
        for entry in plan.variants
        if (entry.training.optimizer, entry.training.momentum) == ("sgd", usual)
    ]
    if heavy:
        lines.append(f"  Note: sgd has momentum {usual} in {shortened(heavy, 6)}")
    return "\n".join(
        [f"{plan.study_path}, the whole study: what would run, and why", *lines]
    )
