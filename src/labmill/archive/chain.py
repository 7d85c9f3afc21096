"""Check the chain of digests and fingerprints behind a report, and its plausibility.

Dataset and split → settings and code → weights → predictions → metrics → summary →
report: each file names what it was made from, and the names must agree.
"""

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from labmill.archive.archive import plan_of
from labmill.archive.records import Opened, checks
from labmill.archive.split_check import split_folder, splits_of
from labmill.core.csv_tables import read_table
from labmill.core.errors import LabmillError
from labmill.core.files import file_digest, read_json
from labmill.core.fingerprint import canonical, digest
from labmill.core.trees import JsonObject, differences, in_words
from labmill.data import arrays
from labmill.plan.job import Job
from labmill.plan.plan import Plan

JOB = ("kind", "settings", "code", "consumes")
# Families that change their arguments while they train.
GROWING = ("dynamic_cnn",)
OUTPUTS = ("description", "metrics", "measure", "prune")


def chain_mismatches(
    opened: Opened, *, foreign: bool = False
) -> tuple[list[str], list[str]]:
    """Return what breaks the chain, and what of it could not be checked.

    Of `foreign` results the study file must be the one behind them, and folders that it
    names are not looked into.
    """
    found = [
        *fingerprint_mismatches(opened),
        *opening_mismatches(opened),
        *sealed_mismatches(opened),
        *repeated_predictions(opened),
        *implausible_statuses(opened),
        *digest_mismatches(opened),
    ]
    if foreign and is_image_folder(opened):
        return found, [
            "settings and code: a folder of images that a study names is not read"
        ]
    try:
        plan = plan_of(opened)
    except LabmillError as error:
        if foreign:
            raise
        return found, [f"settings and code: {error}"]
    wrong, unchecked = plan_mismatches(opened, plan)
    return found + wrong, unchecked


def is_image_folder(opened: Opened) -> bool:
    """Return True if the study's dataset is a folder of the author's."""
    study = opened.index["provenance"]["settings"]["study"]
    return bool(study["data"]["dataset"] == "image_folder")


def digest_mismatches(opened: Opened) -> Iterator[str]:
    """Yield files that are not those of the summary's digests, and digests of no file."""
    recorded = opened.index["digests"]
    for name, expected in recorded.items():
        path = opened.place.path(name)
        if path.is_file() and file_digest(path) != expected:
            yield f"{name}: not the file whose digest index.json has"
    for name in recorded.keys() - {name for name, _ in checks(opened)}:
        yield f"index.json: digests: found {name}, which is a file of no run"
    for run in opened.index["runs"]:
        for kind, name in run["files"].items():
            here = name and kind != "model" and opened.place.path(name).is_file()
            if here and name not in recorded:
                yield f"{name}: index.json has no digest of it"


def fingerprint_mismatches(opened: Opened) -> Iterator[str]:
    """Yield records whose fingerprint is not theirs, or not that of what they consumed."""
    summary = opened.index["provenance"]
    consumed = summary["consumes"]
    for run in opened.index["runs"]:
        known: dict[str, str] = {}
        for name in OUTPUTS:
            made = opened.read(run, name)
            if made is None:
                continue
            job, file = made["provenance"], run["files"][name]
            known[name] = job["fingerprint"]
            if job["fingerprint"] != digest({key: job[key] for key in JOB}):
                yield f"{file}: its fingerprint is not that of its settings and code"
            model = job["consumes"].get("model")
            if name in ("metrics", "measure") and model != known.get("description"):
                yield f"{file}: made from another model than {run['files']['description']}"
        for name, kind in (("metrics", "evaluate"), ("measure", "measure")):
            label = "{variant} seed {seed} {stage} ".format(**run) + kind
            if name in known and consumed.get(label, known[name]) != known[name]:
                yield f"{run['files'][name]}: not the one that index.json was made from"
    if summary["fingerprint"] != digest({key: summary[key] for key in JOB}):
        yield "index.json: its fingerprint is not that of its settings and code"
    report = read_json(opened.folder / "report.json")
    if report["consumes"]["summary"] != summary["fingerprint"]:
        yield "report.json: written from another summary than index.json"


def opening_mismatches(opened: Opened) -> Iterator[str]:
    """Yield predictions that the list of openings does not account for.

    Each line has digests of the weights and of the test part that they were tested on.
    """
    path = opened.folder / "test_openings.jsonl"
    counts = arrays.openings(path)
    lines = defaultdict(list)
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for line in map(json.loads, text.splitlines()):
        lines[line["who"]].append(line)
    for run in opened.index["runs"]:
        metrics = opened.read(run, "metrics")
        if metrics is None:
            continue
        who = "{variant}/seed{seed}/{stage}".format(**run)
        file = run["files"]["metrics"]
        if metrics["test_openings"] != counts[who]:
            said = f"test_openings is {metrics['test_openings']}"
            yield f"{file}: {said}, test_openings.jsonl lists {counts[who]}"
        model = opened.file(run, "model")
        weights = {line["weights"] for line in lines[who]}
        if model and lines[who] and file_digest(model) not in weights:
            name = run["files"]["model"]
            yield f"{name}: not the weights that test_openings.jsonl lists as tested"
        with np.load(split_folder(opened, run) / "test.npz") as sealed:
            part = hashlib.sha256(sealed["test"].tobytes()).hexdigest()
        if lines[who] and part not in {line["part"] for line in lines[who]}:
            yield f"{file}: test_openings.jsonl lists other images than test.npz"


def sealed_mismatches(opened: Opened) -> Iterator[str]:
    """Yield predictions of other images than the sealed ones, and images seen before."""
    sealed = {}
    for at in splits_of(opened):
        with np.load(at / "test.npz") as file:
            sealed[at] = file["test"], file["labels"]
        with np.load(at / "split.npz") as file:
            seen = np.concatenate(
                [file["train"], file["validation"], file["unlabelled"]]
            )
        if overlap := len(np.intersect1d(sealed[at][0], seen)):
            name = (at / "test.npz").relative_to(opened.folder)
            yield f"{name}: {overlap} of its images are in split.npz too"
    for run in opened.index["runs"]:
        test, labels = sealed[split_folder(opened, run)]
        if path := opened.file(run, "predictions"):
            with np.load(path) as file:
                same = np.array_equal(file["test_indices"], test)
                if not (same and np.array_equal(file["test_labels"], labels)):
                    name = run["files"]["predictions"]
                    yield f"{name}: not of the sealed images and their labels"


def repeated_predictions(opened: Opened) -> Iterator[str]:
    """Yield stages of which two seeds have the same logits, which training never gives."""
    known: dict[tuple[str, str, bytes], JsonObject] = {}
    for run in opened.index["runs"]:
        path = opened.file(run, "predictions")
        history = opened.file(run, "history")
        if path is None or history is None or not read_table(history):
            continue
        with np.load(path) as file:
            logits = hashlib.sha256(file["test_logits"].tobytes()).digest()
        first = known.setdefault((run["variant"], run["stage"], logits), run)
        if first is not run:
            name = run["files"]["predictions"]
            yield f"{name}: the same logits as those of seed {first['seed']}"


def implausible_statuses(opened: Opened) -> Iterator[str]:
    """Yield runs whose status does not agree with their history."""
    for run in opened.index["runs"]:
        description = opened.read(run, "description")
        history = opened.file(run, "history")
        if description is None or history is None:
            continue
        training, epochs = description["training"], read_table(history)
        file = run["files"]["description"]
        if training["epochs"] != len(epochs):
            yield f"{file}: {training['epochs']} epochs, history.csv has {len(epochs)}"
        planned = planned_epochs(description)
        if training["status"] == "completed" and planned not in (None, len(epochs)):
            yield f"{file}: completed with {len(epochs)} epochs, its settings: {planned}"
        yield from (f"{file}: {found}" for found in other_network(description))
        if not epochs:
            continue
        losses = [epochs[-1].get(name) for name in ("train_loss", "validation_loss")]
        known = [loss for loss in losses if loss is not None]
        finite = bool(known) and all(map(math.isfinite, known))
        if training["status"] == "diverged" and finite and len(known) == 2:
            yield f"{file}: diverged, but all losses of its history are finite"
        if training["status"] != "diverged" and not finite:
            yield f"{file}: {training['status']}, but its last loss is not finite"


def planned_epochs(description: JsonObject) -> int | None:
    """Return how many epochs a run's own settings ask for, None where a rule decides."""
    settings = description["provenance"]["settings"]
    training = settings.get("training")
    if not isinstance(training, Mapping) or settings.get("rank"):
        return None
    return None if training.get("until") else training.get("epochs")


def other_network(description: JsonObject) -> Iterator[str]:
    """Yield where a trained network is not the one that the run's settings name."""
    job = description["provenance"]
    model = job["settings"].get("model")
    if job["kind"] not in ("train", "pretrain") or job["settings"].get("rank"):
        return
    if isinstance(model, Mapping) and model["name"] not in GROWING:
        named = {"name": model["name"], **model.get("arguments", {})}
        built = {"name": description["name"], **description["arguments"]}
        for key in named.keys() & built.keys():
            if named[key] != built[key]:
                yield f"{key} is {built[key]!r}, its settings: {named[key]!r}"


def plan_mismatches(opened: Opened, plan: Plan) -> tuple[list[str], list[str]]:
    """Compare the record of every output with the job that this code plans for it."""
    found: list[str] = []
    other_code: Counter[str] = Counter()
    for run in opened.index["runs"]:
        for name, job in planned_outputs(plan, run).items():
            made = opened.read(run, name)
            if made is None:
                continue
            stored, file = made["provenance"], run["files"][name]
            changed = differences(
                stored["settings"], json.loads(canonical(job.settings))
            )
            found += [f"{file}: settings: {in_words(change)}" for change in changed]
            code, here = stored["code"], job.record["code"]
            other = [key for key in code | here if code.get(key) != here.get(key)]
            other_code.update(other)
            if not other and stored["consumes"] != job.consumes and not other_code:
                found.append(f"{file}: made from other files than the study's")
    if not other_code:
        return found, []
    names = [name for name, _ in other_code.most_common(3)]
    more = f" and {len(other_code) - 3} more" if len(other_code) > 3 else ""
    return found, [
        f"code: some runs were made with another version of {', '.join(names)}{more}"
    ]


def planned_outputs(plan: Plan, run: JsonObject) -> dict[str, Job]:
    """Return the job that this code plans for each output of a stage."""
    at = (run["variant"], run["seed"], run["stage"])
    jobs = {"description": plan.stage_job(*at)}
    if run["files"].get("metrics"):
        jobs["metrics"] = plan.evaluate_job(*at)
    if run["files"].get("measure"):
        jobs["measure"] = plan.measure_job(*at)
    return jobs
