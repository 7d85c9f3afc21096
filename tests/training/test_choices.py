"""Optimizers, losses and metrics that are chosen by name."""

import inspect
import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score, top_k_accuracy_score
from torch import nn
from torch.nn import functional as F

from helpers.training_runs import RICH, STEPS, equal, fitted, images_of
from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.data.augment import Augmentation
from labmill.plan.plan import Plan
from labmill.study.check_training import FUSED
from labmill.study.schema import Training
from labmill.training import checkpoint, trainer
from labmill.training.data_loader import Batches, Normaliser, Source
from labmill.training.optimizers import Optimizer
from labmill.training.tasks import TASKS, loss_of

# Every optimizer that is torch's own class.
TORCHS = [name for name in registry.names("optimizers") if name not in FUSED]


def test_the_optimizers_are_those_of_torch_that_take_a_rate():
    takes = {
        name.lower()
        for name, kind in vars(torch.optim).items()
        if isinstance(kind, type) and "lr" in inspect.signature(kind).parameters
    }
    left_out = {"lbfgs", "sparseadam"}  # need a closure, sparse gradients
    assert {*registry.names("optimizers")} == takes - left_out


@pytest.mark.parametrize("name", TORCHS)
def test_an_optimizer_is_that_of_torch(name):
    ours, theirs = (torch.manual_seed(0), nn.Linear(5, 3))[1], nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    optimizer = Optimizer(ours, Training(optimizer=name, weight_decay=0.1))
    kind = registry.load_entry("optimizers", name)
    decay = {"weight_decay": 0.1} if name != "rprop" else {}
    reference = kind(theirs.parameters(), lr=0.01, **decay)
    for step in range(4):
        x = torch.randn(8, 5, generator=torch.Generator().manual_seed(step))
        for net in (ours, theirs):
            net.zero_grad()
            net(x).square().sum().backward()
        with torch.no_grad():
            grads = [param.grad for param in optimizer.params]
            states = optimizer.states()
            optimizer.update(optimizer.params, grads, states, 0.01, fused=True)
        reference.step()
    assert torch.equal(ours.weight, theirs.weight)
    assert not torch.equal(
        ours.weight, (torch.manual_seed(0), nn.Linear(5, 3))[1].weight
    )


@pytest.mark.parametrize("name", [*FUSED, *TORCHS])
def test_a_run_that_is_stopped_is_resumed_to_the_same_bits(name, tmp_path):
    settings = RICH | {"optimizer": name, "learning_rate": 1e-3}
    fitted(tmp_path / "whole", settings)
    chance = random.Random(name)
    for at in sorted(chance.sample(range(1, STEPS), 2)):
        rate = trainer.learning_rate

        def stopping(training, step, steps, at=at, rate=rate):
            if step == at:
                os.kill(os.getpid(), signal.SIGTERM)
            return rate(training, step, steps)

        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
            patch.setattr(trainer, "learning_rate", stopping)
            fitted(tmp_path / "part", settings)
    assert fitted(tmp_path / "part", settings).facts.resumed_at
    one, other = (
        checkpoint.read_tensors(tmp_path / part / "done.safetensors")
        for part in ("whole", "part")
    )
    assert equal(one, other)


def test_focal_loss_counts_easy_images_less():
    logits, labels = torch.randn(50, 4), torch.randint(4, (50,))
    plain = F.cross_entropy(logits, labels)
    focal = {
        g: loss_of(Training(loss="focal", loss_arguments={"gamma": g})) for g in (0, 2)
    }
    assert torch.allclose(focal[0](logits, labels), plain)
    certain = torch.tensor([[np.log(0.9), np.log(0.1)]])
    value = focal[2](certain, torch.tensor([0])).item()
    assert value == pytest.approx(-(0.1**2) * np.log(0.9), rel=1e-5)


def test_label_smoothing_reaches_the_loss():
    logits, labels = torch.randn(9, 4), torch.randint(4, (9,))
    found = loss_of(Training(label_smoothing=0.2))(logits, labels)
    assert torch.equal(found, F.cross_entropy(logits, labels, label_smoothing=0.2))


def metric(name, logits, labels):
    return registry.load_entry("metrics", name)(logits, labels)


def test_metrics_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(200, 7)).round(1), np.arange(200) % 7
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = roc_auc_score(labels, shares, multi_class="ovr")
    assert metric("auroc", logits, labels) == pytest.approx(expected)
    distinct = rng.normal(size=(200, 7))
    for count in (3, 5):
        expected = top_k_accuracy_score(labels, distinct, k=count)
        assert metric(f"top{count}", distinct, labels) == pytest.approx(expected)
    truth = np.eye(7)[labels]
    assert metric("brier", logits, labels) == pytest.approx(
        ((shares - truth) ** 2).sum(1).mean()
    )


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (
            "{optimizer: rmsprob}",
            "training.optimizer: found 'rmsprob'; did you mean 'rmsprop'",
        ),
        ("{loss: focl}", "training.loss: found 'focl'; did you mean 'focal'"),
        (
            "{loss: focal, loss_arguments: {gama: 1}}",
            "loss_arguments.gama: unknown argument",
        ),
        ("{loss: focal, label_smoothing: 0.1}", "focal has no label smoothing"),
        ("{optimizer: adam, optimizer_arguments: {epsilon: 1}}", "adam has none"),
        ("{optimizer: rmsprop, optimizer_arguments: {betas: 1}}", "unknown argument"),
        (
            "{optimizer: nadam, optimizer_arguments: {momentum_decay: fast}}",
            "found 'fast' (text); expected a number",
        ),
        (
            "{optimizer: radam, optimizer_arguments: {lr: 0.1}}",
            "unknown argument of radam; allowed: decoupled_weight_decay, eps",
        ),
        (
            "{optimizer: rprop, compile: step}",
            "rprop is torch's, which is not compiled",
        ),
    ],
)
def test_a_wrong_choice_is_one_message(tmp_path: Path, training, message):
    path = tmp_path / "study.yaml"
    path.write_text(
        f"title: x\ndefaults:\n  training: {training}\nvariants: {{a: {{}}}}\n"
    )
    with pytest.raises(LabmillError) as caught:
        Plan(path)
    assert message in str(caught.value), caught.value
    assert str(caught.value).startswith(f"{path}:3: ")


def test_another_optimizer_drops_the_options_of_the_one_before(tmp_path: Path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "title: x\ndefaults:\n"
        "  training: {optimizer: rmsprop, optimizer_arguments: {alpha: 0.9}}\n"
        "variants: {a: {}, b: {training: {optimizer: adam}}}\n"
    )
    plan = Plan(path)
    found = {v.name: v.training.optimizer_arguments for v in plan.variants}
    assert found == {"a": {"alpha": 0.9}, "b": {}}


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ("{augmentation: {mixip: true}}", "mixip: unknown augmentation; did you mean"),
        ("{augmentation: {mixip: false}}", "mixip: unknown augmentation; did you"),
        ("{augmentation: {mixup: {}}}", "mixup: found {}; expected its arguments"),
        ("{augmentation: {mixup: 0}}", "mixup: found 0; expected its arguments, true"),
        (
            "{augmentation: {mixup: 3}}",
            "mixup: found 3; expected its arguments, true or",
        ),
        ("{augmentation: {mixup: {alfa: 1}}}", "mixup.alfa: unknown argument of mixup"),
        ("{augmentation: {mixup: {alpha: x}}}", "mixup.alpha: found 'x' (text)"),
        ("{augmentation: {mixup: {alpha: 0}}}", "alpha: found 0; must be from 0.01"),
        ("{augmentation: {affine: {degrees: 200}}}", "degrees: found 200; must be"),
        ("{augmentation: {random_erasing: {area: [0.5]}}}", "area: found [0.5]; must"),
        (
            "{augmentation: {cutmix: true}, loss: focal}",
            "cutmix mixes labels, which the loss focal does not take; losses that do: "
            "cross_entropy",
        ),
        ("{lookahead: {every: 5}, ema: 0.9}", "lookahead: found ema and lookahead"),
    ],
)
def test_a_wrong_augmentation_is_one_message(tmp_path: Path, training, message):
    test_a_wrong_choice_is_one_message(tmp_path, training, message)


def test_pretexts_have_no_labels_to_mix(tmp_path: Path):
    path = tmp_path / "study.yaml"
    text = (
        "title: x\ndata: {unlabelled: 20}\ndefaults:\n"
        "  training: {augmentation: {mixup: true}}\n"
        "pretexts: {p: {task: rotation, training: {}}}\nvariants: {a: {}}\n"
    )
    path.write_text(text)
    with pytest.raises(LabmillError, match="mixup mixes labels, which p does not use"):
        Plan(path)
    path.write_text(text.replace("ng: {}", "ng: {augmentation: {mixup: false}}"))
    plan = Plan(path).resolved.values()
    found = {v.name: v.training.augmentation.registered for v in plan}
    assert found == {"a": {"mixup": {}}, "p": {}}


def test_variants_change_arguments_of_augmentations(tmp_path: Path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "title: x\ndefaults:\n"
        "  training: {augmentation: {crop: 1, mixup: {alpha: 0.4, probability: 0.5}}}\n"
        "variants:\n  a: {training: {augmentation: {mixup: {alpha: 0.1}}}}\n"
        "  b: {training: {augmentation: {mixup: true, cutmix: true}}}\n"
    )
    found = {v.name: v.training.augmentation for v in Plan(path).variants}
    assert found["a"].registered == {"mixup": {"alpha": 0.1, "probability": 0.5}}
    assert found["b"].registered == {"mixup": {}, "cutmix": {}}
    assert {one.crop for one in found.values()} == {1}


def test_targets_of_mixed_images_are_shares_of_both_classes():
    data = images_of()
    source = Source(data.images, data.labels, data.train, torch.device("cpu"))
    batches = Batches(
        source,
        TASKS["classification"],
        Augmentation({"mixup": {"alpha": 1.0}}, 32),
        Normaliser(([0.0], [1.0]), torch.device("cpu"), channels_last=False),
        batch_size=8,
        seed=0,
        classes=3,
    )
    plain = torch.from_numpy(data.images).float() / 255
    for x, y in batches.epoch(2):
        assert y.shape == (len(x), 3) and torch.allclose(y.sum(1), torch.ones(len(x)))
        assert (y.count_nonzero(1) <= 2).all()
        for image, shares in zip(x, y, strict=True):
            # The image is that mixture of one image of each class.
            classes = shares.nonzero()[:, 0].tolist()
            if len(classes) == 2:
                first, second = (plain[data.labels == one] for one in classes)
                mixed = (
                    shares[classes[0]] * first[:, None] + shares[classes[1]] * second
                )
                errors = (mixed - image).abs().amax((2, 3, 4))
                assert errors.min() < 0.01


def test_only_a_loss_that_says_so_gets_mixed_labels():
    logits = torch.randn(9, 4)
    shares = torch.rand(9, 4).softmax(1)
    for name in registry.names("losses"):
        if registry.constant("losses", name, "MIXED_LABELS"):
            found = loss_of(Training(loss=name))(logits, shares)
            assert found.shape == () and found.isfinite()
