"""Names and numbers are checked where they are written; large files are refused."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from labmill.core.errors import LabmillError, nearest
from labmill.core.files import read_json
from labmill.plan.plan import Plan
from labmill.study.load import MOST_LINES
from labmill.study.schema import PERIODIC
from labmill.study.variants import point_name
from labmill.study.yaml_source import MOST_BYTES, YamlSource
from labmill.workflow.config import correct_config

OK = "title: x\nvariants:\n  a: {}\n"
NAMES = "title: x\nvariants:\n  %s: {}\n"


def message_of(text: str, tmp_path: Path, scale: str = "full") -> str:
    """Return the one message that a study gets."""
    path = tmp_path / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabmillError) as caught:
        Plan(path, scale)
    message = str(caught.value)
    assert message.startswith(str(path)) and message.count("\n") < MOST_LINES, message
    assert len(message) < 1000, message
    return message


def aliases(levels: int, wrap: str) -> str:
    """Return nested aliases that stand for ten to the power of `levels` values."""
    lines = ["l0: &l0 {x: 1}"]
    for level in range(1, levels):
        lines.append(f"l{level}: &l{level} {wrap % ', '.join(10 * [f'*l{level - 1}'])}")
    return "\n".join(lines)


IMAGES = OK + "data: {dataset: image_folder, arguments: {path: x, %s}}\n"
TRAINING = OK + "defaults: {training: {%s}}\n"
MODEL = OK + "defaults: {model: {%s}}\n"
# What is wrong → study, key, words of the message.
CASES = {
    "reserved variant": (NAMES % "figures", "variants.figures", "results"),
    "reserved folder": (NAMES % "report_latex", "variants.report_latex", "results"),
    "reserved search": (
        OK + "search: {figures: {variant: a, matrix: {training.epochs: [1]}}}\n",
        "search.figures",
        "results",
    ),
    "long name": (NAMES % ("v" + "abcd" * 60), "variants.vabcd", "at most 60"),
    "repeated name": (NAMES % ("a" * 30), "variants.aaa", "repeated 20 times"),
    "seed beyond 64 bits": (OK + f"seeds: [1{'0' * 40}]\n", "seeds[0]", "at most"),
    "number of seeds": (
        OK + f"seeds: [{','.join(map(str, range(5000)))}]\n",
        "seeds",
        "at most 1,000",
    ),
    "batch size": (TRAINING % f"batch_size: 1{'0' * 30}", "batch_size", "at most"),
    "points": (
        OK + "search: {s: {variant: a, matrix: {"
        f"training.epochs: [{','.join(map(str, range(1, 100)))}], "
        f"training.batch_size: [{','.join(map(str, range(1, 100)))}]}}}}}}\n",
        "search.s.matrix",
        "found 9,801 points",
    ),
    "prune steps": (
        OK + "pruning: {p: {variants: [a], steps: 1000000}}\n",
        "pruning.p.steps",
        "at most 1000",
    ),
    "layers": (
        MODEL % f"name: cnn, layers: [{', '.join(['conv 4'] * 2000)}]",
        "defaults.model.layers",
        "at most 1,000",
    ),
    "width of a layer": (
        MODEL % f"name: cnn, layers: [conv 1{'0' * 30}, flatten]",
        "defaults.model.layers",
        "at most 1,000,000",
    ),
    "units": (MODEL % "name: two_conv, dense: 1000000000", "model.dense", "at most"),
    "ratio": (MODEL % "name: vit, mlp_ratio: 1.0e+300", "mlp_ratio", "at most"),
    "no pixels": (IMAGES % "image_size: 0", "data.arguments.image_size", "1 to 4096"),
    "many pixels": (IMAGES % "image_size: 100000", "arguments.image_size", "4096"),
    "no path": (OK + "data: {dataset: image_folder}\n", "data.arguments.path", "needs"),
    "empty path": (
        OK + "data: {dataset: image_folder, arguments: {path: ''}}\n",
        "data.arguments.path",
        "found nothing",
    ),
    "model that needs larger images": (
        MODEL % "name: vgg",
        "defaults.model.name",
        "image_size=8",
    ),
    "groups of pools": (
        MODEL % "name: speednet",
        "defaults.model.name",
        "image_size=8",
    ),
    "half of a pair": (
        'title: "\\ud83d"\nvariants: {a: {}}\n',
        "title",
        "U+D83D",
    ),
    "control character": (
        'title: x\nvariants: {a: {label: "\\e[31m"}}\n',
        "variants.a.label",
        "U+001B",
    ),
    "variant that run leaves out": (
        "title: x\nrun: [a]\nvariants:\n  a: {}\n"
        "  b: {model: {name: vit, stride: [1, 2]}}\n",
        "variants.b.model.stride",
        "expected a whole number",
    ),
    "long value": (OK + f"figures: [{'x' * 50_000}]\n", "figures[0]", "…"),
    "dataset's usual name": (
        OK + "data: {dataset: FashionMNIST}\n",
        "",
        "fashion_mnist",
    ),
    "dataset with a hyphen": (OK + "data: {dataset: CIFAR-10}\n", "", "'cifar10'"),
    "model in capitals": (MODEL % "name: ViT", "", "did you mean 'vit'"),
    "lr": (
        "title: x\nvariants: {a: {training: {lr: 1}}}\n",
        "variants.a.training.lr",
        "'learning_rate'",
    ),
    "lr in a variant": (
        "title: x\nvariants: {a: {lr: 1}}\n",
        "variants.a.lr",
        "variants.a.training.learning_rate",
    ),
    "training setting in a variant": (
        "title: x\nvariants: {a: {optimizer: sgd}}\n",
        "variants.a.optimizer",
        "variants.a.training.optimizer",
    ),
    "training setting at the top": (
        OK + "epochs: 3\n",
        "epochs",
        "defaults.training.epochs",
    ),
    "number of seeds for a list": (OK + "seeds: 3\n", "seeds", "[0, 1, 2]"),
    "comma without quotation marks": (
        "title: x\nauthor: {course: Deep Learning, assignment 2}\nvariants: {a: {}}\n",
        "author.assignment 2",
        "quotation marks",
    ),
    "third argument of result": (
        OK + """report: {text: {limits: '{{ result("a", "test_accuracy", 0) }} and """
        """{{ result("a", "test_loss") }}'}}\n""",
        "report.text.limits",
        'found result("a", "test_accuracy", 0)',
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_message(case: str, tmp_path: Path):
    text, key, words = CASES[case]
    message = message_of(text, tmp_path)
    assert key in message and words in message, message


def test_names_of_one_kind_are_one_mistake(tmp_path: Path):
    names = [f"sgd_1e-{i}" for i in range(9)]
    text = "title: x\nvariants:\n" + "".join(f"  {name}: {{}}\n" for name in names)
    text += f"compare: {{c: {{levels: {{x: [{names[0]}], y: [{names[1]}]}}}}}}\n"
    message = message_of(text, tmp_path)
    assert message.count("\n") == 0 and "write sgd_1e_0" in message, message


def test_a_spelling_is_recognised():
    assert nearest("Fashion-MNIST", ["mnist", "fashion_mnist"]) == "fashion_mnist"
    assert nearest("lr", ["labels", "learning_rate"]) == "learning_rate"
    assert nearest("qqq", ["labels", "learning_rate"]) is None


def test_two_results_in_one_text_are_two(tmp_path: Path):
    text = '{{ result("a", "test_accuracy") }} and {{ result("a", "test_loss") }}'
    path = tmp_path / "fine.yaml"
    path.write_text(OK + f"report: {{text: {{limits: '{text}'}}}}\n")
    Plan(path)


LARGE = {
    "aliases": lambda: OK + aliases(12, "[%s]"),
    "merged aliases": lambda: OK + aliases(12, "{<<: [%s]}"),
    "comment": lambda: "#" + "x" * 20_000_000 + "\n" + OK,
    "title": lambda: f"title: {'x ' * 2_500_000}\nvariants: {{a: {{}}}}\n",
    "list": lambda: OK + f"laptop: {{x: [{'1,' * 100_000}]}}\n",
    "brackets": lambda: OK + f"k: {'[' * 100_000}\n",
}


@pytest.mark.parametrize("kind", LARGE)
def test_large_files_are_refused_at_once(kind: str, tmp_path: Path):
    text = LARGE[kind]()
    begun = time.process_time()
    message_of(text, tmp_path)
    # 1 s on an idle core; a bound for hangs, not for speed, since CI is a busy machine.
    assert time.process_time() - begun < 10


def test_a_device_is_no_study():
    with pytest.raises(LabmillError, match="expected a file"):
        Plan("/dev/zero")


@pytest.mark.parametrize("name", ["a" * 70, "abc" * 20, "A", "smoke"])
def test_a_file_name_is_checked(name: str, tmp_path: Path):
    path = tmp_path / f"{name}.yaml"
    path.write_text(OK)
    with pytest.raises(LabmillError, match="file name"):
        Plan(path)


def test_names_of_points_fit_into_a_path():
    """Long or repeated values are hashed; the names of others stay what they were."""
    widths = [16] * 24
    name = point_name("widths", [widths])
    assert not PERIODIC.search(name) and len(name) < 80
    assert name != point_name("widths", [[*widths[:-1], 32]])
    assert point_name("arch", [3, 0.5]) == "arch_3_0p5"
    assert len(point_name("s", ["x" * 300])) < 80


CONFIG = "author: {name: me, roll_number: 0012345}\npack: 4\ntime: 1:30\n"


def correct(text: str, config: dict, tmp_path: Path) -> dict:
    """Return Snakemake's config after it was compared with its file."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    workflow = SimpleNamespace(
        configfiles=[str(path)], config_settings=SimpleNamespace(configfiles=[])
    )
    correct_config(workflow, config)
    return config


def test_config_is_read_as_it_is_written(tmp_path: Path):
    author = {"name": "you", "roll_number": 5349}
    read = {"author": author, "pack": 4, "time": 90, "scale": "smoke"}
    assert correct(CONFIG, read, tmp_path) == {
        "author": {"name": "you", "roll_number": "0012345"},
        "pack": 4,
        "time": "1:30",
        "scale": "smoke",
    }
    assert correct("# nothing\n", {}, tmp_path) == {}
    with pytest.raises(LabmillError, match=r"yaml:2: pack: found twice"):
        correct("pack: 1\npack: 2\n", {"pack": 2}, tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"\0" * 9])
def test_a_damaged_json_file_is_named(content: bytes, tmp_path: Path):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(LabmillError, match=r"record\.json: damaged"):
        read_json(path)


def test_a_yaml_file_may_be_long_but_not_too_long(tmp_path: Path):
    path = tmp_path / "a.yaml"
    path.write_text(f"a: {'x' * (MOST_BYTES - 10)}\n")
    assert YamlSource(path).data


def test_a_file_read_twice_gives_equal_and_separate_data(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("a: {b: [1]}\n")
    first = YamlSource(path)
    first.data["a"]["b"].append(2)
    again = YamlSource(path)
    assert again.data == {"a": {"b": [1]}} and again.lines == first.lines
    path.write_text("a: {b: [3]}\n")
    assert YamlSource(path).data == {"a": {"b": [3]}}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_another_encoding_is_named(encoding: str, tmp_path: Path):
    path = tmp_path / "study.yaml"
    path.write_bytes((OK + "question: Größe?\n").encode(encoding))
    with pytest.raises(LabmillError, match=r"study.yaml: .* save it as UTF-8$"):
        Plan(path)
