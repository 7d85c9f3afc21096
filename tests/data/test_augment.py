"""Augmentation: a function of (seed, epoch, image) and of nothing else."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.data_records import made_card
from labmill.core.errors import LabmillError
from labmill.data.augment import COLUMNS, Augmentation, normaliser

SIZE = 12
EVERYTHING = {
    "crop": 3,
    "flip": True,
    "brightness": 0.3,
    "contrast": 0.3,
    "rotate90": True,
    "cutout": 5,
}
EACH = [{key: value} for key, value in EVERYTHING.items()]


@pytest.fixture
def images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (64, 3, SIZE, SIZE)
    return torch.randint(1, 256, shape, dtype=torch.uint8, generator=generator)


def rows(count: int = 1, **values: float) -> Tensor:
    """A table in which all draws are 0.5 but those given."""
    table = torch.full((count, len(COLUMNS)), 0.5)
    for name, value in values.items():
        table[:, COLUMNS.index(name)] = value
    return table


@pytest.mark.parametrize("settings", [*EACH, EVERYTHING], ids=str)
def test_an_image_changes_alike_in_any_batch(images, settings):
    augment = Augmentation(settings, SIZE)
    table = augment.table(3, 1, len(images))
    whole = augment(images, table)
    assert whole.dtype == torch.uint8 and whole.shape == images.shape
    assert not torch.equal(whole, images)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))
    shuffled = augment(images[order], table[order])
    assert torch.equal(shuffled, whole[order])
    alone = augment(images[7:8], augment.table(3, 1, 8)[7:8])
    assert torch.equal(alone[0], whole[7])


def test_draws_differ_by_epoch_seed_and_image_only():
    augment = Augmentation(EVERYTHING, SIZE)
    table = augment.table(0, 0, 100)
    torch.rand(5)
    assert torch.equal(table, augment.table(0, 0, 100))
    assert torch.equal(table[:30], Augmentation({}, SIZE).table(0, 0, 30))
    assert not torch.equal(table, augment.table(0, 1, 100))
    assert not torch.equal(table, augment.table(1, 0, 100))
    assert len(table.unique(dim=0)) == 100


def test_nothing_asked_nothing_changed(images):
    augment = Augmentation({}, SIZE)
    assert not augment.active
    assert augment(images, augment.table(0, 0, 64)) is images


@pytest.mark.parametrize("turn", range(4))
def test_rotation_is_torchs(images, turn):
    turned = Augmentation({"rotate90": True}, SIZE)(
        images, rows(64, turn=(turn + 0.5) / 4)
    )
    assert torch.equal(turned, torch.rot90(images, turn, (2, 3)))


def test_flip_is_torchs(images):
    augment = Augmentation({"flip": True}, SIZE)
    assert torch.equal(augment(images, rows(64, flip=0.49)), images.flip(3))
    assert torch.equal(augment(images, rows(64, flip=0.5)), images)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (0, 6), (3, 3), (6, 2)])
@pytest.mark.parametrize("turn", [0, 1, 3])
def test_a_crop_is_a_window_of_the_padded_image(images, top, left, turn):
    """Turned, then mirrored, then padded and cropped."""
    augment = Augmentation({"crop": 3, "flip": True, "rotate90": True}, SIZE)
    draws = {"top": (top + 0.5) / 7, "left": (left + 0.5) / 7}
    found = augment(images, rows(64, flip=0, turn=(turn + 0.5) / 4, **draws))
    plain = torch.rot90(images, turn, (2, 3)).flip(3)
    padded = torch.nn.functional.pad(plain, (3, 3, 3, 3))
    assert torch.equal(found, padded[:, :, top : top + SIZE, left : left + SIZE])


def test_every_offset_turn_and_side_is_drawn_equally_often():
    table = Augmentation({}, SIZE).table(0, 0, 20_000)
    for name, count in (("top", 7), ("left", 7), ("turn", 4), ("flip", 2)):
        drawn = (table[:, COLUMNS.index(name)] * count).long()
        shares = drawn.bincount(minlength=count) / len(table)
        assert (shares - 1 / count).abs().max() < 0.02


def test_brightness_and_contrast_are_factors(images):
    bright = Augmentation({"brightness": 0.2}, SIZE)(images, rows(64, brightness=0))
    assert torch.equal(bright, (images.float() * 0.8).round().byte())
    flat = Augmentation({"contrast": 1.0}, SIZE)(images, rows(64, contrast=0))
    mean = images.float().mean((1, 2, 3)).round().byte()
    assert (flat == mean[:, None, None, None]).all()
    clipped = Augmentation({"brightness": 1.0}, SIZE)(
        images, rows(64, brightness=0.999)
    )
    assert clipped.max() == 255 and (clipped >= images).all()


@pytest.mark.parametrize("fill", [None, (0.2, 0.4, 1.0)])
def test_cutout_fills_a_square(images, fill):
    augment = Augmentation({"cutout": 4}, SIZE, fill)
    centre = rows(64, hole_y=6.5 / SIZE, hole_x=7.5 / SIZE)
    wanted = images.clone()
    colour = torch.tensor([51, 102, 255] if fill else [0, 0, 0], dtype=torch.uint8)
    wanted[:, :, 4:8, 5:9] = colour[:, None, None]
    assert torch.equal(augment(images, centre), wanted)
    corner = augment(images, rows(64, hole_y=0, hole_x=0))
    changed = (corner != images).any(1)
    assert changed[:, :2, :2].all() and changed.sum() == 64 * 4


class Recorder(TorchDispatchMode):
    """Notes which operations run."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


# They read a value on the host or make a shape depend on values.
WAITING = {"_local_scalar_dense", "nonzero", "masked_select"}


def test_nothing_waits_for_the_device(images):
    """What a CUDA graph needs."""
    augment = Augmentation(EVERYTHING, SIZE, (0.1, 0.2, 0.3))
    table = augment.table(0, 0, 64)
    with Recorder() as recorder:
        augment(images, table)
    assert "gather" in recorder.seen and not recorder.seen & WAITING
    with Recorder() as recorder:
        images.max().item()
    assert recorder.seen & WAITING


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_graph_on_the_device_does_what_the_processor_does(images):
    exact = {**EVERYTHING, "brightness": 0, "contrast": 0}
    augment = Augmentation(exact, SIZE, (0.1, 0.2, 0.3))
    batch, table = images.cuda(), augment.table(0, 0, 64).cuda()
    augment(batch, table)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        changed = augment(batch, table)
    for epoch in (1, 2):
        rows = augment.table(0, epoch, 64)
        table.copy_(rows)
        graph.replay()
        assert torch.equal(changed.cpu(), augment(images, rows))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop": SIZE}, r"augmentation\.crop: found 12; allowed: 0 to 11"),
        ({"cutout": 99}, r"augmentation\.cutout: found 99"),
    ],
)
def test_a_wrong_setting_is_one_clear_message(settings, message):
    with pytest.raises(LabmillError, match=message):
        Augmentation(settings, SIZE)


CARD = made_card(channels=2, mean=(0.2, 0.5), std=(0.1, 0.0))


@pytest.mark.parametrize(
    ("how", "mean", "std"),
    [
        ("dataset", [0.2, 0.5], [0.1, 1.0]),
        ("half", [0.5, 0.5], [0.5, 0.5]),
        ("none", [0, 0], [1, 1]),
        ({"mean": [0.1, 0.2], "std": [3, 4]}, [0.1, 0.2], [3, 4]),
    ],
)
def test_normalisation(how, mean, std):
    found = normaliser(CARD, how)
    assert [value.shape for value in found] == [(1, 2, 1, 1)] * 2
    for tensor, wanted in zip(found, (mean, std), strict=True):
        assert torch.equal(tensor.flatten(), torch.tensor(wanted, dtype=torch.float32))


def test_a_wrong_normalisation_is_one_clear_message():
    with pytest.raises(LabmillError, match="has 2 channel"):
        normaliser(CARD, {"mean": [0.5], "std": [0.5]})
