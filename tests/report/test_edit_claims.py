"""What the report says of edits: which went on, which comes nearest, and their names."""

from dataclasses import replace

import pytest
from synthetic import make_results

from labmill.measure.propose import correlation
from labmill.report.claims import Evidence
from labmill.report.claims.edits import edit_claims, published_edit_claims
from labmill.report.read import Place, as_declared, read_rows
from labmill.report.summarize import labelled
from labmill.runtime import write_json

FILES = {
    "edits": "results/synthetic/edits.json",
    "confirmed": "results/synthetic/c.json",
}
TRUE = {"vit_learn_relu": 0.9, "vit_learn_tanh": 0.897, "vit_sin_relu": 0.8}


def edit(words: str, saving: float, variant: str | None = None, kept: bool = False):
    return {
        "words": words,
        "variant": variant,
        "kind": "remove",
        "changes": 1,
        "undominated": kept,
        "predicted": {"saving": saving - 0.05, "operations_saving": saving**2},
        "measured": {
            "saving": saving,
            "low": saving - 0.01,
            "high": saving + 0.01,
            "n": 60,
        },
    }


@pytest.fixture(scope="module")
def evidence(tmp_path_factory) -> Evidence:
    """Edits of vit_learn_relu: two declared as variants, three that were tried."""
    root = tmp_path_factory.mktemp("edits")
    job, index = make_results(root, true=TRUE)
    declared = [
        edit("without a", 0.10, "vit_learn_tanh"),
        edit("without b", 0.30, "vit_sin_relu"),
        edit("without c", 0.02),
    ]
    tried = [edit("x", 0.2, kept=True), edit("y", 0.1, kept=True), edit("z", 0.05)]
    proposed = {"ranking": declared, "correlation": correlation(declared)}
    write_json(root / FILES["edits"], proposed | {"noise": {"floor": 0.03}})
    write_json(root / FILES["confirmed"], {"ranking": tried})
    study = as_declared(job["settings"]["study"])
    study["edits"] = {"tolerance": 0.001, "epochs": 2, "confirm": 1}
    study["published"] = {
        "edits": {"vit_learn_tanh": "vit_learn_relu"},
        "variants": {
            "vit_learn_relu": {"test_accuracy": 0.7325, "train_seconds": 250},
            "vit_learn_tanh": {"test_accuracy": 0.7314, "train_seconds": 226},
        },
    }
    place = Place(root / "results/synthetic", "results/synthetic")
    rows = read_rows(index, place)
    return Evidence(study, rows, place, {}, {"vit_learn_relu": FILES})


def said(claims, start: str) -> str:
    return next(c["statement"] for c in claims if c["id"].startswith(start))


def test_who_went_on_and_who_did_not_is_said(evidence):
    text = said(edit_claims(evidence), "edits:vit_learn_relu:tried")
    assert "two are dominated by no other" in text
    assert "Trained in full with all seeds: “x”. Not: “y”" in text


def test_the_prediction_is_told_with_its_error(evidence):
    text = said(edit_claims(evidence), "edits:vit_learn_relu:prediction")
    assert "5.0" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Farthest off" in text


def test_the_nearest_edit_is_named_where_none_is_accepted(evidence):
    text = said(edit_claims(evidence), "edits:vit_learn_relu:verdict")
    assert "No change of" in text
    assert "Nearest to that comes: Without a." in text


def test_a_saving_within_the_noise_is_none(evidence):
    path = evidence.place.path(FILES["edits"])
    rows = [edit("without a", 0.035, "vit_learn_tanh")]
    other = {"edits": "results/synthetic/small.json", "confirmed": ""}
    write_json(
        path.with_name("small.json"),
        {"ranking": rows, "correlation": correlation(rows), "noise": {"floor": 0.03}},
    )
    study = {**evidence.study, "edits": evidence.study["edits"] | {"tolerance": 0.5}}
    small = replace(evidence, edits={"vit_learn_relu": other}, study=study)
    text = said(edit_claims(small), "edits:vit_learn_relu:vit_learn_tanh")
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
    labels = [r.get("label") for r in labelled(index, evidence.place)]
    assert labels == ["ViT", "ViT, x", None]
    index[2] = {**index[2], "files": {"edits": "", "confirmed": ""}}
    assert labelled(index, evidence.place)[1]["label"] == "ViT, edit confirmed 1"
