"""Each dataset becomes a report, and its card says what upstream says."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.workflow_run import Mill

# Official counts, means and deviations of the training images, as upstream states them.
UPSTREAM = {
    "mnist": (60_000, 10_000, [0.1307], [0.3081]),
    "fashion_mnist": (60_000, 10_000, [0.2860], [0.3530]),
    "cifar10": (
        50_000,
        10_000,
        [0.4914, 0.4822, 0.4465],
        [0.2470, 0.2435, 0.2616],
    ),
}


def study(dataset: str, **arguments: object) -> dict:
    """One small network on few images of a dataset."""
    return {
        "title": f"A look at {dataset}",
        "data": {
            "dataset": dataset,
            "arguments": arguments,
            "limit": 100,
            "test_limit": 50,
        },
        "defaults": {
            "model": {"name": "cnn", "layers": ["conv 4", "pool", "flatten"]},
            "training": {"epochs": 1, "augmentation": "dataset"},
        },
        "seeds": [0],
        "variants": {"cnn": {}},
        "measure": {"batches": [1], "repeats": 3},
    }


def own_images(folder: Path) -> Path:
    """Two classes of PNG and JPEG files, of mixed sizes and modes."""
    generator = np.random.default_rng(0)
    for label, brightness in (("dark", 60), ("light", 190)):
        (folder / label).mkdir(parents=True)
        for number in range(40):
            side = 12 + number % 9
            pixels = generator.integers(brightness - 40, brightness + 40, (side, 16, 3))
            image = Image.fromarray(pixels.astype(np.uint8))
            if number % 3 == 0:
                image = image.convert("L")
            suffix = "png" if number % 2 else "jpg"
            image.save(folder / label / f"{number}.{suffix}")
    return folder


def test_every_dataset_becomes_a_report(mill: Mill):
    images = own_images(mill.directory / "images")
    studies = {
        "a_digits": study("digits"),
        "a_image_folder": study("image_folder", path=str(images), image_size=16),
    }
    if os.environ.get("LABMILL_MIRROR"):
        studies |= {f"a_{name}": study(name) for name in UPSTREAM}
    for name, content in studies.items():
        mill.write(content, name)
    done = mill.run(*[f"results/{name}/report.html" for name in studies], timeout=550)
    assert done.returncode == 0, done.stdout
    for name in studies:
        results = mill.directory / "results" / name
        assert (results / "report.pdf").stat().st_size > 20_000
        assert (results / "figures" / "augmentation.svg").exists()


@pytest.mark.skipif(
    not os.environ.get("LABMILL_MIRROR"), reason="LABMILL_MIRROR names no datasets"
)
@pytest.mark.parametrize("dataset", UPSTREAM)
def test_card_says_what_upstream_says(mill: Mill, dataset: str):
    mill.write(study(dataset), "look")
    done = mill.run(f"data/{dataset}/card.json", "results/look/split.npz")
    assert done.returncode == 0, done.stdout
    card = json.loads((mill.directory / f"data/{dataset}/card.json").read_text())
    train, test, mean, std = UPSTREAM[dataset]
    assert card["official"] == {"train": train, "validation": 0, "test": test}
    assert np.allclose(card["mean"], mean, atol=6e-5)
    assert np.allclose(card["std"], std, atol=6e-5)
