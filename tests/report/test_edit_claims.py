"""What the report says of edits: which went on, which comes nearest, and their names."""

from dataclasses import replace
from typing import Any

import pytest

from helpers.report_records import PROVENANCE
from helpers.synthetic_results import make_results
from labmill.architecture_edits.propose import correlation
from labmill.architecture_edits.records import ConfirmedRanking, Edit, EditRanking
from labmill.report.results import StudyResults
from labmill.report.runs import ResultsFolder, as_declared, read_runs
from labmill.report.sections.architecture_edits.claims import make_claims
from labmill.report.sections.published.edits import published_edit_claims
from labmill.report.summarize import labelled

FILES = {
    "edits": "results/synthetic/edits.json",
    "confirmed": "results/synthetic/c.json",
}
TRUE = {"vit_learn_relu": 0.9, "vit_learn_tanh": 0.897, "vit_sin_relu": 0.8}


def edit(words: str, saving: float, variant: str | None = None) -> dict[str, Any]:
    return {
        "words": words,
        "variant": variant,
        "kind": "remove",
        "changes": 1,
        "point": words,
        "settings": {},
        "predicted": {
            "ms": 1.0,
            "saving": saving - 0.05,
            "operations_saving": saving**2,
        },
        "measured": {
            "saving": saving,
            "low": saving - 0.01,
            "high": saving + 0.01,
            "n": 60,
        },
    }


RULE = {"rule": "predicted", "base": {}, "settings": {}, "provenance": PROVENANCE}


def proposed(*edits: dict[str, Any]) -> EditRanking:
    """A ranking of edits whose other fields do not matter."""
    rows = [Edit(**one) for one in edits]
    noise = edit("unchanged", 0.0)["measured"] | {"floor": 0.03}
    found = {"correlation": correlation(rows), "noise": noise, "step_ms": 1.0}
    return EditRanking(**RULE, ranking=rows, **found)


def tried(words: str, saving: float, kept: bool = False) -> dict[str, Any]:
    """A brief training of an edit."""
    costs = {"seconds": 1, "operations": 1, "parameters": 1, "validation_accuracy": 0.9}
    run = {"seed": 0, "status": "completed", "reached": None, "undominated": kept}
    return edit(words, saving) | costs | run


@pytest.fixture(scope="module")
def evidence(tmp_path_factory) -> StudyResults:
    """Edits of vit_learn_relu: two declared as variants, three that were tried."""
    root = tmp_path_factory.mktemp("edits")
    job, index = make_results(root, true=TRUE)
    proposed(
        edit("without a", 0.10, "vit_learn_tanh"),
        edit("without b", 0.30, "vit_sin_relu"),
        edit("without c", 0.02),
    ).write(root / FILES["edits"])
    ConfirmedRanking(
        **RULE,
        unchanged=tried("unchanged", 0.0),
        ranking=[tried("x", 0.2, True), tried("y", 0.1, True), tried("z", 0.05)],
    ).write(root / FILES["confirmed"])
    study = as_declared(job["settings"]["study"])
    study["edits"] = {"tolerance": 0.001, "epochs": 2, "confirm": 1}
    study["published"] = {
        "edits": {"vit_learn_tanh": "vit_learn_relu"},
        "variants": {
            "vit_learn_relu": {"test_accuracy": 0.7325, "train_seconds": 250},
            "vit_learn_tanh": {"test_accuracy": 0.7314, "train_seconds": 226},
        },
    }
    place = ResultsFolder(root / "results/synthetic", "results/synthetic")
    rows = read_runs(index, place)
    return StudyResults(study, rows, place, {"edits": {"vit_learn_relu": FILES}})


def said(claims, start: str) -> str:
    return next(c["statement"] for c in claims if c["id"].startswith(start))


def test_who_went_on_and_who_did_not_is_said(evidence):
    text = said(make_claims(evidence), "edits:vit_learn_relu:tried")
    assert "two are dominated by no other" in text
    assert "Trained in full with all seeds: “x”. Not: “y”" in text


def test_the_prediction_is_told_with_its_error(evidence):
    text = said(make_claims(evidence), "edits:vit_learn_relu:prediction")
    assert "5.0" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "farthest off" in text


def test_the_nearest_edit_is_named_where_none_is_accepted(evidence):
    text = said(make_claims(evidence), "edits:vit_learn_relu:verdict")
    assert "No change of" in text
    assert "Closest is: Without a." in text
    assert "an edit that changes nothing would be accepted in" in text
    assert "seeds would make that 80" in text


def test_a_saving_within_the_noise_is_none(evidence):
    path = evidence.folder.path(FILES["edits"])
    only = proposed(edit("without a", 0.035, "vit_learn_tanh"))
    other = {"edits": "results/synthetic/small.json", "confirmed": None}
    only.write(path.with_name("small.json"))
    study = {**evidence.study, "edits": evidence.study["edits"] | {"tolerance": 0.5}}
    small = replace(evidence, summary={"edits": {"vit_learn_relu": other}}, study=study)
    text = said(make_claims(small), "edits:vit_learn_relu:vit_learn_tanh")
    assert "not outside the timing's noise" in text


def test_a_published_edit_stands_beside_ours(evidence):
    (claim,) = published_edit_claims(evidence)
    text = claim["statement"].replace("\N{NO-BREAK SPACE}", " ")
    assert "there −9.6 % training time and −0.11 points of test accuracy" in text
    assert claim["interval"][0] < claim["estimate"] < claim["interval"][1]


def test_a_confirmed_edit_is_called_after_what_it_is(evidence):
    def record(name: str, label: str):
        return {"kind": "variant", "variant": name, "label": label}

    index = [
        record("vit_learn_relu", "ViT"),
        record("vit_learn_relu_confirmed1", "ViT, edit confirmed 1"),
        {"kind": "edits", "variant": "vit_learn_relu", "files": FILES},
    ]
    labels = [r.get("label") for r in labelled(index, evidence.folder)]
    assert labels == ["ViT", "ViT, x", None]
    index[2] = {**index[2], "files": {"edits": "", "confirmed": ""}}
    assert labelled(index, evidence.folder)[1]["label"] == "ViT, edit confirmed 1"
