"""Splits: properties that hold for any pool, and the files of a split."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data_records import made_card, split_settings
from labmill.core.errors import LabmillError
from labmill.data.arrays import PARTS, TrainingData, open_test, openings
from labmill.data.records import Card, OfficialParts
from labmill.data.split import make_splits, split


@st.composite
def pools(draw) -> tuple[np.ndarray, int]:
    """Labels in any order and the number of official training images."""
    classes = draw(st.integers(2, 5))
    sizes = draw(st.lists(st.integers(20, 60), min_size=classes, max_size=classes))
    tests = draw(st.lists(st.integers(3, 9), min_size=classes, max_size=classes))
    order = np.random.default_rng(draw(st.integers(0, 99)))
    train = order.permutation(np.repeat(np.arange(classes), sizes))
    if draw(st.booleans()):
        return train, len(train)
    test = order.permutation(np.repeat(np.arange(classes), tests))
    return np.concatenate([train, test]), len(train)


CHOICES = st.fixed_dictionaries(
    {
        "validation": st.one_of(st.floats(0.1, 0.3), st.integers(1, 3)),
        "test": st.one_of(st.floats(0.1, 0.3), st.integers(1, 3)),
        "unlabelled": st.one_of(st.none(), st.floats(0.1, 0.4), st.integers(1, 10)),
    }
)
SEEDS = st.integers(0, 5)


def divide(labels, official: int, chosen: dict, seed: int = 0):
    """Split a pool whose official training images are the first."""
    chosen = dict(chosen)
    kept = chosen.pop("classes", None)
    return make_splits(
        labels,
        OfficialParts(train=official, test=len(labels) - official),
        split_settings(**chosen, split_seed=seed),
        kept=np.unique(labels).tolist() if kept is None else kept,
        names=[f"class{i}" for i in range(9)],
    )


def parts_of(made) -> dict[str, np.ndarray]:
    return {part: getattr(made, part) for part in (*PARTS, "test")}


@settings(deadline=None)
@given(pools(), CHOICES, SEEDS)
def test_parts_are_disjoint_and_complete(pool, chosen, seed):
    labels, official = pool
    parts = parts_of(divide(labels, official, chosen, seed))
    together = np.concatenate(list(parts.values()))
    assert sorted(together) == list(range(len(labels)))
    if official < len(labels):
        assert parts["test"].min() == official
    assert all(index.dtype == np.int64 for index in parts.values())


@settings(deadline=None)
@given(pools(), CHOICES, SEEDS)
def test_parts_are_stratified_to_one_image(pool, chosen, seed):
    labels, official = pool
    parts = parts_of(divide(labels, official, chosen, seed))
    in_test = Counter(labels[parts["test"]].tolist())
    in_pool = Counter(labels[:official].tolist())
    training = in_pool if official < len(labels) else in_pool - in_test
    n = training.total()
    for label, size in training.items():
        validation = np.sum(labels[parts["validation"]] == label)
        if isinstance(chosen["validation"], int):
            assert validation == chosen["validation"]
        else:
            wanted = round(chosen["validation"] * n) * size / n
            assert abs(validation - wanted) < 1
        if chosen["unlabelled"] is not None:
            total = chosen["unlabelled"]
            total = total if isinstance(total, int) else round(total * n)
            found = np.sum(labels[parts["unlabelled"]] == label)
            assert abs(found - total * size / n) < 1
            assert len(parts["unlabelled"]) == total


@settings(deadline=None)
@given(pools(), CHOICES, SEEDS)
def test_every_prefix_of_train_is_balanced(pool, chosen, seed):
    made = divide(*pool, chosen, seed)
    order = made.labels[made.train]
    smallest = min(Counter(order.tolist()).values())
    classes = made.labels.max() + 1
    for budget in range(1, smallest * classes + 1):
        counts = np.bincount(order[:budget], minlength=classes)
        assert counts.max() - counts.min() <= 1


@settings(deadline=None)
@given(pools(), CHOICES, SEEDS, st.data())
def test_a_part_moves_only_with_its_own_settings(pool, chosen, seed, data):
    first = divide(*pool, chosen, seed)
    other = data.draw(CHOICES)

    same_test = divide(*pool, {**other, "test": chosen["test"]}, seed)
    assert (same_test.test == first.test).all()

    no_unlabelled = divide(*pool, {**chosen, "unlabelled": None}, seed)
    assert (no_unlabelled.validation == first.validation).all()
    assert {*first.train} <= {*no_unlabelled.train}

    again = divide(*pool, {**chosen, "roll_number": "1"}, seed)
    assert (again.train == first.train).all()


@settings(deadline=None)
@given(pools(), CHOICES, SEEDS, st.integers(30, 80), st.integers(5, 15))
def test_limits_take_balanced_pieces_of_the_whole(
    pool, chosen, seed, limit, test_limit
):
    whole = divide(*pool, chosen, seed)
    limits = {"limit": limit, "test_limit": test_limit}
    small = divide(*pool, chosen | limits, seed)
    assert sum(len(getattr(small, part)) for part in PARTS) <= limit
    assert len(small.test) <= test_limit
    for part, index in parts_of(small).items():
        assert {*index} <= {*getattr(whole, part)}
        if part != "unlabelled":
            assert {*whole.labels[index]} == {*range(whole.labels.max() + 1)}
    assert (small.train == whole.train[: len(small.train)]).all()


@settings(deadline=None)
@given(pools(), CHOICES, SEEDS)
def test_dropped_classes_leave_the_others_alone(pool, chosen, seed):
    """With numbers per class, a class's images are the same whichever others stay."""
    labels, official = pool
    chosen = {"validation": 2, "test": 2}
    whole = divide(labels, official, chosen, seed)
    some = divide(labels, official, {**chosen, "classes": [1, 0]}, seed)
    for part, index in parts_of(some).items():
        full = getattr(whole, part)
        assert {*index} == {*full[np.isin(labels[full], [0, 1])]}
    kept = np.isin(labels, [0, 1])
    assert (some.labels[kept] == 1 - labels[kept]).all()
    assert (some.labels[~kept] == -1).all()


def test_seeds_differ():
    labels = np.repeat([0, 1], 100)
    first, second = (divide(labels, 200, {}, seed).test for seed in (0, 1))
    assert {*first} != {*second}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"validation": 30}, "data.validation: found 30, which takes 30 of the 24"),
        ({"validation": 0.001}, "found 0.001, which takes 0 .* of class class0"),
        ({"test": 30}, "data.test: found 30"),
        ({"unlabelled": 50}, "data.unlabelled: found 50"),
        (
            {"validation": 0.5, "unlabelled": 0.5},
            "data.unlabelled: found 0.5, .* leaves no training",
        ),
        ({"limit": 3}, "data.limit: found 3; allowed: at least 4"),
        ({"test_limit": 1}, "data.test_limit: found 1"),
        ({"classes": [0, 2]}, "class class2 has 0 train images"),
    ],
)
def test_what_cannot_be_met_is_one_clear_message(chosen, message):
    with pytest.raises(LabmillError, match=message):
        divide(np.repeat([0, 1], 30), 60, chosen, 0)


@pytest.fixture
def study(tmp_path):
    """A pool of 3 classes with an official test part, duplicates planted in it."""
    order = np.random.default_rng(0)
    images = order.integers(0, 256, (150, 1, 4, 4), np.uint8)
    images[120] = images[3]
    images[121] = images[120]
    labels = np.concatenate([np.arange(120) % 3, np.arange(30) % 3])
    card = made_card(
        classes=("red", "green", "blue"), official={"train": 120, "test": 30}
    )
    paths = {
        name: tmp_path / name for name in ("images.npy", "labels.npy", "card.json")
    }
    np.save(paths["images.npy"], images)
    np.save(paths["labels.npy"], labels)
    card.write(paths["card.json"])
    return {path.stem: path for path in paths.values()}


def run(study, folder, settings, seed=0) -> dict:
    files = {
        "split": folder / "split.npz",
        "test": folder / "test.npz",
        "summary": folder / "split.json",
    }
    split(split_settings(**settings, split_seed=seed), **study, **files)
    return files


def test_the_files_of_a_split(study, tmp_path):
    chosen = {"classes": ["blue", "red"], "validation": 0.25, "unlabelled": 20}
    files = run(study, tmp_path / "a", chosen)
    summary = json.loads(files["summary"].read_text())
    assert summary["classes"] == ["blue", "red"]
    assert summary["original_labels"] == [2, 0]
    assert summary["sizes"] == {
        "train": 40,
        "validation": 20,
        "unlabelled": 20,
        "test": 20,
    }
    assert summary["counts"]["train"] == [20, 20]
    with np.load(files["split"]) as file:
        assert {*file.files} == {*PARTS, "labels"}
        assert (file["labels"][file["unlabelled"]] == -1).all()
    again = run(study, tmp_path / "b", chosen)
    for name, path in files.items():
        assert path.read_bytes() == again[name].read_bytes()


def test_exact_duplicates_across_parts_are_counted(study, tmp_path):
    found = json.loads(run(study, tmp_path, {})["summary"].read_text())["duplicates"]
    across = {key: n for key, n in found.items() if key.startswith("test_in")}
    assert sum(across.values()) == 2 and found["validation_in_train"] == 0


def test_training_has_no_way_to_the_test_part(study, tmp_path):
    files = run(study, tmp_path, {"unlabelled": 30})
    data = TrainingData.open(study["images"], files["split"], study["card"])
    sealed = np.load(files["test"])["test"]
    for name in PARTS:
        assert not np.isin(data.part(name).indices, sealed).any()
    with pytest.raises(LabmillError, match="allowed: train, unlabelled, validation"):
        data.part("test")
    with pytest.raises(LabmillError, match=r"test\.npz: damaged, or without train"):
        TrainingData.open(study["images"], files["test"], study["card"])
    with np.load(files["split"]) as file:
        assert (file["labels"][sealed] == -1).all()


def test_parts_are_the_images_at_their_indices(study, tmp_path):
    files = run(study, tmp_path, {})
    pool, labels = np.load(study["images"]), np.load(study["labels"])
    data = TrainingData.open(study["images"], files["split"], study["card"])
    for name in PARTS:
        part = data.part(name)
        assert (part.images == pool[part.indices]).all()
        assert (part.labels == labels[part.indices]).all()
        assert len(part) == data.size(name)
    budget = data.part("train", 9)
    assert np.bincount(budget.labels).tolist() == [3, 3, 3]
    assert (budget.images == data.part("train").images[:9]).all()
    with pytest.raises(LabmillError, match="1000 images requested"):
        data.part("train", 1000)


def test_every_opening_of_the_test_part_is_recorded_and_each_network_counted_once(
    study, tmp_path
):
    files = run(study, tmp_path, {})
    record = tmp_path / "openings" / "test.jsonl"
    whos = ("vit/seed0/dense", "vit/seed0/prune_1", "vit/seed0/dense")
    for who, weights in zip(
        whos * 2, (b"a", b"b", b"a", b"a", b"b", b"c"), strict=True
    ):
        (tmp_path / "weights").write_bytes(weights)
        part = open_test(
            study["images"],
            files["split"],
            files["test"],
            study["card"],
            record=record,
            who=who,
            weights=tmp_path / "weights",
        )
    labels = np.load(study["labels"])
    assert (part.labels == labels[part.indices]).all() and len(part) == 30
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [line["who"] for line in lines] == [*whos, *whos]
    assert openings(record) == {"vit/seed0/dense": 2, "vit/seed0/prune_1": 1}


def test_a_test_part_of_another_split_is_refused(study, tmp_path):
    labels = np.load(study["labels"])
    card = Card.read(study["card"])
    official = OfficialParts(train=len(labels))
    card.model_copy(update={"official": official}).write(study["card"])
    one, two = (run(study, tmp_path / str(seed), {}, seed) for seed in (0, 1))
    record = tmp_path / "record"
    with pytest.raises(LabmillError, match="are training images"):
        open_test(
            study["images"],
            one["split"],
            two["test"],
            study["card"],
            record=record,
            who="x",
            weights=record,
        )
    assert not record.exists()
