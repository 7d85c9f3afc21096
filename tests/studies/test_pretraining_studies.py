"""Rotation pretraining and the dynamic CNN: what the two studies declare."""

from pathlib import Path

import pytest

from helpers.workflow_run import ROOT
from labmill.core import registry
from labmill.plan.plan import Plan
from labmill.report.sweeps import sweeps
from labmill.study.scales import SCALES
from labmill.study.variants import ResolvedVariant

STUDIES = ("rotation_pretraining", "dynamic_cnn")


def study(name: str, scale: str = "full") -> Plan:
    """A committed study at a scale."""
    return Plan(ROOT / "studies" / f"{name}.yaml", scale)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", STUDIES)
def test_no_run_is_declared_twice(name: str, scale: str):
    plan = study(name, scale)
    jobs = [
        plan.train_job(e.name, s).fingerprint
        for e in plan.resolved.values()
        for s in e.seeds
    ]
    assert plan.variants and len(set(jobs)) == len(jobs)


@pytest.mark.parametrize("name", STUDIES)
def test_smaller_scales_are_smaller(name: str):
    def work(scale: str) -> int:
        plan = study(name, scale)
        limit = plan.study.data.limit or 50_000
        return sum(
            e.training.epochs * min(e.training.labels or limit, limit) * len(e.seeds)
            for e in plan.resolved.values()
        )

    assert work("smoke") < work("laptop") / 10 < work("full") / 50


def sweep_of(plan: Plan):
    """The question about label counts."""
    found = sweeps(plan.study.model_dump(mode="json"))
    assert [one.name for one in found] == ["pretraining"]
    return found[0]


@pytest.mark.parametrize("scale", SCALES)
def test_ways_of_starting_differ_in_nothing_else(scale: str):
    plan = study("rotation_pretraining", scale)
    sweep = sweep_of(plan)
    assert next(iter(sweep.levels)) == "from scratch"
    if scale == "full":
        assert sweep.labels == (250, 1000, 4000, 10000, None)
    for row in zip(*sweep.levels.values(), strict=True):
        scratch, whole, probe = map(plan.resolve, row)
        assert scratch.start is None
        assert not whole.start.freeze and probe.start.freeze
        assert whole.training == scratch.training
        assert probe.training == scratch.training.model_copy(
            update={"learning_rate": 10 * scratch.training.learning_rate}
        )
        assert scratch.model == whole.model == probe.model


@pytest.mark.parametrize("scale", SCALES)
def test_the_pretext_sees_no_image_of_a_label_budget(scale: str):
    plan = study("rotation_pretraining", scale)
    largest = max(e.training.labels or 0 for e in plan.variants)
    pretexts = [e for e in plan.resolved.values() if e.kind == "pretext"]
    assert pretexts
    for pretext in pretexts:
        run = plan.run(pretext.name, 0)
        assert (run.images, run.task) == ("train", "rotation")
        assert run.after >= largest > 0
        assert run.training.labels is None


def test_one_pretext_a_seed_feeds_all_that_begin_from_it():
    plan = study("rotation_pretraining")
    started = [e for e in plan.variants if e.start and e.start.pretext == "rotation"]
    for seed in (0, 1, 2):
        assert {plan.pretext_folder(e.name, seed) for e in started} == {
            f"results/rotation_pretraining/rotation/seed{seed}/pretext"
        }


def test_published_variants_are_as_published():
    plan = study("rotation_pretraining")
    published = plan.resolve("published_finetune")
    pretext = plan.resolve(published.start.pretext)
    assert pretext.model.arguments == {"stem": "imagenet"} == published.model.arguments
    assert (pretext.training.epochs, published.training.epochs) == (50, 25)
    assert (
        published.training.labels == plan.study.pretexts[pretext.name].after == 10_000
    )
    printed = {1: 0.1344, 25: 0.2498}
    history = plan.study.published.history["published_finetune"]["train_accuracy"]
    for epoch, share in printed.items():
        assert history[str(epoch)] == pytest.approx(share * 40_000 / 10_000)
    plain = study("dynamic_cnn").resolve("published").training
    assert (plain.epochs, plain.optimizer, plain.learning_rate) == (30, "adam", 1e-3)
    assert (plain.weight_decay, plain.log_batches) == (1e-4, 50)
    assert plain.augmentation.model_dump() == {
        key: type(value)() for key, value in plain.augmentation.model_dump().items()
    }


def differing(one: ResolvedVariant, other: ResolvedVariant) -> set[str]:
    """The model's arguments that are not the same for two variants."""
    settings = []
    for entry in (one, other):
        known = registry.arguments("models", entry.model.name)
        defaults = {argument.name: argument.default for argument in known}
        settings.append(defaults | entry.model.arguments)
    return {key for key in settings[0] if settings[0][key] != settings[1].get(key)}


@pytest.mark.parametrize("question", ["mixing", "mixing_augmented"])
def test_mixing_is_all_that_differs(question: str):
    plan = study("dynamic_cnn")
    (reference,), *others = plan.study.compare[question].levels.values()
    for (name,) in others:
        assert differing(plan.resolve(reference), plan.resolve(name)) == {"mixing"}
        assert plan.resolve(reference).training == plan.resolve(name).training


def test_the_recipe_has_all_that_was_asked_for():
    plan = study("dynamic_cnn")
    recipe, published = plan.resolve("recipe"), plan.resolve("published")
    assert recipe.model == published.model and recipe.test_flip
    training = recipe.training
    assert training.label_smoothing and training.ema
    assert training.augmentation.flip and training.schedule.kind != "constant"
    assert not published.test_flip


@pytest.mark.parametrize("name", STUDIES)
def test_expected_time_and_command_stand_first(name: str):
    first, *more = Path(ROOT / f"studies/{name}.yaml").read_text().splitlines()[:8]
    assert first.startswith(f"# make study NAME={name}")
    assert any("Laptop:" in line for line in more)
    assert any("Expect:" in line for line in more)
