"""Rule propose: edits of one variant, ranked by the saving that its profile predicts."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import comb
from pathlib import Path

import numpy as np
import torch

from labmill.architecture_edits.catalogue import catalogue, changes
from labmill.architecture_edits.predict import Network, Predictor
from labmill.architecture_edits.records import (
    Agreement,
    Edit,
    EditRanking,
    Noise,
    Prediction,
    Saving,
)
from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.core.logs import log
from labmill.core.records import Provenance, Settings
from labmill.core.trees import JsonObject
from labmill.models.foreign import arguments_of
from labmill.profiling.latency import timed
from labmill.profiling.records import Measurement
from labmill.profiling.steps import Steps
from labmill.study.schema import Training
from labmill.training import precision
from labmill.training.inputs import DatasetFiles, TrainingImages, TrainingJob
from labmill.training.network import channels_last
from labmill.training.records import ModelDescription

# Timed in addition to the trials, so that the predictions are tested on more than the best.
OTHERS = 8
# Each edit is timed in several instances of the networks, since their position in memory
# matters too; pairs of steps of each: as many as fit into the time, but at least eight.
INSTANCES, TIMED_S, FEWEST = 3, 1.3, 8
UNCHANGED = "unchanged"


def propose(
    files: DatasetFiles,
    *,
    measure: Path,
    description: Path,
    out: Path,
    provenance: Provenance,
) -> None:
    """Write edits.json: the ranking from which brief trainings take their settings.

    Rank 1 is the unchanged network; then the best edit of each kind by predicted saving
    per changed line, then the second best of each, and so on. The trials, edits that
    are variants of the study, and some others are timed, each in turns with the
    unchanged network; so is that network itself, for the noise of the timing. The job's
    settings are `trials`, `training`, `normalisation`, `repeats` and `declared` (other
    variants of the study, name → model).
    """
    settings = provenance.settings
    network = Network.of(ModelDescription.read(description))
    profile = Measurement.read(measure).profile
    if profile is None:
        raise LabmillError(f"{measure}: has no profile; delete it and run again")
    predictor = Predictor(profile, network)
    rows = candidates(predictor, settings["declared"])
    trials = [row for row in rows if row.variant is None]
    if len(trials) < settings["trials"]:
        raise LabmillError(
            f"edits.trials: found {settings['trials']}; this network has "
            f"{len(trials)} legal edits"
        )
    rest = trials[settings["trials"] :]
    spread = rest[:: max(1, len(rest) // OTHERS)][:OTHERS]
    declared = [row for row in rows if row.variant is not None]
    timer = Timer(network, settings, files)
    measured = {}
    for row in (*trials[: settings["trials"]], *declared, *spread):
        saving = timer.saving(row.settings["model.layers"])
        measured[row.point] = row.model_copy(update={"measured": saving})
        log.info(
            "%s: %.1f %% predicted, %.1f %% measured",
            row.words,
            100 * row.predicted.saving,
            100 * saving.saving,
        )
    rows = [measured.get(row.point, row) for row in rows]
    ranking = [
        unchanged(predictor),
        *(row for row in rows if row.variant is None),
        *(row for row in rows if row.variant is not None),
    ]
    where = {"threads": torch.get_num_threads()}
    EditRanking(
        rule="predicted saving per changed line, the best of each kind first",
        base={},
        settings=ranking[0].settings,
        ranking=ranking,
        step_ms=predictor.step_ms,
        noise=noise(timer.saving(predictor.lines)),
        correlation=correlation(rows),
        provenance=provenance.model_copy(update=where),
    ).write(out)


def candidates(predictor: Predictor, declared: Mapping[str, JsonObject]) -> list[Edit]:
    """Return every edit with its prediction, in the order of the ranking."""
    lines, network = predictor.lines, predictor.network
    edits: dict[tuple[str, ...], Settings] = {
        edit.layers: {"kind": edit.kind, "words": edit.words, "variant": None}
        for edit in catalogue(
            lines,
            in_channels=network.shape["in_channels"],
            image_size=network.shape["image_size"],
            activation=network.arguments["activation"],
            batch_norm=network.arguments["batch_norm"],
        )
    }
    for name, model in declared.items():
        layers = layers_of(model, network)
        if layers is not None and layers != tuple(lines):
            known = edits.get(layers, {"kind": "declared", "words": f"as {name}"})
            edits[layers] = {**known, "variant": name}
    return in_turns(
        [
            Edit(
                point=" | ".join(layers),
                settings={"model.layers": list(layers)},
                **about,
                changes=changes(lines, layers),
                predicted=predictor.predict(layers),
                measured=None,
            )
            for layers, about in edits.items()
        ]
    )


def in_turns(rows: Sequence[Edit]) -> list[Edit]:
    """Sort edits: the best of each kind by saving per change, then the second best."""
    seen: dict[str, int] = {}
    turns = []
    for row in sorted(rows, key=saving_per_change, reverse=True):
        turn = seen[row.kind] = seen.get(row.kind, 0) + 1
        turns.append((turn, row))
    order = sorted(turns, key=lambda pair: (pair[0], -saving_per_change(pair[1])))
    return [row for _, row in order]


def saving_per_change(row: Edit) -> float:
    """Return the predicted saving of each changed line."""
    return row.predicted.saving / row.changes


def layers_of(model: JsonObject, network: Network) -> tuple[str, ...] | None:
    """Return the layers of another variant if only they differ, else None."""
    if model["name"] != network.name:
        return None
    with torch.device("meta"):
        built = registry.build(model["name"], **network.shape, **model["arguments"])
    own = arguments_of(built)
    keys = ("activation", "batch_norm", "softmax_output")
    if any(own[key] != network.arguments[key] for key in keys):
        return None
    return tuple(own["layers"])


def unchanged(predictor: Predictor) -> Edit:
    """Return the row of the unchanged network: the trials' control."""
    return Edit(
        point=UNCHANGED,
        settings={"model.layers": predictor.lines},
        kind=UNCHANGED,
        words=UNCHANGED,
        variant=None,
        changes=0,
        predicted=Prediction(ms=predictor.step_ms, saving=0.0, operations_saving=0.0),
        measured=Saving(saving=0.0, low=0.0, high=0.0, n=0),
    )


class Timer:
    """Times networks against the one before the edit, step by step in turns."""

    def __init__(
        self, network: Network, settings: JsonObject, files: DatasetFiles
    ) -> None:
        self.network = network
        self.device = precision.prepare(None, 1)
        self.training = Training.model_validate(settings["training"], strict=False)
        data = files.training_images()
        count = 4 * self.training.batch_size
        self.job = TrainingJob(
            training=self.training,
            data=TrainingImages(
                data.images, data.labels, data.train[:count], data.train[:1]
            ),
            seed=0,
            normalisation=files.normalisation(settings["normalisation"]),
            channels_last=channels_last(network.name),
        )
        self.most = max(FEWEST, 2 * settings["repeats"])

    def steps(self, layers: Sequence[str]) -> Steps:
        """Build a network with these layers, and warm it up on a few real batches."""
        network = self.network.with_layers(layers).build()
        return Steps(network, self.job, self.device)

    def saving(self, layers: Sequence[str]) -> Saving:
        """Return the share of a step's time saved: median over pairs of all instances.

        A step on a batch in memory: forward, loss, backward, optimizer.
        """
        found = [self.pairs(layers, number) for number in range(INSTANCES)]
        before, after = np.concatenate(found, axis=1)
        low, high = median_interval(1 - after / before)
        return Saving(
            saving=float(np.median(1 - after / before)),
            low=low,
            high=high,
            n=len(before),
            before_ms=float(np.median(before) * 1e3),
            after_ms=float(np.median(after) * 1e3),
        )

    def pairs(self, layers: Sequence[str], instance: int) -> np.ndarray:
        """Return seconds of steps before and after the edit, (2, pairs).

        Which network is built first, and which runs first, alternates, so that neither
        always finds the caches of the other.
        """
        lines = (self.network.arguments["layers"], layers)
        both: dict[int, Steps] = {}
        for side in (instance % 2, 1 - instance % 2):
            both[side] = self.steps(lines[side])
        x, y = next(both[0].feed())
        rate = self.training.learning_rate
        seconds: list[list[float]] = []
        while len(seconds) < FEWEST or (
            len(seconds) < self.most and np.sum(seconds) < TIMED_S
        ):
            pair = [0.0, 0.0]
            for side in (0, 1) if len(seconds) % 2 else (1, 0):
                step = partial(both[side].step.eager, x, y, rate)
                pair[side] = timed(step, self.device)
            seconds.append(pair)
        return np.array(seconds).T


def noise(measured: Saving) -> Noise:
    """Return the noise, from the network timed against itself."""
    floor = max(abs(measured.low), abs(measured.high))
    return Noise(**measured.model_dump(), floor=floor)


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """Return a 95 % interval of the median, from order statistics (binomial).

    It assumes nothing about the distribution. With fewer than six values it is the
    whole range.
    """
    ordered = np.sort(values)
    n = len(ordered)
    chances = np.cumsum([comb(n, k) / 2**n for k in range(n + 1)])
    lowest = max(0, int((chances <= 0.025).sum()) - 1)
    return float(ordered[lowest]), float(ordered[n - 1 - lowest])


def correlation(rows: Sequence[Edit]) -> Agreement:
    """Return how predicted and counted savings agree with the measured ones."""
    timed_rows = [row for row in rows if row.measured]
    measured = np.array([row.measured.saving for row in timed_rows if row.measured])
    result: Settings = {}
    for name, key in (("predicted", "saving"), ("operations", "operations_saving")):
        values = np.array([getattr(row.predicted, key) for row in timed_rows])
        known = len(timed_rows) > 2 and np.ptp(values) > 0 and np.ptp(measured) > 0
        result[name] = float(np.corrcoef(values, measured)[0, 1]) if known else None
        result[f"{name}_error"] = float(np.abs(values - measured).mean())
    return Agreement(n=len(timed_rows), **result)
