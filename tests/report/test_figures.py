"""Every figure of the registry, on the same results."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from document import results_of
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from labmill import registry
from labmill.report import charts, style
from labmill.report.claims.words import named
from labmill.report.contents.choices import ranking
from labmill.report.figures import augmentation, curves, draw, forest, samples
from labmill.report.results import Results
from labmill.report.searched import FEW

NAMES = registry.names("report/figures")
# What synthetic results have content for, by its file name.
DRAWN = {
    "accuracy",
    "balance",
    "class_accuracy",
    "confusion",
    "cost",
    "curves",
    "forest",
    "losses",
    "mistakes",
    "predicted",
    "pruning_cost",
    "pruning_steps",
    "published",
    "published_epochs",
    "samples",
    "search",
    "search_effects",
    "search_parallel",
    "search_pareto",
}


@pytest.fixture(scope="module")
def results(report_folder: Path) -> Results:
    return results_of(report_folder)


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_readable_or_absent(name, results):
    drawings = draw(name, results)
    assert bool(drawings) or name not in DRAWN
    for drawing in drawings:
        assert len(drawing.caption) > 20 and len(drawing.alt) > 20
        width, height = drawing.figure.get_size_inches()
        assert width <= 6.31 and height <= 9  # the page's text
        assert_whole(drawing.figure)
        for text in words_of(drawing.figure):
            assert text.get_fontsize() >= 8, text.get_text()


def words_of(figure: Figure) -> list[Text]:
    """Every text that can be seen."""
    found = figure.findobj(Text)
    return [one for one in found if one.get_text().strip() and one.get_visible()]


def assert_whole(figure: Figure) -> None:
    """Nothing of it is cut off at the figure's edge."""
    FigureCanvasAgg(figure).draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 >= -0.02 and box.x1 <= width + 0.02
    assert box.y0 >= -0.02 and box.y1 <= height + 0.02


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


@pytest.mark.parametrize("width", [style.WIDTH, 0.6 * style.WIDTH])
def test_a_legend_takes_as_many_columns_as_fit(width):
    names = ["as published, augmented", "speed-run network", "one", "two", "three"]
    drawn = style.figure(2, width)
    drawn.subplots()
    style.legend(drawn, names, [{"color": style.color(i)} for i in range(5)])
    assert_whole(drawn)


def test_no_two_variants_look_alike():
    looks = {(style.color(i), style.marker(i)) for i in range(28)}
    assert len(looks) == 28


def test_rows_of_augmented_images_keep_their_names(results, monkeypatch):
    found = ("recipe", {"flip": True, "crop": 1}, 0, 5)
    monkeypatch.setattr(augmentation, "augmented", lambda results: found)
    pool = results.pool.images.repeat(4, axis=2).repeat(4, axis=3)
    monkeypatch.setitem(results.__dict__, "pool", pool)
    assert_whole(augmentation.draw(results))


def test_augmentation_shows_no_more_epochs_than_were_trained(results, monkeypatch):
    found = ("recipe", {"flip": True}, 0, 2)
    monkeypatch.setattr(augmentation, "augmented", lambda results: found)
    axes = augmentation.draw(results).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["original", "epoch 1", "epoch 2"]
    assert axes.get_title() == "recipe, seed 0"


def test_gaps_between_images_are_clear_so_that_dark_pages_stay_dark():
    for channels in (1, 3):
        image = np.full((channels, 20, 20), 200, np.uint8)
        framed = samples.framed(image)
        assert framed.shape == (20, 22, 4)
        assert (framed[:, :20] == [200, 200, 200, 255]).all()
        assert not framed[:, 20:].any()


def test_each_part_of_the_curves_has_its_chart(results, monkeypatch):
    monkeypatch.setattr(curves, "PANELS", 2)
    drawings = draw("curves", results)
    assert len(drawings) == 3
    shown = [row["name"] for d in drawings for row in d.chart["data"]["values"]]
    assert list(dict.fromkeys(shown)) == list(results.variants.values())
    assert drawings[1].chart["encoding"]["color"]["scale"]["range"][0] == style.color(2)


def test_a_long_training_is_thinned_and_keeps_its_ends():
    history = pd.DataFrame({"epoch": range(1, 301), "train_loss": [0.5] * 300})
    history.loc[9, "train_loss"] = float("nan")
    epochs = charts.line(history, "train_loss")["epoch"]
    assert epochs[0] == 1 and epochs[-1] == 300 and 10 not in epochs
    assert len(epochs) <= charts.MARKS + 1


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


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_legends_stand_outside_the_data(name, results):
    for drawing in draw(name, results):
        FigureCanvasAgg(drawing.figure).draw()
        frames = [axes.get_window_extent() for axes in drawing.figure.axes]
        for legend in drawing.figure.legends:
            box = legend.get_window_extent()
            assert not any(box.overlaps(frame) for frame in frames)


def test_a_diverged_run_enters_no_mean(results):
    assert len(results.values("vit_sin_tanh", "test_accuracy")) == 2
    assert len(results.values("vit_sin_relu", "test_accuracy")) == 3


@pytest.mark.parametrize("name", ["search", "search_parallel", "search_effects"])
def test_every_search_has_its_figure_and_chart(name, report_folder):
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
    assert all(drawing.chart for drawing in drawings)


def test_a_search_of_few_points_is_one_table_and_no_figure(report_folder):
    results = results_of(report_folder)
    chosen = next(iter(results.searches.values()))
    small = {**chosen, "ranking": chosen["ranking"][:FEW]}
    results.__dict__["searches"] = {"small": small}
    assert draw("search", results) == draw("search_pareto", results) == []
    assert len(ranking(results, "small").rows) == FEW


def test_a_setting_with_one_value_is_no_panel(report_folder):
    results = results_of(report_folder)
    # A copy: files that were read are shared by all tests.
    chosen = copy.deepcopy(next(iter(results.searches.values())))
    for point in chosen["ranking"]:
        point["settings"]["training.batch_size"] = 32
    results.__dict__["searches"] = {"only": chosen}
    ((drawing,), (chart,)) = draw("search", results), draw("search_effects", results)
    panels = [axes.get_legend().get_title().get_text() for axes in drawing.figure.axes]
    assert "batch size" not in panels and len(panels) == len(chart.figure.axes)
