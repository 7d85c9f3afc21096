"""One unstable variant hides nothing, and runs that learned too little are named."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest

from helpers.synthetic_results import make_results
from labmill.report.number_format import SPACE
from labmill.report.results import StudyResults
from labmill.report.runs import results_folder
from labmill.report.sections.results.answers import answers
from labmill.report.summarize import Summary, summary

# A student's study: 3 optimizers × 3 learning rates × 3 seeds on 500 test images.
RUNS = Path(__file__).parent / "optimizers_runs.csv"
STUCK = {"adam_high": "Adam 0.01", "adamw_high": "AdamW 0.01"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """The summary of those 27 runs."""
    root = tmp_path_factory.mktemp("optimizers")
    accuracies: dict[str, list[float]] = {}
    labels: dict[str, str] = {}
    with RUNS.open() as file:
        for row in csv.DictReader(file):
            accuracies.setdefault(row["variant"], []).append(
                float(row["test_accuracy"])
            )
            labels[row["variant"]] = row["label"]
    small = {"name": "cnn", "layers": ["conv 4", "pool", "flatten"]}
    job, index = make_results(
        root,
        true=accuracies,
        changes={
            "variants": {
                v: {"label": label, "model": small} for v, label in labels.items()
            },
            "compare": {},
            "pruning": {},
            "published": None,
        },
    )
    return summary(job, index, results_folder(index, root / "results/synthetic"))


@pytest.fixture(scope="module")
def optimizers(study: Summary) -> dict[str, dict[str, Any]]:
    """Their claims, by id."""
    return {claim["id"]: claim for claim in study.claims}


def test_the_two_stuck_runs_are_named_and_in_no_comparison(optimizers):
    named = {id for id in optimizers if id.startswith("untrained:")}
    assert named == {f"untrained:{variant}" for variant in STUCK}
    for variant, label in STUCK.items():
        said = optimizers[f"untrained:{variant}"]["statement"].replace(SPACE, " ")
        assert f"1 of 3 runs of “{label}” learned too little: seed 0 with 10 %" in said
        assert "The other 2 seeds: 70 % and 70 %." in said
    for claim in optimizers.values():
        if claim["verdict"] and claim["contrast"]:
            sides = {v for pair in claim["contrast"]["pairs"] for v in pair}
            assert not sides & set(STUCK)
    finished = optimizers["all_well"]["statement"].replace(SPACE, " ")
    assert "All 27 trainings finished" in finished
    assert "2 of 27 learned too little" in finished


def test_the_difference_of_41_points_is_shown(optimizers):
    """Adam 0.001 against SGD 0.001; the pooled error of all nine hid it."""
    best = optimizers["best"]["statement"].replace(SPACE, " ")
    assert best.startswith("“Adam 0.001” comes first")
    lead = re.search(
        r"Its lead over (.*) is shown \(estimates (.*) to 40\.6 points\)", best
    )
    assert lead and "“SGD 0.001”" in lead[1] and float(lead[2]) > 10
    undecided = best.split("undecided for its lead over ")[1].split(". Its")[0]
    assert "“AdamW 0.001”" in undecided


def test_the_stuck_runs_are_on_the_first_page(study, optimizers):
    results = StudyResults(
        study.index["provenance"]["settings"]["study"],
        study.rows,
        study.rows[0].folder,
    )
    numbered = [c | {"number": n} for n, c in enumerate(optimizers.values(), 1)]
    results.__dict__["numbered"] = numbered
    (answer,) = answers(results)
    assert answer.answer == "no: 2 of 27 learned too little"
    assert answer.number == "“Adam 0.01” seed 0 and “AdamW 0.01” seed 0"
