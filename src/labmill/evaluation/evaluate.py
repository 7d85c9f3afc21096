"""Rule evaluate: score one network on validation and test images."""

from pathlib import Path

import numpy as np
from torch import nn

from labmill.core import registry
from labmill.core.logs import log
from labmill.core.records import Provenance
from labmill.data.arrays import Part, open_test, openings, save
from labmill.data.records import SplitSummary
from labmill.evaluation.metrics import score
from labmill.evaluation.records import Metrics, Parts
from labmill.evaluation.sequences import NEITHER, at_precisions, behaviour
from labmill.training import precision
from labmill.training.device import device_name
from labmill.training.predict import EVALUATION_BATCH, predict
from labmill.training.trained_model import TrainedModel


def evaluate(
    trained: TrainedModel,
    *,
    test: Path,
    summary: Path,
    predictions: Path,
    metrics: Path,
    record: Path,
    threads: int,
    provenance: Provenance,
) -> None:
    """Write predictions.npz and metrics.json of one network.

    Predictions are logits of the validation and the test images, float32 (n, classes).
    Those of sequences are log-probabilities of each answer and of any other. The job's
    settings are `normalisation`, `test_flip` and `test_shift` (see `predict`).
    """
    device = precision.prepare(None, threads)
    classes = list(SplitSummary.read(summary).classes)
    sequences = registry.constant("models", trained.about.name, "KIND") == "sequence"
    if sequences:
        classes.append(NEITHER)
    network = trained.network().to(device)
    who = "/".join(metrics.parts[-4:-1])
    parts = {
        "validation": trained.data().part("validation"),
        "test": open_test(
            trained.images,
            trained.split,
            test,
            trained.card,
            record=record,
            who=who,
            weights=trained.model,
        ),
    }
    arrays: dict[str, np.ndarray] = {}
    scores = {}
    for which, part in parts.items():
        if sequences:
            logits = behaviour(network, part.images)
        else:
            logits = logits_of(network, part, trained, provenance)
        arrays[f"{which}_logits"] = logits
        arrays[f"{which}_labels"] = part.labels
        arrays[f"{which}_indices"] = part.indices
        scores[which] = score(logits, part.labels, classes)
        accuracy = scores[which].accuracy
        log.info("%s accuracy %.4f on %d images", which, accuracy, len(part))
    decoding = {}
    if sequences:
        images = {which: part.images for which, part in parts.items()}
        decoding = {"decoding": at_precisions(network, images)}
    save(predictions, **arrays)
    where = {"device": device_name(device), "threads": threads}
    Metrics(
        classes=classes,
        parts=Parts(**scores),
        **decoding,
        test_openings=openings(record)[who],
        provenance=provenance.model_copy(update=where),
    ).write(metrics)


def logits_of(
    network: nn.Module, part: Part, trained: TrainedModel, provenance: Provenance
) -> np.ndarray:
    """Return the logits of a part's images in float32, (n, classes)."""
    settings = provenance.settings
    logits: np.ndarray = predict(
        network,
        part.images,
        np.arange(len(part)),
        normalisation=trained.normalisation(settings["normalisation"]),
        batch_size=EVALUATION_BATCH,
        channels_last=trained.channels_last,
        precision="fp32",
        flip=settings["test_flip"],
        shift=settings["test_shift"],
    ).numpy()
    return logits
