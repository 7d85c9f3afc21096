"""Score one stage on validation and test images."""

from pathlib import Path
from typing import Any

import numpy as np

from labmill import registry
from labmill.data.arrays import open_test, openings
from labmill.data.splits import save
from labmill.evaluation.metrics import score
from labmill.evaluation.sequences import NEITHER, at_precisions, behaviour
from labmill.runtime import log, read_json, write_json
from labmill.trained import Trained
from labmill.training import choices
from labmill.training.device import device_name
from labmill.training.predict import EVALUATION_BATCH, predict
from labmill.training.train import channels_last


def evaluate(
    trained: Trained,
    *,
    test: Path,
    summary: Path,
    predictions: Path,
    metrics: Path,
    record: Path,
    threads: int,
    provenance: dict[str, Any],
) -> None:
    """Write a stage's `predictions` (npz) and `metrics` (JSON).

    Opens the sealed test part once and leaves a line in `record`. Logits are those
    of the validation and the test images, float32 (n, classes); with `test_flip` in the
    settings, the mean over each image and its mirror. Those of sequences are
    log-probabilities of each answer and of any other, and `metrics` also says how many
    are decoded exactly, at 32 and 16 bits.
    """
    device = choices.prepare(None, threads)
    classes = read_json(summary)["classes"]
    settings = provenance["settings"]
    mean, std = trained.normaliser(settings["normalisation"])
    name = trained.facts()["name"]
    sequences = registry.constant("models", name, "KIND") == "sequence"
    if sequences:
        classes = [*classes, NEITHER]
    network = trained.network().to(device)
    who = "/".join(metrics.parts[-4:-1])
    parts = {
        "validation": trained.data().part("validation"),
        "test": open_test(
            trained.images,
            trained.split,
            test,
            record=record,
            who=who,
            weights=trained.model,
        ),
    }
    arrays: dict[str, np.ndarray] = {}
    result: dict[str, Any] = {"classes": classes, "parts": {}}
    for which, part in parts.items():
        if sequences:
            logits = behaviour(network, part.images)
        else:
            logits = predict(
                network,
                part.images,
                np.arange(len(part)),
                mean=mean,
                std=std,
                batch_size=EVALUATION_BATCH,
                channels_last=channels_last(name),
                precision="fp32",
                flip=settings["test_flip"],
            ).numpy()
        arrays[f"{which}_logits"] = logits
        arrays[f"{which}_labels"] = part.labels
        arrays[f"{which}_indices"] = part.indices
        result["parts"][which] = score(logits, part.labels, classes)
        log.info(
            "%s accuracy %.4f on %d images",
            which,
            result["parts"][which]["accuracy"],
            len(part),
        )
    if sequences:
        images_of = {which: part.images for which, part in parts.items()}
        result["decoding"] = at_precisions(network, images_of)
    save(predictions, **arrays)
    result["test_openings"] = openings(record)[who]
    result["provenance"] = provenance | {
        "device": device_name(device),
        "threads": threads,
    }
    write_json(metrics, result)
