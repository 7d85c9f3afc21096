"""Every figure of the registry, on the same results."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.drawn_figures import assert_whole, words_of
from helpers.report_page import results_of
from labmill.data.augment import Augmentation
from labmill.report import style
from labmill.report.figures import draw
from labmill.report.results import StudyResults
from labmill.report.sections.classes.figures import class_accuracy
from labmill.report.sections.comparisons.figures import forest
from labmill.report.sections.curves.figures import curves
from labmill.report.sections.data.figures import augmentation, samples
from labmill.report.sections.search.points import FEW
from labmill.report.sections.search.tables import ranking
from labmill.report.text import named
from labmill.training.data_loader import Batches, Normaliser, Source
from labmill.training.tasks import TASKS


@pytest.fixture(scope="module")
def results(report_folder: Path) -> StudyResults:
    return results_of(report_folder)


def test_marks_have_a_tooltip_and_the_name_of_their_variant(results):
    (drawing,) = draw("cost", results)
    for label in results.variants.values():
        marks = re.findall(
            rf'<g data-of="{label}"><title>{label}: [^<]+</title>', drawing.svg
        )
        assert len(marks) == 3, label


def test_notes_hold_any_text():
    drawn = style.figure(2)
    style.note(drawn.subplots().plot([1, 2]), 'It\'s <b> & "ρ" | 1', of='a "b"')
    assert (
        '<g data-of="a &quot;b&quot;"><title>It&#x27;s &lt;b&gt; &amp; '
        in style.svg(drawn)
    )


def test_only_names_that_marks_have_can_be_chosen_in_a_legend(results):
    """Of curves, the legend tells training and validation, by which nothing is filtered."""
    (drawing,) = draw("curves", results)
    assert set(re.findall('data-of="([^"]+)"', drawing.svg)) == {
        *results.variants.values()
    }


@pytest.mark.parametrize("ramp", [style.HEAT, style.DARK_HEAT])
def test_words_are_read_on_every_shade_of_a_heat_map(ramp):
    pale, deep = (
        ("#000000", "#ffffff") if ramp is style.HEAT else ("#ffffff", "#000000")
    )
    for level, shade in enumerate(ramp):
        ink = deep if level >= style.DEEP else pale
        assert style.contrast(ink, shade) >= 4.5, shade


def test_words_on_any_colour_of_the_palette_are_read():
    for color in style.PALETTE:
        assert style.contrast(style.ink_on(color), color) >= 4.5


@pytest.mark.parametrize(
    "name", ["accuracy", "curves", "cost", "published", "class_accuracy"]
)
def test_charts_of_accuracy_tell_what_guessing_gets(name, results, monkeypatch):
    monkeypatch.setattr(class_accuracy, "BARS", 10)
    for drawing in draw(name, results):
        for figure in (drawing.figure, drawing.phone):
            said = " ".join(text.get_text() for text in words_of(figure))
            assert f"guessing {100 * results.guessing:.3g} %" in said


def test_guessing_is_a_line_where_the_axis_reaches_it_and_words_elsewhere():
    drawn, axes = style.figure(2), []
    for values in ([15, 40], [90, 95]):
        axes.append(drawn.add_subplot())
        axes[-1].plot(values)
        axes[-1].set_ylabel("Accuracy (%)")
        style.guessing(axes[-1], 0.1)
    assert len(axes[0].lines) == 2 and axes[0].get_ylabel() == "Accuracy (%)"
    assert len(axes[1].lines) == 1 and "guessing 10 %" in axes[1].get_ylabel()


def test_panels_that_share_an_axis_show_all_their_curves(results):
    """The axis ended where the first panel's curves did."""
    for drawing in draw("curves", results):
        for axes in drawing.figure.axes:
            low, high = axes.get_ylim()
            for line in axes.lines:
                assert low <= min(line.get_ydata()) and max(line.get_ydata()) <= high


def test_a_loss_that_explodes_leaves_the_others_readable():
    assert curves.highest([2.3, 2.1, 1.9, 5e6]) < 10
    assert curves.highest([0.4, 0.3]) == pytest.approx(0.46)
    assert curves.highest([float("nan")]) is None


@pytest.mark.parametrize("share", [1, 0.6])
def test_a_legend_takes_as_many_columns_as_fit(share):
    names = ["as published, augmented", "speed-run network", "one", "two", "three"]
    drawn = style.figure(2, share)
    drawn.subplots()
    style.legend(drawn, names, [{"color": style.color(i)} for i in range(5)])
    assert_whole(drawn)


def test_no_two_variants_look_alike():
    looks = {(style.color(i), style.marker(i)) for i in range(28)}
    assert len(looks) == 28


def augment(monkeypatch, results, *, epochs, **settings):
    """Let the first run of the CNN be one that augments, for so many epochs."""
    (run, *_) = results.stages("cnn")
    monkeypatch.setattr(augmentation, "augmented", lambda results: run)
    monkeypatch.setattr(augmentation, "augmentation", lambda run: settings)
    monkeypatch.setattr(run, "rows", lambda: run_rows(run).head(epochs))


def run_rows(run):
    return pd.read_csv(run.path("history"))


def test_rows_of_augmented_images_keep_their_names(results, monkeypatch):
    augment(monkeypatch, results, epochs=5, flip=True, crop=1)
    pool = results.pool.images.repeat(4, axis=2).repeat(4, axis=3)
    monkeypatch.setitem(results.__dict__, "pool", pool)
    assert_whole(augmentation.draw(results))


def test_mixed_images_are_shown_as_training_saw_them(results, monkeypatch):
    augment(monkeypatch, results, epochs=3, mixup={"alpha": 8.0})
    seen = []
    monkeypatch.setattr(style, "picture", lambda _, image: seen.append(image))
    augmentation.draw(results)
    (run, *_) = results.stages("cnn")
    part, size = results.parts["train"], results.pool[0].shape[-1]
    batches = Batches(
        Source(results.pool.images, np.zeros(10**5, int), part, torch.device("cpu")),
        TASKS["classification"],
        Augmentation({"mixup": {"alpha": 8.0}}, size),
        Normaliser(([0.0], [1 / 255]), torch.device("cpu"), channels_last=False),
        batch_size=10**5,
        seed=run.seed,
        classes=1,
    )
    ((x, _),) = batches.epoch(0)
    trained = {tuple(image.flatten().round().int().tolist()) for image in x}
    row, width = size + size // 6, samples.framed(results.pool[0]).shape[1]
    for left in range(0, 10 * width, width):
        shown = seen[0][row : row + size, left : left + size, 0]
        assert tuple(shown.flatten().tolist()) in trained


def test_augmentation_shows_no_more_epochs_than_were_trained(results, monkeypatch):
    augment(monkeypatch, results, epochs=2, flip=True)
    axes = augmentation.draw(results).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["original", "epoch 1", "epoch 2"]
    assert axes.get_title() == "CNN, seed 0"


def test_gaps_between_images_are_clear_so_that_dark_pages_stay_dark():
    for channels in (1, 3):
        image = np.full((channels, 20, 20), 200, np.uint8)
        framed = samples.framed(image)
        assert framed.shape == (20, 22, 4)
        assert (framed[:, :20] == [200, 200, 200, 255]).all()
        assert not framed[:, 20:].any()


def test_curves_of_many_variants_are_split_and_keep_their_colours(results, monkeypatch):
    monkeypatch.setattr(curves, "PANELS", 2)
    drawings = draw("curves", results)
    assert len(drawings) == 3
    titles = [axes.get_title() for d in drawings for axes in d.figure.axes]
    assert titles == list(results.variants.values())
    assert drawings[1].figure.axes[0].lines[0].get_color() == style.color(2)


def test_a_forest_row_names_both_sides_whole(results, monkeypatch):
    labels = ["fine-tuned, 4,000 labels", "from scratch, 4,000 labels"]
    names = dict(zip(("first", "second"), map(named, labels), strict=True))
    claims = [
        c | {"contrast": c["contrast"] and c["contrast"] | names}
        for c in results.statements
    ]
    monkeypatch.setitem(results.__dict__, "statements", claims)
    (drawn,) = forest.draw(results)
    said = [text.get_text() for text in words_of(drawn)]
    assert any(all(label in text for label in labels) for text in said)
    assert_whole(drawn)


def test_a_forest_of_many_rows_is_split_and_drops_nothing(results, monkeypatch):
    """Each comparison stands once, the questions' own answers first."""
    asked = [c for c in results.statements if c["kind"] == "question" and c["interval"]]
    detail = [c for c in results.statements if forest.compares(c)][-1]
    many = [
        detail
        | {
            "kind": "detail" if i < 30 else "question",
            "contrast": detail["contrast"]
            | {"first": f"v{i}", "pairs": [[f"v{i}", "cnn"]]},
        }
        for i in range(60)
    ]
    monkeypatch.setitem(results.__dict__, "statements", many + many[:5])
    parts = forest.draw(results)
    names = [
        label.get_text().split(" ")[0].split("\n")[0]
        for drawn in parts
        for label in drawn.axes[0].get_yticklabels()
    ]
    assert asked and len(parts) == 3
    assert names == [f"v{i}" for i in (*range(30, 60), *range(30))]


def test_a_diverged_run_enters_no_mean(results):
    assert len(results.values("vit_sin_tanh", "test_accuracy")) == 2
    assert len(results.values("vit_sin_relu", "test_accuracy")) == 3


@pytest.mark.parametrize("name", ["search", "search_effects"])
def test_every_search_has_its_figure(name, report_folder):
    results = results_of(report_folder)
    chosen = next(iter(results.searches.values()))
    # A cached property: set, it is what the study found.
    results.__dict__["searches"] = {"first": chosen, "second": chosen}
    drawings = draw(name, results)
    assert [drawing.name for drawing in drawings] == [f"{name}-1", f"{name}-2"]
    assert [
        drawing.caption.endswith(f"(search {word})")
        for drawing, word in zip(drawings, ("first", "second"), strict=True)
    ] == [True, True]


def test_a_search_of_few_points_is_one_table_and_no_figure(report_folder):
    results = results_of(report_folder)
    chosen = next(iter(results.searches.values()))
    small = chosen.model_copy(update={"ranking": chosen.ranking[:FEW]})
    results.__dict__["searches"] = {"small": small}
    assert draw("search", results) == []
    assert len(ranking(results, "small").rows) == FEW


def test_a_setting_with_one_value_is_no_panel(report_folder):
    results = results_of(report_folder)
    chosen = next(iter(results.searches.values()))
    same = {"training.batch_size": 32}
    points = [
        p.model_copy(update={"settings": p.settings | same}) for p in chosen.ranking
    ]
    results.__dict__["searches"] = {
        "only": chosen.model_copy(update={"ranking": points})
    }
    ((drawing,), (other,)) = draw("search", results), draw("search_effects", results)
    panels = [axes.get_legend().get_title().get_text() for axes in drawing.figure.axes]
    assert "batch size" not in panels and len(panels) == len(other.figure.axes)
