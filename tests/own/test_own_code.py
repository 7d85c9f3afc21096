"""The user's own files beside the studies: found, checked, fingerprinted, named."""

import json
import shutil
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from helpers.workflow_run import ROOT, TINY
from labmill.conformance.try_build import try_build, try_item
from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.models.foreign import arguments_of, example, features, head_name
from labmill.plan.plan import Plan
from labmill.pruning.structure import Structure
from labmill.study.check import check_study
from labmill.study.check_constants import CONSTANTS, mistakes
from labmill.study.check_networks import check_networks
from labmill.study.metrics import METRICS
from labmill.study.schema import Training
from labmill.study.schema.training import Augmentation
from labmill.training import checkpoint
from labmill.training.optimizers import Optimizer

CODE = Path(__file__).parent / "code"
FACTS = {"num_classes": 3, "image_size": 8, "in_channels": 1}
STUDY = TINY | {
    "data": {"dataset": "stripes", "arguments": {"count": 300}},
    "defaults": {"training": {"epochs": 1}},
    "variants": {
        "mixer": {"model": {"name": "mixer", "patch": 2}},
        "hinged": {
            "training": {"loss": "hinge", "loss_arguments": {"margin": 0.5}},
            "model": {"name": "cnn", "layers": ["conv 2", "pool", "flatten"]},
        },
        "lion": {
            "training": {"optimizer": "lion", "optimizer_arguments": {"scale": 0.5}},
            "model": {"name": "cnn", "layers": ["conv 3", "pool", "flatten"]},
        },
        "salted": {
            "training": {"augmentation": {"salt": {"share": 0.5}}},
            "model": {"name": "cnn", "layers": ["conv 5", "pool", "flatten"]},
        },
        "cnn": {"model": {"name": "cnn", "layers": ["conv 4", "pool", "flatten"]}},
    },
    "pruning": {},
    "compare": {},
    "figures": ["heights"],
    "metrics": ["certainty", "top3"],
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with own code."""
    shutil.copytree(CODE, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def plan(project: Path, mill, monkeypatch: pytest.MonkeyPatch):
    """Return a function that plans the study as it is now, as another process would."""
    mill.write(STUDY)

    def planned() -> Plan:
        # Code that was read before is not read again in the same folder.
        copied = Path(tempfile.mkdtemp(dir=project)) / "copy"
        shutil.copytree(project, copied, ignore=shutil.ignore_patterns("tmp*"))
        monkeypatch.chdir(copied)
        return Plan("studies/tiny.yaml")

    return planned


def jobs(plan: Plan) -> dict[str, str]:
    return {f"{j.rule} {j.subject}": j.job.fingerprint for j in plan.jobs()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {
        name.removesuffix(" seed 0").removesuffix(" seed 1")
        for name in before
        if before[name] != after[name]
    }


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


REPORT = {"summarize the study", "report the study"}


def of(variant: str) -> set[str]:
    return {f"{rule} {variant}" for rule in ("train", "evaluate", "measure")} | REPORT


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("models/mixer.py", "range(2)", "range(3)", of("mixer")),
        ("models/blocks.py", "2 * dim", "3 * dim", of("mixer")),
        (
            "models/mixer.py",
            "from torch import nn",
            "from torch import nn  # why",
            set(),
        ),
        ("losses/hinge.py", "margin=margin", "margin=2 * margin", of("hinged")),
        ("optimizers/lion.py", "rate * self.w", "rate / self.w", of("lion")),
        ("augmentations/salt.py", "255, images", "128, images", of("salted")),
        ("metrics/certainty.py", ".mean()", ".min()", REPORT),
        ("figures/heights.py", "axes.bar(", "axes.barh(", {"report the study"}),
    ],
)
def test_an_edit_reruns_what_uses_the_file(project, plan, file, old, new, stale):
    before = jobs(plan())
    edit(project / file, old, new)
    assert changed(before, jobs(plan())) == stale


def test_an_edited_dataset_reruns_everything(project, plan):
    before = jobs(plan())
    edit(project / "datasets/stripes.py", "120", "110")
    after = jobs(plan())
    assert [name for name in before if before[name] == after[name]] == []


def test_a_file_that_no_study_names_makes_nothing_stale(project, plan):
    before = jobs(plan())
    for kind, text in (
        ("models", "def build(num_classes): pass"),
        ("figures", "def draw(results): pass"),
        ("datasets", "def decode(files): pass"),
        ("losses", "def loss(logits, labels): pass"),
        ("augmentations", "def augment(images, draws): pass"),
        ("metrics", "def metric(logits, labels): pass"),
        ("optimizers", "class Another: pass"),
    ):
        (project / kind / "another.py").write_text(text)
    assert jobs(plan()) == before


def test_a_name_that_exists_twice_is_refused(project, plan):
    shutil.copy(project / "models/mixer.py", project / "models/vit.py")
    edit(project / "models/vit.py", "class Mixer", "class ViT")
    with pytest.raises(
        LabmillError, match=r"^models/vit.py: the name 'vit' is taken by"
    ):
        plan()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("metrics/certainty.py", "metrics/accuracy.py"),
        ("augmentations/salt.py", "augmentations/flip.py"),
    ],
)
def test_a_name_that_means_something_else_is_refused(project, plan, old, new):
    # It replaced the column test_accuracy, or was never called.
    shutil.copy(project / old, project / new)
    with pytest.raises(LabmillError, match=rf"^{new}: the name .* is taken by labmill"):
        plan()


def test_all_names_that_mean_something_else_are_known():
    columns = {
        name.partition("_")[2]
        for name in METRICS
        if name.startswith(("test_", "valid"))
    }
    taken = registry.KINDS["metrics"].taken
    assert columns <= {*taken}
    options = Augmentation.model_fields
    assert {*options} <= {*registry.KINDS["augmentations"].taken}


MIXER, CERTAINTY = "models/mixer.py", "metrics/certainty.py"
STRIPES = "datasets/stripes.py"


def test_labmills_own_constants_are_what_the_users_may_be():
    for kind in CONSTANTS:
        for name in registry.names(kind):
            assert [*mistakes(kind, name)] == [], name


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (MIXER, "def forward(self", "def forward(self:", f"{MIXER}, line 19: invalid"),
        (MIXER, "patch: int", "patch: str", "found 2 (whole number); expected text"),
        (
            MIXER,
            "in_channels=3",
            "depth, in_channels=3",
            "missing; mixer needs 'depth'",
        ),
        # Files that are no entry.
        (MIXER, "class Mixer", "class Mix", f"{MIXER} lacks a func"),
        (CERTAINTY, "def metric", "def metrik", "certainty.py lacks a func"),
        (CERTAINTY, '"higher"', '"highr"', "did you mean 'higher'?"),
        (CERTAINTY, "BETTER", "BETER", "BETER: unknown constant; did you mean 'BETT"),
        (CERTAINTY, 'BETTER = "higher"', "", "BETTER: missing"),
        (CERTAINTY, '"%"', '"percent"', f"{CERTAINTY}: UNIT: found 'percent'; allowed"),
        (
            CERTAINTY,
            '"mean certainty"',
            "7",
            "TITLE: found 7 (whole number); expected t",
        ),
        (
            CERTAINTY,
            '"mean certainty"',
            "str(7)",
            "TITLE: found str(7); expected a val",
        ),
        ("figures/heights.py", "CAPTION =", "WORDS =", "CAPTION: missing"),
        ("figures/heights.py", '"One bar per variant."', "None", "ALT: found nothing"),
        (
            STRIPES,
            '("across", "along", "none")',
            '"abc"',
            "CLASSES: found 'abc' (text)",
        ),
        (
            STRIPES,
            '("across", "along", "none")',
            "{'a', 'b'}",
            "(set); expected a list",
        ),
        (
            STRIPES,
            "IMAGE_SIZE = 8",
            "IMAGE_SIZE = '8'",
            "(text); expected a whole number",
        ),
        (STRIPES, "IMAGE_SIZE = 8", "IMAGE_SIZE = 0", "IMAGE_SIZE: found 0 (whole num"),
        (
            STRIPES,
            "IMAGE_SIZE =",
            "KIND = 'images'\nIMAGE_SIZE =",
            "KIND: found 'images';",
        ),
        (
            STRIPES,
            "ORIGIN =",
            "URLS = 'x'\nORIGIN =",
            "URLS: found 'x' (text); expected",
        ),
        (STRIPES, "ORIGIN", "PAGE", "ORIGIN: missing"),
        (
            STRIPES,
            "ORIGIN =",
            "AUGMENTATION = {'crop': 'x'}\nORIGIN =",
            "AUGMENTATION: f",
        ),
        ("augmentations/salt.py", "= 3", "= '3'", "salt.py: DRAWS: found '3' (text)"),
        ("augmentations/salt.py", "= 3", "= -3", "DRAWS: found -3 (whole number)"),
        ("augmentations/salt.py", "DRAWS", "DRAW", "DRAW: unknown constant; did you m"),
        (
            "losses/hinge.py",
            "\n\nfrom",
            "\nMIXED_LABELS = 1\nfrom",
            "expected true or f",
        ),
        (MIXER, "\n\nfrom", "\nKIND = 'sequenc'\nfrom", "did you mean 'sequence'?"),
        (MIXER, "\n\nfrom", "\nREQUIRES = {'dim': 'x'}\nfrom", "REQUIRES: found"),
        *(
            (MIXER, "\n\nfrom", f"\nREQUIRES = {{{requires}}}\nfrom", words)
            for requires, words in (
                ("'dims': ('dim > 1', 'is large')", "did you mean 'dim'?"),
                (
                    "'dim': ('dim > pach', 'is large')",
                    "found 'pach'; did you mean 'patch",
                ),
                ("'dim': ('dim >', 'is large')", "REQUIRES['dim']: found 'dim >': inv"),
                ("'dim': ('dim.real', 'is large')", "found '.real'"),
            )
        ),
        (
            "figures/heights.py",
            "def draw",
            "def drawn",
            "figures/heights.py lacks a func",
        ),
    ],
)
def test_a_mistake_is_one_message_before_anything_is_imported(
    project, plan, file, old, new, words
):
    edit(project / file, old, new)
    with pytest.raises(LabmillError) as caught:
        plan()
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("self.stem(x)", "self.step(x)", "models/mixer.py, line 20, in forward: Attr"),
        ("from torch", "from porch", "models/mixer.py, line 3, in <module>: ModuleNot"),
        (
            "nn.Linear(dim, num",
            "nn.Linear(dim, 1 + num",
            "returns (2, 4) for two images",
        ),
        ("patch, patch)", "patch, 0)", "models/mixer.py, line "),
        ("self.stem(x)", "exit('bye')", "models/mixer.py, line 20, in forward: System"),
        (
            "self.stem(x)",
            "__import__('os')._exit(0)",
            "ends the process that tries it",
        ),
        ("self.stem(x)", "print(1) or x.step", "line 20, in forward: Attr"),
    ],
)
def test_what_own_code_raises_is_shown_with_its_line_before_training(
    project, plan, old, new, words
):
    edit(project / "models/mixer.py", old, new)
    made = plan()
    with pytest.raises(LabmillError) as caught:
        check_networks(made.resolved.values(), made.facts, made.source, made.study)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_own_code_whose_loop_never_ends_is_named(project, plan, monkeypatch):
    edit(project / "models/mixer.py", "self.stem(x)", "[1 for _ in iter(int, 1)]")
    made = plan()
    monkeypatch.setattr("labmill.study.check_networks.TIMEOUT", 20)
    with pytest.raises(LabmillError, match=r"mixer.* not finished after 20 s"):
        check_networks(made.resolved.values(), made.facts, made.source, made.study)


SALT, HINGE = "augmentations/salt.py", "losses/hinge.py"
LION = "optimizers/lion.py"
# What is wrong in one of the files: file, old, new, where in the study, and the message.
UNUSABLE = [
    (CERTAINTY, "logits.max", "logits.min", "metrics[0]", None),
    (
        CERTAINTY,
        "shares.max(1)",
        "shares[:, 3]",
        "metrics[0]",
        ", line 12, in metric: I",
    ),
    (CERTAINTY, ".mean()", "", "metrics[0]", ": found array([0."),
    (
        CERTAINTY,
        ".mean()",
        ".mean() * np.nan",
        "metrics[0]",
        ": returned nan for made-",
    ),
    (CERTAINTY, ".mean()", ".mean().item().hex()", "metrics[0]", ": found '0x1."),
    (
        CERTAINTY,
        "shares =",
        "exit()\n    shares =",
        "metrics[0]",
        ", in metric: System",
    ),
    (CERTAINTY, "shares =", "print()\n    shares =", "metrics[0]", None),
    pytest.param(
        CERTAINTY,
        "shares =",
        "__import__('os')._exit(0)\n    shares =",
        "metrics[0]",
        ": ends the process that tries it",
        marks=pytest.mark.slow,
    ),
    (
        HINGE,
        "margin=margin",
        "marge=margin",
        "hinged.training",
        ", in loss: Type",
    ),
    (
        HINGE,
        "=margin)",
        "=margin, reduction='none')",
        "hinged.training",
        "returned (12,)",
    ),
    (
        HINGE,
        "=margin)",
        "=margin).item()",
        "hinged.training",
        "expected one number, a te",
    ),
    (HINGE, "=margin)", "=margin).detach()", "hinged.training", "without a gradient"),
    (HINGE, "=margin)", "=margin).log() * 0 / 0", "hinged.training", ": returned nan"),
    (LION, "grads, state", "grads", "lion.training", ": Lion.plain() takes"),
    (
        LION,
        'state["momentum"]',
        'state["first"]',
        "lion.training",
        ", in plain: KeyE",
    ),
    (LION, "param.sub_(", "torch.sub(param, ", "lion.training", ": changed no weight"),
    (
        SALT,
        "255, images)",
        "255.0, images)",
        "salted.training",
        "returned torch.float32",
    ),
    (
        SALT,
        "return torch.where",
        "torch.where",
        "salted.training",
        "returned NoneType;",
    ),
    (
        SALT,
        "rows.long()",
        "row.long()",
        "salted.training",
        ", in augment: Name",
    ),
]


@pytest.fixture
def tried_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try own code in this process: another one starts slowly."""
    monkeypatch.setattr(
        "labmill.study.check_networks.try_all",
        lambda items: [try_item(json.loads(json.dumps(item))) for item in items],
    )


@pytest.mark.parametrize(("file", "old", "new", "at", "words"), UNUSABLE)
def test_own_code_is_tried_before_training(
    project, plan, request, monkeypatch, file, old, new, at, words
):
    monkeypatch.setattr("labmill.study.check_networks.networks_of", lambda *_: ())
    if "_exit" not in new:
        request.getfixturevalue("tried_here")
    edit(project / file, old, new)
    made = plan()
    with pytest.raises(LabmillError) if words else nullcontext() as caught:
        check_networks(made.resolved.values(), made.facts, made.source, made.study)
    if caught:
        message = str(caught.value)
        assert at in message and file in message and words in message
        assert "\n" not in message


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("image_folder", ""),
        ("two", "returns (2, 3) for two images; expected logits, (2, 2)"),
        ("unknown", ""),
    ],
)
def test_a_network_is_tried_with_the_real_number_of_classes(
    project, mill, dataset, words
):
    (project / "models/three.py").write_text(
        "from torch import nn\n\n\ndef build():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 3))\n"
    )
    (project / "datasets/unknown.py").write_text(
        "CHANNELS = 3\nIMAGE_SIZE = 32\nORIGIN = 'x'\n\n\ndef decode(files): ...\n"
    )
    for name in "abc":
        (project / "images/train" / name).mkdir(parents=True)
    data = {"dataset": "image_folder", "arguments": {"path": "images"}}
    if dataset == "two":
        data["classes"] = ["a", "c"]
    elif dataset == "unknown":
        data = {"dataset": dataset}
    more = {"title": "x", "data": data, "variants": {"a": {"model": {"name": "three"}}}}
    found = check_study(mill.write(more))
    with pytest.raises(LabmillError) if words else nullcontext() as caught:
        check_networks(found.variants.values(), found.facts, found.source, found.study)
    assert words in str(caught and caught.value)


@pytest.mark.parametrize("file", ["metrics/certainty.py", "figures/heights.py"])
def test_the_examples_of_the_page_are_the_tested_files(file):
    page = ROOT.joinpath("docs/own-code.md").read_text(encoding="utf-8")
    assert f"```python\n{(CODE / file).read_text()}```" in page


def test_a_byte_order_mark_is_no_mistake(project, plan):
    path = project / "models/mixer.py"
    path.write_bytes("\ufeff".encode() + path.read_bytes())
    made = plan()
    check_networks(made.resolved.values(), made.facts, made.source, made.study)


def test_what_a_stage_needs_is_derived(project):
    network = checkpoint.build("mixer", **FACTS, patch=2)
    assert head_name(network) == "classifier"
    assert features(network, example(network)).shape == (1, 16)
    assert arguments_of(network) == FACTS | {"patch": 2, "dim": 16}


def test_a_pruned_network_is_built_again_from_its_arguments(project):
    network = checkpoint.build("mixer", **FACTS, patch=2).eval()
    structure = Structure(network)
    assert structure.layers == [
        f"blocks.{block}.{kind}.0"
        for block in (0, 1)
        for kind in ("tokens", "channels")
    ]
    for layer in structure.layers:
        structure.remove(layer, [0, 2])
    again = checkpoint.build("mixer", **arguments_of(network)).eval()
    assert arguments_of(again) == arguments_of(network)
    again.load_state_dict(network.state_dict())
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(again(images), network(images))
    # From scratch, the narrow layers get initial values of their own.
    fresh = checkpoint.build("mixer", **arguments_of(network))
    assert not torch.equal(
        fresh.blocks[0].tokens[0].weight, network.blocks[0].tokens[0].weight
    )


def test_what_cannot_be_derived_is_named(project):
    text = (
        "import torch\nfrom torch import nn\n\n\nclass Fixed(nn.Module):\n"
        "    def __init__(self, num_classes):\n        super().__init__()\n"
        "        self.weight = nn.Parameter(torch.zeros(num_classes, 64))\n\n"
        "    def forward(self, x):\n        return x.flatten(1) @ self.weight.T\n"
    )
    Path("models/fixed.py").write_text(text)
    assert try_build("fixed", FACTS) == 3 * 64
    for section, words in (
        ("pruning", "define `prunable(self)`"),
        ("pretexts", "call its last layer `self.head`"),
        ("represent", "call its last layer `self.head`"),
    ):
        assert words in str(try_build("fixed", FACTS, [section])), section


def test_an_optimizer_may_be_derived_from_torchs(project):
    text = (
        "import torch\n\n\nclass Sign(torch.optim.Optimizer):\n"
        "    def __init__(self, params, lr, weight_decay=0.0, scale: float = 1.0):\n"
        "        super().__init__(params, {'lr': lr, 'scale': scale})\n\n"
        "    def step(self):\n        for group in self.param_groups:\n"
        "            for param in group['params']:\n"
        "                param -= group['lr'] * group['scale'] * param.grad.sign()\n"
    )
    Path("optimizers/sign.py").write_text(text)
    network = torch.nn.Linear(3, 2)
    before = network.weight.clone()
    chosen = {"optimizer": "sign", "optimizer_arguments": {"scale": 0.5}}
    optimizer = Optimizer(network, Training(**chosen))
    grads = [torch.ones_like(param) for param in optimizer.params]
    with torch.no_grad():
        states = optimizer.states()
        optimizer.update(optimizer.params, grads, states, 0.1, fused=True)
    assert torch.allclose(network.weight, before - 0.05)


def test_a_build_function_may_take_what_it_likes(project):
    text = (
        "from torch import nn\n\n\ndef build(num_classes, width: int = 2, act=nn.ReLU):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), act(),"
        " nn.Linear(width, num_classes))\n"
    )
    Path("models/plain.py").write_text(text)
    assert [a.name for a in registry.arguments("models", "plain")] == [
        "num_classes",
        "width",
    ]
    network = checkpoint.build("plain", **FACTS)
    assert arguments_of(network) == FACTS | {"width": 2}
    assert network(example(network)).shape == (1, 3)
