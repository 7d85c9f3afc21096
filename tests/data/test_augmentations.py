"""Registered augmentations: a function of draws and image, whichever they are."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as reference

from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.data.augment import COLUMNS, Augmentation
from labmill.data.augmentations import affine, mixup, trivial_augment

NAMES = registry.names("augmentations")
MIXING = [name for name in NAMES if registry.takes("augmentations", name, "partners")]
COUNT = 64


def pictures(channels: int = 3, size: int = 12, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (COUNT, channels, size, size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def augmented(name: str, images: Tensor, rows: Tensor, partners: Tensor) -> Tensor:
    change = Augmentation({name: True}, images.shape[-1])
    return change.mix(change(images, rows), rows, change(partners, rows))[0]


@pytest.mark.parametrize(("channels", "size"), [(3, 12), (1, 8), (2, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_an_image_changes_alike_in_any_batch(name, channels, size):
    images, partners = pictures(channels, size), pictures(channels, size, 1)
    rows = Augmentation({name: True}, size).table(3, 1, COUNT)
    whole = augmented(name, images, rows, partners)
    assert whole.dtype == torch.uint8 and whole.shape == images.shape
    assert size == 1 or not torch.equal(whole, images)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(1))
    shuffled = augmented(name, images[order], rows[order], partners[order])
    assert torch.equal(shuffled, whole[order])
    for i in range(COUNT):
        one = slice(i, i + 1)
        alone = augmented(name, images[one], rows[one], partners[one])
        assert torch.equal(alone[0], whole[i])


@pytest.mark.parametrize("name", NAMES)
def test_one_more_leaves_the_draws_of_the_others(name):
    alone = Augmentation({name: True}, 12)
    others = Augmentation({other: True for other in NAMES}, 12)
    found = {
        one.name: draws for one, draws in others.further(others.table(5, 2, COUNT))
    }
    ((_, draws),) = alone.further(alone.table(5, 2, COUNT))
    assert torch.equal(found[name], draws)
    plain = Augmentation({}, 12).table(5, 2, COUNT)
    assert torch.equal(others.table(5, 2, COUNT)[:, : len(COLUMNS)], plain)


@pytest.mark.parametrize("name", MIXING)
def test_a_share_is_how_much_of_an_image_is_left(name):
    change = Augmentation({name: True}, 16)
    white = torch.full((500, 1, 16, 16), 255, dtype=torch.uint8)
    rows = change.table(0, 0, 500)
    mixed, share = change.mix(white, rows, torch.zeros_like(white))
    assert torch.allclose(mixed.float().mean((1, 2, 3)) / 255, share, atol=0.002)
    assert share.min() < 0.3 and share.max() > 0.9
    rarely = Augmentation({name: {"probability": 0.2}}, 16)
    assert 50 < (rarely.mix(white, rows, mixed)[1] < 1).sum() < 150


def test_both_mixed_a_share_is_still_what_is_left():
    change = Augmentation(dict.fromkeys(MIXING, True), 16)
    white = torch.full((500, 1, 16, 16), 255, dtype=torch.uint8)
    mixed, share = change.mix(white, change.table(0, 0, 500), torch.zeros_like(white))
    assert torch.allclose(mixed.float().mean((1, 2, 3)) / 255, share, atol=0.004)


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0, 8.0])
def test_shares_are_drawn_from_beta(alpha):
    drawn = mixup.beta((torch.arange(20_000) + 0.5) / 20_000, alpha)
    exact = torch.distributions.Beta(torch.tensor(alpha), torch.tensor(alpha))
    assert drawn.mean().item() == pytest.approx(0.5, abs=1e-3)
    assert drawn.var().item() == pytest.approx(exact.variance.item(), rel=0.01)


def test_the_smaller_position_is_applied_first_and_mixing_last():
    names = [one.name for one in Augmentation(dict.fromkeys(NAMES, True), 8).registered]
    assert names.index("affine") < names.index("trivial_augment")
    assert names.index("trivial_augment") < names.index("random_erasing")
    assert names[-len(MIXING) :] == MIXING


# --- against torchvision ------------------------------------------------------------

STRENGTH = 0.4
SAME = {
    "autocontrast": reference.autocontrast,
    "equalize": reference.equalize,
    "posterize": lambda x: reference.posterize(x, 6),
    "solarize": lambda x: reference.solarize(x, 255 * (1 - STRENGTH)),
}
BLENDS = {
    5: reference.adjust_saturation,
    7: reference.adjust_contrast,
    8: reference.adjust_brightness,
    9: reference.adjust_sharpness,
}


@pytest.mark.parametrize("name", SAME)
def test_an_operation_is_torchvisions(name):
    images = pictures()
    images[0] = 7  # one colour
    images[1, :, 3:] = images[1, :, 3:] // 4 + 100
    found = getattr(trivial_augment, name)(images, torch.full((COUNT,), STRENGTH))
    difference = (found.int() - SAME[name](images).int()).abs()
    assert difference.max() <= (name == "autocontrast")  # torchvision's has floats


@pytest.mark.parametrize("strength", [-1.0, STRENGTH])
@pytest.mark.parametrize("number", BLENDS)
def test_a_blend_is_torchvisions(number, strength):
    """To two grey values: rounded once in place of cut off twice."""
    images = pictures()
    operation = trivial_augment.OPERATIONS[number]
    found = operation(images, torch.full((COUNT,), strength))
    wanted = BLENDS[number](images, 1 + 0.99 * strength)
    assert (found.int() - wanted.int()).abs().max() <= 2
    assert not torch.equal(found, images)


def test_moves_are_torchvisions():
    """In the middle: borders blend with what is outside."""
    images = reference.gaussian_blur(pictures(size=32), [9, 9], [3.0, 3.0])
    one = torch.ones(COUNT)
    shift = trivial_augment.moved(0, 2)(images, one * 4 / 32)
    assert torch.equal(shift[..., :28], images[..., 4:])
    shear = trivial_augment.moved(0, 1)(images, one * STRENGTH)
    wanted = reference.affine(
        images,
        angle=0,
        translate=[0, 0],
        scale=1,
        shear=[torch.rad2deg(torch.atan(torch.tensor(0.99 * STRENGTH))).item(), 0],
        interpolation=reference.InterpolationMode.BILINEAR,
        center=[0, 0],
    )
    inside = (..., slice(2, 20), slice(2, 16))
    assert (shear[inside].int() - wanted[inside].int()).abs().max() <= 2


def test_affine_turns_and_scales():
    images = pictures(size=16)
    for quarter in range(4):
        turned = affine.warp(
            images, affine.rotation(torch.full((COUNT,), 90.0 * quarter))
        )
        assert torch.equal(turned, torch.rot90(images, quarter, (2, 3)))
    middle = torch.full((COUNT, 2), 0.5)
    assert torch.equal(affine.augment(images, middle, degrees=30, scale=0.5), images)
    half = torch.tensor([[0.5, 0.0]]).expand(COUNT, 2)
    smaller = affine.augment(images, half, degrees=0, scale=0.5)
    assert (smaller[:, :, :4] == 0).all() and (smaller[:, :, 5:11, 5:11] > 0).any()


# --- alternating mirrors ------------------------------------------------------------


def test_alternating_mirrors_change_with_every_epoch():
    change, images = Augmentation({"flip": "alternate"}, 12), pictures()
    seen = [change(images, change.table(4, epoch, COUNT)) for epoch in range(4)]
    assert torch.equal(seen[1], seen[0].flip(3)) and torch.equal(seen[2], seen[0])
    at_random = Augmentation({"flip": True}, 12)
    assert torch.equal(seen[0], at_random(images, at_random.table(4, 0, COUNT)))
    assert not torch.equal(seen[0], images)


# --- own files ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return images.float()", "returned torch.float32 (64, 3, 12, 12); expected"),
        ("return images[:1]", "returned torch.uint8 (1, 3, 12, 12); expected"),
        ("return images + unknown", "line 2, in augment: NameError"),
    ],
)
def test_a_mistake_in_own_code_is_one_message(tmp_path, monkeypatch, body, words):
    (tmp_path / "augmentations").mkdir()
    (tmp_path / "augmentations/salt.py").write_text(
        f"def augment(images, draws):\n    {body}\n"
    )
    monkeypatch.chdir(tmp_path)
    change = Augmentation({"salt": True}, 12)
    with pytest.raises(LabmillError) as caught:
        change(pictures(), change.table(0, 0, COUNT))
    assert str(caught.value).startswith("augmentations/salt.py")
    assert words in str(caught.value)
