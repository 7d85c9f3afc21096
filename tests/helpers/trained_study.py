"""Build a small study in this process: real training, without one job per file."""

import json
from pathlib import Path

import yaml

from helpers.finish_report import finish
from helpers.workflow_run import TINY
from labmill.archive.split_check import split_again
from labmill.core.fingerprint import digest
from labmill.core.provenance import provenance
from labmill.core.records import Provenance
from labmill.core.trees import Settings
from labmill.data.prepare import prepare
from labmill.evaluation.evaluate import evaluate
from labmill.plan.checkpoints import all_unfinished
from labmill.plan.outputs import results_index
from labmill.plan.plan import Plan
from labmill.profiling.measure import measure
from labmill.search.chosen_settings import resolved_run
from labmill.training.inputs import DatasetFiles
from labmill.training.run_files import RunFiles
from labmill.training.train import train
from labmill.training.trained_model import TrainedModel

STUDY = {key: value for key, value in TINY.items() if key != "pruning"}


def build(root: Path) -> Path:
    """Write a finished study below `root`, all from its plan; return its results."""
    path = root / "studies/tiny.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(STUDY, sort_keys=False))
    plan = Plan(path, "full")
    results, data = root / "results/tiny", root / "data/digits"
    files = {"images": data / "images.npy", "card": data / "card.json"}
    prepare(
        "digits", {}, **files, labels=data / "labels.npy", downloads=root / "data/store"
    )
    results.mkdir(parents=True)
    split_again(json.loads(plan.split_job().params)["settings"], data, results)
    index = [record.as_json() for record in results_index(plan, all_unfinished)]
    for record in index:
        trained = train_stage(plan, record, root)
        if "measure" in record["files"]:
            at = (record["variant"], record["seed"], record["stage"])
            measure(
                trained,
                out=root / record["files"]["measure"],
                trace=root / "trace",
                provenance=Provenance.of_job(plan.measure_job(*at).params),
            )
    return finish(root, provenance(plan.summarize_job().params), index)


def train_stage(
    plan: Plan,
    record: Settings,
    root: Path,
    *,
    settings: Settings | None = None,
    split: Path | None = None,
) -> TrainedModel:
    """Train and evaluate one run; its record is that of its job, honest or not.

    Args:
        plan: the study's plan.
        record: the run, as index.json lists it.
        root: the working directory.
        settings: those that it is trained by; default: the plan's.
        split: what it is trained on; default: the study's.
    """
    at = (record["variant"], record["seed"], record["stage"])
    out = {name: root / file for name, file in record["files"].items() if file}
    results, data = root / plan.results, root / "data/digits"
    files = {"images": data / "images.npy", "card": data / "card.json"}
    job = Provenance.of_job(plan.stage_job(*at).params)
    used = settings or job.settings
    train(
        resolved_run(used, None),
        DatasetFiles(**files, split=split or results / "split.npz"),
        start=None,
        out=RunFiles(out["model"], out["description"], out["history"], out["batches"]),
        state=root / record["folder"] / "state" / digest([used, str(split)]),
        provenance=job,
        progress=False,
    )
    trained = TrainedModel(
        **files,
        split=results / "split.npz",
        model=out["model"],
        description=out["description"],
    )
    evaluate(
        trained,
        test=results / "test.npz",
        summary=results / "split.json",
        predictions=out["predictions"],
        metrics=out["metrics"],
        record=results / "test_openings.jsonl",
        threads=1,
        provenance=Provenance.of_job(plan.evaluate_job(*at).params),
    )
    return trained
