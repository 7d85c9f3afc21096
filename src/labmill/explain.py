"""Why each job would run, in words: which variant, and what changed.

Compares the plan's params with those that Snakemake recorded when it last made the
output, which is what Snakemake itself compares.
"""

import ast
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labmill import closing, edits, looks
from labmill.differences import differences, in_words
from labmill.index import on_disk, results_index
from labmill.job import Job
from labmill.plan import Plan

METADATA = Path(".snakemake/metadata")


def recorded(output: str, metadata: Path = METADATA) -> dict[str, Any] | None:
    """The job record that Snakemake keeps for an output, or None."""
    name = base64.urlsafe_b64encode(output.encode()).decode()
    # Snakemake cuts long names into folders, each but the last marked with @.
    parts = [name[i : i + 254] for i in range(0, len(name), 254)]
    path = metadata.joinpath(*[f"@{part}" for part in parts[:-1]], parts[-1])
    try:
        params = json.loads(path.read_text(encoding="utf-8"))["params"]
        for text in map(ast.literal_eval, params):
            if isinstance(text, str) and text.startswith('{"code"'):
                return json.loads(text)
    except (OSError, ValueError, KeyError, SyntaxError):
        pass
    return None


def reason(output: str, now: dict[str, Any], metadata: Path = METADATA) -> str | None:
    """Why the job that makes `output` would run; None if it need not.

    Only the job's own reasons: a job also runs when one that it reads from runs.
    """
    if not Path(output).exists():
        return "new"
    before = recorded(output, metadata)
    if before is None or before == now:
        return None
    words = [in_words(one) for one in differences(before["settings"], now["settings"])]
    code = [
        name.replace(".", "/")
        for name in sorted({*before["code"], *now["code"]})
        if before["code"].get(name) != now["code"].get(name)
    ]
    if code:
        words.append(f"code changed: {', '.join(code)}")
    if not words:
        consumed = [
            name
            for name in sorted({*before["consumes"], *now["consumes"]})
            if before["consumes"].get(name) != now["consumes"].get(name)
        ]
        words.append(f"{shortened(consumed)} changed")
    return "; ".join(words)


def shortened(names: list[str], most: int = 3) -> str:
    """At most that many names, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def listed(plan: Plan) -> Iterator[tuple[str, str, Job]]:
    """Every job of a study as (who, first output, job), as far as results foretell."""

    images = f"data/{plan.dataset_key}/images.npy"
    yield plan.study.data.dataset, images, plan.download_job()
    yield "the study", f"{plan.results}/split.npz", plan.split_job()
    for record in results_index(plan, on_disk(plan)):
        if record["kind"] == "search":
            stage = record["stage"]
            yield stage, record["files"]["chosen"], plan.select_job(stage)
            continue
        if record["kind"] == "edits":
            for kind, path in record["files"].items():
                ranking = edits.stage(record["variant"], kind)
                yield record["variant"], path, plan.choice_job(ranking)
            continue
        run = (record["variant"], record["seed"], record["stage"])
        who = f"{run[0]} seed {run[1]}" + ("" if run[2] == "dense" else f" {run[2]}")
        files = record["files"]
        yield who, files["model"], plan.stage_job(*run)
        if "metrics" in files:
            yield who, files["predictions"], plan.evaluate_job(*run)
        if "measure" in files:
            yield who, files["measure"], plan.measure_job(*run)
        for kind in (kind for kind in looks.LOOKS if kind in files):
            yield who, files[kind], looks.look_job(plan, kind, *run[:2])
    yield "the study", f"{plan.results}/runs.csv", closing.summarize_job(plan)
    yield "the study", f"{plan.results}/report.md", closing.report_job(plan)


def explanation(plan: Plan) -> str:
    """The jobs that would run, grouped by the reason, as text for a terminal."""
    groups: dict[tuple[str, str], list[str]] = {}
    for who, output, job in listed(plan):
        words = reason(output, job.record)
        if words:
            groups.setdefault((words, job.kind), []).append(who)
    if not groups:
        return f"{plan.place}: everything is up to date."
    lines = [
        f"  {kind} {shortened(names, 6)}: {words}"
        for (words, kind), names in groups.items()
    ]
    return "\n".join(
        [f"{plan.place}, the whole study: what would run, and why", *lines]
    )
