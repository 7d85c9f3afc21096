"""Pretext tasks and mixing weights in sentences, and what a study's runs are called."""

import numpy as np
import pytest
from synthetic import make_results

from labmill.report.claims import Evidence
from labmill.report.claims.chance import chance_claims
from labmill.report.claims.others import failure_claims
from labmill.report.claims.represent import (
    between_classes,
    mixing_claims,
    pretext_claims,
)
from labmill.report.read import Place, Row, as_declared, read_rows
from labmill.runtime import write_json


@pytest.fixture
def evidence(tmp_path) -> Evidence:
    job, index = make_results(tmp_path)
    study = as_declared(job["settings"]["study"])
    place = Place(tmp_path / "results/synthetic", "results/synthetic")
    return Evidence(study, read_rows(index, place), place, {})


def extra(kind: str, seed: int, **cells) -> Row:
    cells |= {"kind": kind, "seed": seed, "variant": kind, "label": kind}
    cells |= {"stage": kind, "status": "completed"}
    sources = {name: (f"{kind}{seed}.csv", name) for name in cells}
    return Row({"files": {}}, cells, sources)


def test_runs_of_each_kind_are_counted_apart(evidence):
    runs = len(evidence.rows)
    rows = [*evidence.rows, extra("edit", 0), extra("edit", 1), extra("pretext", 0)]
    (claim,) = failure_claims(Evidence(evidence.study, rows, evidence.place, {}))
    text = claim["statement"].replace("\N{NO-BREAK SPACE}", " ")
    assert f"All {runs} runs, 2 brief trainings and 1 pretext training came" in text


def test_a_pretext_is_told_with_its_held_out_accuracy_and_its_cost(evidence):
    found = {"epochs": 5, "device": "cpu"}
    rows = [
        extra("pretext", 0, validation_accuracy=0.5, train_seconds=50.0, **found),
        extra("pretext", 1, validation_accuracy=0.7, train_seconds=70.0, **found),
    ]
    (claim,) = pretext_claims(Evidence(evidence.study, rows, evidence.place, {}))
    text = claim["statement"].replace("\N{NO-BREAK SPACE}", " ")
    assert "60.0 % of the held-out" in text
    assert "mean of 2 seeds; guessing: 25 %" in text
    assert "60.0 s on cpu" in text


def test_mixing_weights_are_told_class_by_class(evidence):
    row = next(iter(evidence.runs["cnn"].values()))
    mean, sd = np.full((2, 10, 3), 0.5), np.zeros((2, 10, 3))
    sd[0] = 0.1  # block 1: images differ, classes do not
    mean[1, 4, 2] = 0.9  # block 2: one class does, and nothing else
    mixing = {"mean": mean.tolist(), "sd": sd.tolist()}
    assert between_classes(mixing) == pytest.approx([0, 1])
    row.record["files"]["represent"] = "results/synthetic/represent.json"
    write_json(
        evidence.place.path("results/synthetic/represent.json"),
        {"mixing": mixing, "images": 100},
    )
    evidence.study["represent"] = {"variants": ["cnn", "rotation"]}
    (claim,) = mixing_claims(evidence)
    text = claim["statement"].replace("\N{NO-BREAK SPACE}", " ")
    assert "0 % (block 1) and 100 % (block 2)" in text
    assert "convolution a3 goes from 0.50 for 0 to 0.90 for 4" in text


def test_networks_near_chance_are_named(tmp_path):
    job, index = make_results(tmp_path, true={"vit_sin_relu": 0.17})
    place = Place(tmp_path / "results/synthetic", "results/synthetic")
    study = as_declared(job["settings"]["study"])
    rows = read_rows(index, place)
    (claim,) = chance_claims(Evidence(study, rows, place, {}))
    text = claim["statement"].replace("\N{NO-BREAK SPACE}", " ")
    assert "guesses gets 10 %" in text
    assert "“ViT, sinusoidal, relu” (17." in text
    assert "CNN" not in text
