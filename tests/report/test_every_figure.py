"""Every figure of the registry, with content for each, on paper and on a phone."""

import copy
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from helpers import analysis_records as made
from helpers.drawn_figures import assert_whole, words_of
from helpers.report_page import results_of
from labmill.core import registry
from labmill.core.records import Record
from labmill.profiling.records import Measurement
from labmill.report import style
from labmill.report.figures import draw, named
from labmill.report.results import StudyResults
from labmill.report.runs import FILES, Run

# Marks inside shapes that are smaller than a line of text.
SMALL = {
    "edits_savings",
    "profile_memory",
    "profile_modules",
    "profile_roofline",
    "sequence_attention",
}


@pytest.fixture(scope="module")
def results(
    report_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> StudyResults:
    """The synthetic study, with all that optional analyses find."""
    folder = tmp_path_factory.mktemp("all")
    shutil.copytree(report_folder.parents[1], folder, dirs_exist_ok=True)
    results = results_of(folder / report_folder.relative_to(report_folder.parents[1]))
    study, first = results.study, {v: results.stages(v)[0] for v in results.variants}
    for name in ("examine", "represent", "influence"):
        study[name] = {"variants": ["vit_sin_relu", "cnn"]}
    study["lessons"] = {"reference": "cnn", "variants": ["vit_sin_relu"]}
    for variant in ("vit_sin_relu", "vit_learn_relu"):
        study["variants"][variant]["training"]["labels"] = 100
    for variant in ("vit_sin_relu", "cnn"):
        add(first[variant], *made.examination())
        add(first[variant], *made.representation())
        add(first[variant], made.influence())
        measured = first[variant].read(Measurement)
        more = {"profile": made.profile(), "sequence": made.sequence()}
        add(first[variant], measured.model_copy(update=more))
    for run in first.values():
        epochs = run.rows()
        names = {"train_loss": "loss", "train_accuracy": "accuracy"}
        images = 50 * epochs["epoch"]
        batches = epochs[["epoch", *names]].rename(columns=names)
        batches.assign(step=50, images=images).to_csv(run.path("batches"), index=False)
    history = (results.folder.folder / "pretext.csv", "pretext")
    shutil.copy(first["cnn"].path("history"), history[0])
    files = {"history": f"{results.folder.planned}/pretext.csv"}
    cells = {"variant": "turns", "label": "Rotation", "kind": "pretext", "seed": 0}
    state = {"stage": "pretext", "status": "completed"}
    results.rows.append(Run({"files": files}, cells | state, folder=results.folder))
    ranking = made.edits()
    ranking.write(results.folder.folder / "edits.json")
    results.summary["edits"] = {
        "cnn": {"edits": f"{results.folder.planned}/edits.json"}
    }
    return results


def add(run: Run, record: Record, arrays: dict[str, np.ndarray] | None = None) -> None:
    """Give a run the file of an analysis."""
    kind = FILES[type(record)]
    folder = Path(run.record["files"]["description"]).parent
    names = {kind: f"{kind}2.json"} | (
        {f"{kind}_arrays": f"{kind}.npz"} if arrays else {}
    )
    run.record["files"] |= {key: f"{folder}/{name}" for key, name in names.items()}
    record.write(run.folder.path(run.record["files"][kind]))
    if arrays:
        np.savez(run.folder.path(run.record["files"][f"{kind}_arrays"]), **arrays)


# Figures of what the synthetic study has not, and the tests that draw them.
ELSEWHERE = {
    "augmentation": "test_figures",
    "matrix": "test_a_matrix_of_networks_is_drawn",
    "confusion_best": "test_the_best_network_is_drawn_against_the_last",
}


@pytest.mark.parametrize("name", registry.names("report/figures"))
def test_every_figure_is_readable_whole_and_the_same_every_time(
    name: str, results: StudyResults
):
    if name in ELSEWHERE:
        pytest.skip(f"the synthetic study has nothing of it; see {ELSEWHERE[name]}")
    drawings = draw(name, results)
    assert drawings
    again = named(registry.load("report/figures", name).draw(results)).values()
    assert [style.svg(figure) for figure in again] == [d.svg for d in drawings]
    for drawing in drawings:
        assert len(drawing.caption) > 20 and len(drawing.alt) > 20
        width, height = drawing.figure.get_size_inches()
        assert width <= style.PAGE + 0.01 and height <= 9  # the page's text
        assert drawing.phone.get_figwidth() <= style.PHONE + 0.01
        for figure in (drawing.figure, drawing.phone):
            assert_whole(figure)
            assert_legends_outside(figure)
            for text in words_of(figure):
                assert text.get_fontsize() >= (5.5 if name in SMALL else 8), text


def assert_legends_outside(figure: Figure) -> None:
    """No legend of the figure covers data."""
    frames = [axes.get_window_extent() for axes in figure.axes]
    for legend in figure.legends:
        box = legend.get_window_extent()
        assert not any(box.overlaps(frame) for frame in frames)


def test_the_best_network_is_drawn_against_the_last(report_folder: Path):
    (drawing,) = draw("confusion_best", results_of(report_folder))
    assert {"CNN", "−"} <= {
        word for text in words_of(drawing.figure) for word in text.get_text().split()
    }


def test_a_matrix_of_networks_is_drawn(report_folder: Path):
    results = results_of(report_folder)
    study = copy.deepcopy(results.study)
    for name in ("vit_sin_relu", "vit_sin_tanh", "vit_learn_relu", "vit_learn_tanh"):
        _, positions, activation = name.split("_")
        factors = {"positions": positions, "activation": activation}
        study["variants"][name]["factors"] = factors
    (drawing,) = draw("matrix", dataclasses.replace(results, study=study))
    assert {"sin", "learn", "relu", "tanh"} <= {
        t.get_text() for t in words_of(drawing.figure)
    }
