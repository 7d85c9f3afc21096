"""`python benchmarks/precision.py`: does bfloat16 cost accuracy? Writes the table of it.

Trains each family on real images with both precisions and the same seeds. Each run is a
row of precision.csv, so a stopped call continues. A family may enter `BF16_COMPARED`
when the moderated test of the paired differences shows that bfloat16 costs less than the
margin.
"""

import argparse
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from page import replace

from labmill.core.csv_tables import read_table, write_table
from labmill.core.provenance import processor
from labmill.stats.margins import NonInferiority, non_inferiority
from labmill.stats.prior import fit_prior, moderate
from labmill.study.schema import Schedule, Training
from labmill.training import checkpoint
from labmill.training.initialization import seeded
from labmill.training.inputs import TrainingImages, TrainingJob
from labmill.training.network import channels_last
from labmill.training.trainer import fit

RUNS = Path(__file__).with_name("precision.csv")
# Largest loss of accuracy that counts as none.
MARGIN = 0.005
COLUMNS = ("model", "task", "seed", "precision", "accuracy")


@dataclass(frozen=True)
class Comparison:
    """A family on a dataset, small enough to repeat."""

    model: str
    dataset: str
    images: int
    epochs: int
    learning_rate: float = 1e-3
    arguments: dict = field(default_factory=dict, hash=False)
    seeds: int = 5


COMPARISONS = (
    Comparison("two_conv", "fashion_mnist", 20_000, 4),
    Comparison("lenet", "mnist", 20_000, 4),
    Comparison("vit", "mnist", 10_000, 4),
    Comparison("cnn", "cifar10", 5_000, 6, arguments={"design": "custom"}),
    Comparison("resnet", "cifar10", 5_000, 5, arguments={"widths": (16, 32, 64, 128)}),
    Comparison("cct", "cifar10", 5_000, 5),
    Comparison("mobilenet", "cifar10", 5_000, 6),
    Comparison("speednet", "cifar10", 5_000, 5),
    Comparison("dynamic_cnn", "cifar10", 5_000, 5),
    Comparison("vgg", "cifar10", 1_500, 5, 1e-4, {"batch_norm": True}, seeds=3),
)


def accuracy(run: Comparison, folder: Path, seed: int, precision: str) -> float:
    """Validation accuracy after the last epoch."""
    images = np.load(folder / run.dataset / "images.npy", mmap_mode="r")
    labels = np.load(folder / run.dataset / "labels.npy")
    order = np.random.default_rng(seed).permutation(50_000)
    data = TrainingImages(
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
            TrainingJob(
                training=training,
                data=data,
                seed=seed,
                normalisation=([0.5], [0.5]),
                state=Path(state),
                channels_last=channels_last(run.model),
            ),
        )
    return outcome.history[-1].validation_accuracy


def measured(run: Comparison, folder: Path) -> dict[str, list[float]]:
    """Return the accuracies of all seeds by precision; train what is not recorded."""
    rows = read_table(RUNS) if RUNS.exists() else []
    task = f"{run.arguments or ''} {run.dataset} {run.images} {run.epochs}".strip()
    known = {
        (row["seed"], row["precision"]): row["accuracy"]
        for row in rows
        if (row["model"], row["task"]) == (run.model, task)
    }
    for key in [(s, p) for s in range(run.seeds) for p in ("fp32", "bf16")]:
        if key not in known:
            known[key] = accuracy(run, folder, *key)
            seed, name = key
            rows.append(
                dict(
                    zip(COLUMNS, (run.model, task, seed, name, known[key]), strict=True)
                )
            )
            write_table(RUNS, COLUMNS, rows)
            print(*rows[-1].values(), flush=True)
    return {
        name: [known[seed, name] for seed in range(run.seeds)]
        for name in ("fp32", "bf16")
    }


def tests(found: dict[Comparison, dict[str, list[float]]]) -> list[NonInferiority]:
    """Test each family's paired differences, their variances moderated over families."""
    pairs = [np.subtract(runs["bf16"], runs["fp32"]) for runs in found.values()]
    variances = np.array([pair.var(ddof=1) for pair in pairs])
    own = np.array([len(pair) - 1.0 for pair in pairs])
    squared, freedom = moderate(variances, own, *fit_prior(variances, own))
    return [
        non_inferiority(
            pair.mean(),
            error=(v / len(pair)) ** 0.5,
            freedom=df,
            n=len(pair),
            margin=MARGIN,
        )
        for pair, v, df in zip(pairs, squared, freedom, strict=True)
    ]


def row(run: Comparison, found: dict[str, list[float]], test: NonInferiority) -> str:
    """Return one line of the table."""
    cells = [
        f"{run.model} {run.arguments or ''}".strip(),
        f"{run.dataset}, {run.images:,} images, {run.epochs} epochs, {run.seeds} seeds",
        *(
            f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"
            for values in found.values()
        ),
        f"{test.estimate:+.4f}",
        f"{test.lower:+.4f}",
        "yes" if test.accepted else f"not shown; about {test.seeds} seeds would",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--only", default="", help="train this family, if not recorded")
    parser.add_argument("--page", type=Path, default=Path("docs/performance.md"))
    options = parser.parse_args()
    found = {
        run: measured(run, options.data)
        for run in COMPARISONS
        if options.only in run.model
    }
    lines = [
        f"`python benchmarks/precision.py` on {processor()}, one thread, batch 64, Adam, "
        "cosine schedule; validation accuracy on 5,000 other images, mean ± standard "
        "deviation; differences in pairs of equal seeds, variances moderated over the "
        f"families; the last column: lower limit above −{MARGIN:.3f} (one-sided 95 %).",
        "",
        "| family | data | float32 | bfloat16 | difference | lower limit | as accurate |",
        "|---|---|---|---|---|---|---|",
        *(
            row(run, runs, t)
            for (run, runs), t in zip(found.items(), tests(found), strict=True)
        ),
    ]
    replace(options.page, "precision", "\n".join(lines))


if __name__ == "__main__":
    main()
