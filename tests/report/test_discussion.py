"""Each rule of the discussion fires on what it is about, and not otherwise."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from helpers.report_page import built
from labmill.core.files import read_json
from labmill.report.sections.discussion import claims as discussion
from labmill.report.sections.discussion.sentences import ASKS


def run(
    confusion: Any = None,
    history: list[dict[str, float]] | None = None,
    measure: dict[str, float] | None = None,
    **cells: float,
) -> Any:
    """A run as far as the rules look at it."""
    matrix = np.diag([10, 10]) if confusion is None else np.array(confusion)
    names = [str(k) for k in range(len(matrix))]
    return SimpleNamespace(
        cells=cells,
        metrics={"classes": names, "parts": {"test": {"confusion": matrix.tolist()}}},
        history=lambda: history or [],
        read=lambda kind: SimpleNamespace(**measure) if measure else None,
        input=lambda name: {"file": "f", "field": name},
        source=lambda file, name: {"file": file, "field": name},
    )


def results(compare: Any = None, limit: int | None = None, **runs: Any) -> Any:
    """Results of one run per variant."""
    return SimpleNamespace(
        study={"compare": compare or {}, "data": {"limit": limit}},
        ranked=list(runs),
        usable=lambda v, column: {0: runs[v]} if column in runs[v].cells else {},
        label=lambda v: v,
        test_images=lambda v: 1000,
        things="images",
        split_summary=SimpleNamespace(sizes={"train": 5520, "test": 9}),
    )


def said(found: Any) -> list[str]:
    """The sentences of a rule's claims, with plain spaces."""
    return [claim["statement"].replace("\u00a0", " ") for claim in found]


def accurate(*right: int) -> Any:
    """A run that recognises so many of ten images of each class."""
    matrix = np.diag(right)
    matrix[:, 0] += 10 - np.array(right)
    return run(matrix, test_accuracy=sum(right) / (10 * len(right)))


def question(*levels: str) -> Any:
    levels_ = {name: [name] for name in levels}
    return {"q": {"metric": "test_accuracy", "levels": levels_}}


def test_a_difference_of_few_classes():
    even = [9] * 8
    found = results(
        question("a", "b"), a=accurate(*even), b=accurate(9, 9, 9, 9, 9, 9, 9, 2)
    )
    (sentence,) = said(discussion.class_shares(found))
    assert sentence == (
        "100 % of the difference between b and a (8.8 points of 8.8 points) comes from 1 "
        "of 8 classes: 7."
    )
    spread = results(question("a", "b"), a=accurate(*even), b=accurate(*[7] * 8))
    assert not said(discussion.class_shares(spread))
    small = results(question("a", "b"), a=accurate(*even), b=accurate(*even[1:], 8))
    assert not said(discussion.class_shares(small))


@pytest.mark.parametrize(("milliseconds", "fires"), [(0.96, True), (0.2, False)])
def test_operations_fall_and_time_does_not(milliseconds: float, fires: bool):
    few = run(
        macs=15,
        latency_ms_b1=milliseconds,
        measure={"weight_bytes": 10, "activation_bytes": 41},
    )
    many = run(
        macs=100,
        latency_ms_b1=1.0,
        measure={"weight_bytes": 50, "activation_bytes": 50},
    )
    found = said(discussion.cost_without_time(results(few=few, many=many)))
    assert bool(found) is fires
    if fires:
        assert "15 % of the multiply-adds of many, 51 % of the memory" in found[0]
        assert "96 % of the time" in found[0] and "consistent with" in found[0]


@pytest.mark.parametrize(("last", "fires"), [(0.5, True), (0.98, False)])
def test_loss_that_still_falls(last: float, fires: bool):
    losses = [{"train_loss": loss} for loss in [2.0] * 8 + [1.0, last]]
    found = said(
        discussion.still_falling(results(a=run(history=losses, train_loss=last)))
    )
    assert bool(found) is fires
    if fires:
        assert "loss of a was still falling" in found[0] and "by 50 %" in found[0]


def test_the_loss_of_a_network_that_learned_all_falls_for_ever():
    losses = [{"train_loss": loss} for loss in [2.0] * 8 + [1.0, 0.5]]
    learned = run(history=losses, train_loss=0.5, train_accuracy=1.0)
    assert not said(discussion.still_falling(results(a=learned)))


@pytest.mark.parametrize(("validation", "fires"), [(0.93, True), (0.97, False)])
def test_training_images_far_above_validation_images(validation: float, fires: bool):
    one = run(train_accuracy=1.0, validation_accuracy=validation)
    found = said(discussion.overfitting(results(a=one)))
    assert bool(found) is fires
    assert (
        not fires
        or "a recognise 100.0 % of the training images, but 93.0 %" in found[0]
    )


@pytest.mark.parametrize(("accuracy", "fires"), [(0.995, True), (0.9, False)])
def test_saturation(accuracy: float, fires: bool):
    found = said(discussion.saturated(results(a=run(test_accuracy=accuracy))))
    assert bool(found) is fires
    assert not fires or "of the 1,000 test images right: 5 are wrong" in found[0]


@pytest.mark.parametrize(
    ("other", "fires"), [(0.92, True), (0.9, False), (0.88, False)]
)
def test_a_test_part_that_is_easier_for_all(other: float, fires: bool):
    found = said(
        discussion.easier_part(
            results(
                a=run(test_accuracy=0.95, validation_accuracy=0.93),
                b=run(test_accuracy=other, validation_accuracy=0.9),
            )
        )
    )
    assert bool(found) is fires
    assert not fires or "2.0 points to 2.0 points above validation" in found[0]


def test_images_left_out():
    assert not said(discussion.data_left_out(results()))
    assert not said(discussion.data_left_out(results(limit=6000))), "all are used"
    assert "uses 5,520 images" in said(discussion.data_left_out(results(limit=5520)))[0]


def test_words_of_the_author_take_the_place_of_prompts(
    report_folder: Path, tmp_path: Path
):
    prompts = (report_folder / "report.md").read_text(encoding="utf-8")
    assert prompts.count("**Your interpretation**") == 2
    text = {"discussion": "I think so.", "conclusion": "It works."}
    folder = built(tmp_path, changes={"report": {"text": text, "final": True}})
    own = (folder / "report.md").read_text(encoding="utf-8")
    assert "Your interpretation" not in own and "I think so." in own
    rules = {
        claim["id"].split(":")[1]
        for claim in read_json(folder / "claims.json")
        if claim["section"] == "discussion"
    }
    assert rules and rules <= set(ASKS)
