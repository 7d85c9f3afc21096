"""Controls, looks at single networks and the export, as the workflow makes them."""

import csv
import json
from pathlib import Path

from labmill import index, looks
from labmill.plan import Plan
from mill import TINY, Mill

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


def test_the_runs_are_exported_to_mlflow(finished: Mill, monkeypatch):
    # As for `mlflow ui`: the file store has to be allowed by name.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    done = finished.run("results/tiny/mlflow")
    assert done.returncode == 0, done.stdout
    from mlflow.tracking import MlflowClient

    place = finished.directory / "results/tiny"
    client = MlflowClient(tracking_uri=(place / "mlflow").as_uri())
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    found = {run.data.tags["mlflow.runName"]: run.data.metrics for run in runs}
    with (place / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(found) == len(rows) == 8
    for row in rows:
        metrics = found[f"{row['variant']}/seed{row['seed']}/{row['stage']}"]
        if row["test_accuracy"]:
            at = "parts.test.accuracy"
            assert metrics[at] == float(row["test_accuracy"])


def plan_of(tmp_path: Path, **loop) -> Plan:
    pruning = {"prune": TINY["pruning"]["prune"] | {"steps": 9} | loop}
    return Plan(Mill(tmp_path).write(ASKED | {"pruning": pruning}))


def recorded(loop, variant, seed, step):
    """Ends after the fourth step; seed 0 holds 90 % to the second, seed 1 never."""
    accuracy = 0.95 - 0.02 * step if seed == 0 else 0.5
    return {
        "step": step,
        "finished": step == 4,
        "finetuned": accuracy,
        "macs": 100 - step,
    }


def test_the_test_set_is_opened_for_the_end_the_choice_and_the_controls(tmp_path: Path):
    plan = plan_of(tmp_path, drop=0.1, above=0.9, controls=["scratch"])
    for seed, opened in ((0, [2, 4, "scratch"]), (1, [4, "scratch"])):
        stages = index.loop_stages(plan, "prune", "cnn", seed, recorded)
        names = [stage.name for stage in stages]
        assert names == [f"prune_{n}" for n in (1, 2, 3, 4, "scratch")]
        assert [s.name for s in stages if s.opened] == [f"prune_{n}" for n in opened]
        assert [s.timed for s in stages] == [s.opened for s in stages]
    every = plan_of(tmp_path, drop=0.1, measured="every")
    assert all(s.timed for s in index.loop_stages(every, "prune", "cnn", 0, recorded))


def test_what_results_do_not_decide_is_known_before(tmp_path: Path):
    plan = plan_of(tmp_path, drop=0.1, controls=["longer"])
    fixed = set(index.fixed_files(plan))
    whole = set(index.results_files(index.results_index(plan, recorded)))
    assert fixed < whole
    assert {path for path in whole - fixed if "/prune_" not in path} == set()
    assert not [path for path in fixed if "/prune_" in path]


def test_a_look_is_asked_of_the_first_seed_alone(tmp_path: Path):
    plan = plan_of(tmp_path)
    assert list(looks.asked(plan, "cnn", 0)) == ["influence", "formulate"]
    assert not [*looks.asked(plan, "cnn", 1), *looks.asked(plan, "vit", 0)]


def test_jobs_are_made_once_however_often_they_are_asked_for(tmp_path: Path):
    plan = plan_of(tmp_path, controls=["longer"])
    assert plan.prune_job("prune", "cnn", 0, 9) is plan.prune_job(
        "prune", "cnn", "0", "9"
    )
    assert plan.stage_job("cnn", 0, "prune_longer").kind == "control"
    again = plan_of(tmp_path, controls=["longer"], steps=8)
    control, other = (p.stage_job("cnn", 0, "prune_longer") for p in (plan, again))
    assert control.fingerprint != other.fingerprint
    first = [p.stage_job("cnn", 0, "prune_1").fingerprint for p in (plan, again)]
    assert first[0] == first[1]
