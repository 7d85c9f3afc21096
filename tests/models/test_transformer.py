"""The sequence transformer against torch's own, and its decoding against itself."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from labmill.models import transformer


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def build(**arguments) -> transformer.Transformer:
    small = {"num_classes": 11, "image_size": 9, "dim": 24, "heads": 4, "ffn": 40}
    return transformer.build(**small | arguments)


def tokens(length: int, batch: int = 3) -> torch.Tensor:
    return torch.randint(11, (batch, length))


def padding(length: int) -> torch.Tensor:
    """Three sequences, the last two of them padded at the end."""
    kept = torch.tensor([length, length - 2, 1])
    return torch.arange(length) >= kept[:, None]


def in_torch(model: transformer.Transformer) -> nn.Transformer:
    """torch's transformer without final norms, with our weights."""
    dim, heads = 24, 4
    common = {"dim_feedforward": 40, "dropout": 0.0, "batch_first": True}
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(dim, heads, **common),
        len(model.encoder),
        enable_nested_tensor=False,
    )
    decoder = nn.TransformerDecoder(
        nn.TransformerDecoderLayer(dim, heads, **common), len(model.decoder)
    )
    theirs = nn.Transformer(
        dim, heads, custom_encoder=encoder, custom_decoder=decoder, batch_first=True
    ).to(model.head.weight)

    def copy(target: nn.Module, attention: nn.Module) -> None:
        parts = [attention.project, attention.project_memory]
        linears = [part.linear for part in parts if part is not None]
        target.in_proj_weight.copy_(torch.cat([x.weight for x in linears]))
        target.in_proj_bias.copy_(torch.cat([x.bias for x in linears]))
        target.out_proj.load_state_dict(attention.out.state_dict())

    with torch.no_grad():
        for ours, layer in zip(
            [*model.encoder, *model.decoder],
            [*encoder.layers, *decoder.layers],
            strict=True,
        ):
            copy(layer.self_attn, ours.attention)
            if hasattr(ours, "cross"):
                copy(layer.multihead_attn, ours.cross)
            for number, norm in enumerate(ours.norms, start=1):
                getattr(layer, f"norm{number}").load_state_dict(norm.state_dict())
            layer.linear1.load_state_dict(ours.mlp[0].state_dict())
            layer.linear2.load_state_dict(ours.mlp[3].state_dict())
    return theirs


@pytest.mark.parametrize("layers", [(1, 1), (2, 3)])
@pytest.mark.parametrize("pad_source", [False, True])
@pytest.mark.parametrize("pad_target", [False, True])
def test_equals_torch(layers, pad_source, pad_target):
    model = build(encoder_layers=layers[0], decoder_layers=layers[1]).double()
    for norm in (m for m in model.modules() if isinstance(m, nn.LayerNorm)):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    theirs = in_torch(model)
    source, target = tokens(7), tokens(6)
    source_padding = padding(7) if pad_source else None
    target_padding = padding(6) if pad_target else None
    shifted_padding = None
    if pad_target:  # a position is hidden where its input token is padding
        shifted_padding = torch.zeros(3, 6, dtype=torch.bool)
        shifted_padding[:, 1:] = target_padding[:, :-1]
    expected = theirs(
        model.embed(source),
        model.embed(model.shift(target)),
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(6) < 0,
        src_key_padding_mask=source_padding,
        memory_key_padding_mask=source_padding,
        tgt_key_padding_mask=shifted_padding,
    )
    arguments = {"source_padding": source_padding, "target_padding": target_padding}
    got = model.forward_features(source, target, **arguments)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(model(source, target, **arguments), model.head(expected))
    towards = torch.randn_like(got)
    gradients = [
        torch.autograd.grad((y * towards).sum(), model.embedding.weight)[0]
        for y in (got, expected)
    ]
    torch.testing.assert_close(*gradients)


def test_positions_and_scale_of_the_embedding():
    model = build()
    embedded = model.embed(torch.tensor([[3, 3]]), first=2)[0]
    own = model.embedding.weight[3] * 24**0.5
    angle = torch.tensor([2.0, 3.0])
    torch.testing.assert_close((embedded - own)[:, 0], angle.sin())
    torch.testing.assert_close((embedded - own)[:, 1], angle.cos())
    slowest = angle / 10_000 ** (22 / 24)
    torch.testing.assert_close((embedded - own)[:, 23], slowest.cos())


def test_logits_see_the_target_before_them_only():
    model, source, target = build(decoder_layers=2), tokens(7), tokens(6)
    changed = target.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 11
    before, after = model(source, target), model(source, changed)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert ((before - after)[:, 4:].abs().amax(-1) > 1e-4).all()


def test_padded_source_is_as_if_cut_off():
    model, source, target = build(), tokens(7), tokens(6)
    padded = model(source, target, source_padding=padding(7))
    torch.testing.assert_close(padded[1:2], model(source[1:2, :5], target[1:2]))


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("padded", [False, True])
def test_cached_decoding_equals_uncached(layers, padded):
    model = build(encoder_layers=layers, decoder_layers=layers).double()
    source, target = tokens(9), tokens(8)
    mask = padding(9) if padded else None
    cached = model.greedy(source, 9, source_padding=mask)
    uncached = model.greedy(source, 9, cached=False, source_padding=mask)
    assert cached.shape == (3, 9)
    assert torch.equal(cached, uncached)
    teacher = model(source, cached, source_padding=mask)
    assert torch.equal(teacher.argmax(-1), cached)
    # A net that has learned nothing repeats itself; features of any target do not.
    memory, given = model.encode(source, mask), model.shift(target)
    caches = [block.start(memory) for block in model.decoder]
    steps = []
    for position in range(8):
        x = model.embed(given[:, position : position + 1], position)
        for block, cache in zip(model.decoder, caches, strict=True):
            x = block.step(x, cache, memory_mask=transformer.attention_mask(mask))
        steps.append(x)
    together = model.forward_features(source, target, source_padding=mask)
    torch.testing.assert_close(torch.cat(steps, dim=1), together)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_runs_in_16_bits(dtype):
    model, source, target = build(), tokens(7), tokens(6)
    expected = model(source, target)
    model = model.to(dtype)
    assert {v.dtype for v in [*model.parameters(), *model.buffers()]} == {dtype}
    arguments = {"source_padding": padding(7), "target_padding": padding(6)}
    got = model(source, target)
    assert got.dtype == dtype
    error = (got.float() - expected).abs().max() / expected.abs().max()
    assert error < 16 * torch.finfo(dtype).eps
    loss = model(source, target, **arguments).float().square().mean()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert model.greedy(source, 5).shape == (3, 5)


def test_attention_maps():
    model = build(encoder_layers=2, decoder_layers=3)
    arguments = {"source_padding": padding(7), "target_padding": padding(6)}
    maps = model.attention_maps(tokens(7), tokens(6), **arguments)
    shapes = {name: tuple(m.shape) for name, m in maps.items()}
    assert shapes == {
        "encoder": (2, 3, 4, 7, 7),
        "decoder": (3, 3, 4, 6, 6),
        "cross": (3, 3, 4, 6, 7),
    }
    for weights in maps.values():
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    assert not maps["decoder"].triu(1).any()
    assert not maps["encoder"][:, 1, ..., 5:].any()
    assert not maps["cross"][:, 2, ..., 1:].any()


def test_operations_are_counted_as_by_hand():
    model = build()
    n, m, d, hidden = 7, 6, 24, 40
    with FlopCounterMode(display=False) as counter:
        model(tokens(n, batch=2), tokens(m, batch=2))
    encoder = 4 * n * d * d + 2 * n * n * d + 2 * n * d * hidden
    own = 4 * m * d * d + 2 * m * m * d
    cross = 2 * m * d * d + 2 * n * d * d + 2 * m * n * d
    decoder = own + cross + 2 * m * d * hidden
    assert counter.get_total_flops() == 2 * 2 * (encoder + decoder + m * d * 11)


def test_arguments_and_weights_make_it_anew():
    model, source, target = build(encoder_layers=2, max_length=20), tokens(7), tokens(6)
    model.reset_head(5)
    rebuilt = transformer.build(**model.arguments() | {"num_classes": 11})
    rebuilt.reset_head(5)
    rebuilt.load_state_dict(model.state_dict())
    assert torch.equal(rebuilt(source, target), model(source, target))
    assert model(source, target).shape == (3, 6, 5)


def test_compiles_as_one_graph():
    model, source, target = build(), tokens(7), tokens(6)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(source, target), model(source, target))


def test_learns_to_reverse():
    model = transformer.build(num_classes=6, image_size=5, dim=32, heads=4, ffn=64)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(400):
        source = torch.randint(6, (64, 5))
        target = source.flip(1)
        optimizer.zero_grad()
        logits = model(source, target)
        nn.functional.cross_entropy(logits.transpose(1, 2), target).backward()
        optimizer.step()
    source = torch.randint(6, (200, 5))
    answer = model.greedy(source, 5)
    assert (answer == source.flip(1)).all(1).float().mean() >= 0.99
    assert torch.equal(answer, model.greedy(source, 5, cached=False))
