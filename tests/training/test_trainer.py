"""What a run does over its epochs: same bits, honest endings, every setting at work."""

import itertools
import logging
import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from helpers.training_runs import (
    CLASSES,
    IMAGE_MODELS,
    RICH,
    bare,
    equal,
    fitted,
    images_of,
    network,
)
from labmill.core import progress as core_progress
from labmill.core.errors import LabmillError
from labmill.flops.counter import count
from labmill.stats.randomness import seed_for
from labmill.study.schema import Training
from labmill.training import data_loader, trainer
from labmill.training import precision as choices
from labmill.training.data_loader import batch_bounds
from labmill.training.early_stopping import EarlyStopping
from labmill.training.predict import predict
from labmill.training.progress import Progress
from labmill.training.records import EpochRow

PLAIN = {
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": 0.01,
    "compile": "off",
    "precision": "fp32",
}


def weights(folder) -> bytes:
    return (folder / "done.safetensors").read_bytes()


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_two_runs_with_one_seed_are_byte_identical(name, tmp_path):
    one = fitted(tmp_path / "one", RICH, name=name)
    two = fitted(tmp_path / "two", RICH, name=name)
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
    assert bare(one.history) == bare(two.history)


def test_another_seed_and_another_stage_are_other_runs(tmp_path):
    fitted(tmp_path / "one", RICH)
    fitted(tmp_path / "two", RICH, seed=6)
    fitted(tmp_path / "three", RICH, seed=seed_for(5, "finetune 1"))
    assert len({weights(tmp_path / name) for name in ("one", "two", "three")}) == 3


def test_global_generators_neither_matter_nor_move(tmp_path):
    fitted(tmp_path / "one", RICH)
    torch.manual_seed(99)
    np.random.seed(99)
    fitted(tmp_path / "two", RICH)
    assert weights(tmp_path / "one") == weights(tmp_path / "two")


@pytest.mark.parametrize("name", ["cnn", "vit"])
def test_streaming_from_disk_equals_resident(name, tmp_path):
    data = images_of()
    np.save(tmp_path / "images.npy", data.images)
    fitted(tmp_path / "resident", RICH, name=name, resident=True)
    data.images = np.load(tmp_path / "images.npy", mmap_mode="r")
    fitted(tmp_path / "streamed", RICH, name=name, data=data, resident=False)
    assert weights(tmp_path / "resident") == weights(tmp_path / "streamed")


def test_images_stream_when_they_fill_half_the_memory(monkeypatch):
    data = images_of()

    def source():
        return data_loader.Source(
            data.images, data.labels, data.train, torch.device("cpu")
        )

    size = data.images[:1].nbytes * len(data.train)
    monkeypatch.setattr(data_loader, "free_memory", lambda _: 2 * size + 2)
    assert source().images is not None
    monkeypatch.setattr(data_loader, "free_memory", lambda _: 2 * size)
    assert source().images is None


@pytest.mark.parametrize("piece", [1, 10**9])
def test_batches_do_not_depend_on_how_many_are_prepared_at_once(
    piece, tmp_path, monkeypatch
):
    fitted(tmp_path / "usual", RICH)
    monkeypatch.setitem(data_loader.PIECE_BYTES, "cpu", piece)
    fitted(tmp_path / "other", RICH)
    assert weights(tmp_path / "usual") == weights(tmp_path / "other")


def seen(monkeypatch) -> list[torch.Tensor]:
    """The inputs of all steps to come."""
    inputs: list[torch.Tensor] = []
    eager = trainer.TrainStep.eager

    def noted(self, x, y, rate):
        inputs.append(x.clone())
        return eager(self, x, y, rate)

    monkeypatch.setattr(trainer.TrainStep, "eager", noted)
    return inputs


def test_two_variants_with_one_seed_see_the_same_batches(tmp_path, monkeypatch):
    settings = {**RICH, "log_batches": None}
    inputs = seen(monkeypatch)
    fitted(tmp_path / "a", settings, name="cnn")
    first = inputs.copy()
    inputs.clear()
    fitted(tmp_path / "b", {**settings, "optimizer": "sgd"}, name="vit")
    assert all(torch.equal(a, b) for a, b in zip(first, inputs, strict=True))


def test_every_image_is_seen_once_an_epoch_in_a_new_order(tmp_path, monkeypatch):
    inputs = seen(monkeypatch)
    data = images_of()
    fitted(tmp_path, {**PLAIN, "epochs": 2}, data=data)
    wanted = torch.from_numpy(data.images[np.sort(data.train)]) / 255 * 2 - 1
    epochs = torch.cat(inputs[:4]), torch.cat(inputs[4:])
    assert not torch.equal(*epochs)
    for epoch in epochs:
        found = sorted(epoch.flatten(1).tolist())
        assert np.allclose(found, sorted(wanted.flatten(1).tolist()), atol=1e-6)


def test_a_label_budget_trains_on_the_first_of_the_split(tmp_path, monkeypatch):
    inputs = seen(monkeypatch)
    data = images_of()
    fitted(tmp_path, {**PLAIN, "epochs": 1, "labels": 5}, data=data)
    wanted = torch.from_numpy(data.images[data.train[:5]]) / 255 * 2 - 1
    found = sorted(torch.cat(inputs).flatten(1).tolist())
    assert np.allclose(found, sorted(wanted.flatten(1).tolist()), atol=1e-6)
    with pytest.raises(LabmillError, match="labels: found 27; the split has 26"):
        fitted(tmp_path / "more", {**PLAIN, "labels": 27})


@pytest.mark.parametrize(
    ("images", "size", "sizes"),
    [
        (33, 32, [33]),
        (65, 32, [32, 33]),
        (34, 32, [32, 2]),
        (64, 32, [32, 32]),
        (3, 1, [1, 1, 1]),
        (1, 32, [1]),
        (0, 32, []),
    ],
)
def test_a_last_batch_of_one_joins_the_one_before(images, size, sizes):
    assert np.diff(batch_bounds(images, size)).tolist() == sizes


@pytest.mark.parametrize("name", ["cnn", "resnet"])
@pytest.mark.parametrize("piece", [1, 10**9])
def test_families_with_batch_norm_train_with_one_image_too_many(
    name, piece, tmp_path, monkeypatch
):
    monkeypatch.setitem(data_loader.PIECE_BYTES, "cpu", piece)
    inputs = seen(monkeypatch)
    fitted(
        tmp_path,
        {**PLAIN, "epochs": 1, "labels": 17},
        model=network(name, size=8),
        data=images_of(size=8),
    )
    assert [len(x) for x in inputs] == [8, 9]


def test_batch_norm_of_one_image_is_a_message(tmp_path):
    with pytest.raises(LabmillError, match="batch norm needs two images"):
        fitted(
            tmp_path,
            {**PLAIN, "labels": 1},
            model=network("resnet", size=8),
            data=images_of(size=8),
        )


# History


def test_history_tells_what_happened(tmp_path):
    outcome = fitted(tmp_path, {**PLAIN, "evaluate_every": 2, "log_batches": 3})
    assert outcome.status == "completed"
    assert [row.epoch for row in outcome.history] == [1, 2, 3]
    known = [row.validation_accuracy is not None for row in outcome.history]
    assert known == [False, True, True]
    seconds = [row.seconds for row in outcome.history]
    assert all(a < b for a, b in itertools.pairwise([0.0, *seconds]))
    macs = count(network(), (3, 32, 32)).total.operations
    found = [row.operations for row in outcome.history]
    assert found == [3 * macs * 26 * epoch for epoch in (1, 2, 3)]
    steps = [(row.epoch, row.step, row.images) for row in outcome.batches]
    assert steps == [(1, 3, 24), (2, 2, 42), (3, 1, 60), (3, 4, 78)]


def test_loss_and_accuracy_are_means_over_images(tmp_path):
    """With a rate of almost nothing the network stays what it was."""
    model, data = network("lenet"), images_of()
    settings = {**PLAIN, "epochs": 1, "learning_rate": 1e-12, "optimizer": "sgd"}
    row = fitted(tmp_path, settings, name="lenet", model=model).history[0]
    for part in ("train", "validation"):
        indices = getattr(data, part)
        logits = predict(
            model,
            data.images,
            indices,
            normalisation=([0.5], [0.5]),
            batch_size=7,
            channels_last=True,
            precision="fp32",
        )
        targets = torch.from_numpy(data.labels[indices])
        loss = nn.functional.cross_entropy(logits, targets).item()
        accuracy = (logits.argmax(1) == targets).float().mean().item()
        assert getattr(row, f"{part}_loss") == pytest.approx(loss, rel=1e-5)
        assert getattr(row, f"{part}_accuracy") == pytest.approx(accuracy)


def test_no_epochs_leave_the_network_as_it_is(tmp_path):
    model = network()
    outcome = fitted(tmp_path, {**PLAIN, "epochs": 0}, model=model)
    assert (outcome.status, outcome.history) == ("completed", [])
    assert equal(model.state_dict(), network().state_dict())


def test_it_learns(tmp_path):
    settings = {**PLAIN, "epochs": 8, "optimizer": "adam"}
    assert fitted(tmp_path, settings).history[-1].validation_accuracy >= 0.9


# Endings


def test_until_a_training_accuracy(tmp_path):
    until = {"train_accuracy": 0.9, "max_epochs": 50}
    outcome = fitted(tmp_path, {**PLAIN, "until": until})
    assert outcome.status == "reached_target"
    accuracies = [row.train_accuracy for row in outcome.history]
    assert accuracies[-1] >= 0.9 > max(accuracies[:-1])


def test_until_gives_up(tmp_path):
    until = {"train_accuracy": 0.999, "max_epochs": 2}
    settings = {**PLAIN, "learning_rate": 1e-9, "until": until}
    outcome = fitted(tmp_path, settings)
    assert (outcome.status, len(outcome.history)) == ("completed", 2)


def epoch(train: float, loss: float, accuracy: float) -> EpochRow:
    """An epoch of which only these numbers matter."""
    numbers = dict.fromkeys(EpochRow.model_fields, 0)
    return EpochRow(
        **numbers
        | {
            "train_accuracy": train,
            "validation_loss": loss,
            "validation_accuracy": accuracy,
        }
    )


def verdicts(watch: EarlyStopping, rows: list[tuple[float, float]]) -> list[str | None]:
    return [watch.verdict(epoch(0, loss, accuracy)) for loss, accuracy in rows]


def test_converged_waits_for_its_patience():
    training = Training(converged={"patience": 2, "tolerance": 0.1})
    losses = [1.0, 0.5, 0.45, 0.39, 0.35, 0.30]  # 0.39 gains against 0.5
    found = verdicts(EarlyStopping(training), [(loss, 0.0) for loss in losses])
    assert found == [None] * 5 + ["converged"]


def test_early_stopping_watches_accuracy_and_marks_the_best():
    watch = EarlyStopping(Training(early_stopping={"patience": 2}))
    marks = []
    for accuracy, expected in [
        (0.5, None),
        (0.6, None),
        (0.6, None),
        (0.55, "stopped_early"),
    ]:
        assert verdicts(watch, [(9.0, accuracy)]) == [expected]
        marks.append(watch.improved)
    assert marks == [True, True, False, False]


@pytest.mark.parametrize(("last", "best"), [(0.4, False), (0.8, True)])
def test_a_target_reached_does_not_hide_which_epoch_was_best(last, best):
    until = {"train_accuracy": 0.9, "max_epochs": 9}
    watch = EarlyStopping(Training(until=until, early_stopping={"patience": 2}))
    assert watch.verdict(epoch(0.5, 1.0, 0.6)) is None and watch.improved
    assert watch.verdict(epoch(0.95, 1.0, last)) == "reached_target"
    assert watch.improved == best


def test_patience_counts_epochs_not_validations():
    watch = EarlyStopping(Training(converged={"patience": 4}, evaluate_every=2))
    assert verdicts(watch, [(1, 0), (1, 0), (1, 0)]) == [None, None, "converged"]


def test_early_stopping_keeps_the_best_weights(tmp_path, monkeypatch):
    accuracies = iter([0.2, 0.9, 0.4, 0.3])
    states = []

    def validate(self):
        states.append(self.snapshot())
        return 1.0, next(accuracies)

    monkeypatch.setattr(trainer.Trainer, "validate", validate)
    model = network()
    settings = {**PLAIN, "epochs": 9, "early_stopping": {"patience": 2}}
    outcome = fitted(tmp_path, settings, model=model)
    assert (outcome.status, len(outcome.history)) == ("stopped_early", 4)
    assert equal(model.state_dict(), states[1])
    assert not equal(states[1], states[3])


def test_converged_keeps_the_last_weights(tmp_path, monkeypatch):
    states = []

    def validate(self):
        states.append(self.snapshot())
        return 1.0, 0.5

    monkeypatch.setattr(trainer.Trainer, "validate", validate)
    model = network()
    settings = {**PLAIN, "epochs": 9, "converged": {"patience": 2}}
    outcome = fitted(tmp_path, settings, model=model)
    assert (outcome.status, len(outcome.history)) == ("converged", 3)
    assert equal(model.state_dict(), states[-1])


@pytest.mark.parametrize("rule", ["converged", "early_stopping"])
def test_rules_on_validation_need_validation_images(rule, tmp_path):
    data = images_of()
    data.validation = data.validation[:0]
    with pytest.raises(LabmillError, match=f"{rule}: the split has no validation"):
        fitted(tmp_path, {**PLAIN, rule: {"patience": 2}}, data=data)
    assert fitted(tmp_path, PLAIN, data=data).history[0].validation_loss is None


def test_divergence_is_a_result(tmp_path):
    model = network()
    settings = {**PLAIN, "optimizer": "sgd", "learning_rate": 1e9, "epochs": 5}
    outcome = fitted(tmp_path, settings, model=model)
    assert outcome.status == "diverged"
    assert len(outcome.history) < 5
    assert not math.isfinite(outcome.history[-1].train_loss)
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_too_little_memory_is_a_sentence(error, tmp_path, monkeypatch):
    def fail(*_):
        raise error("DefaultCPUAllocator: can't allocate memory: you tried 4 GB")

    monkeypatch.setattr(trainer.TrainStep, "eager", fail)
    with pytest.raises(LabmillError, match=r"out of memory on cpu.*Try batch_size 4"):
        fitted(tmp_path, PLAIN)


# Other uses of the one loop


def test_rotation_learns_without_labels(tmp_path):
    data = images_of()
    data.labels = np.full_like(data.labels, -1)
    data.images[:, :, :8] = 255  # a bright bar at the top shows the rotation
    model = network("two_conv")
    model.reset_head(4)
    settings = {**PLAIN, "epochs": 6}
    outcome = fitted(tmp_path, settings, model=model, data=data, task="rotation")
    assert outcome.history[-1].validation_accuracy > 0.9
    macs = count(model, (3, 32, 32)).total.operations
    assert outcome.history[0].operations == 3 * macs * 26 * 4


def test_a_linear_probe_leaves_the_features_alone(tmp_path):
    model = network("cnn")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("head."))
    outcome = fitted(tmp_path, PLAIN, model=model)
    for name, tensor in network("cnn").state_dict().items():
        changed = not torch.equal(tensor, model.state_dict()[name])
        assert changed == name.startswith("head."), name
    counted = count(model, (3, 32, 32))
    head = counted.under("head").operations
    assert outcome.history[0].operations == 26 * (counted.total.operations + 2 * head)


def test_layers_that_no_gradient_reaches_cost_one_pass(tmp_path):
    model = network("vit", class_token="after")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    outcome = fitted(tmp_path, {**PLAIN, "epochs": 1}, model=model)
    moved = {n for n, x in model.state_dict().items() if not torch.equal(x, before[n])}
    assert moved == {
        "class_token",
        "norm.weight",
        "norm.bias",
        "head.weight",
        "head.bias",
    }
    counted = count(model, (3, 32, 32))
    learning = counted.under("norm").operations + counted.under("head").operations
    step = counted.total.operations + 2 * learning
    assert outcome.history[0].operations == 26 * step


def test_one_layer_that_does_not_learn_makes_no_probe(tmp_path):
    model = network("speednet")
    outcome = fitted(tmp_path, {**PLAIN, "epochs": 1}, name="speednet", model=model)
    forward = count(model, (3, 32, 32)).total.operations
    assert outcome.history[0].operations == 26 * 3 * forward


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_predictions_do_not_depend_on_the_batch(name):
    model, data = network(name).train(), images_of()

    def predicted(**more):
        return predict(
            model,
            data.images,
            data.validation,
            **{
                "normalisation": ([0.5], [0.5]),
                "batch_size": 4,
                "channels_last": True,
                "precision": "fp32",
                **more,
            },
        )

    plain = predicted()
    assert plain.shape == (10, CLASSES) and plain.dtype == torch.float32
    torch.testing.assert_close(plain, predicted(batch_size=10), rtol=1e-4, atol=1e-5)
    assert all(module.training for module in model.modules())
    mirrored = images_of()
    data.images = data.images[..., ::-1].copy()
    flipped = predicted()
    data.images = mirrored.images
    expected = (plain + flipped) / 2
    torch.testing.assert_close(predicted(flip=True), expected, rtol=1e-4, atol=1e-5)
    parts = []
    for rows in (slice(2, None), slice(None, -2)):
        padded = np.pad(data.images, [(0, 0), (0, 0), (1, 1), (1, 1)], "reflect")
        data.images = np.ascontiguousarray(padded[:, :, rows, rows])
        parts.append(predicted())
        data.images = mirrored.images
    expected = (plain + sum(parts) / 2) / 2
    torch.testing.assert_close(predicted(shift=1), expected, rtol=1e-4, atol=1e-5)


def test_bfloat16_trains_and_keeps_weights_in_full_precision(tmp_path):
    model = network()
    outcome = fitted(tmp_path, {**PLAIN, "precision": "bf16", "epochs": 6}, model=model)
    assert outcome.facts.precision == "bf16"
    assert outcome.history[-1].train_accuracy > 0.6
    assert {p.dtype for p in model.parameters()} == {torch.float32}


# Choices


def test_without_a_compiler_steps_run_uncompiled(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(choices, "compiler", lambda: None)
    outcome = fitted(tmp_path, {**PLAIN, "compile": "step"})
    assert outcome.facts.compile == "off"
    assert "no C++ compiler" in caplog.text


def test_when_compiling_fails_steps_run_uncompiled(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise ValueError("an operation that it does not know")

    monkeypatch.setattr(trainer.TrainStep, "compiled", fail)
    outcome = fitted(tmp_path / "failed", {**PLAIN, "compile": "step"})
    assert outcome.facts.compile == "off"
    assert "an operation that it does not know" in caplog.text
    fitted(tmp_path / "off", PLAIN)
    assert weights(tmp_path / "failed") == weights(tmp_path / "off")


def test_auto_looks_at_model_settings_and_device_alone():
    cpu = torch.device("cpu")

    def compiled(macs, steps, precision="fp32", **settings):
        return choices.compilation(Training(**settings), precision, macs, steps, cpu)

    assert compiled(10**6, 10**6) == "step"
    assert compiled(10**6, 100) == "off"
    assert compiled(10**9, 10**6) == "off"
    assert compiled(10**9, 100, compile="step") == "step"
    assert compiled(10**6, 10**6, compile="off") == "off"


def test_auto_takes_bfloat16_only_for_compared_families(monkeypatch):
    monkeypatch.setattr(choices, "has_bf16", lambda _: True)
    monkeypatch.setattr(choices, "BF16_COMPARED", frozenset({"cnn"}))
    model, cpu = network(), torch.device("cpu")

    def chosen(family, macs, **settings):
        model.family = family
        return choices.precision(Training(**settings), model, macs, cpu)

    assert chosen("cnn", 10**8) == "bf16"
    assert chosen("cnn", 10**8, precision="fp32") == "fp32"
    assert chosen("cnn", 1000) == "fp32"
    assert chosen("vit", 10**8) == "fp32"
    monkeypatch.setattr(choices, "has_bf16", lambda _: False)
    assert chosen("cnn", 10**8) == "fp32"


def test_threads_are_pinned_and_recorded(tmp_path):
    assert fitted(tmp_path, PLAIN, threads=2).facts.threads == 2
    torch.set_num_threads(1)


def test_a_file_gets_few_lines(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "labmill"):
        fitted(tmp_path, {**PLAIN, "epochs": 6}, progress=True)
    lines = [r.message for r in caplog.records if r.message.startswith("epoch")]
    assert [line.split(":")[0] for line in lines] == [
        "epoch 1.0 of 6",
        "epoch 6.0 of 6",
    ]
    assert "validation" in lines[-1] and "images/s" in lines[-1]


def test_publishing_costs_less_than_one_per_cent(tmp_path: Path):
    core_progress.open_state(tmp_path / "x.log")
    row = EpochRow(
        **dict.fromkeys(EpochRow.model_fields, 1.0) | {"epoch": 1, "operations": 1}
    )
    history = [row.model_copy(update={"epoch": n + 1}) for n in range(5000)]
    told = Progress(6000, 10, 0, history, on=True)
    spent = []
    for _ in range(9):
        told.published = core_progress._written = -core_progress.EVERY
        began = time.process_time()
        told.step(5000, 1, [torch.tensor(1.0)] * 20)
        spent.append(time.process_time() - began)
    core_progress.close_state()
    assert len(core_progress.read_state(tmp_path / "x.log").curve) > 64
    # It happens once in EVERY seconds.
    assert min(spent) < 0.01 * core_progress.EVERY
