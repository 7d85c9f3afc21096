"""The vision transformer against a plain loop, torch's attention, its own promises."""

from itertools import product

import pytest
import torch
import torch_pruning
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helpers import loop_reference
from labmill.core import registry
from labmill.models import vit
from labmill.models.attention import Attention, HeadwiseProjection, causal_mask
from labmill.models.embedding import PatchEmbedding

TINY = {"num_classes": 3, "image_size": 6, "in_channels": 2, "patch": 3, "dim": 8}
TINY |= {"depth": 2, "heads": 4, "mlp_ratio": 1.5, "class_token_layer": 0}
DECODERS = (
    {},
    {"decoder_depth": 1},
    {"decoder_depth": 1, "decoder_heads": 4, "queries": "classes"},
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def build(**arguments) -> nn.Module:
    return vit.build(**TINY | arguments)


def defaults() -> dict:
    return {a.name: a.default for a in registry.arguments("models", "vit")}


def images(count: int = 2, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(count, TINY["in_channels"], 6, 6, dtype=dtype)


def assert_same(model: nn.Module, arguments: dict) -> None:
    """Outputs and all gradients within 1e-5 (relative) of the loop's, in float64."""
    model = model.double()
    for name, parameter in model.named_parameters():
        with torch.no_grad():  # the small initial values would hide a mistake
            parameter.add_(0.3 * torch.randn_like(parameter))
        assert parameter.dtype == torch.float64, name
    batch = images(dtype=torch.float64)
    got = model(batch)
    expected = loop_reference.vit(model, batch, arguments)
    towards = torch.randn_like(got)
    parameters = list(model.parameters())
    gradients = [
        torch.autograd.grad((y * towards).sum(), parameters, allow_unused=True)
        for y in (got, expected)
    ]
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-9)
    names = [name for name, _ in model.named_parameters()]
    for name, ours, theirs in zip(names, *gradients, strict=True):
        assert (ours is None) == (theirs is None), name
        if ours is not None:
            message = f"{name} {arguments}"
            torch.testing.assert_close(
                ours, theirs, rtol=1e-5, atol=1e-8, msg=lambda m, n=message: f"{n}: {m}"
            )


@pytest.mark.parametrize("projections", ["headwise", "joint"])
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("class_token", ["start", "inserted", "after", "mean"])
@pytest.mark.parametrize(
    "positions", ["sinusoidal", "sinusoidal_2d", "learnable", "none"]
)
def test_equals_the_loop(projections, norm, class_token, positions):
    """Every combination of what blocks and read-out do.

    What comes before the blocks and after the last alternates: it meets every other
    argument, but not every combination of them. Both strides pad and give four patches.
    """
    combinations = product(["relu", "tanh", "gelu"], DECODERS)
    for number, (activation, decoder) in enumerate(combinations):
        arguments = defaults() | TINY | decoder
        arguments |= {"projections": projections, "norm": norm, "heads": 2}
        arguments |= {"class_token": class_token, "positions": positions}
        arguments |= {"class_token_layer": int(class_token == "inserted")}
        arguments |= {"patch": 4, "stride": (None, 3)[number % 2]}
        arguments |= {"activation": activation, "final_norm": number % 4 < 2}
        arguments |= {"softmax_output": number % 8 < 4}
        assert_same(vit.build(**arguments), arguments)


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_joint_attention_equals_torch(cross, masked):
    ours = Attention(12, 3, "joint", cross=cross).double()
    theirs = nn.MultiheadAttention(12, 3, batch_first=True).double()
    parts = [ours.project, ours.project_memory] if cross else [ours.project]
    with torch.no_grad():
        weights = [part.linear.weight for part in parts]
        theirs.in_proj_weight.copy_(torch.cat(weights))
        theirs.in_proj_bias.copy_(torch.cat([part.linear.bias for part in parts]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    x = torch.randn(2, 5, 12).double()
    other = torch.randn(2, 5, 12).double() if cross else x
    mask = causal_mask(5, x.device) if masked else None
    memory = ours.project_memory(other) if cross else None
    y = ours(x, memory, mask=mask)
    expected, maps = theirs(
        x, other, other, attn_mask=~mask if masked else None, average_attn_weights=False
    )
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(ours.maps(x, memory, mask=mask), maps)
    if masked:
        torch.testing.assert_close(ours(x, memory, causal=True), expected)
        torch.testing.assert_close(ours.maps(x, memory, causal=True), maps)
    gradients = [torch.autograd.grad((y**2).sum(), ours.out.weight)]
    gradients += [torch.autograd.grad((expected**2).sum(), theirs.out_proj.weight)]
    torch.testing.assert_close(*gradients)


def test_headwise_projection_starts_like_separate_linears():
    torch.manual_seed(1)
    ours = HeadwiseProjection(48, 12, 3)
    theirs = [nn.Linear(4, 4) for _ in range(36)]
    weight = torch.cat([linear.weight.flatten() for linear in theirs])
    bound = 0.5  # 1 / sqrt(4)
    for values in (ours.weight, ours.bias, weight):
        assert values.abs().max() <= bound
        assert values.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_pixel_is_seen(data):
    size = data.draw(st.integers(1, 20))
    patch = data.draw(st.integers(1, size))
    stride = data.draw(st.integers(1, patch))
    embedding = PatchEmbedding(size, 1, patch, stride, 2)
    nn.init.ones_(embedding.project.weight)
    image = torch.rand(1, 1, size, size, requires_grad=True)
    tokens = embedding(image)
    assert tokens.shape == (1, embedding.side**2, 2)
    tokens.sum().backward()
    assert image.grad.min() >= 2
    if stride == patch and size % patch == 0:
        assert image.grad.max() == 2, "each pixel once per feature, nothing padded"


def test_class_token_joined_after_all_layers_sees_nothing():
    model = build(class_token="after")
    first, second = model(images()), model(images())
    assert torch.equal(first, second)
    assert torch.equal(first[0], first[1])


def test_mean_without_positions_cannot_tell_order_and_with_positions_can():
    batch = images()
    moved = batch.roll(3, dims=3)  # swaps the two columns of patches
    blind = build(class_token="mean", positions="none")
    torch.testing.assert_close(blind(batch), blind(moved))
    seeing = build(class_token="mean", positions="sinusoidal_2d")
    assert (seeing(batch) - seeing(moved)).abs().max() > 1e-3


def test_softmax_output_is_the_softmax_of_the_logits():
    model, batch = build(), images()
    faithful = build(softmax_output=True)
    faithful.load_state_dict(model.state_dict())
    torch.testing.assert_close(faithful(batch), model(batch).softmax(1))


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_read_out_equals_a_net_that_ends_there(layer):
    deep, batch = build(depth=3, read_out=layer), images()
    shallow = build(depth=3)
    shallow.load_state_dict(deep.state_dict())
    shallow.encoder = shallow.encoder[:layer]
    shallow.read_out = layer
    torch.testing.assert_close(deep(batch), shallow(batch))
    tokens = build(depth=3).hidden_states(batch)
    assert len(tokens) == 4
    own = deep.hidden_states(batch)[layer][:, 0]
    torch.testing.assert_close(deep.forward_features(batch), deep.norm(own))


def test_hidden_states_and_maps_of_an_inserted_token():
    model = build(depth=3, class_token="inserted", class_token_layer=2)
    batch = images()
    assert [h.shape[1] for h in model.hidden_states(batch)] == [4, 4, 5, 5]
    maps = model.attention_maps(batch)
    assert maps.shape == (3, 2, 4, 5, 5)
    assert not maps[:2, :, :, 0].any() and not maps[:2, ..., 0].any()
    torch.testing.assert_close(maps[:2, :, :, 1:].sum(-1), torch.ones(2, 2, 4, 4))
    torch.testing.assert_close(maps[2].sum(-1), torch.ones(2, 4, 5))


@pytest.mark.parametrize("projections", ["headwise", "joint"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_attention_maps_are_the_weights_used(projections, norm):
    model = build(projections=projections, norm=norm)
    batch = images()
    for block, entering, weights in zip(
        model.encoder,
        model.hidden_states(batch),
        model.attention_maps(batch),
        strict=False,
    ):
        x = block.norms[0](entering) if norm == "pre" else entering
        _, _, values = block.attention.project(x)
        mixed = (weights @ values).transpose(1, 2).flatten(2)
        torch.testing.assert_close(block.attention.out(mixed), block.attention(x))


def test_cross_attention_maps():
    model = build(decoder_depth=2, queries="classes")
    maps = model.cross_attention_maps(images())
    assert maps.shape == (2, 2, 4, 3, 4), "blocks, images, heads, classes, patches"
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 2, 4, 3))


@pytest.mark.parametrize("positions", ["sinusoidal", "sinusoidal_2d", "learnable"])
@pytest.mark.parametrize("class_token", ["start", "mean"])
def test_positions_table_has_one_row_per_patch(positions, class_token):
    model = build(positions=positions, class_token=class_token)
    table = model.positions_table()
    assert table.shape == (4, 8)
    assert torch.equal(table, model.positions[-4:])
    assert len(table.unique(dim=0)) == 4
    assert build(positions="none").positions_table() is None


def test_size_by_hand():
    """The published net: 6 blocks, 8 heads of one feature, width 8, five classes."""
    arguments = {"num_classes": 5, "image_size": 32, "dim": 8, "depth": 6, "heads": 8}
    arguments |= {"positions": "sinusoidal", "projections": "headwise"}
    model = vit.build(**arguments, final_norm=False)
    embedding, token, head = 4 * 4 * 3 * 8 + 8, 8, 8 * 5 + 5
    attention, norms = 8 * 3 * (1 + 1), 2 * (8 + 8)
    mlp = 8 * 32 + 32 + 32 * 8 + 8
    by_hand = embedding + token + 6 * (attention + norms + mlp) + head
    assert sum(p.numel() for p in model.parameters()) == by_hand == 4237


@pytest.mark.parametrize("projections", ["headwise", "joint"])
def test_operations_are_counted_as_by_hand(projections):
    batch, tokens, dim, heads, hidden = 2, 5, 8, 4, 12
    model = build(projections=projections)
    with FlopCounterMode(display=False) as counter:
        model(images(batch))
    project = 3 * dim * dim // heads if projections == "headwise" else 4 * dim * dim
    block = tokens * (project + 2 * dim * hidden) + 2 * tokens * tokens * dim
    macs = 4 * dim * (3 * 3 * 2) + 2 * block + dim * 3
    assert counter.get_total_flops() == 2 * batch * macs


@pytest.mark.parametrize("decoder", DECODERS)
def test_reset_head(decoder):
    model, batch = build(**decoder), images()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.reset_head(7)
    assert model(batch).shape == (2, 7)
    assert torch.equal(model(batch), model.head(model.forward_features(batch)))
    kept = {k for k in before if not k.startswith(("head", "queries"))}
    assert all(torch.equal(model.state_dict()[k], before[k]) for k in kept)
    rebuilt = vit.build(**model.arguments())
    rebuilt.load_state_dict(model.state_dict())
    assert torch.equal(rebuilt(batch), model(batch))


@pytest.mark.parametrize("decoder", DECODERS)
def test_pruned_mlp_is_build_with_widths(decoder):
    """torch-pruning removes hidden features; arguments and weights make it anew."""
    model, batch = build(projections="headwise", **decoder).eval(), images()
    graph = torch_pruning.DependencyGraph().build_dependency(
        model, batch, verbose=False
    )
    for block in [*model.encoder, *model.decoder]:
        first, _, _, second = block.mlp
        with torch.no_grad():  # features 1 and 4 do nothing, so removing them may not
            second.weight[:, [1, 4]] = 0
    before = model(batch)
    for block in [*model.encoder, *model.decoder]:
        first = block.mlp[0]
        group = graph.get_pruning_group(
            first, torch_pruning.prune_linear_out_channels, idxs=[1, 4]
        )
        group.prune()
    torch.testing.assert_close(model(batch), before)
    arguments = model.arguments()
    assert arguments["mlp_widths"] == [10] * len([*model.encoder, *model.decoder])
    rebuilt = vit.build(**arguments)
    rebuilt.load_state_dict(model.state_dict())
    torch.testing.assert_close(rebuilt(batch), before)


@pytest.mark.parametrize("decoder", DECODERS)
def test_compiles_as_one_graph(decoder):
    model, batch = build(stride=2, **decoder), images()
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(batch), model(batch))


def test_dropout_acts_in_training_only():
    model, batch = build(dropout=0.5), images()
    assert not torch.equal(model(batch), model(batch))
    model.eval()
    assert torch.equal(model(batch), model(batch))


@pytest.mark.parametrize("projections", ["headwise", "joint"])
@pytest.mark.parametrize("decoder", DECODERS)
def test_learns_a_batch(projections, decoder):
    model = build(projections=projections, **decoder)
    batch, labels = images(12), torch.arange(12) % 3
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch), labels).backward()
        optimizer.step()
    assert (model(batch).argmax(1) == labels).all()


GOOD = defaults() | {"num_classes": 3, "image_size": 32}


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("patch", {"patch": 33}),
        ("stride", {"stride": 5}),
        ("stride", {"stride": 0}),
        ("heads", {"heads": 5}),
        ("decoder_heads", {"decoder_heads": 3}),
        ("positions", {"dim": 6, "heads": 2, "positions": "sinusoidal_2d"}),
        ("class_token_layer", {"class_token_layer": 2}),
        ("class_token_layer", {"class_token": "inserted", "class_token_layer": 7}),
        ("read_out", {"read_out": 7}),
        (
            "read_out",
            {"class_token": "inserted", "class_token_layer": 3, "read_out": 2},
        ),
        ("queries", {"queries": "classes"}),
        ("mlp_widths", {"mlp_widths": [1, 2]}),
        ("mlp_ratio", {"mlp_ratio": 0.0}),
        ("dropout", {"dropout": 1.0}),
        ("depth", {"depth": 0}),
    ],
)
def test_conditions_refuse_what_does_not_fit(key, wrong):
    conditions = registry.constant("models", "vit", "REQUIRES")
    assert all(eval(condition, {}, GOOD) for condition, _ in conditions.values())
    assert not eval(conditions[key][0], {}, GOOD | wrong)
