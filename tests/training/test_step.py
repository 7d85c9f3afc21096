"""One step: schedules against closed forms, update rules against torch's own."""

import copy
import itertools
import math
from functools import partial
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from helpers.training_runs import CLASSES, IMAGE_MODELS, network
from labmill.models.network import drop_paths
from labmill.study.schema import Schedule, Training
from labmill.training.initialization import RULES, initialise
from labmill.training.optimizers import (
    Muon,
    hidden_matrices,
    learning_rate,
    orthogonalise,
)
from labmill.training.step import TrainStep
from labmill.training.tasks import TASKS

BASE = {"learning_rate": 0.01, "precision": "fp32", "compile": "off"}


def learner(model: nn.Module, **training) -> TrainStep:
    return TrainStep(
        model, TASKS["classification"], Training(**{**BASE, **training}), "fp32"
    )


def batch(count: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, 32, 32, generator=generator)
    return x, torch.arange(count) % CLASSES


def still(name: str = "vit") -> nn.Module:
    """A small model without dropout."""
    model = network(name)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    drop_paths(model, 0.0)
    return model


# Schedules


def rates(epochs: int, steps: int, **schedule) -> list[float]:
    training = Training(epochs=epochs, learning_rate=0.5, schedule=schedule)
    return [learning_rate(training, step, steps) for step in range(epochs * steps)]


def test_constant():
    assert rates(3, 4) == [0.5] * 12


def test_warmup_rises_from_nothing_to_the_peak():
    expected = [0.125, 0.25, 0.375, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert rates(2, 4, warmup_epochs=1.0) == pytest.approx(expected)


def test_cosine_is_torchs():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12, 0.05)
    expected = []
    for _ in range(12):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    assert rates(3, 4, kind="cosine", final=0.1) == pytest.approx(expected)


@pytest.mark.parametrize(("length", "factor"), [(2, 1), (1, 2), (3, 3)])
def test_restarts_are_torchs(length, factor):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    reference = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        optimizer, 4 * length, factor, 0.05
    )
    expected = []
    for _ in range(32):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    restarts = {"restart_epochs": length, "restart_factor": float(factor)}
    found = rates(8, 4, kind="cosine_restarts", final=0.1, **restarts)
    assert found == pytest.approx(expected)


def test_step_is_torchs():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    reference = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.1)
    expected = []
    for _ in range(5):
        expected += [optimizer.param_groups[0]["lr"]] * 3
        optimizer.step()
        reference.step()
    assert rates(5, 3, kind="step", step_epochs=2) == pytest.approx(expected)


def test_one_cycle_goes_up_and_down_in_straight_lines():
    found = rates(4, 5, kind="one_cycle", warmup_epochs=1.0, final=0.2)
    assert found[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert found[5] == 0.5
    falls = [a - b for a, b in itertools.pairwise(found[5:])]
    assert falls == pytest.approx([0.5 * 0.8 / 15] * 14)


@settings(max_examples=50, deadline=None)
@given(
    kind=st.sampled_from(get_args(Schedule.model_fields["kind"].annotation)),
    warmup=st.floats(0, 4),
    final=st.floats(0, 1),
    epochs=st.integers(1, 6),
    steps=st.integers(1, 7),
)
def test_no_rate_is_above_the_peak_or_negative(kind, warmup, final, epochs, steps):
    found = rates(epochs, steps, kind=kind, warmup_epochs=warmup, final=final)
    assert all(0 <= rate <= 0.5 * (1 + 1e-12) for rate in found)


# Update rules

REFERENCES = {
    "sgd": (
        {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.02},
        lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=0.02),
    ),
    "sgd without momentum": (
        {"optimizer": "sgd", "momentum": 0.0},
        lambda p: torch.optim.SGD(p, lr=0.01),
    ),
    "nesterov": (
        {"optimizer": "sgd", "momentum": 0.8, "nesterov": True, "weight_decay": 0.02},
        lambda p: torch.optim.SGD(
            p, lr=0.01, momentum=0.8, nesterov=True, weight_decay=0.02
        ),
    ),
    "adam": (
        {"optimizer": "adam", "betas": (0.8, 0.95), "weight_decay": 0.02},
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.95), weight_decay=0.02),
    ),
    "adamw": (
        {"optimizer": "adamw", "weight_decay": 0.1},
        lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    ),
}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", REFERENCES)
def test_update_rules_are_torchs(name, fused, layout):
    options, reference = REFERENCES[name]
    ours = still("cnn").to(memory_format=layout)
    theirs = copy.deepcopy(ours)
    mine, other = learner(ours, **options), reference(theirs.parameters())
    params = mine.optimizer.params
    for seed in range(4):
        x, y = batch(seed=seed)
        x = x.contiguous(memory_format=layout)
        other.zero_grad()
        F.cross_entropy(theirs(x), y).backward()
        grads = [param.grad.clone() for param in theirs.parameters()]
        with torch.no_grad():
            rate = 0.01 if fused else torch.tensor(0.01)
            mine.optimizer.update(
                params, grads, mine.optimizer.states(), rate, fused=fused
            )
        other.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_muon_is_torchs():
    generator = torch.Generator().manual_seed(0)
    params = [torch.randn(8, 24, generator=generator), torch.randn(24, 8)]
    theirs = [nn.Parameter(param.clone()) for param in params]
    start = [param.clone() for param in params]
    rule = Muon(momentum=0.9, weight_decay=0.1)
    state = rule.state(params)
    reference = torch.optim.Muon(
        theirs,
        lr=0.05,
        momentum=0.9,
        weight_decay=0.1,
        adjust_lr_fn="match_rms_adamw",
    )
    for _ in range(3):
        grads = [torch.randn(p.shape, generator=generator) for p in params]
        for param, grad in zip(theirs, grads, strict=True):
            param.grad = grad.clone()
        reference.step()
        rule.plain(params, grads, state, 0.05)
    for ours, other, before in zip(params, theirs, start, strict=True):
        # The reference orthogonalises in bfloat16.
        assert (ours - other).norm() < 0.05 * (ours - before).norm()


def test_muon_is_for_hidden_matrices_and_kernels():
    names = hidden_matrices(network("vit"))
    assert "embedding.project.weight" in names
    assert not any(name.startswith("head") or "norm" in name for name in names)
    groups = learner(network("vit"), optimizer="muon").optimizer.groups
    assert [type(group.rule).__name__ for group in groups] == ["Muon", "Adam"]


def test_every_parameter_has_exactly_one_rule():
    for name in IMAGE_MODELS:
        for kind in ("sgd", "adam", "adamw", "muon"):
            optimizer = learner(network(name), optimizer=kind).optimizer
            places = [i for group in optimizer.groups for i in group.where]
            assert sorted(places) == list(range(len(optimizer.params)))


@pytest.mark.parametrize("shape", [(6, 6), (4, 20), (20, 4)])
def test_orthogonalising_maps_singular_values_through_the_polynomial(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, s, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    s = s / s.norm()
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    expected = (u @ s.diag() @ v).float()
    torch.testing.assert_close(orthogonalise(matrix), expected, rtol=0, atol=1e-4)


# What else a step does


@pytest.mark.parametrize("limit", [0.01, 1e9])
def test_clipping_is_torchs(limit):
    ours, theirs = still("cnn"), still("cnn")
    x, y = batch()
    learner(ours, optimizer="sgd", momentum=0.0, gradient_clip=limit).eager(x, y, 0.1)
    F.cross_entropy(theirs(x), y).backward()
    norm = nn.utils.clip_grad_norm_(theirs.parameters(), limit)
    torch.optim.SGD(theirs.parameters(), lr=0.1).step()
    assert (norm > limit) == (limit < 1)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_smoothed_loss_is_the_textbooks():
    task, share = TASKS["classification"], 0.3
    smoothed = partial(F.cross_entropy, label_smoothing=share)
    outputs, targets = torch.randn(5, CLASSES), torch.tensor([0, 1, 2, 0, 1])
    wanted = F.one_hot(targets, CLASSES) * (1 - share) + share / CLASSES
    expected = -(wanted * outputs.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(task.loss(outputs, targets, smoothed), expected)


def test_average_is_the_recursion_over_parameters_and_buffers():
    model = network("cnn")
    mine = learner(model, ema=0.75)
    expected = {n: t.clone() for n, t in model.state_dict().items()}
    for seed in range(3):
        mine.eager(*batch(seed=seed), 0.05)
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                expected[name] = 0.75 * expected[name] + 0.25 * tensor
    for name, tensor in mine.averaged.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, expected[name])
    assert mine.result is mine.averaged


def test_a_frozen_network_learns_in_its_head_only():
    model = still("cnn")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("head."))
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    learner(model, optimizer="adam", weight_decay=0.1).eager(*batch(), 0.1)
    for name, parameter in model.named_parameters():
        changed = not torch.equal(before[name], parameter)
        assert changed == name.startswith("head."), name


def test_rotation_makes_four_examples_of_each_image():
    images = torch.arange(2 * 3 * 4 * 4.0).view(2, 3, 4, 4)
    x, y = TASKS["rotation"].examples(images, torch.tensor([-1, -1]))
    assert y.tolist() == [0, 1, 2, 3] * 2
    for number, turned in enumerate(x):
        original = images[number // 4]
        assert torch.equal(turned, torch.rot90(original, number % 4, (1, 2)))


# Initial weights


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("family", ["cnn", "vit"])
def test_initialisation_has_the_spread_of_its_formula(name, family):
    torch.manual_seed(0)
    model = network(family)
    model.big = nn.Linear(400, 300)
    initialise(model, name)
    fan_in, fan_out = 400, 300
    deviation = {"xavier": math.sqrt(2 / (fan_in + fan_out))}.get(
        name.split("_")[0], math.sqrt(2 / fan_in)
    )
    weight = model.big.weight
    assert weight.std().item() == pytest.approx(deviation, rel=0.02)
    if name.endswith("uniform"):
        assert weight.abs().max().item() <= math.sqrt(3) * deviation * 1.0001
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
            assert not module.bias.any()


def test_default_initialisation_changes_nothing():
    model, other = network("vit"), network("vit")
    initialise(model, "default")
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.parameters(), other.parameters(), strict=True)
    )


def test_heads_are_initialised_one_by_one():
    from labmill.models.attention import HeadwiseProjection

    module = HeadwiseProjection(64, 2, 3)
    initialise(module, "xavier_uniform")
    bound = math.sqrt(6 / (32 + 96))
    assert bound * 0.9 < module.weight.abs().max().item() <= bound
    assert not module.bias.any()


# The whole step in one graph


def test_the_compiled_step_is_the_eager_step():
    options = {"optimizer": "adamw", "weight_decay": 0.01}
    options |= {"ema": 0.9, "gradient_clip": 0.1}
    torch.set_num_threads(1)
    models = still("cnn"), still("cnn")
    eager, compiled = (learner(model, **options) for model in models)
    for model in models:
        model.train()
    run = compiled.compiled(*batch())
    for seed in range(3):
        for size in (6, 4):  # the second is a short last batch
            x, y = batch(size, seed)
            for a, b in zip(eager.eager(x, y, 0.01), run(x, y, 0.01), strict=True):
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    for (name, a), b in zip(
        eager.tensors().items(), compiled.tensors().values(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3, msg=name)


# Gradient accumulation and slow weights


@pytest.mark.parametrize("parts", [2, 4, 6, 99])
@pytest.mark.parametrize("count", [2, 7, 12])
def test_accumulated_gradients_are_those_of_the_large_batch(count, parts):
    whole, divided = still(), still()
    x, y = batch(count)
    plain = learner(whole, optimizer="sgd", momentum=0.0).eager(x, y, 1.0)
    found = learner(divided, optimizer="sgd", momentum=0.0, accumulate=parts).eager(
        x, y, 1.0
    )
    assert torch.allclose(found[0], plain[0], rtol=1e-5) and found[1] == plain[1]
    for one, other in zip(whole.parameters(), divided.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_accumulated_parts_are_normalised_apart():
    """As in every framework: batch norm sees a part, and its average moves per part."""
    model = network("resnet")
    learner(model, accumulate=3).eager(*batch(6), 0.01)
    assert model.bn1.num_batches_tracked == 3


def test_lookahead_follows_the_paper():
    step = learner(still(), optimizer="sgd", lookahead={"every": 3, "share": 0.25})
    before = copy.deepcopy(step.model.state_dict())
    step.eager(*batch(), 0.1)
    fast = copy.deepcopy(step.model.state_dict())
    step.look_ahead(0.25)
    for name, slow in step.result.state_dict().items():
        assert torch.allclose(slow, before[name].lerp(fast[name], 0.25)), name
        assert torch.equal(slow, step.model.state_dict()[name])


@pytest.mark.parametrize("name", ["vit", "cct", "resnet"])
def test_stochastic_depth_drops_branches_of_single_images(name):
    plain, dropping = network(name, drop_path=0.0), network(name, drop_path=0.9)
    assert all(
        torch.equal(one, other)
        for one, other in zip(plain.parameters(), dropping.parameters(), strict=True)
    )
    x, _ = batch(1)
    alike = x.expand(32, -1, -1, -1)
    assert torch.equal(plain.eval()(alike), dropping.eval()(alike))
    dropping.train()
    for module in dropping.modules():
        if isinstance(module, nn.Dropout | nn.BatchNorm2d):
            module.eval()
    outputs = dropping(alike).detach()
    assert 1 < len(outputs.round(decimals=4).unique(dim=0)) < 32
    assert dropping.arguments()["drop_path"] == 0.9
