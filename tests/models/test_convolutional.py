"""Convolutional models against their sources: torchvision, hand counts, definitions."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from labmill.core.errors import LabmillError
from labmill.models import (
    cnn,
    dynamic_cnn,
    layer_list,
    layers,
    lenet,
    resnet,
    speednet,
    two_conv,
    vgg,
)
from labmill.models.layer_list import parse, shapes, text


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


# --- a network as lines of words ---------------------------------------------------

COUNTS = st.integers(1, 5)
WIDTHS = st.integers(1, 300)
NORMS = st.none() | st.booleans()
ACTIVATIONS = st.none() | st.sampled_from(layer_list.ACTIVATIONS)
CONVOLUTION = {
    "width": WIDTHS,
    "kernel": COUNTS,
    "stride": COUNTS,
    "padding": st.none() | st.integers(0, 3),
    "groups": COUNTS,
    "norm": NORMS,
    "activation": ACTIVATIONS,
}
POOL = {"kernel": COUNTS, "stride": st.none() | COUNTS, "padding": st.integers(0, 2)}
LAYERS = st.one_of(
    st.builds(layer_list.Convolution, **CONVOLUTION),
    st.builds(layer_list.Separable, **CONVOLUTION),
    st.builds(layer_list.MaxPool, **POOL),
    st.builds(layer_list.AveragePool, **POOL),
    st.builds(layer_list.AdaptivePool, size=COUNTS),
    st.builds(layer_list.Dropout, probability=st.sampled_from([0.0, 0.05, 0.5])),
    st.builds(layer_list.Flatten),
    st.builds(layer_list.Linear, width=WIDTHS, norm=NORMS, activation=ACTIVATIONS),
)


@given(LAYERS)
def test_a_layer_written_down_reads_back_the_same(layer):
    assert parse([text(layer)]) == (layer,)


def test_options_stand_in_any_order():
    assert parse(["conv 8 relu bn g2 k5"]) == parse(["conv 8 k5 g2 bn relu"])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("convv 16", "did you mean 'conv'"),
        ("conv", "width is nothing"),
        ("conv 0", "width is 0"),
        ("conv 1.5", "width is 1.5"),
        ("conv 16 k0", "unknown option 'k0'"),
        ("conv 16 rellu", "did you mean 'relu'"),
        ("conv 16 k3 k5", "kernel is given twice"),
        ("linear 10 k3", "unknown option 'k3'"),
        ("dropout 1.0", "probability is 1.0"),
        ("pool bn", "unknown option 'bn'"),
        ("", "unknown operation"),
        (16, "unknown operation"),
    ],
)
def test_a_wrong_line_is_named_with_what_is_allowed(line, says):
    with pytest.raises(LabmillError, match=r"layers\[1\]") as error:
        parse(["conv 16", line])
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["conv 16"], "end with 'flatten'"),
        (["linear 5"], "put 'flatten' before it"),
        (["flatten", "conv 5"], "flat already"),
        (["pool", "pool", "pool", "pool", "flatten"], "nothing is left"),
        (["conv 8 k9 p0", "flatten"], "nothing is left"),
        (["conv 8 g2", "flatten"], "g must divide"),
        (["pool p2", "flatten"], "at most half"),
    ],
)
def test_layers_that_do_not_follow_each_other_are_refused(lines, says):
    arguments = {"layers": lines, "image_size": 8, "in_channels": 3}
    with pytest.raises(LabmillError) as error:
        layer_list.check(arguments)
    assert says in str(error.value)
    with pytest.raises(LabmillError):
        cnn.build(num_classes=2, **arguments)


LINES = [
    *("conv 6 k5 s2 p1 bn tanh", "separable 8 k3 gelu", "pool k3 s2 p1"),
    *("conv 4 g2 nobn none", "separable 6 bn", "avgpool", "adaptive 2"),
    *("flatten", "dropout 0.1", "linear 7 bn", "linear 5 sigmoid"),
]


@pytest.mark.parametrize("size", [9, 16, 17, 32])
def test_shapes_without_torch_are_those_of_the_modules(size):
    model = cnn.build(num_classes=3, image_size=size, layers=LINES).eval()
    expected = shapes(parse(LINES), in_channels=3, image_size=size)
    x = torch.randn(2, 3, size, size)
    assert x.shape[1:] == expected[0]
    for block, shape in zip(model.layers, expected[1:], strict=True):
        x = block(x)
        assert x.shape[1:] == shape


def test_defaults_apply_to_lines_that_do_not_say():
    lines = ["conv 4", "conv 4 nobn tanh", "flatten", "linear 5"]
    model = cnn.build(
        num_classes=2, image_size=8, layers=lines, activation="gelu", batch_norm=True
    )
    kinds = [[type(m) for m in block] for block in (model.layers[i] for i in (0, 1, 3))]
    assert kinds == [
        [nn.Conv2d, nn.BatchNorm2d, nn.GELU],
        [nn.Conv2d, nn.Tanh],
        [nn.Linear, nn.GELU],
    ]
    assert model.layers.conv1.convolution.bias is None
    assert model.layers.conv2.convolution.bias is not None
    assert model.describe() == lines


def test_both_tables_of_activations_agree():
    assert tuple(layers.ACTIVATIONS) == layer_list.ACTIVATIONS


# --- published nets ----------------------------------------------------------------


def operations(model, x):
    """Multiplications and additions per layer, no biases, for one image."""
    counts = []

    def count(layer, _inputs, output):
        products = layer.weight[0].numel()
        counts.append((output.numel() * products, output.numel() * (products - 1)))

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    model(x)
    return counts


def test_lenet_costs_what_was_counted_by_hand():
    x = torch.randn(1, 1, 28, 28)
    regular = lenet.build(num_classes=10, image_size=28)
    assert operations(regular, x) == [
        (117_600, 112_896),
        (240_000, 238_400),
        (48_000, 47_880),
        (10_080, 9_996),
        (840, 830),
    ]
    separable = lenet.build(num_classes=10, image_size=28, separable=True)
    counts = operations(separable, x)
    assert counts[:2] == [(19_600, 18_816), (4_704, 0)]
    assert tuple(map(sum, zip(*counts, strict=True))) == (62_144, 54_226)


def test_two_conv_neither_pads_nor_pools():
    model = two_conv.build(
        num_classes=10, image_size=28, in_channels=1, kernel2=5, filters1=8, filters2=4
    )
    multiplications = [m for m, _ in operations(model, torch.randn(1, 1, 28, 28))]
    assert multiplications == [
        26 * 26 * 8 * 9,
        22 * 22 * 4 * 8 * 25,
        22 * 22 * 4 * 100,
        100 * 10,
    ]


def test_lenet_pads_inside_the_first_convolution():
    model = lenet.build(num_classes=10, image_size=28)
    x = torch.randn(2, 1, 28, 28)
    on_32 = lenet.build(num_classes=10, image_size=32)
    on_32.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(x), on_32(F.pad(x, (2, 2, 2, 2))))


def test_custom_designs_have_the_published_shapes():
    for design, features in {
        "custom": 4096,
        "custom_modified": 4096,
        "custom_four": 2048,
    }.items():
        model = cnn.build(num_classes=10, image_size=32, design=design)
        kinds = [line.operation for line in model.lines]
        assert kinds.count("conv") == (5 if design == "custom" else 4)
        assert kinds.count("pool") == 3
        assert model.layers.linear1.linear.in_features == features


def test_softmax_output_are_probabilities_of_the_same_logits():
    model = cnn.build(num_classes=10, image_size=8).eval()
    x = torch.randn(4, 3, 8, 8)
    logits = model(x)
    model.softmax_output = True
    torch.testing.assert_close(model(x), logits.softmax(1))


@pytest.fixture(scope="module")
def torchvision_models():
    return pytest.importorskip("torchvision.models")


def test_vgg16_equals_torchvision_with_its_weights(torchvision_models):
    theirs = torchvision_models.vgg16(num_classes=10, init_weights=False).eval()
    ours = vgg.build(num_classes=10, image_size=32).eval()
    assert vgg.copy_matching(theirs.state_dict(), ours) == []
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x))


def test_vgg_takes_from_a_file_what_fits(tmp_path):
    small = {"image_size": 32, "classifier": [32, 16], "pooled": 1}
    source = vgg.build(num_classes=100, **small)
    path = tmp_path / "vgg.pth"
    torch.save(source.state_dict(), path)
    model = vgg.build(
        num_classes=10,
        design="vgg16_modified",
        **small | {"classifier": [32, 8]},
        weights=str(path),
    )
    ours, theirs = model.layers, source.layers
    for mine, of_source in ((1, 1), (2, 3), (12, 13)):
        torch.testing.assert_close(
            getattr(ours, f"conv{mine}").convolution.weight,
            getattr(theirs, f"conv{of_source}").convolution.weight,
        )
    torch.testing.assert_close(ours.linear1.linear.bias, theirs.linear1.linear.bias)
    assert ours.linear2.linear.weight.shape == (8, 32)
    with pytest.raises(LabmillError, match=r"nowhere\.pth"):
        vgg.build(num_classes=10, **small, weights=str(tmp_path / "nowhere.pth"))


def test_vgg_takes_torchvisions_weights_where_it_is_installed(monkeypatch):
    small = {"num_classes": 10, "image_size": 32, "classifier": [32, 16], "pooled": 1}
    source = vgg.build(**small)
    found = SimpleNamespace(get_state_dict=lambda **_: source.state_dict())
    fake = SimpleNamespace(VGG16_Weights=SimpleNamespace(IMAGENET1K_V1=found))
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", fake)
    model = vgg.build(**small, weights="imagenet")
    torch.testing.assert_close(model.state_dict(), source.state_dict())
    # None there: the module cannot be imported.
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(LabmillError, match="imagenet, where torchvision is installed"):
        vgg.build(**small, weights="imagenet")


def test_resnet18_equals_torchvision_with_its_weights(torchvision_models):
    theirs = torchvision_models.resnet18(num_classes=10).eval()
    ours = resnet.build(num_classes=10, stem="imagenet").eval()
    weights = {
        name.replace("fc.", "head."): value
        for name, value in theirs.state_dict().items()
    }
    ours.load_state_dict(weights)
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours(x), theirs(x))
    theirs.train()
    ours.train()
    torch.testing.assert_close(ours(x), theirs(x))


# --- the block that weighs its convolutions ----------------------------------------


@pytest.mark.parametrize("mixing", ["published", "softmax", "equal"])
def test_one_wide_convolution_equals_three_in_outputs_and_gradients(mixing):
    block = dynamic_cnn.Block(4, 6, 3, mixing)
    x = torch.randn(5, 4, 8, 8, requires_grad=True)
    parts = zip(
        block.convolution.weight.chunk(3), block.convolution.bias.chunk(3), strict=True
    )
    three = [F.relu(F.conv2d(x, weight, bias, padding=1)) for weight, bias in parts]
    if mixing == "equal":
        a = torch.full((5, 3), 1 / 3)
    else:
        scores = block.gate(x.mean((2, 3)))
        a = scores.softmax(1) if mixing == "softmax" else scores.relu()
    mixed = sum(a[:, i].view(-1, 1, 1, 1) * c for i, c in enumerate(three))
    expected = F.max_pool2d(block.norm(mixed), 2)
    output = block(x)
    torch.testing.assert_close(output, expected)

    tensors = [x, *block.parameters()]
    seed = torch.randn_like(output)
    ours = torch.autograd.grad(output, tensors, seed)
    theirs = torch.autograd.grad(expected, tensors, seed)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-4)
        assert mine.abs().sum() > 0


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(16, 128), min_size=1, max_size=5), st.sampled_from([28, 32])
)
def test_single_convolutions_cost_as_much_as_three(widths, size):
    def cost(mixing):
        model = dynamic_cnn.build(
            num_classes=10, image_size=size, widths=widths, mixing=mixing
        )
        blocks = [block.convolution for block in model.blocks]
        sides = [size]
        for _ in blocks[1:]:
            sides.append((sides[-1] + 1) // 2)
        return sum(
            side**2 * conv.weight.numel()
            for side, conv in zip(sides, blocks, strict=True)
        )

    assert cost("single") == pytest.approx(cost("published"), rel=0.05)


@pytest.mark.parametrize("mixing", ["published", "softmax", "equal"])
def test_mixing_weights_are_those_that_the_blocks_use(mixing, monkeypatch):
    model = dynamic_cnn.build(num_classes=10, mixing=mixing).eval()
    x = torch.randn(6, 3, 32, 32)
    reported = model.mixing_weights(x)
    used, mix = [], dynamic_cnn.Block.mix

    def spy(block, x):
        used.append(mix(block, x))
        return used[-1]

    monkeypatch.setattr(dynamic_cnn.Block, "mix", spy)
    model(x)
    assert len(reported) == 5
    for mine, theirs in zip(reported, used, strict=True):
        assert mine.shape == (6, 3)
        torch.testing.assert_close(mine, theirs)
        assert (mine >= 0).all()
        if mixing != "published":
            torch.testing.assert_close(mine.sum(1), torch.ones(6))


def test_a_single_convolution_has_no_mixing_weights():
    model = dynamic_cnn.build(num_classes=10, mixing="single")
    assert model.mixing_weights(torch.randn(2, 3, 32, 32)) == []


# --- speednet ----------------------------------------------------------------------


def test_prepare_whitens_patches():
    model = speednet.build(num_classes=10)
    smooth = F.avg_pool2d(torch.randn(400, 3, 34, 34), 3, stride=1)
    smooth = smooth + 0.5 * smooth.mean(1, keepdim=True)

    def covariance():
        responses = F.conv2d(smooth, model.whitening.weight)
        return responses.transpose(0, 1).flatten(1).cov()

    before = covariance()[:12, :12]
    assert (before - torch.eye(12)).abs().max() > 0.3
    model.prepare(smooth)
    whitened = covariance()
    assert (whitened[:12, :12] - torch.eye(12)).abs().max() < 0.1
    torch.testing.assert_close(whitened[:12, 12:], -whitened[:12, :12])
    assert not model.whitening.weight.requires_grad


def test_convolutions_start_as_identities():
    convolution = speednet.Group(4, 6, 6).conv1
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(convolution(x)[:, :4], x)


@pytest.mark.parametrize(
    ("blocks", "layers", "published"), [(3, 20, 0.27e6), (9, 56, 0.85e6)]
)
def test_the_resnets_for_cifar_have_the_published_sizes(blocks, layers, published):
    """Two shortcuts are convolutions here, which the paper's networks do not have."""
    built = resnet.build(num_classes=10, widths=[16, 32, 64], blocks=[blocks] * 3)
    shortcuts = [
        module
        for name, module in built.named_modules()
        if name.endswith("downsample") and module
    ]
    extra = sum(p.numel() for one in shortcuts for p in one.parameters())
    weighty = (torch.nn.Conv2d, torch.nn.Linear)
    found = sum(isinstance(module, weighty) for module in built.modules())
    assert found - len(shortcuts) == layers and len(shortcuts) == 2
    own = sum(p.numel() for p in built.parameters()) - extra
    assert round(own / published, 2) == 1.0
