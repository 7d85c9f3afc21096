"""The Fashion-MNIST study and its grid: what is planned, and how fast."""

import os

import pytest

from helpers.patience import SLOW
from helpers.workflow_run import ROOT, Mill, planned
from labmill.core.trees import flatten
from labmill.plan.plan import Plan
from labmill.study.scales import SCALES

GRID = {"architecture": 72, "training": 48}


def study(name: str, scale: str = "full") -> Plan:
    return Plan(ROOT / "studies" / f"{name}.yaml", scale)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["fashion_search_prune", "fashion_search_grid"])
def test_searches_hold_the_published_points(name: str, scale: str):
    plan = study(name, scale)
    for stage, number in GRID.items():
        points = plan.points(stage)
        assert len(points) == number if scale == "full" else len(points) < number
        assert len({point.name for point in points}) == len(points)
    # A point's accuracy chooses; nothing but validation images may be behind it.
    assert plan.study.data.validation


@pytest.mark.parametrize("scale", ["full", "laptop"])
def test_lessons_differ_from_their_reference_in_what_they_say(scale: str):
    plan = study("fashion_search_prune", scale)
    lessons = plan.study.lessons

    def settings(name: str) -> dict[str, object]:
        entry = plan.resolve(name)
        return (
            flatten(entry.training.model_dump()) | entry.model.model_dump()["arguments"]
        )

    sound = settings(lessons.reference)
    found = {
        name: {key for key, value in settings(name).items() if value != sound[key]}
        for name in lessons.variants
    }
    assert found == {
        "rate_high": {"learning_rate"},
        "rate_low": {"learning_rate"},
        "momentum_high": {"momentum"},
        "batch_small": {"batch_size", "log_batches"},
        "large_long": {"kernel1", "kernel2", "filters1", "filters2", "epochs"},
    }
    assert sound["until"] is None


def test_the_dry_run_of_all_points_and_seeds_takes_seconds(mill: Mill):
    before = os.times()
    done = mill.run("results/fashion_search_prune/report.html", "--dry-run")
    after = os.times()
    assert done.returncode == 0, done.stdout
    spent = after.children_user + after.children_system
    # 7 s on an idle core, 14 s beside other programs.
    assert spent - before.children_user - before.children_system < 10 * SLOW
    jobs = planned(done.stdout)
    plan = study("fashion_search_prune")
    runs = {f"train {e.name} {s}" for e in plan.resolved.values() for s in e.seeds}
    assert len(runs) > 3 * sum(GRID.values())
    assert {job for job in jobs if job.startswith("train ")} == runs
    # The first step of every loop is there; the others follow from results.
    steps = [job for job in jobs if job.startswith("prune ")]
    assert len(steps) == 2 * len(plan.study.seeds)
