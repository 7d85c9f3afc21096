"""Predicted against real influence: what does the removal of each unit cost?"""

from collections.abc import Sequence
from pathlib import Path

from scipy.stats import spearmanr

from labmill.core.logs import log
from labmill.core.progress import publish
from labmill.core.records import Provenance
from labmill.pruning.criteria import NEEDS_GRADIENTS, criterion
from labmill.pruning.loaded_run import load_run
from labmill.pruning.records import Influence, LayerInfluence, RankCorrelation
from labmill.pruning.schedule import layers_of
from labmill.pruning.scoring import Validation, gradients
from labmill.pruning.structure import Structure
from labmill.training.precision import prepare
from labmill.training.trained_model import TrainedModel


def influence(
    trained: TrainedModel,
    *,
    out: Path,
    provenance: Provenance,
    threads: int = 1,
) -> None:
    """Remove every unit alone, evaluate, and compare with the predicted influence.

    The job's settings are `run`, `layers` (None: all) and `criteria`.
    """
    settings = provenance.settings
    loaded = load_run(settings["run"], trained, threads=threads)
    network, seed = loaded.network, loaded.run.seed
    structure = Structure(network)
    validation = Validation(loaded.job, prepare(None, threads))
    layers = layers_of(structure, settings["layers"])
    names = list(settings["criteria"])
    if any(name in NEEDS_GRADIENTS for name in names):
        gradients(network, loaded.job, step=0)
    predicted = {
        layer: {
            name: criterion(name, seed=seed, step=0)(structure.group(layer)).tolist()
            for name in names
        }
        for layer in layers
    }
    whole = validation.accuracy_and_loss(network)
    Influence(
        accuracy=whole[0],
        loss=whole[1],
        layers={
            layer: real_influence(structure, layer, validation, whole, predicted[layer])
            for layer in layers
        },
        provenance=provenance,
    ).write(out)


def real_influence(
    structure: Structure,
    layer: str,
    validation: Validation,
    whole: tuple[float, float],
    predicted: dict[str, list[float]],
) -> LayerInfluence:
    """Return accuracy lost and loss gained when each unit of a layer alone is removed.

    `whole` is the accuracy and loss of the whole network.
    """
    drops, rises = [], []
    units = len(structure.group(layer))
    for unit in range(units):
        publish(doing=f"{layer}, unit {unit + 1} of {units}")
        with structure.silenced(layer, [unit]):
            accuracy, loss = validation.accuracy_and_loss(structure.model)
        drops.append(whole[0] - accuracy)
        rises.append(loss - whole[1])
    log.info("%s: %d units evaluated", layer, len(drops))
    return LayerInfluence(
        accuracy_drop=drops,
        loss_rise=rises,
        predicted=predicted,
        rank_correlation={
            name: RankCorrelation(
                accuracy_drop=rank_correlation(scores, drops),
                loss_rise=rank_correlation(scores, rises),
            )
            for name, scores in predicted.items()
        },
    )


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Spearman's rho; None with fewer than three units or no spread."""
    if len(a) < 3 or min(a) == max(a) or min(b) == max(b):
        return None
    return float(spearmanr(a, b).statistic)
