"""A study in which every seed has its own split, from file to report and archive."""

import json

import numpy as np
import pytest

from helpers.workflow_run import TINY, Mill
from labmill.archive.verify import verify
from labmill.core.errors import LabmillError
from labmill.plan.plan import Plan

SPLITS = TINY | {
    "seeds": [0, 1, 2],
    "data": TINY["data"] | {"split_seeds": [5, 6, 7]},
    "pruning": {},
    "defaults": TINY["defaults"]
    | {"training": {"epochs": 15, "batch_size": 16, "learning_rate": 3e-3}},
}


def test_every_seed_has_its_split(mill: Mill):
    mill.write(SPLITS)
    mill.build()
    results = mill.directory / "results/tiny"
    folders = [results, results / "splits/seed1", results / "splits/seed2"]
    tests = []
    for seed, folder in enumerate(folders):
        assert json.loads((folder / "split.json").read_text())["seed"] == 5 + seed
        with np.load(folder / "test.npz") as file:
            tests.append(set(file["test"].tolist()))
        for variant in SPLITS["variants"]:
            with np.load(
                results / variant / f"seed{seed}/dense/predictions.npz"
            ) as file:
                assert set(file["test_indices"].tolist()) == tests[-1]
        with np.load(folder / "split.npz") as file:
            assert not tests[-1] & {
                *file["train"].tolist(),
                *file["validation"].tolist(),
            }
    assert tests[0] != tests[1] != tests[2]
    report = (results / "report.md").read_text()
    assert "include chance in the split" in report and "share one split" not in report
    # Digits have no official test part: no interval counts the test images' error.
    claims = json.loads((results / "claims.json").read_text())
    pair = next(claim for claim in claims if claim["id"].startswith("compare:network"))
    assert pair["details"]["same_images"] is None and pair["interval"], pair
    data = mill.directory / "data"
    assert verify(results, data=data).mismatches == []
    # An edited split is found.
    with np.load(folders[1] / "test.npz") as file:
        arrays = dict(file)
    np.savez(
        folders[1] / "test.npz", test=arrays["test"][::-1], labels=arrays["labels"]
    )
    wrong = verify(results, data=data).mismatches
    assert any("splits/seed1/test.npz" in text for text in wrong)
    # Another seed of one split reruns that seed's runs; the edited test part, its tests.
    mill.write(SPLITS | {"data": SPLITS["data"] | {"split_seeds": [5, 6, 8]}})
    jobs = mill.jobs()
    assert "split_for_seed 2" in jobs and "split_for_seed 1" not in jobs
    assert {job for job in jobs if "train" in job} == {"train cnn 2", "train vit 2"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": {"split_seeds": [1, 2]}}, "2 splits for 3 seeds"),
        ({"variants": {"a": {"seeds": [9]}}}, "has no split"),
        (
            {"search": {"s": {"variant": "a", "matrix": {"training.epochs": [1, 2]}}}},
            "has one split",
        ),
        ({"variants": {"splits": {}}}, "choose another one"),
    ],
)
def test_what_does_not_fit_is_refused(mill: Mill, change: dict, words: str):
    study = {
        "title": "t",
        "seeds": [0, 1, 2],
        "data": {"split_seeds": [1, 2, 3]},
        "variants": {"a": {}},
    }
    with pytest.raises(LabmillError, match=words):
        Plan(mill.write(study | change))
