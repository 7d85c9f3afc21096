"""Predicted against real influence: what does each unit's removal really cost?"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from labmill.pruning.criteria import NEEDS_GRADIENTS, criterion
from labmill.pruning.loop import layers_of
from labmill.pruning.opening import opened
from labmill.pruning.removal import Structure
from labmill.pruning.scoring import Validation, gradients
from labmill.runtime import write_json
from labmill.trained import Trained
from labmill.training.choices import prepare

log = logging.getLogger("labmill")

Layer = dict[str, Any]


def influence(
    settings: Mapping[str, Any],
    trained: Trained,
    *,
    out: Path,
    provenance: Mapping[str, Any],
    threads: int = 1,
    device: str | None = None,
) -> None:
    """Remove every unit alone, measure, and set beside it what criteria predicted.

    settings: `run` (a Run's settings, `training` included), `layers` (None: all) and
    `criteria`. Writes `out`: `accuracy` and `loss` of the whole network on validation,
    and per layer `accuracy_drop` and `loss_rise` (one number per unit, positive where
    the unit is missed), `predicted` (criterion → score per unit) and `rank_correlation`
    (criterion → Spearman's rho with either; None where one side is constant).
    """
    where = prepare(device, threads)
    start = opened(settings["run"], trained)
    run, network = start.run, start.network
    structure = Structure(network)
    validation = Validation(start.data, start.scale, start.channels_last, where)
    layers = layers_of(structure, settings["layers"])
    names = list(settings["criteria"])
    if any(name in NEEDS_GRADIENTS for name in names):
        gradients(network, start.data, start.scale, seed=run.seed, step=0)
    predicted = {
        layer: {
            name: criterion(name, seed=run.seed, step=0)(structure.group(layer))
            for name in names
        }
        for layer in layers
    }
    whole = validation.figures(network)
    found = {
        layer: {
            **(real := real_influence(structure, layer, validation, whole)),
            "predicted": {n: s.tolist() for n, s in predicted[layer].items()},
            "rank_correlation": {
                name: {
                    key: rank_correlation(scores.tolist(), real[key]) for key in real
                }
                for name, scores in predicted[layer].items()
            },
        }
        for layer in layers
    }
    write_json(
        out,
        {
            "accuracy": whole[0],
            "loss": whole[1],
            "layers": found,
            "provenance": dict(provenance),
        },
    )


def real_influence(
    structure: Structure,
    layer: str,
    validation: Validation,
    whole: tuple[float, float],
) -> Layer:
    """Accuracy lost and loss gained when each unit of a layer alone is removed.

    `whole`: accuracy and loss of the whole network.
    """
    drops, rises = [], []
    for unit in range(len(structure.group(layer))):
        with structure.silenced(layer, [unit]):
            accuracy, loss = validation.figures(structure.model)
        drops.append(whole[0] - accuracy)
        rises.append(loss - whole[1])
    log.info("%s: %d units measured", layer, len(drops))
    return {"accuracy_drop": drops, "loss_rise": rises}


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Spearman's rho, -1..1; None with fewer than three units or no spread."""
    if len(a) < 3 or min(a) == max(a) or min(b) == max(b):
        return None
    return float(spearmanr(a, b).statistic)
