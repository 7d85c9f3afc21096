"""Sentences about what `examine` found, from figures worked out by hand."""

from typing import Any

import pytest

from helpers.report_records import PROVENANCE
from labmill.core.files import write_json
from labmill.report.results import StudyResults
from labmill.report.runs import ResultsFolder, Run, load_record
from labmill.report.sections.attention.claims import make_claims

ABOUT = {
    "attention_distance": [[6.0, 7.0], [7.5, 8.04]],
    "even_distance": 8.3,
    "distance_images": 160,
    "stride": 4,
    "probe_images": 100,
    "provenance": PROVENANCE,
    "validation_images": 100,
    "probe": [
        {"layer": 0, "patches": 0.2, "token": None},
        {"layer": 1, "patches": 0.45, "token": 0.5},
        {"layer": 2, "patches": 0.5, "token": 0.4},
    ],
    "position_similarity": {
        "own": {"neighbours": 0.1, "others": -0.02},
        "sinusoidal": {"neighbours": 0.7, "others": 0.4},
    },
}


@pytest.fixture
def said(tmp_path):
    """The statements about a network, by id."""

    def claims(**changes: Any) -> dict[str, dict[str, Any]]:
        write_json(tmp_path / "examine.json", ABOUT | changes)
        load_record.cache_clear()
        cells = {"variant": "a", "label": "A", "kind": "variant", "seed": 3}
        cells |= {"stage": "dense", "status": "completed"}
        record = {"files": {"examine": "results/examine.json"}}
        place = ResultsFolder(tmp_path, "results")
        study = {"examine": {"variants": ["a", "gone"]}}
        results = StudyResults(study, [Run(record, cells, folder=place)], place)
        return {claim["id"]: claim for claim in make_claims(results)}

    return claims


def test_the_layer_that_knows_most_and_the_first_that_may_know_as_much(said):
    claim = said()["probe_depth:a"]
    text = claim["statement"].replace("\N{NO-BREAK SPACE}", " ")
    # Half the 95 % interval of 50 of 100 images: 9.8 points.
    assert "the mean of the patches gives the right class" in text
    assert "for 50 % of images, after layer 2; " in text
    assert "layer 1 is the first within 10 points of that" in text
    assert text.endswith("for 50 % of images, after layer 1.")
    assert "seed 3" in text and "100 validation images" in text
    assert claim["n"] == 100
    assert claim["inputs"] == [{"file": "results/examine.json", "field": "probe"}]


def test_distances_stand_beside_even_attention(said):
    text = said()["attention_distance:a"]["statement"].replace("\u00a0", " ")
    assert "4 heads are 6.0 to 8.0 pixels" in text and "has 8.3" in text


def test_positions_stand_beside_a_sinusoidal_table_unless_they_are_one(said):
    text = said()["position_similarity:a"]["statement"]
    assert "patches is 0.10, of all other pairs \N{MINUS SIGN}0.02;" in text
    assert text.endswith("0.70 and 0.40.")
    same = {"own": {"neighbours": 0.7, "others": 0.4}}
    tables = ABOUT["position_similarity"] | same
    assert "position_similarity:a" not in said(position_similarity=tables)
    assert "position_similarity:a" not in said(position_similarity=None)
