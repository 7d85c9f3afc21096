"""`labmill plan`: what a study would cost on this machine, and on what that rests."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from helpers.workflow_run import ROOT, TINY
from labmill.cluster import cost_estimate
from labmill.cluster.cost_estimate import Cost, time_here
from labmill.cluster.network_speed import NetworkCache
from labmill.plan.plan import Plan
from labmill.plan.rerun_reasons import explanation
from labmill.plan.search_rounds import upper_bound
from labmill.study.scales import SCALES


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plan]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "studies/tiny.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(TINY, sort_keys=False))
    return Plan(path)


def test_time_is_that_of_all_cores_or_of_the_longest_chain():
    def job(seconds: float, makes: str, *reads: str, threads: int = 1) -> Cost:
        return Cost("train", seconds, "", threads, 0, reads, (makes,))

    assert time_here([], 4) == 0
    assert time_here([job(10, str(n)) for n in range(8)], 4) == 20
    assert time_here([job(10, str(n), threads=4) for n in range(8)], 4) == 80
    assert time_here([job(10, "b", "a"), job(10, "a"), job(1, "c")], 4) == 20


def test_a_study_in_rounds_has_two_prices(tmp_path: Path):
    study = {key: value for key, value in TINY.items() if key != "pruning"}
    study["seeds"] = {"start": 3, "most": 8}
    path = tmp_path / "rounds.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    plan = Plan(path)
    costs = [
        Cost(job.rule, 36.0, "", makes=(job.output,))
        for job in plan.jobs(upper_bound(plan))
    ]
    # Five more seeds of two variants, trained and evaluated, and one more round.
    least = sum(1 for _ in plan.jobs())
    assert len(costs) == least + 21
    text = cost_estimate.cost_table(plan, costs)
    assert f"rounds: at most {len(costs)} jobs" in text
    assert f"at least {least} jobs ({least / 100:.2f} job-hours)" in text
    assert "3 to 8 seeds: rounds of 3, 5, 8" in explanation(plan)


def test_measured_networks_are_remembered_and_used(plan: Plan):
    elsewhere = {f"FLOPs at the rate of {name} elsewhere" for name in ("cnn", "vit")}
    assert {c.basis for c in trainings(plan)} == elsewhere
    cost_estimate.measure(plan, "cpu")
    assert {c.basis for c in trainings(plan)} == {"measured"}
    cache = NetworkCache()
    before = dict(cache.own.speeds)
    assert len(before) == 2, "seeds, epochs and fine-tuning change no step"
    cost_estimate.measure(plan, "cpu")
    assert NetworkCache().own.speeds == before, "measured once"
    # Another code, machine or network is another key.
    network = next(iter(cost_estimate.networks(plan, 2)))
    assert network.here("cpu") in before
    assert network.here("cuda") not in before


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("studies/*.yaml")), ids=lambda p: p.stem
)
def test_the_first_plan_of_our_studies_needs_neither_torch_nor_a_guess(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache = NetworkCache()
    for scale in SCALES:
        plan = Plan(path, scale)
        costs = cost_estimate.costs_of(plan, "cpu", cache=cache)
        bases = {c.basis for c in costs if c.kind in cost_estimate.TRAINING}
        assert all("elsewhere" in basis for basis in bases), "call make speeds"
    assert not cache.own.counts, "nothing was counted"


def trainings(plan: Plan) -> list[Cost]:
    costs = cost_estimate.costs_of(plan, "cpu")
    return [cost for cost in costs if cost.kind in cost_estimate.TRAINING]


def test_a_plan_shows_all_scales_and_needs_no_torch(plan: Plan):
    call = "import sys; from labmill.cli import main; main(['plan', 'tiny']); "
    call += "print('torch' in sys.modules)"
    for torch in ("True", "False"):
        done = subprocess.run(
            [sys.executable, "-c", call], capture_output=True, text=True, check=True
        )
        lines = done.stdout.splitlines()
        assert lines[-1] == torch, "the second time, all networks are counted"
    text = done.stdout
    assert "tiny: 21 jobs" in text and "on the" in text and "cores of this" in text
    rows = [line.split()[:2] for line in lines if line.rstrip().endswith("MB")]
    assert [scale for scale, _ in rows] == ["full", "laptop", "smoke"]
    assert int(rows[0][1]) == 21


def test_own_images_and_an_own_network_have_a_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from PIL import Image

    from labmill.workflow.project import init

    init(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    for name in ("cats", "dogs"):
        Path("pictures", name).mkdir(parents=True)
        for number in range(40):
            Image.new("RGB", (16, 16), (number, 0, 0)).save(
                f"pictures/{name}/{number}.png"
            )
    study = yaml.safe_load(Path("studies/mine.yaml").read_text())
    arguments = {"path": "pictures", "image_size": 16}
    data = {"dataset": "image_folder", "arguments": arguments, "test": 0.25}
    for name, changes in (("mine", {}), ("pictures", {"data": data})):
        Path(f"studies/{name}.yaml").write_text(yaml.safe_dump(study | changes))
        plan = Plan(Path(f"studies/{name}.yaml"))
        costs = cost_estimate.estimates([plan], {})[plan]
        seconds = [cost.seconds for cost in costs if cost.kind == "train"]
        assert len(seconds) == 6 and max(seconds) < 100
    assert cost_estimate.images(plan) == 80 * 0.75 * 0.9
