"""The prediction explorer: a confusion matrix whose cells show their images."""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from labmill.report.results import StudyResults

EACH = 4  # images per cell


MOST = 12  # answers; beyond that, the page would get heavy


@dataclass(frozen=True)
class Shown:
    """Test predictions of one network: all (n,); confidence in the predicted class."""

    labels: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    indices: np.ndarray


def shown(results: StudyResults) -> Shown | None:
    """Return the predictions of the best variant's first seed that has any."""
    for run in results.sound(results.best) if results.best else ():
        if found := run.arrays("predictions"):
            logits = found["test_logits"].astype(float)
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            return Shown(
                labels=found["test_labels"],
                predicted=logits.argmax(axis=1),
                confidence=powers.max(axis=1) / powers.sum(axis=1),
                indices=found["test_indices"],
            )
    return None


def explorer(results: StudyResults) -> dict[str, Any] | None:
    """Return counts, and per cell up to four images, the surest first, as one picture."""
    found = shown(results)
    size = len(results.answers)
    if found is None or size > MOST:
        return None
    counts = np.zeros((size, size), int)
    np.add.at(counts, (found.labels, found.predicted), 1)
    cells: dict[str, list[list[float]]] = {}
    chosen: list[int] = []
    order = np.argsort(-found.confidence, kind="stable")
    for i in order:
        cell = cells.setdefault(f"{found.labels[i]}-{found.predicted[i]}", [])
        if len(cell) < EACH:
            cell.append([len(chosen), round(float(found.confidence[i]), 3)])
            chosen.append(int(found.indices[i]))
    width = 16
    return {
        "classes": results.answers,
        "counts": counts.tolist(),
        "cells": cells,
        "width": width,
        "rows": -(-len(chosen) // width),
        "picture": picture(results, chosen, width),
    }


def picture(results: StudyResults, chosen: list[int], width: int) -> str:
    """Return the images side by side as a data URI: PNG where small, else JPEG."""
    channels, height, side = results.pool.shape[1:]
    rows = -(-len(chosen) // width)
    sheet = np.zeros((rows * height, width * side, 3), np.uint8)
    for place, index in enumerate(chosen):
        image = np.asarray(results.pool[index]).transpose(1, 2, 0)
        y, x = divmod(place, width)
        sheet[y * height : (y + 1) * height, x * side : (x + 1) * side] = image
    file = io.BytesIO()
    grey = channels == 1
    made = Image.fromarray(sheet).convert("L" if grey else "RGB")
    made.save(
        file,
        "PNG" if grey else "JPEG",
        **({"optimize": True} if grey else {"quality": 88}),
    )
    kind = "png" if grey else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
