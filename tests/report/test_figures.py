"""Every figure of the registry, on the same results."""

from pathlib import Path

import pytest
from document import results_of
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from labmill import registry
from labmill.report.figures import draw
from labmill.report.results import Results

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
        FigureCanvasAgg(drawing.figure).draw()
        for text in drawing.figure.findobj(Text):
            if text.get_text().strip() and text.get_visible():
                assert text.get_fontsize() >= 8, text.get_text()


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
