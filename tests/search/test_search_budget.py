"""Searches with a budget: checks, rounds, and the real workflow, killed and continued."""

import copy
import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.workflow_run import Mill
from labmill.core.errors import LabmillError
from labmill.plan.plan import Plan
from labmill.plan.search_rounds import upper_bound
from labmill.search.records import Costs, RankedPoint, SearchRound
from labmill.search.rounds import SearchProgress
from labmill.study.schema import Budget, Search
from labmill.study.search_budget import affordable, cost

MATRIX = {
    "training.learning_rate": [1e-4, 1e-3, 1e-2],
    "training.batch_size": [16, 32, 64],
}
SEARCHED = {
    "title": "Searched",
    "data": {"dataset": "digits", "limit": 300, "test_limit": 50, "validation": 0.3},
    "defaults": {
        "model": {"name": "cnn", "layers": ["conv 4", "pool", "flatten"]},
        "training": {
            "epochs": 4,
            "learning_rate": 1e-3,
            "schedule": {"kind": "cosine"},
            "ema": 0.9,
        },
    },
    "seeds": [5],
    "measure": {"batches": [1], "repeats": 3},
    "variants": {"base": {}}
    | {name: {"chosen": {"search": name[5:]}} for name in ("best_random", "best_tpe")}
    | {"best_halving": {"chosen": {"search": "halving"}}},
    "search": {
        "random": {"method": "random", "budget": {"operations": 4e7}},
        "tpe": {"method": "tpe", "budget": {"runs": 7}},
        "halving": {"method": "halving", "budget": {"runs": 4}},
    },
}
for declared in SEARCHED["search"].values():
    declared |= {"variant": "base", "matrix": MATRIX}


def read(mill: Mill, path: str) -> dict:
    return json.loads((mill.directory / "results/searched" / path).read_text())


def trials(mill: Mill) -> dict:
    return {
        name: read(mill, f"{name}/chosen.json")["rounds"] for name in SEARCHED["search"]
    }


def weights(mill: Mill, run: str) -> bytes:
    folder = mill.directory / "results/searched" / run
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Mill:
    """A finished study with a search of each method. Copy, don't change."""
    mill = Mill(tmp_path_factory.mktemp("searched"))
    mill.write(SEARCHED, "searched")
    mill.build("searched")
    return mill


def test_each_method_runs_to_a_report_within_its_budget(searched: Mill):
    rounds = trials(searched)
    tried = {
        name: {p for one in rounds[name] for p in one["points"]} for name in rounds
    }
    assert len(tried["tpe"]) == 7
    assert [len(one["points"]) for one in rounds["halving"]] == [8, 4, 2]
    assert [one["end"] for one in rounds["halving"]] == [1, 2, 4]
    ranking = read(searched, "random/chosen.json")["ranking"]
    assert len(ranking) > 1 and sum(p["operations"] for p in ranking) <= 4e7
    report = (searched.directory / "results/searched/report.md").read_text()
    assert "of 9 points of its grid (successive halving" in report
    assert "It stopped 4 after epoch 1 and 2 after epoch 2." in report
    # Nothing is left to do, and every trial that runs was one of the plan's.
    assert searched.jobs("searched") == set()


def test_a_survivor_has_the_weights_of_an_uninterrupted_run(searched: Mill):
    """Those of the search by TPE trained the same settings in one go."""
    *_, last = trials(searched)["halving"]
    tpe = {p["point"] for p in read(searched, "tpe/chosen.json")["ranking"]}
    both = [p for p in last["points"] if p.replace("halving", "tpe") in tpe]
    assert both
    for point in both:
        whole = f"{point.replace('halving', 'tpe')}/seed0/dense"
        assert weights(searched, f"{point}/seed0/dense") == weights(searched, whole)


def test_stopped_points_are_never_chosen(searched: Mill):
    ranking = read(searched, "halving/chosen.json")["ranking"]
    stopped = [point["status"] == "paused" for point in ranking]
    assert stopped == sorted(stopped) and sum(stopped) == 6


@pytest.mark.slow
def test_a_killed_search_continues_with_the_same_trials(searched: Mill, tmp_path: Path):
    mill = Mill(tmp_path)
    mill.write(SEARCHED, "searched")
    for made in ("round2.json", "round3.json"):
        process = subprocess.Popen(
            mill.command("results/searched/report.html"),
            cwd=mill.directory,
            env=mill.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        path = mill.directory / "results/searched/tpe" / made
        while process.poll() is None and not path.exists():
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (mill.directory / "results/searched/report.html").exists()
    mill.build("searched")
    assert trials(mill) == trials(searched)
    for name in ("random", "tpe", "halving"):
        first = read(mill, f"{name}/chosen.json")["ranking"][0]["point"]
        run = f"{first}/seed0/dense"
        assert weights(mill, run) == weights(searched, run)


def plan_of(tmp_path: Path, search: str, **changes) -> Plan:
    study = copy.deepcopy(SEARCHED)
    study["search"][search] |= changes
    return Plan(Mill(tmp_path).write(study, "searched"))


@pytest.mark.parametrize(
    ("search", "changes", "message"),
    [
        ("tpe", {"method": "bayes"}, "method: found 'bayes'; allowed: grid, halving"),
        ("tpe", {"budget": None}, "method: tpe needs a budget, such as budget: {runs"),
        ("tpe", {"budget": {"epochs": 9}}, "budget: found epochs; a budget has one of"),
        ("tpe", {"budget": {"runs": 1, "hours": 1}}, "found runs, hours; a budget has"),
        ("tpe", {"seeds": [0, 1], "budget": {"runs": 1}}, "one point takes 2 runs"),
        ("tpe", {"method": "grid"}, "budget: a grid trains every point"),
        ("halving", {"budget": {"runs": 1}}, "halving begins with 2 points"),
        ("halving", {"training": {"epochs": 7}}, "found 7 epochs, which factor 2"),
        ("halving", {"training": {"evaluate_every": 2}}, "found 2; rounds end after"),
    ],
)
def test_a_wrong_budget_is_one_clear_message(
    tmp_path: Path, search: str, changes: dict, message: str
):
    with pytest.raises(LabmillError) as error:
        plan_of(tmp_path, search, **changes)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_halving_looks_at_its_own_points_only(tmp_path: Path):
    study = copy.deepcopy(SEARCHED)
    other = {"variant": study["search"]["halving"]["variant"]}
    other["matrix"] = {"training.epochs": [3]}
    study["search"] = {"halving_wide": other} | study["search"]
    Plan(Mill(tmp_path).write(study, "searched"))  # 3 epochs would be refused


def test_a_search_without_confirmation_is_refused(tmp_path: Path):
    study = copy.deepcopy(SEARCHED)
    del study["variants"]["best_tpe"]
    with pytest.raises(LabmillError, match="no variant confirms its choice"):
        Plan(Mill(tmp_path).write(study, "searched"))


def test_the_plan_shows_the_budget_as_an_upper_bound(tmp_path: Path):
    plan = plan_of(tmp_path, "random")
    jobs = [job.subject for job in plan.jobs(upper_bound(plan)) if job.rule == "train"]
    assert sum(subject.startswith("tpe_") for subject in jobs) == 7
    assert sum(subject.startswith("halving_") for subject in jobs) == 2
    assert sum(subject.startswith("random_") for subject in jobs) == 9  # the whole grid


@given(
    st.integers(2, 5),
    st.integers(0, 3),
    st.integers(1, 7),
    st.floats(0, 50),
)
def test_halving_never_costs_more_than_its_budget(factor, rounds, first, budget):
    ends = [first * factor**n for n in range(rounds + 1)]
    points = affordable(budget, ends, factor, 200)
    assert points == 0 or cost(points, ends, factor) <= budget + 1e-6
    assert points == 200 or cost(points + 1, ends, factor) > budget


def progress(method: str, made: int, results: dict, seed: int = 0) -> SearchProgress:
    """Return a search over 12 points, with its results so far in their order."""
    points = {f"s_{a}_{b}": {"x": a, "y": b} for a in range(4) for b in "abc"}
    return SearchProgress(
        search=Search(
            variant="any",
            matrix={},
            method=method,
            at_once=2,
            budget=Budget(runs=10),
            seeds=(seed,),
        ),
        number=made + 1,
        ends=[4],
        points=points,
        rounds=[
            SearchRound(end=4, points=list(results)[i : i + 2])
            for i in range(0, len(results), 2)
        ],
        results=results,
    )


def result(point: str, accuracy: float) -> RankedPoint:
    costs = Costs(seconds=[1.0], operations=[1.0], parameters=[1])
    return RankedPoint(
        point=point,
        settings={},
        validation_accuracy=accuracy,
        validation_sd=None,
        seconds=1.0,
        operations=1.0,
        parameters=1,
        status="completed",
        reached=None,
        seeds=[0],
        accuracies=[accuracy],
        costs=costs,
    )


def searched_points(folder: Path, seed: int) -> list[str]:
    """Return the points that TPE tries where s_3_b is the best."""
    found = progress("tpe", 0, {}, seed)
    while following := found.following():
        asked = found.ask(following, folder / f"{seed}.journal")
        gain = {p: result(p, int(p[2]) / 10 + (p[4] == "b") / 10) for p in asked}
        results = {**found.results, **gain}
        found = replace(progress("tpe", found.number, results, seed))
    return list(found.results)


def test_proposals_depend_on_the_seed_and_on_results_alone(tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    tried = searched_points(one, 0)
    assert len(tried) == len({*tried}) == 10
    assert tried == searched_points(two, 0) != searched_points(one, 1)
