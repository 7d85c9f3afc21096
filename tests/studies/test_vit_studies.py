"""The two transformer studies: what they declare, and that they run."""

import os
import shutil
from pathlib import Path

import pytest

from helpers.workflow_run import ROOT, Mill, planned
from labmill.core import registry
from labmill.plan.plan import Plan
from labmill.study.scales import SCALES

STUDIES = ("vit_positions", "vit_patches_heads")
PUBLISHED = {
    "cosine_relu": ("sinusoidal", "relu", 6, 8, 8),
    "cosine_tanh": ("sinusoidal", "tanh", 6, 8, 8),
    "cosine_gelu": ("sinusoidal", "gelu", 6, 8, 8),
    "learnable_relu": ("learnable", "relu", 4, 6, 12),
    "learnable_tanh": ("learnable", "tanh", 4, 6, 12),
    "learnable_gelu": ("learnable", "gelu", 4, 6, 12),
}
# Questions whose levels differ in one setting of the network, and in which.
ONE_FACTOR = {
    ("vit_positions", "softmax"): "softmax_output",
    ("vit_positions", "positions"): "positions",
    ("vit_positions", "position_kinds"): "positions",
    ("vit_positions", "activation"): "activation",
    ("vit_positions", "depth"): "depth",
    ("vit_positions", "heads"): "heads",
    ("vit_positions", "width"): "dim",
    ("vit_patches_heads", "patches_published"): "patch",
    ("vit_patches_heads", "heads_published"): "heads",
    ("vit_patches_heads", "heads"): "heads",
    ("vit_patches_heads", "overlap_published"): "stride",
    ("vit_patches_heads", "token_after"): "class_token",
}


def study(name: str, scale: str = "full") -> Plan:
    """A committed study at a scale."""
    return Plan(ROOT / "studies" / f"{name}.yaml", scale)


def full_arguments(plan: Plan, variant: str) -> dict:
    """All arguments of a variant's network, defaults included."""
    model = plan.resolve(variant).model
    defaults = {a.name: a.default for a in registry.arguments("models", model.name)}
    return defaults | model.arguments


def parameters(plan: Plan, variant: str) -> int:
    """Weights of a variant's network."""
    allowed = {a.name for a in registry.arguments("models", "vit")}
    facts = {key: value for key, value in plan.facts.items() if key in allowed}
    built = registry.build("vit", **facts, **plan.resolve(variant).model.arguments)
    return sum(p.numel() for p in built.parameters())


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", STUDIES)
def test_loads_at_every_scale(name: str, scale: str):
    plan = study(name, scale)
    assert plan.variants
    full = study(name)
    assert {e.name for e in plan.variants} <= {e.name for e in full.variants}
    jobs = [
        plan.train_job(e.name, s).fingerprint for e in plan.variants for s in e.seeds
    ]
    assert len(set(jobs)) == len(jobs), "no run is declared twice"


@pytest.mark.parametrize("name", STUDIES)
def test_smaller_scales_are_smaller(name: str):
    def work(scale: str) -> int:
        plan = study(name, scale)
        images = plan.study.data.limit or 23_000
        return sum(
            e.training.epochs * images * len(e.seeds) for e in plan.resolved.values()
        )

    assert work("smoke") < work("laptop") / 10 < work("full") / 50


@pytest.mark.parametrize("scale", ("laptop", "smoke"))
@pytest.mark.parametrize("name", STUDIES)
def test_questions_and_searches_follow_what_is_run(name: str, scale: str):
    plan = study(name, scale)
    run = {entry.name for entry in plan.variants}
    assert plan.study.compare
    for comparison in plan.study.compare.values():
        assert len(comparison.levels) > 1
        assert run >= {v for level in comparison.levels.values() for v in level}
    used = {entry.chosen.search for entry in plan.variants if entry.chosen}
    assert set(plan.study.search) == used


def test_published_variants_are_faithful():
    plan = study("vit_positions")
    for name, expected in PUBLISHED.items():
        model, training = full_arguments(plan, name), plan.resolve(name).training
        keys = ("positions", "activation", "depth", "heads", "dim")
        assert tuple(model[key] for key in keys) == expected
        assert model["softmax_output"] and not model["final_norm"]
        assert (model["projections"], model["norm"]) == ("headwise", "pre")
        assert (model["patch"], model["stride"], model["class_token"]) == (
            4,
            None,
            "start",
        )
        assert (training.optimizer, training.learning_rate) == ("adam", 1e-4)
        assert (training.epochs, training.batch_size) == (10, 32)
        assert training.schedule.kind == "constant" and not training.augmentation.flip
    data = plan.study.data
    assert plan.facts["num_classes"] == 5
    assert (data.normalisation, data.roll_number) == ("half", "M21AIE225")
    assert plan.study.published is not None
    assert set(plan.study.published.variants) == set(PUBLISHED)


def test_published_patches_are_faithful():
    plan = study("vit_patches_heads")
    assert plan.study.published is not None
    for name in plan.study.published.variants:
        training = plan.resolve(name).training
        assert (training.optimizer, training.learning_rate) == ("adam", 5e-3)
        assert (training.epochs, training.batch_size) == (25, 300)
        assert full_arguments(plan, name)["positions"] == "learnable"
    assert full_arguments(plan, "token_after")["class_token"] == "after"


@pytest.mark.parametrize(("name", "question"), ONE_FACTOR)
def test_one_factor_at_a_time(name: str, question: str):
    plan = study(name)
    reference, *others = plan.study.compare[question].levels.values()
    for level in others:
        for first, second in zip(reference, level, strict=True):
            a, b = full_arguments(plan, first), full_arguments(plan, second)
            differ = {key for key in a if a[key] != b[key]}
            assert differ == {ONE_FACTOR[name, question]}, (first, second)
            assert plan.resolve(first).training == plan.resolve(second).training


def test_tuned_variants_have_equal_budgets():
    plan = study("vit_patches_heads")
    searches = plan.study.search.values()
    assert len({str(search.matrix) for search in searches}) == 1
    assert len({str((search.training, search.seeds)) for search in searches}) == 1
    for entry in plan.variants:
        if entry.chosen:
            assert "training.learning_rate" not in entry.fixed


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("name", "best"),
    [("vit_positions", "learnable_gelu"), ("vit_patches_heads", "heads10")],
)
def test_recipe_is_no_larger_and_trains_no_longer(name: str, best: str, scale: str):
    assert parameters(study(name), "recipe") <= parameters(study(name), best)
    plan = study(name, scale)
    rivals = [entry.training.epochs for entry in plan.variants]
    assert plan.resolve("recipe").training.epochs <= min(rivals)


def test_editing_learnable_tanh_alone_reruns_only_it(tmp_path: Path):
    source = (ROOT / "studies" / "vit_positions.yaml").read_text()
    path = tmp_path / "vit_positions.yaml"
    path.write_text(source)
    before = fingerprints(Plan(path))
    line = "model: {softmax_output: true, positions: learnable, activation: tanh, "
    assert source.count(line) == 1
    path.write_text(source.replace(line, line + "dropout: 0.1, "))
    after = fingerprints(Plan(path))
    changed = {job for job in before if before[job] != after[job]}
    assert changed == {
        *(("train", "learnable_tanh", seed) for seed in range(5)),
        *(("evaluate", "learnable_tanh", seed) for seed in range(5)),
        ("measure", "learnable_tanh", 0),
        "summarize",
    }


def fingerprints(plan: Plan) -> dict:
    """Every job behind the report, by name."""
    found: dict = {"split": plan.split_job(), "summarize": plan.summarize_job()}
    for entry in plan.variants:
        for seed in entry.seeds:
            found["train", entry.name, seed] = plan.train_job(entry.name, seed)
            job = plan.evaluate_job(entry.name, seed, "dense")
            found["evaluate", entry.name, seed] = job
        first = entry.seeds[0]
        found["measure", entry.name, first] = plan.measure_job(
            entry.name, first, "dense"
        )
        for kind in plan.analyses(entry.name, first):
            job = plan.analysis_job(kind, entry.name, first)
            found[kind, entry.name, first] = job
    return {name: job.fingerprint for name, job in found.items()}


def place(mill: Mill, name: str) -> None:
    """Put a committed study into the working directory."""
    (mill.directory / "studies").mkdir(exist_ok=True)
    shutil.copy(ROOT / "studies" / f"{name}.yaml", mill.directory / "studies")


@pytest.mark.parametrize("name", STUDIES)
def test_dry_run_lists_the_plan(mill: Mill, name: str):
    place(mill, name)
    done = mill.run(f"results/smoke/{name}/report.html", "--dry-run")
    assert done.returncode == 0, done.stdout
    jobs, plan = planned(done.stdout), study(name, "smoke")
    runs = {f"train {e.name} {s}" for e in plan.resolved.values() for s in e.seeds}
    assert {job for job in jobs if job.startswith("train ")} == runs
    examined = {
        f"{kind} {e.name} 0" for e in plan.variants for kind in plan.analyses(e.name, 0)
    }
    assert {job for job in jobs if job.startswith("examine ")} == examined != set()


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("LABMILL_MIRROR"), reason="CIFAR-10 needs LABMILL_MIRROR"
)
@pytest.mark.parametrize("name", STUDIES)
def test_smoke_runs_from_file_to_report(mill: Mill, name: str):
    place(mill, name)
    done = mill.run(f"results/smoke/{name}/report.html", timeout=580)
    assert done.returncode == 0, done.stdout
    folder = mill.directory / "results" / "smoke" / name
    report = (folder / "report.md").read_text()
    for figure in study(name, "smoke").study.figures:
        assert f"figures/{figure}" in report
    assert (folder / "report.pdf").stat().st_size > 10_000
