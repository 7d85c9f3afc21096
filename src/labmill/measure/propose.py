"""Rule propose: edits of one variant, ranked by what its profile says they will save."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labmill import registry
from labmill.data.augment import normaliser
from labmill.errors import LabmillError
from labmill.measure.edits import catalogue, changes
from labmill.measure.edits_predict import Predictor
from labmill.measure.latency import timed
from labmill.measure.measure import training_parts
from labmill.measure.profile_steps import Steps
from labmill.runtime import log, read_json, write_json
from labmill.study import Training
from labmill.training import choices
from labmill.training.tasks import TASKS
from labmill.training.train import Parts, channels_last

SHAPE = ("name", "num_classes", "image_size", "in_channels")
# Timed beside the trials, so that the predictions are tested on more than the best.
OTHERS = 8
# Each edit is timed in several instances of the networks, since where in memory one lies
# makes a difference too; pairs of steps of each: as many as fit into the time, but eight.
INSTANCES, TIMED_S, FEWEST = 3, 1.3, 8
UNCHANGED = "unchanged"


def propose(
    *,
    measure: Path,
    description: Path,
    images: Path,
    card: Path,
    split: Path,
    out: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write `out`: the ranking that the brief trainings of a variant take settings from.

    measure, description: the profiled variant's. Settings: `trials`, `training`,
    `normalisation`, `repeats`, and `declared`: other variants of the study (name → model)
    that may be edits of this one. Rank 1 is the network as it is; then the best edit of each
    kind by predicted saving per changed line, then the second best of each, and so on.
    The trials, edits that are variants already, and some others are timed, each in
    turns with the network as it is; so is that network itself, for the timing's noise.
    """
    settings = provenance["settings"]
    facts = read_json(description)
    spec = {key: facts[key] for key in SHAPE} | {"arguments": facts["arguments"]}
    predictor = Predictor(
        read_json(measure)["profile"], facts["arguments"]["layers"], spec
    )
    rows = candidates(predictor, settings["declared"])
    trials = [row for row in rows if row["variant"] is None]
    if len(trials) < settings["trials"]:
        raise LabmillError(
            f"edits.trials: found {settings['trials']}; this network has "
            f"{len(trials)} legal edits"
        )
    rest = trials[settings["trials"] :]
    spread = rest[:: max(1, len(rest) // OTHERS)][:OTHERS]
    declared = [row for row in rows if row["variant"] is not None]
    timer = Timer(spec, settings, data=training_parts(images, split), card=card)
    for row in (*trials[: settings["trials"]], *declared, *spread):
        row["measured"] = timer.saving(row["settings"]["model.layers"])
        log.info(
            "%s: %.1f %% predicted, %.1f %% measured",
            row["words"],
            100 * row["predicted"]["saving"],
            100 * row["measured"]["saving"],
        )
    ranking = [unchanged(predictor), *trials, *declared]
    write_json(
        out,
        {
            "rule": "predicted saving per changed line, the best of each kind first",
            "base": {},
            "settings": ranking[0]["settings"],
            "ranking": ranking,
            "step_ms": predictor.step_ms,
            "noise": noise(timer.saving(predictor.lines)),
            "correlation": correlation(rows),
            "provenance": dict(provenance) | {"threads": torch.get_num_threads()},
        },
    )


def candidates(
    predictor: Predictor, declared: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Every edit with its prediction, in the order of the ranking."""
    lines, spec = predictor.lines, predictor.spec
    edits = {
        edit.layers: {"kind": edit.kind, "words": edit.words, "variant": None}
        for edit in catalogue(
            lines,
            in_channels=spec["in_channels"],
            image_size=spec["image_size"],
            activation=spec["arguments"]["activation"],
            batch_norm=spec["arguments"]["batch_norm"],
        )
    }
    for name, model in declared.items():
        layers = layers_of(model, spec)
        if layers is not None and layers != tuple(lines):
            known = edits.get(layers, {"kind": "declared", "words": f"as {name}"})
            edits[layers] = {**known, "variant": name}
    rows = [
        {
            "point": " | ".join(layers),
            "settings": {"model.layers": list(layers)},
            **what,
            "changes": changes(lines, layers),
            "predicted": predictor.predict(layers),
            "measured": None,
        }
        for layers, what in edits.items()
    ]
    return in_turns(rows)


def in_turns(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best of each kind, by saving per change, then the second best, and so on."""
    seen: dict[str, int] = {}
    placed = []
    for row in sorted(rows, key=worth, reverse=True):
        turn = seen[row["kind"]] = seen.get(row["kind"], 0) + 1
        placed.append((turn, row))
    return [row for _, row in sorted(placed, key=lambda p: (p[0], -worth(p[1])))]


def worth(row: Mapping[str, Any]) -> float:
    """The predicted saving of each changed line."""
    return row["predicted"]["saving"] / row["changes"]


def layers_of(
    model: Mapping[str, Any], spec: Mapping[str, Any]
) -> tuple[str, ...] | None:
    """The lines of another variant's network, if it differs in its lines alone."""
    if model["name"] != spec["name"]:
        return None
    shape = {key: spec[key] for key in SHAPE if key != "name"}
    with torch.device("meta"):
        built = registry.build(model["name"], **shape, **model["arguments"])
    own = built.arguments()
    keys = ("activation", "batch_norm", "softmax_output")
    if any(own[key] != spec["arguments"][key] for key in keys):
        return None
    return tuple(own["layers"])


def unchanged(predictor: Predictor) -> dict[str, Any]:
    """The row of the network as it is: the trials' control."""
    return {
        "point": UNCHANGED,
        "settings": {"model.layers": predictor.lines},
        "kind": UNCHANGED,
        "words": UNCHANGED,
        "variant": None,
        "changes": 0,
        "predicted": {"ms": predictor.step_ms, "saving": 0.0, "operations_saving": 0.0},
        "measured": {"saving": 0.0, "low": 0.0, "high": 0.0, "n": 0},
    }


class Timer:
    """Times networks against the one before the edit, step by step in turns."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        settings: Mapping[str, Any],
        *,
        data: Parts,
        card: Path,
    ) -> None:
        self.spec, self.data = spec, data
        self.device = choices.prepare(None, 1)
        self.training = Training.model_validate(settings["training"], strict=False)
        self.normalisation = normaliser(read_json(card), settings["normalisation"])
        self.most = max(FEWEST, 2 * settings["repeats"])

    def steps(self, layers: Sequence[str]) -> Steps:
        """A network with those lines, warmed up, on a few batches of the real images."""
        shape = {key: self.spec[key] for key in SHAPE if key != "name"}
        arguments = {**self.spec["arguments"], "layers": list(layers)}
        count = 4 * self.training.batch_size
        data = Parts(
            self.data.images,
            self.data.labels,
            self.data.train[:count],
            self.data.train[:1],
        )
        return Steps(
            model=registry.build(self.spec["name"], **shape, **arguments),
            training=self.training,
            data=data,
            seed=0,
            normalisation=self.normalisation,
            channels_last=channels_last(self.spec["name"]),
            device=self.device,
            task=TASKS["classification"],
            resident=None,
        )

    def saving(self, layers: Sequence[str]) -> dict[str, Any]:
        """Share of a step's time saved: median over the pairs of all instances,
        its 95 % interval, and how many pairs, `n`.

        A step on a batch that is there: forward, loss, backward, optimizer.
        """
        found = [self.pairs(layers, number) for number in range(INSTANCES)]
        before, after = np.concatenate(found, axis=1)
        low, high = median_interval(1 - after / before)
        return {
            "saving": float(np.median(1 - after / before)),
            "low": low,
            "high": high,
            "n": len(before),
            "before_ms": float(np.median(before) * 1e3),
            "after_ms": float(np.median(after) * 1e3),
        }

    def pairs(self, layers: Sequence[str], instance: int) -> np.ndarray:
        """Seconds of steps of new networks before and after the edit, (2, pairs).

        Which one is made first, and which runs first, alternates: neither always finds
        the caches as the other left them.
        """
        lines = (self.spec["arguments"]["layers"], layers)
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
                step = partial(both[side].learner.eager, x, y, rate)
                pair[side] = timed(step, self.device)
            seconds.append(pair)
        return np.array(seconds).T


def noise(measured: Mapping[str, Any]) -> dict[str, Any]:
    """A network timed against itself, and the `floor`: no saving that small is one."""
    return {**measured, "floor": max(abs(measured["low"]), abs(measured["high"]))}


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """A 95 % interval of the median: order statistics, by the binomial distribution.

    Nothing is assumed of the values' distribution. With fewer than six, the whole range.
    """
    ordered = np.sort(values)
    n = len(ordered)
    chances = np.cumsum([comb(n, k) / 2**n for k in range(n + 1)])
    lowest = max(0, int((chances <= 0.025).sum()) - 1)
    return float(ordered[lowest]), float(ordered[n - 1 - lowest])


def correlation(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How predicted and counted savings go with the measured ones.

    `predicted`, `operations`: Pearson's r, None where it is not defined;
    `predicted_error`, `operations_error`: mean absolute difference.
    """
    those = [row for row in rows if row["measured"]]
    measured = np.array([row["measured"]["saving"] for row in those])
    result: dict[str, Any] = {"n": len(those)}
    for name, key in (("predicted", "saving"), ("operations", "operations_saving")):
        values = np.array([row["predicted"][key] for row in those])
        known = len(those) > 2 and np.ptp(values) > 0 and np.ptp(measured) > 0
        result[name] = float(np.corrcoef(values, measured)[0, 1]) if known else None
        result[f"{name}_error"] = float(np.abs(values - measured).mean())
    return result
