"""Figures of what `examine` found, from files with known content."""

import json
from pathlib import Path

import numpy as np
import pytest

from helpers.report_records import PROVENANCE, results_with
from labmill.report import style
from labmill.report.figures import named
from labmill.report.results import StudyResults
from labmill.report.sections.attention.figures import (
    attention_distance,
    attention_maps,
    position_similarity,
    probe_depth,
)

FIGURES = (attention_distance, attention_maps, position_similarity, probe_depth)
LABELS = {
    "a": "learnable",
    "b": "sinusoidal",
    "c": "sinusoidal with a decoder, 6+6 blocks",
}


@pytest.fixture
def results(tmp_path: Path) -> StudyResults:
    """Three variants; b and c add the same positions, b has no class token."""
    random = np.random.default_rng(0)
    shared = random.normal(size=(16, 8)).astype(np.float32)
    for name in LABELS:
        tokens = 16 if name == "b" else 17
        maps = random.random((2, 4, 2, tokens, tokens)).astype(np.float16)
        arrays = {
            "pixels": random.integers(0, 256, (4, 3, 16, 16)).astype(np.uint8),
            "maps": maps / maps.sum(-1, keepdims=True),
            "positions": shared if name != "a" else 1 + shared,
        }
        if name == "c":
            arrays["cross"] = np.full((1, 4, 2, 1, 16), 1 / 16, np.float16)
        np.savez(tmp_path / f"{name}.npz", **arrays)
        probe = [
            {
                "layer": n,
                "patches": 0.2 + 0.1 * n,
                "token": 0.3 if name != "b" else None,
            }
            for n in range(3)
        ]
        line = 4 * np.array([(y, x) for y in range(4) for x in range(4)])
        even = np.linalg.norm(line[:, None] - line[None], axis=-1).mean()
        record = {
            "attention_distance": [[6.0, 7.0], [7.5, 8.0]],
            "even_distance": float(even),
            "distance_images": 4,
            "stride": 4,
            "probe": probe,
            "probe_images": 10,
            "validation_images": 10,
            "position_similarity": None,
            "provenance": PROVENANCE,
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    files = {
        name: {"examine": f"{name}.json", "examine_arrays": f"{name}.npz"}
        for name in LABELS
    }
    study = {"examine": {"variants": list(LABELS)}}
    return results_with(tmp_path, files, study, LABELS)


@pytest.mark.parametrize("module", FIGURES, ids=lambda m: m.__name__.split(".")[-1])
def test_nothing_examined_draws_nothing(module, tmp_path: Path):
    assert not module.draw(results_with(tmp_path, {}, {"examine": None}))


@pytest.mark.parametrize("module", FIGURES, ids=lambda m: m.__name__.split(".")[-1])
def test_draws_and_saves(module, results: StudyResults):
    for figure in named(module.draw(results)).values():
        assert "<svg" in style.svg(figure)


def test_equal_positions_share_a_panel(results: StudyResults):
    figure = position_similarity.draw(results)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["learnable", "sinusoidal"]
    matrix = figure.axes[0].images[0].get_array()
    assert np.allclose(np.diag(matrix), 1)


def test_a_map_per_layer_the_rollout_and_the_decoder(results: StudyResults):
    columns = [
        [axes.get_title() for axes in figure.axes if axes.get_title()]
        for figure in attention_maps.draw(results)
    ]
    layers = ["Layer 1", "Layer 2", "Roll-out"]
    assert columns == [layers, layers, [*layers, "Decoder"]]


def test_the_scale_of_a_map_ends_at_what_is_reached(results: StudyResults):
    for figure in attention_maps.draw(results):
        images = [image for axes in figure.axes for image in axes.images]
        maps = [image for image in images if image.get_array().shape == (4, 4)]
        top = max(np.abs(image.get_array()).max() for image in maps)
        assert {image.get_clim() for image in maps} == {(-top, top)}


def test_distances_in_pixels_one_mark_per_head(results: StudyResults):
    first = attention_distance.draw(results).axes[0]
    heads = [line.get_ydata().tolist() for line in first.lines[:2]]
    assert heads == [[6.0, 7.5], [7.0, 8.0]]
    line = 4 * np.array([(y, x) for y in range(4) for x in range(4)])
    even = np.linalg.norm(line[:, None] - line[None], axis=-1).mean()
    assert first.lines[2].get_ydata()[0] == pytest.approx(even)
    bottom, top = first.get_ylim()
    assert 5 < bottom < 6 and even < top < even + 2


def test_probes_in_percent_and_gaps_where_no_token_is(results: StudyResults):
    patches, token = probe_depth.draw(results).axes
    assert patches.lines[0].get_ydata().tolist() == pytest.approx([20, 30, 40])
    assert np.isnan(token.lines[1].get_ydata()).all()
