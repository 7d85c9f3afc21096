"""Records of optional analyses with plausible content, without training anything."""

import numpy as np

from helpers.report_records import PROVENANCE
from labmill.analysis.records import Examination, Formulations, Representation
from labmill.architecture_edits.records import ConfirmedRanking, EditRanking
from labmill.profiling.records import Profile, SequenceCosts
from labmill.pruning.records import Influence

Arrays = dict[str, np.ndarray]
RANDOM = np.random.default_rng(0)


def examination() -> tuple[Examination, Arrays]:
    """A transformer of two layers and two heads on 4 × 4 patches, with a class token."""
    maps = RANDOM.random((2, 4, 2, 17, 17))
    arrays = {
        "pixels": RANDOM.integers(0, 256, (4, 1, 16, 16)).astype(np.uint8),
        "maps": (maps / maps.sum(-1, keepdims=True)).astype(np.float16),
        "positions": RANDOM.normal(size=(16, 8)).astype(np.float32),
    }
    layers = [{"layer": n, "patches": 0.2 + 0.2 * n, "token": None} for n in range(3)]
    record = Examination(
        attention_distance=[[6.0, 7.0], [7.5, 8.0]],
        even_distance=8.2,
        distance_images=4,
        stride=4,
        probe=layers,
        probe_images=100,
        validation_images=100,
        position_similarity=None,
        provenance=PROVENANCE,
    )
    return record, arrays


def representation(
    images: int = 60, classes: int = 10
) -> tuple[Representation, Arrays]:
    """A network that mixes three branches in two blocks and tells rotations apart."""
    arrays = {
        "points": RANDOM.normal(size=(images, 2)),
        "labels": RANDOM.integers(0, classes, images),
        "neighbours": RANDOM.integers(0, images, (4, 6)),
        "neighbour_labels": RANDOM.integers(0, 2, (4, 6)),
    }
    weights = RANDOM.dirichlet([1, 1, 1], (2, classes)).tolist()
    record = Representation(
        images=images,
        neighbours=5,
        explained=[0.4, 0.2],
        agreement=0.7,
        mixing={"mean": weights, "sd": weights},
        rotations=RANDOM.integers(0, 20, (classes, 4, 4)).tolist(),
        provenance=PROVENANCE,
    )
    return record, arrays


def influence() -> Influence:
    """Units of two layers, ranked by three criteria."""

    def layer() -> dict:
        rho = {"accuracy_drop": 0.3, "loss_rise": -0.2}
        names = ("magnitude", "squares", "random")
        return {
            "accuracy_drop": RANDOM.normal(0.01, 0.01, 16).tolist(),
            "loss_rise": RANDOM.normal(0.1, 0.1, 16).tolist(),
            "predicted": {name: RANDOM.random(16).tolist() for name in names},
            "rank_correlation": dict.fromkeys(names, rho),
        }

    layers = {"layers.conv1": layer(), "layers.conv2": layer()}
    return Influence(accuracy=0.9, loss=0.3, layers=layers, provenance=PROVENANCE)


def profile() -> Profile:
    """A training step of two convolutions and a classifier."""
    layers = {"conv1": "Conv2d", "relu1": "ReLU", "conv2": "Conv2d", "head": "Linear"}
    names = [("layers", "Sequential", None)]
    names += [(f"layers.{name}", kind, "layers") for name, kind in layers.items()]
    times = {"own_forward_ms": 0.1, "own_backward_ms": 0.2}
    modules = [
        {"name": name, "kind": kind, "parent": parent, **times}
        | {"forward_ms": 0.4 if parent is None else 0.1}
        | {"backward_ms": 0.8 if parent is None else 0.2}
        for name, kind, parent in names
    ]
    costs = [
        {"name": f"layers.{name}", "kind": kind, "macs": 10_000 * n, "parameters": 500}
        | {"activation_bytes": 4000, "traffic_bytes": 9000, "forward_ms": 0.1 * n}
        | {"backward_ms": 0.2, "intensity": 2.0 * n, "gflops": 3.0 * n or None}
        | {"share_of_peak": 0.1, "share_of_roof": 0.2, "bound": "memory"}
        for n, (name, kind) in enumerate(layers.items())
    ]
    operator = {"name": "aten::convolution", "ms": 1.0, "calls": 2, "share": 0.5}
    phases = {"data": 0.2, "forward": 1.0, "loss": 0.1, "backward": 2.0}
    return Profile(
        batch=32,
        steps_per_epoch=20,
        threads=1,
        precision="fp32",
        step={"median_ms": 4.0, "q1_ms": 3.9, "q3_ms": 4.2, "n": 30, "clock": "wall"},
        phases=phases | {"optimizer": 0.5, "bookkeeping": 0.2},
        loss_backward_ms=0.1,
        modules=modules,
        layers=costs,
        operators=[operator],
        kernels=[],
        memory={
            **{"state_bytes": 8000, "image_bytes": 2000, "gradient_bytes": 3_000_000},
            "step_peak_bytes": 9_000_000,
            "timeline": [(0, 0), (1, 5_000_000), (2.5, 9_000_000), (4, 1_000_000)],
            "borders": [("forward", 0), ("backward", 1.5), ("optimizer", 3.5)],
        },
        peak={"gflops": 20.0, "gbytes_per_s": 5.0, "side": 512, "dtype": "float32"},
        profiled_steps=5,
        profiled_ms=4.4,
        trace="trace.json.gz",
    )


def sequence() -> SequenceCosts:
    """A sequence model with one block on each side; its counts are made up."""
    block = dict.fromkeys(("additions", "operations", "parameters"), 1000)
    block |= dict.fromkeys(
        ("multiplications", "activation_bytes", "traffic_bytes"), 9000
    )
    weights = RANDOM.dirichlet(np.ones(5), (1, 2, 5)).tolist()
    maps = {"encoder": weights, "decoder": weights, "cross": weights}
    tokens = {"source": [10, 3, 1, 4, 12], "target": [3, 1, 4, 1, 12]}
    return SequenceCosts(
        **{"length": 5, "heads": 2, "dim": 64, "hidden": 256, "vocabulary": 14},
        total=block,
        blocks={"encoder.0.attention": block},
        lengths=[{"n": n, "attention": block, "mlp": block} for n in (8, 64)],
        maps=dict.fromkeys(("copying", "reversal"), tokens | maps),
    )


def formulations() -> Formulations:
    """One network in two ways to compute its layers."""
    spread = {"q1_s": 0.9, "q3_s": 1.2, "n": 3}
    times = {
        "library": {"median_s": 1.0, **spread},
        "unfold": {"median_s": 2.5, **spread},
    }
    return Formulations(
        **{"images": 2000, "batch": 32, "threads": 1, "device": "cpu"},
        **{"inference": times, "training": times, "provenance": PROVENANCE},
        largest_difference={"library": 0.0, "unfold": 2e-6},
    )


def edits() -> EditRanking:
    """Three edits that were timed, one of them a variant of the study."""
    kinds = [("unchanged", None), ("remove", "cnn"), ("pool", None), ("norm", None)]
    ranking = [
        {"point": f"e{n}", "settings": {}, "kind": kind, "words": f"{kind} conv{n}"}
        | {"variant": variant, "changes": n}
        | {"predicted": {"ms": 4 - n, "saving": 0.1 * n, "operations_saving": 0.2 * n}}
        | {"measured": saving(0.11 * n) if n else None}
        for n, (kind, variant) in enumerate(kinds)
    ]
    agreement = {"n": 3, "predicted": 0.9, "predicted_error": 0.01}
    return EditRanking(
        **{"rule": "predicted", "base": {}, "settings": {}, "step_ms": 4.0},
        ranking=ranking,
        noise=saving(0.0) | {"floor": 0.01},
        correlation=agreement | {"operations": 0.4, "operations_error": 0.1},
        provenance=PROVENANCE,
    )


def confirmed() -> ConfirmedRanking:
    """One edit that was tried."""
    costs = {"seconds": 1, "operations": 1, "parameters": 1, "validation_accuracy": 0.9}
    tried = {"point": "e1", "settings": {}, "kind": "pool", "words": "pool conv1"}
    tried |= {"variant": None, "changes": 1, "measured": saving(0.1)} | costs
    tried |= {"predicted": {"ms": 3, "saving": 0.1, "operations_saving": 0.2}}
    tried |= {"seed": 0, "status": "completed", "reached": None, "undominated": True}
    return ConfirmedRanking(
        **{"rule": "predicted", "base": {}, "settings": {}, "provenance": PROVENANCE},
        unchanged=tried,
        ranking=[tried],
    )


def saving(share: float) -> dict[str, float]:
    """A measured saving with its interval."""
    times = {"before_ms": 4.0, "after_ms": 4.0 * (1 - share)}
    return {"saving": share, "low": share - 0.02, "high": share + 0.02, "n": 9} | times
