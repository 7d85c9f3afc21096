"""Rounds of seeds: the rule that decides them is the one that prints verdicts."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from helpers.synthetic_results import make_results, stamped
from labmill.plan.checkpoints import on_disk
from labmill.plan.outputs import results_index, round_index, rounds_made
from labmill.plan.plan import Plan
from labmill.report.results import StudyResults
from labmill.report.rounds import Round, decide
from labmill.report.runs import as_declared, results_folder
from labmill.report.sections.method import sentences, tables
from labmill.report.summarize import summary

CHANGES = {
    "seeds": {"start": 3, "most": 8, "until": "decided"},
    "pruning": {},
    "published": None,
    "margin": 0.001,
}


def in_rounds(root: Path, **true: float) -> tuple[list[Round], StudyResults, Mapping]:
    """Make all runs, decide rounds one after the other, and summarize."""
    make_results(root, changes=CHANGES, true=true)
    plan = Plan(root / "studies/synthetic.yaml")
    rounds = []
    while (number := len(rounds) + 1) in rounds_made(plan, on_disk(plan)):
        index = [r.as_json() for r in round_index(plan, number, on_disk(plan))]
        path = Path(plan.results, f"round_{number}.json")
        decide(stamped(plan.decide_job(number)), index, record=path)
        rounds.append(Round.read(path))
    index = [r.as_json() for r in results_index(plan, on_disk(plan))]
    job = stamped(plan.summarize_job())
    folder = results_folder(index, Path(plan.results))
    made = summary(job, index, folder)
    study = as_declared(job["settings"]["study"])
    results = StudyResults(study, made.rows, folder, made.index)
    return rounds, results, {c["id"]: c for c in made.claims}


def test_a_decided_study_ends_with_the_verdicts_of_its_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    far = {"vit_learn_relu": 0.6, "vit_learn_tanh": 0.6}
    rounds, results, claims = in_rounds(tmp_path, **far)
    assert [one.undecided for one in rounds] == [[]]
    assert {len(runs) for runs in results.runs.values()} == {3}
    questions = {q.id: q.verdict for q in rounds[0].questions}
    assert "compare:network:cnn" in questions
    for id, verdict in questions.items():
        assert verdict != "undecided" and claims[id]["verdict"] == verdict
    assert "in 1 round" in sentences.seeds(results).replace("\xa0", " ")
    table = tables.seeds(results)
    assert table and table.rows[-1][:2] == ["all, 40 if fixed", 15]


def test_only_the_variants_of_an_undecided_question_get_more_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    near = {"vit_learn_relu": 0.968, "vit_learn_tanh": 0.95}
    rounds, results, claims = in_rounds(tmp_path, **near)
    assert [one.undecided for one in rounds] == [["vit_learn_relu", "cnn"]] * 2
    seeds = {variant: len(runs) for variant, runs in results.runs.items()}
    assert seeds["cnn"] == seeds["vit_learn_relu"] == 8
    assert seeds["vit_sin_relu"] == seeds["vit_sin_tanh"] == 3
    # At the last look no round follows; the report is as strict as that look.
    assert results.look and results.look.seeds == 8
    claim = claims["compare:network:cnn"]
    low, high = claim["interval"]
    assert (claim["p_adjusted"] <= 0.05) == (low * high > 0)
