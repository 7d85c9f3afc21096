"""Pretext tasks and mixing weights in sentences, and what a study's runs are called."""

import numpy as np
import pytest

from helpers.analysis_records import representation
from helpers.synthetic_results import make_results
from labmill.analysis.records import Mixing
from labmill.report.results import StudyResults
from labmill.report.runs import ResultsFolder, Run, as_declared, read_runs
from labmill.report.sections.features.claims import (
    between_classes,
    make_claims,
    pretext_claims,
)
from labmill.report.sections.results.failures import failure_claims


@pytest.fixture
def results(tmp_path) -> StudyResults:
    job, index = make_results(tmp_path)
    study = as_declared(job["settings"]["study"])
    place = ResultsFolder(tmp_path / "results/synthetic", "results/synthetic")
    return StudyResults(study, read_runs(index, place), place)


def extra(kind: str, seed: int, **cells) -> Run:
    cells |= {"kind": kind, "seed": seed, "variant": kind, "label": kind}
    cells |= {"stage": kind, "status": "completed"}
    sources = {name: (f"{kind}{seed}.csv", name) for name in cells}
    return Run({"files": {}}, cells, sources)


def test_runs_of_each_kind_are_counted_apart(results):
    rows = [*results.rows, extra("edit", 0), extra("edit", 1), extra("pretext", 0)]
    (claim,) = failure_claims(StudyResults(results.study, rows, results.folder))
    text = claim["statement"].replace("\N{NO-BREAK SPACE}", " ")
    assert (
        "All 15 trainings, 9 pruning steps, the pretext training and 2 brief trainings "
        "finished"
    ) in text


def test_a_pretext_is_told_with_its_held_out_accuracy_and_its_cost(results):
    found = {"epochs": 5, "device": "cpu"}
    rows = [
        extra("pretext", 0, validation_accuracy=0.5, train_seconds=50.0, **found),
        extra("pretext", 1, validation_accuracy=0.7, train_seconds=70.0, **found),
    ]
    (claim,) = pretext_claims(StudyResults(results.study, rows, results.folder))
    text = claim["statement"].replace("\N{NO-BREAK SPACE}", " ")
    assert "60.0 % of the held-out" in text
    assert "mean of 2 seeds; guessing: 25 %" in text
    assert "1 min 0 s on cpu" in text


def test_mixing_weights_are_told_class_by_class(results):
    row = next(iter(results.runs["cnn"].values()))
    mean, sd = np.full((2, 10, 3), 0.5), np.zeros((2, 10, 3))
    sd[0] = 0.1  # block 1: images differ, classes do not
    mean[1, 4, 2] = 0.9  # block 2: one class does, and nothing else
    mixing = {"mean": mean.tolist(), "sd": sd.tolist()}
    assert between_classes(Mixing(**mixing)) == pytest.approx([0, 1])
    row.record["files"]["represent"] = "results/synthetic/represent.json"
    record, _ = representation()
    changed = record.model_copy(update={"mixing": Mixing(**mixing), "images": 100})
    changed.write(results.folder.path("results/synthetic/represent.json"))
    results.study["represent"] = {"variants": ["cnn", "rotation"]}
    (claim,) = make_claims(results)
    text = claim["statement"].replace("\N{NO-BREAK SPACE}", " ")
    assert "0 % (block 1) and 100 % (block 2)" in text
    assert "convolution a3 ranges from 0.50 for 0 to 0.90 for 4" in text
