"""Controls, looks at single networks and the export, as the workflow makes them."""

import json
from pathlib import Path

from helpers.workflow_run import TINY, Mill
from labmill.plan import outputs
from labmill.plan.plan import Plan

ASKED = TINY | {
    "pruning": {"prune": TINY["pruning"]["prune"] | {"controls": ["longer"]}},
    "influence": {"variants": ["cnn"], "criteria": ["squares", "random"]},
    "formulate": {"variants": ["cnn"], "images": 40, "repeats": 1},
}


def read(path: Path):
    return json.loads(path.read_text())


def test_controls_and_looks_are_made_of_what_is_there(finished: Mill):
    finished.write(ASKED)
    run = "results/tiny/cnn/seed0"
    targets = {
        "longer": f"{run}/prune_longer/model.json",
        "influence": f"{run}/dense/influence.json",
        "formulate": f"{run}/dense/formulate.json",
    }
    done = finished.run(*targets.values())
    assert done.returncode == 0, done.stdout
    # Asking for more makes nothing again that was there.
    assert "train" not in {line.split()[0] for line in done.stdout.splitlines() if line}
    found = {name: read(finished.directory / path) for name, path in targets.items()}
    dense = read(finished.directory / run / "dense/model.json")
    assert found["longer"]["arguments"] == dense["arguments"]
    assert found["longer"]["training"]["epochs"] == 2  # one for each of two steps
    layers = found["influence"]["layers"]
    assert {len(layer["loss_rise"]) for layer in layers.values()} == {4}
    assert found["formulate"]["images"] == 40
    assert set(found["formulate"]["inference"]) == {"library", "unfold", "shifted"}


def plan_of(tmp_path: Path, **loop) -> Plan:
    pruning = {"prune": TINY["pruning"]["prune"] | {"steps": 9} | loop}
    return Plan(Mill(tmp_path).write(ASKED | {"pruning": pruning}))


def recorded(rule, at):
    """Ends after the fourth step; seed 0 holds 90 % to the second, seed 1 never."""
    step = int(at["step"])
    accuracy = 0.95 - 0.02 * step if at["seed"] == "0" else 0.5
    return {
        "step": step,
        "finished": step == 4,
        "before": 0.95,
        "finetuned": accuracy,
        "macs": 100 - step,
    }


def test_the_test_set_is_opened_for_the_end_the_choice_and_the_controls(tmp_path: Path):
    plan = plan_of(tmp_path, drop=0.1, above=0.9, controls=["scratch"])
    for seed, opened in ((0, [2, 4, "scratch"]), (1, [4, "scratch"])):
        stages = outputs.loop_stages(plan, "prune", "cnn", seed, recorded)
        names = [stage.name for stage in stages]
        assert names == [f"prune_{n}" for n in (1, 2, 3, 4, "scratch")]
        assert [s.name for s in stages if s.tested] == [f"prune_{n}" for n in opened]
        assert [s.timed for s in stages] == [s.tested for s in stages]
    every = plan_of(tmp_path, drop=0.1, measured="every")
    assert all(s.timed for s in outputs.loop_stages(every, "prune", "cnn", 0, recorded))


def test_the_test_set_is_opened_for_the_network_that_would_be_kept(tmp_path: Path):
    """The last step that lost no more than `drop`, not the one that broke the rule."""
    plan = plan_of(tmp_path, drop=0.07)
    for seed, opened in ((0, [3, 4]), (1, [4])):
        stages = outputs.loop_stages(plan, "prune", "cnn", seed, recorded)
        assert [s.name for s in stages if s.tested] == [f"prune_{n}" for n in opened]


def test_what_results_do_not_decide_is_known_before(tmp_path: Path):
    plan = plan_of(tmp_path, drop=0.1, controls=["longer"])
    fixed = set(outputs.fixed_files(plan))
    whole = set(outputs.results_files(outputs.results_index(plan, recorded)))
    assert fixed < whole
    assert {path for path in whole - fixed if "/prune_" not in path} == set()
    assert not [path for path in fixed if "/prune_" in path]


def test_a_look_is_asked_of_the_first_seed_alone(tmp_path: Path):
    plan = plan_of(tmp_path)
    assert plan.analyses("cnn", 0) == ["influence", "formulate"]
    assert not plan.analyses("cnn", 1) and not plan.analyses("vit", 0)


def test_jobs_are_made_once_however_often_they_are_asked_for(tmp_path: Path):
    plan = plan_of(tmp_path, controls=["longer"])
    wildcards = {"loop": "prune", "variant": "cnn", "seed": "0", "step": "9"}
    assert plan.prune_job("prune", "cnn", 0, 9) is plan.job("prune", wildcards)
    assert plan.stage_job("cnn", 0, "prune_longer").kind == "control"
    again = plan_of(tmp_path, controls=["longer"], steps=8)
    control, other = (p.stage_job("cnn", 0, "prune_longer") for p in (plan, again))
    assert control.fingerprint != other.fingerprint
    first = [p.stage_job("cnn", 0, "prune_1").fingerprint for p in (plan, again)]
    assert first[0] == first[1]
