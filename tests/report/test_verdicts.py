"""Statements of earlier reports that were wrong or misled, and what is stated now."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers.random_studies import RandomStudy
from helpers.synthetic_results import STUDY, make_results
from labmill.plan.outputs import kept_step
from labmill.report.claims.findings import Findings, pair_of
from labmill.report.number_format import SPACE
from labmill.report.results import StudyResults
from labmill.report.runs import results_folder
from labmill.report.sections.arithmetic.claims import ceiling
from labmill.report.sections.pruning.claims import make_claims as pruning_claims
from labmill.report.sections.search.claims import chance_claims, same_claims
from labmill.report.summarize import summary

SMALL = {"model": {"name": "cnn", "layers": ["conv 4", "pool", "flatten"]}}
ALONE: dict[str, Any] = {"compare": {}, "pruning": {}, "published": None}


def claims_of(root: Path, **options: Any) -> dict[str, dict[str, Any]]:
    """The claims of synthetic results, by id, with plain spaces."""
    job, index = make_results(root, **options)
    made = summary(job, index, results_folder(index, root / "results/synthetic")).claims
    return {c["id"]: c | {"said": c["statement"].replace(SPACE, " ")} for c in made}


def test_a_lead_of_11_points_is_shown_beside_variants_that_scatter(tmp_path: Path):
    """Three of seven variants scatter by 5 to 10 points; the first by 0.3."""
    true = {
        "speed": [0.7275, 0.7225, 0.7275],
        "single": [0.6175, 0.6, 0.62],
        "equal": [0.6075, 0.595, 0.5925],
        "softmax": [0.5575, 0.55, 0.5525],
        "published": [0.32, 0.2425, 0.225],
        "augmented": [0.4, 0.28, 0.215],
        "recipe": [0.36, 0.25, 0.21],
    }
    questions = {
        name: {"levels": {"other": [name], "speed": ["speed"]}}
        for name in ("single", "equal")
    }
    changes = {"variants": dict.fromkeys(true, SMALL)} | ALONE | {"compare": questions}
    made = claims_of(tmp_path, true=true, changes=changes)
    assert made["compare:single:speed"]["verdict"] == "higher"
    assert made["compare:equal:speed"]["verdict"] == "higher"
    best = made["best"]["said"]
    assert best.startswith("speed comes first with 72.6 % test accuracy")
    # Three seeds of so unstable variants can be anywhere.
    undecided = best.split("undecided for its lead over ")[1].split(".")[0]
    assert undecided == "augmented, recipe and published"
    assert "Its lead over single, equal and softmax is shown" in best
    assert "published, augmented and recipe vary far more" in made["power"]["said"]


@pytest.mark.parametrize("second", [[1.0, 1.0, 1.0], [0.98, 1.0, 0.99]])
def test_a_tie_is_no_lead(tmp_path: Path, second: list[float]):
    variants = dict.fromkeys(("a", "b"), SMALL)
    true = {"a": sorted(second), "b": second}
    best = claims_of(tmp_path, true=true, changes={"variants": variants} | ALONE)[
        "best"
    ]
    assert best["said"].startswith("a and b come first together")
    assert "lead" not in best["said"]


def test_single_runs_are_named_where_they_cannot_be_ranked(tmp_path: Path):
    variants = dict.fromkeys(("first", "second"), SMALL)
    variants["once"] = SMALL | {"seeds": [0]}
    true = {"first": 0.84, "second": 0.8, "once": [0.86]}
    made = claims_of(tmp_path, true=true, changes={"variants": variants} | ALONE)
    assert "once (86.0 %; one of one seeds)" in made["best"]["said"]
    assert "first is best" in made["best"]["said"]


def test_the_reference_of_demonstrations_is_not_ranked(tmp_path: Path):
    variants = dict.fromkeys(("sound", "wrong", "other", "third"), SMALL)
    lessons = {"reference": "sound", "variants": ["wrong"]}
    made = claims_of(
        tmp_path,
        true={"sound": 0.95},
        changes={"variants": variants, "lessons": lessons} | ALONE,
    )
    assert "sound" not in made["best"]["said"]


def test_times_are_printed_side_by_side(tmp_path: Path):
    levels = {"vit": ["vit_learn_relu"], "cnn": ["cnn"]}
    question = {"levels": levels, "metric": ["train_seconds", "test_accuracy"]}
    made = claims_of(tmp_path, changes={"compare": {"q": question}})
    assert made["compare:q:cnn"]["verdict"] is None
    assert made["compare:q:cnn:test_accuracy"]["verdict"] == "higher"


def test_classes_are_told_in_one_sentence_where_they_differ(tmp_path: Path):
    same = claims_of(tmp_path / "a", true=dict.fromkeys(STUDY["variants"], 0.9))
    assert not [id for id in same if id.startswith("classes:")]
    levels = {"vit": ["vit_sin_relu"], "cnn": ["cnn"]}
    far = claims_of(
        tmp_path / "b",
        seeds=5,
        true={"vit_sin_relu": 0.5},
        changes={"compare": {"q": {"levels": levels}}},
    )
    (told,) = [claim for id, claim in far.items() if id.startswith("classes:")]
    assert "stays undecided" in told["said"] and told["verdict"] is None


# --- prune loops -----------------------------------------------------------------------


def loop(losses: dict[int, list[float]], drop: float = 0.01) -> dict[str, Any]:
    """Claims of a loop: step → loss of validation accuracy by seed; test falls alike."""
    study = RandomStudy(0)
    ease = study.generator.normal(size=120)
    rows = []
    for seed in range(len(losses[1])):
        rows.append(study.run("v0", seed, "dense", 0.9, ease))
        for step, by_seed in losses.items():
            if seed < len(by_seed):
                cells = {"before": 0.9, "finetuned": 0.9 - by_seed[seed]}
                cells |= {"macs": 1000 - 100 * step, "dense_macs": 1000}
                accuracy = 0.9 - 5 * by_seed[seed]
                rows.append(
                    study.run("v0", seed, f"prune_{step}", accuracy, ease, **cells)
                )
    declared = study.study(["v0"], len(losses[1]), {"prune": {"variants": ["v0"]}})
    declared["pruning"]["prune"]["drop"] = drop
    results = StudyResults(declared, rows, study.results().folder, {"scale": "full"})
    return {c["id"]: c for c in pruning_claims(results)}


def test_how_far_a_loop_goes_has_an_interval():
    """Losses of 1, 2 and 4 of 216 images: whether that is over 1 point is open."""
    made = loop({1: [1 / 216, 2 / 216, 4 / 216], 2: [0.03, 0.032, 0.034]})
    reach = made["prune:prune:v0:reach"]
    said = reach["statement"].replace(SPACE, " ")
    assert (
        "(loop prune) costs 1.1 points (95 % interval −0.7 to 2.8, which includes 0)"
        in said
    )
    assert "stays within 1 point for 0 to 1 steps" in said and reach["interval"] == [
        0,
        1,
    ]


def test_a_network_that_pruning_helps_gains_accuracy():
    made = loop({1: [-0.02, -0.021, -0.019], 2: [0.05, 0.05, 0.051]})
    said = made["prune:prune:v0:reach"]["statement"].replace(SPACE, " ")
    assert "gains 2.0 points (95 % interval 1.8 to 2.2) of validation accuracy" in said


def test_the_network_that_would_be_kept_is_compared():
    made = loop({1: [0.002] * 4, 2: [0.05, 0.052, 0.054, 0.05]})
    assert "prune:prune:v0:end" not in made
    kept = made["prune:prune:v0:kept"]
    assert kept["estimate"] == pytest.approx(-0.01, abs=0.009)
    assert "the last step of loop prune within its limit" in kept["statement"]


def test_the_step_that_is_kept():
    records = [{"before": 0.9, "finetuned": x} for x in (0.895, 0.89, 0.88, 0.9)]
    assert kept_step(records, 0.01) == 2
    assert kept_step(records, 0.001) == 0
    assert kept_step([*records[:1], {"finished": False}], 0.01) == 1


# --- searches --------------------------------------------------------------------------


def near(*accuracies: float) -> dict[str, Any]:
    """What is said of how sure the first point of a search is, of 500 images."""
    results = RandomStudy(3).results()
    for row in results.rows:
        row.cells["validation_n"] = 500
    points = [
        SimpleNamespace(status="completed", validation_accuracy=a) for a in accuracies
    ]
    (made,) = chance_claims(
        results, "s", {"file": "f", "field": "ranking"}, SimpleNamespace(ranking=points)
    )
    return made | {"said": made["statement"].replace(SPACE, " ")}


def test_points_of_a_search_are_compared_by_their_difference():
    assert near(0.9, 0.9, 0.88)["said"].endswith(
        "their order may be chance. 1 has exactly the first one's accuracy."
    )
    # Two errors of one accuracy are 2.7 points, two of a difference 3.9.
    assert "2 of the 2 other points are" in near(0.9, 0.868, 0.866)["said"]
    assert "the other point is within" in near(0.9, 0.89)["said"]
    assert "chance" not in near(0.9, 0.7)["said"]


def test_searches_that_choose_the_same_say_so():
    point = SimpleNamespace(settings={"training.learning_rate": 0.001})
    found = {name: SimpleNamespace(ranking=[point]) for name in "ab"}
    results = RandomStudy(3).results()
    results.summary["searches"] = dict.fromkeys("ab", "chosen.json")
    results.__dict__["searches"] = found
    (made,) = same_claims(results)
    assert (
        "Both searches chose the same settings: learning rate 0.001."
        in made["statement"]
    )


def test_no_error_at_all_has_an_upper_limit():
    assert ceiling(2000, 1.0, 0.9995) is None
    found = ceiling(2000, 1.0, 1.0)
    assert found and found.values["most"] == pytest.approx(0.00184, abs=1e-5)


def test_impossible_intervals_are_cut():
    study = RandomStudy(1)
    ease = study.generator.normal(size=120)
    values = {"v0": (0.35, 1.0, 0.35), "v1": (1.0, 0.35, 1.0)}
    rows = [
        study.run(name, seed, "dense", value, ease)
        for name, by_seed in values.items()
        for seed, value in enumerate(by_seed)
    ]
    declared = study.study(["v0", "v1"], 3, {})
    results = StudyResults(declared, rows, study.results().folder, {"scale": "full"})
    outcome = Findings(results, "test_accuracy").outcome(
        pair_of(results, "p", ("v0", "v1"))
    )
    assert outcome and outcome.test.low == -1
