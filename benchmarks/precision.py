"""`python benchmarks/precision.py`: does bfloat16 cost accuracy? Writes the table of it.

Trains each family on real images with both precisions and the same seeds, and compares
validation accuracy in pairs. A family may enter `BF16_COMPARED` when the difference is
within the noise of the seeds.
"""

import argparse
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from page import replace

from labmill import checkpoint, registry
from labmill.runtime import processor
from labmill.study import Schedule, Training
from labmill.training.fit import fit
from labmill.training.initialise import seeded


@dataclass(frozen=True)
class Comparison:
    """A family on a dataset, small enough to repeat."""

    model: str
    dataset: str
    images: int
    epochs: int
    learning_rate: float = 1e-3
    arguments: dict = field(default_factory=dict)
    seeds: int = 3


COMPARISONS = (
    Comparison("two_conv", "fashion_mnist", 20_000, 4),
    Comparison("cnn", "cifar10", 5_000, 6, arguments={"design": "custom"}),
    Comparison(
        "resnet", "cifar10", 5_000, 5, arguments={"widths": (16, 32, 64, 128)}, seeds=5
    ),
    Comparison("vgg", "cifar10", 1_500, 5, 1e-4, {"batch_norm": True}),
)


def accuracy(run: Comparison, folder: Path, seed: int, precision: str) -> float:
    """Validation accuracy after the last epoch."""
    images = np.load(folder / run.dataset / "images.npy", mmap_mode="r")
    labels = np.load(folder / run.dataset / "labels.npy")
    order = np.random.default_rng(seed).permutation(50_000)
    data = SimpleNamespace(
        images=images,
        labels=labels,
        train=order[: run.images],
        validation=order[-5_000:],
    )
    model = seeded(
        seed,
        lambda: checkpoint.build(
            run.model,
            num_classes=10,
            image_size=images.shape[-1],
            in_channels=images.shape[1],
            **run.arguments,
        ),
    )
    training = Training(
        epochs=run.epochs,
        batch_size=64,
        learning_rate=run.learning_rate,
        precision=precision,
        compile="off",
        evaluate_every=run.epochs,
        # A last epoch at a high rate says more about the rate than about the precision.
        schedule=Schedule(kind="cosine"),
    )
    with tempfile.TemporaryDirectory() as state:
        outcome = fit(
            model,
            training,
            data,
            seed=seed,
            normalisation=([0.5], [0.5]),
            state=Path(state),
            channels_last=registry.constant("models", run.model, "CHANNELS_LAST"),
        )
    return outcome.history[-1]["validation_accuracy"]


def row(run: Comparison, folder: Path) -> str:
    """One line of the table."""
    found = {
        name: [accuracy(run, folder, seed, name) for seed in range(run.seeds)]
        for name in ("fp32", "bf16")
    }
    differences = [b - a for a, b in zip(found["fp32"], found["bf16"], strict=True)]
    mean = statistics.mean(differences)
    error = statistics.stdev(differences) / run.seeds**0.5
    cells = [
        f"{run.model} {run.arguments or ''}".strip(),
        f"{run.dataset}, {run.images:,} images, {run.epochs} epochs, {run.seeds} seeds",
        *(
            f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"
            for values in found.values()
        ),
        f"{mean:+.4f} ± {error:.4f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--only", default="")
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"))
    options = parser.parse_args()
    lines = [
        f"`python benchmarks/precision.py` on {processor()}, "
        f"{torch.get_num_threads()} threads, batch 64, Adam, cosine schedule; "
        "validation accuracy on 5,000 other images, mean ± standard deviation; "
        "difference in pairs, mean ± standard error.",
        "",
        "| family | data | float32 | bfloat16 | difference |",
        "|---|---|---|---|---|",
    ]
    for run in COMPARISONS:
        if options.only in run.model:
            lines.append(row(run, options.data))
            print(lines[-1], flush=True)
    replace(options.page, "precision", "\n".join(lines))


if __name__ == "__main__":
    main()
