"""A wrong study file gets one message: file, line, key, found, allowed."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from labmill.core.errors import LabmillError
from labmill.plan.plan import Plan
from labmill.study.options_page import collect
from labmill.study.schema import Model, SeedRounds, Study
from labmill.study.schema.search import Budget

VIT = "title: x\nvariants:\n  a: {model: {name: vit, patch: 2%s}}\n"
OK = VIT % ""
TWO = "title: x\nvariants:\n  {a: {}, b: {}}\n"

CASES = {
    "unknown key": (OK + "sedes: [1]\n", 4, "sedes", "did you mean 'seeds'?"),
    "unknown inner key": (
        OK + "data: {datset: digits}\n",
        4,
        "data.datset",
        "'dataset'",
    ),
    "wrong type": (
        OK + "seeds: three\n",
        4,
        "seeds",
        "found 'three' (text); expected a list",
    ),
    "fraction of epochs": (
        OK + "defaults: {training: {epochs: 1.5}}\n",
        4,
        "defaults.training.epochs",
        "found 1.5 (number); expected a whole number",
    ),
    "negative rate": (
        OK + "defaults: {training: {learning_rate: -1}}\n",
        4,
        "defaults.training.learning_rate",
        "found -1",
    ),
    "unknown model": (
        "title: x\nvariants:\n  a: {model: {name: vitt}}\n",
        3,
        "variants.a.model.name",
        "did you mean 'vit'?",
    ),
    "unknown dataset": (OK + "data: {dataset: minst}\n", 4, "data.dataset", "'mnist'"),
    "unknown optimizer": (
        OK + "defaults: {training: {optimizer: adm}}\n",
        4,
        "defaults.training.optimizer",
        "did you mean 'adam'?",
    ),
    "unknown activation": (
        VIT % ", activation: rleu",
        3,
        "variants.a.model.activation",
        "did you mean 'relu'?",
    ),
    "unknown argument": (
        VIT % ", dmi: 3",
        3,
        "variants.a.model.dmi",
        "did you mean 'dim'?",
    ),
    "argument's type": (
        VIT % ", depth: two",
        3,
        "variants.a.model.depth",
        "a whole number",
    ),
    "heads do not divide dim": (
        VIT % ", dim: 32, heads: 5",
        3,
        "variants.a.model.heads",
        "must divide dim (dim=32, heads=5)",
    ),
    "patch too large": (
        "title: x\nvariants:\n  a: {model: {name: vit, patch: 9}}\n",
        3,
        "variants.a.model.patch",
        "must fit into the image",
    ),
    "layer": (
        "title: x\nvariants:\n  a: {model: {name: cnn, layers: [conv 16, pol]}}\n",
        3,
        "variants.a.model",
        "did you mean 'pool'?",
    ),
    "duplicate variant": (
        "title: x\nvariants:\n  a: {}\n  a: {}\n",
        4,
        "variants.a",
        "found twice, first in line 3",
    ),
    "no variants": ("title: x\nvariants: {}\n", 2, "variants", "at least one"),
    "variants left out": ("title: x\nvariants:\n", 2, "variants", "expected a mapping"),
    "variant's name": (
        OK.replace("a:", "A-b:"),
        3,
        "variants.A-b",
        "names are lower-case",
    ),
    "class name": (
        OK + "data: {classes: [one, 2]}\n",
        4,
        "data.classes",
        "class 'one'",
    ),
    "roll number": (
        OK + "data: {roll_number: none}\n",
        4,
        "data.roll_number",
        "has no digit",
    ),
    "no title": ("variants:\n  a: {}\n", 1, "title", "missing"),
    "broken YAML": ("title: [x\nvariants: {\n", 2, "", "unreadable YAML"),
    "list": ("- a\n", None, "", "no mapping"),
    "empty file": ("", None, "", "found nothing"),
    "delta's key": (
        OK.replace("}}", "}, training: {lerning_rate: 1}}"),
        3,
        "variants.a.training.lerning_rate",
        "did you mean 'learning_rate'?",
    ),
    "compare": (
        OK + "compare: {c: {levels: {x: [a], y: [b]}}}\n",
        4,
        "compare.c.levels.y[0]",
        "no variant 'b'",
    ),
    "matrix": (
        OK + "search: {s: {variant: a, matrix: {dim: [8]}}}\n",
        4,
        "search.s.matrix.dim",
        "model.<argument>",
    ),
    "matrix value": (
        OK + "search: {s: {variant: a, matrix: {model.heads: [5]}}}\n",
        4,
        "search.s.matrix.model.heads",
        "must divide dim",
    ),
}

CASES |= {
    "seed twice": (OK + "seeds: [0, 1, 2, 2]\n", 4, "seeds", "2 is listed twice"),
    "unknown key of rounds": (
        TWO + "seeds: {start: 3, mots: 12}\n",
        4,
        "seeds.mots",
        "did you mean 'most'?",
    ),
    "rounds that add nothing": (
        TWO + "seeds: {start: 5, most: 5}\n",
        4,
        "seeds",
        "found most 5; expected more than start, 5",
    ),
    "too few seeds to test": (
        TWO + "seeds: {start: 2, most: 5}\n",
        4,
        "seeds.start",
        "expected at least 3",
    ),
    "rounds of one variant": (
        OK + "seeds: {most: 5}\n",
        4,
        "seeds",
        "no question to decide: the study has one variant",
    ),
    "rounds and a prune loop": (
        TWO + "seeds: {most: 5}\npruning: {prune: {variants: [a]}}\n",
        5,
        "pruning",
        "seeds until decided do not work with it",
    ),
    "rounds and seeds of a variant": (
        "title: x\nseeds: {most: 5}\nvariants: {a: {seeds: [1]}, b: {}}\n",
        3,
        "variants.a.seeds",
        "seeds until decided do not work with it",
    ),
    "rounds for counts": (
        TWO
        + "seeds: {most: 5}\n"
        + "compare: {q: {levels: {a: [a], b: [b]}, metric: parameters}}\n",
        4,
        "seeds",
        "parameters is not tested",
    ),
    "negative seed": (OK + "seeds: [-1]\n", 4, "seeds[0]", "found -1"),
    "variant's key": (
        "title: x\nvariants:\n  a: {trainig: {}}\n",
        3,
        "variants.a.trainig",
        "did you mean 'training'?",
    ),
    "metric": (
        TWO + "compare: {c: {levels: {x: [a], y: [b]}, metric: test_acuracy}}\n",
        4,
        "compare.c.metric",
        "did you mean 'test_accuracy'?",
    ),
    "compared with itself": (
        TWO + "compare: {c: {levels: {x: [a], y: [a]}}}\n",
        4,
        "compare.c.levels",
        "'a' is compared with itself",
    ),
    "compared twice": (
        TWO + "compare: {c: {levels: {x: [a, a], y: [b, b]}}}\n",
        4,
        "compare.c.levels",
        "the same variants are compared twice",
    ),
    "one level": (
        TWO + "compare: {c: {levels: {x: [a, b]}}}\n",
        4,
        "compare.c.levels",
        "at least two",
    ),
    "one label": (
        TWO.replace("b: {}", "b: {label: a}"),
        3,
        "variants.b.label",
        "a is called 'a' too",
    ),
    "empty title": (OK.replace("title: x", "title: ' '"), 1, "title", "found nothing"),
    "percentage": (
        TWO + "published: {source: s, variants: {a: {test_accuracy: 97}}}\n",
        4,
        "published.variants.a.test_accuracy",
        "97 % as 0.97",
    ),
    "published figure": (
        TWO + "published: {source: s, variants: {a: {accuracy: 0.97}}}\n",
        4,
        "published.variants.a.accuracy",
        "'test_accuracy'",
    ),
    "published class": (
        TWO + "published: {source: s, variants: {a: {class_accuracy: {ten: 0.9}}}}\n",
        4,
        "published.variants.a.class_accuracy.ten",
        "no class",
    ),
    "published curve": (
        TWO + "published: {source: s, variants: {}, history: {a: {loss: {1: 2}}}}\n",
        4,
        "published.history.a.loss",
        "'test_loss'",
    ),
    "search of itself": (
        "title: x\nvariants: {a: {chosen: {search: s}}}\n"
        "search: {s: {variant: a, matrix: {training.epochs: [1]}}}\n",
        2,
        "variants.a.chosen.search",
        "a → s → a",
    ),
    "searches of each other": (
        "title: x\nvariants: {a: {chosen: {search: s}}, b: {chosen: {search: t}}}\n"
        "search:\n"
        "  s: {variant: b, matrix: {training.epochs: [1]}}\n"
        "  t: {variant: a, matrix: {training.epochs: [1]}}\n",
        2,
        "variants.a.chosen.search",
        "a → s → b → t → a",
    ),
    "rank": (
        TWO.replace("b: {}", "b: {chosen: {search: s, rank: 3}}")
        + "search: {s: {variant: a, matrix: {training.epochs: [1, 2]}}}\n",
        3,
        "variants.b.chosen.rank",
        "the search s has 2 points",
    ),
    "matrix option": (
        OK + "search: {s: {variant: a, matrix: {training.epoch: [1]}}}\n",
        4,
        "search.s.matrix.training.epoch",
        "did you mean 'epochs'?",
    ),
    "section": (
        OK + "report: {sections: [discusion]}\n",
        4,
        "report.sections[0]",
        "did you mean 'discussion'?",
    ),
    "text's section": (
        OK + "report: {text: {limit: Few images.}}\n",
        4,
        "report.text.limit",
        "did you mean 'limits'?",
    ),
    "variant in the text": (
        OK + """report: {text: {limits: '{{ result("b", "test_loss") }}'}}\n""",
        4,
        "report.text.limits",
        "no variant 'b' is run",
    ),
    "variant in the question": (
        """question: '{{ result("b", "test_loss") }}'\n""" + OK,
        1,
        "question",
        "no variant 'b' is run",
    ),
    "variant in a question of compare": (
        """title: x\nvariants: {a: {}, b: {}}\n"""
        """compare: {c: {question: '{{ result(1) }}', levels: {x: [a], y: [b]}}}\n""",
        3,
        "compare.c.question",
        "a number is written",
    ),
    "figure in the text": (
        OK + """report: {text: {limits: '{{ result("a", "test_los") }}'}}\n""",
        4,
        "report.text.limits",
        "did you mean 'test_loss'?",
    ),
    "figure of the first page": (
        OK + "report: {hero: acuracy}\n",
        4,
        "report.hero",
        "did you mean 'accuracy'?",
    ),
    "answer to a task": (
        OK + "report: {tasks: [{text: A, answers: [discusion]}]}\n",
        4,
        "report.tasks[0].answers[0]",
        "did you mean 'discussion'?",
    ),
    "final without words": (
        OK + "report: {final: true}\n",
        4,
        "report",
        "your own words in text.discussion and text.conclusion",
    ),
    "channels": (
        OK + "data: {normalisation: {mean: [0.5, 0.5], std: [0.5]}}\n",
        4,
        "data.normalisation.mean",
        "found 2 numbers; the images have 1 channel",
    ),
    "limit": (OK + "data: {limit: 19}\n", 4, "data.limit", "at least 20"),
    "test limit": (OK + "data: {test_limit: 9}\n", 4, "data.test_limit", "at least 10"),
    "no unlabelled images": (
        OK + "pretexts: {p: {task: rotation}}\n",
        4,
        "pretexts.p.images",
        "data.unlabelled",
    ),
    "crop": (
        OK + "defaults: {training: {augmentation: {crop: 8}}}\n",
        4,
        "defaults.training.augmentation.crop",
        "found 8; images of 8 pixels allow at most 7",
    ),
    "cutout": (
        OK.replace("}}", "}, training: {augmentation: {cutout: 9}}}"),
        3,
        "variants.a.training.augmentation.cutout",
        "at most 8",
    ),
    "test shift": (
        OK.replace("}}", "}, test_shift: 8}"),
        3,
        "variants.a.test_shift",
        "found 8; images of 8 pixels allow at most 7",
    ),
    "warm-up": (
        OK + "defaults: {training: {epochs: 2, schedule: {kind: one_cycle, "
        "warmup_epochs: 2}}}\n",
        4,
        "defaults.training.schedule.warmup_epochs",
        "found 2; the run has 2 epochs",
    ),
    "both types of a number": (
        OK + "data: {validation: 0}\n",
        4,
        "data.validation",
        "found 0 (whole number); expected greater than 0 or ",
    ),
    "word for a mapping": (
        OK + "defaults: {training: {schedule: cosine}}\n",
        4,
        "defaults.training.schedule",
        "expected a mapping: {kind: cosine}",
    ),
    "number for a mapping": (
        OK + "data: 5\n",
        4,
        "data",
        "expected a mapping with the keys: dataset, arguments",
    ),
    "sexagesimal": (
        OK + "defaults: {training: {epochs: 1:30}}\n",
        4,
        "defaults.training.epochs",
        "found '1:30' (text)",
    ),
    "octal": (
        OK + "defaults: {training: {epochs: 010}}\n",
        4,
        "defaults.training.epochs",
        "found '010' (text)",
    ),
}
CASES |= {
    f"value {value}": (
        OK + f"defaults: {{training: {{learning_rate: {value}}}}}\n",
        4,
        "defaults.training.learning_rate",
        "allowed: text, finite numbers",
    )
    for value in (
        ".nan",
        ".inf",
        "1e400",
        "!!binary aGk=",
        "!!set {a}",
        "!foo 1",
        '!!int ""',
    )
} | {"tagged word": (OK + "seeds: !!int hello\n", 4, "seeds", "!!int hello")}


@pytest.mark.parametrize("case", CASES)
def test_message(case: str, tmp_path: Path):
    text, line, key, words = CASES[case]
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(LabmillError) as caught:
        Plan(path)
    message = str(caught.value)
    assert message.startswith(str(path)), message
    assert words in message, message
    if line:
        assert re.match(rf"{re.escape(str(path))}:{line}:", message), message
    assert f" {key}: " in message or not key, message
    assert message.count("\n") == 0, message


def test_folder_instead_of_file(tmp_path: Path):
    with pytest.raises(LabmillError, match="found a folder"):
        Plan(tmp_path)


def test_missing_file(tmp_path: Path):
    with pytest.raises(LabmillError, match="no such file"):
        Plan(tmp_path / "none.yaml")


def test_exponent_without_a_dot_is_a_number(tmp_path: Path):
    path = tmp_path / "fine.yaml"
    path.write_text(OK + "defaults: {training: {learning_rate: 1e-4}}\n")
    assert Plan(path).study.defaults.training.learning_rate == 1e-4


@pytest.mark.parametrize(
    "text",
    [
        "<<: 5\n",
        "laptop: &a [*a]\n",
        "laptop: &a {b: *a}\n",
        f"seeds: {'[' * 3000}{']' * 3000}\n",
        "seeds: !foo [1]\n",
        "? [1]\n: 2\n",
        "a: *b\n",
        "\x01: 2\n",
    ],
)
def test_unreadable_yaml_gets_one_line(text: str, tmp_path: Path):
    path = tmp_path / "wrong.yaml"
    path.write_text(OK + text)
    with pytest.raises(LabmillError) as caught:
        Plan(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and message.count("\n") == 0, message


@pytest.mark.parametrize("scale", ["laptop", "smoke"])
def test_mistakes_of_an_overlay_are_shown_there(scale: str, tmp_path: Path):
    path = tmp_path / "wrong.yaml"
    for overlay, key in (
        ("{defaults: {training: {epoch: 1}}}", "defaults.training.epoch"),
        ("{variants: {a: {modle: {}}}}", "variants.a.modle"),
        ("{variants: {a: {training: {epochs: x}}}}", "variants.a.training.epochs"),
        ("{variants: {b: {}}}", "variants.b"),
    ):
        path.write_text(OK + f"\n{scale}: {overlay}\n")
        with pytest.raises(LabmillError) as caught:
            Plan(path, scale)
        expected = f"{path}:5: {scale}.{key}: "
        assert str(caught.value).startswith(expected), caught.value


# Every section that a study can have, each with every key that holds a section or list.
FULL = """
title: All of it
question: What?
author: {name: me, roll_number: "7", course: none}
data: {dataset: digits, classes: [0, 1, 2], limit: 300, unlabelled: 0.3,
       normalisation: {mean: [0.5], std: [0.5]}}
defaults:
  model: {name: cnn, layers: [conv 4, pool, flatten]}
  training: {epochs: 2, schedule: {kind: cosine}, augmentation: {crop: 1},
             until: {train_accuracy: 0.9, max_epochs: 3}, betas: [0.9, 0.99],
             converged: {patience: 2}, early_stopping: {patience: 3},
             lookahead: {every: 4}}
seeds: [0, 1]
run: [a, b, v, w]
variants:
  a: {label: first, training: {epochs: 1}, seeds: [0, 1]}
  b: {chosen: {search: s, rank: 1}}
  v: {model: {name: vit, patch: 2}}
  w: {start: {pretext: p, freeze: true}, test_flip: true}
pretexts: {p: {task: rotation, training: {epochs: 1}, seeds: [0]}}
search:
  s:
    variant: a
    matrix: {training.batch_size: [8, 16]}
    training: {epochs: 1}
    seeds: [0, 1]
    select: {rule: best}
pruning:
  loop: {variants: [a], layers: [conv1], controls: [scratch], finetune: {epochs: 1}}
edits: {variants: [a], trials: 2, confirm: 1}
measure: {batches: [1, 8]}
examine: {variants: [v]}
represent: {variants: [a]}
influence: {variants: [a], layers: [conv1], criteria: [l1, squares]}
formulate: {variants: [a]}
lessons: {reference: a, variants: [b]}
compare: {c: {levels: {x: [a], y: [b]}, metric: test_loss}}
published: {source: there, variants: {a: {test_accuracy: 0.9}},
            history: {a: {train_loss: {1: 2.0}}}, notes: {a: other images},
            searches: {s: [{settings: {training.batch_size: 8}, accuracy: 0.9}]},
            confusions: {a: {"0": {"1": 0.1}}}, edits: {a: b}}
figures: [together]
margin: 0.02
metrics: [top3]
report: {length: full, hero: accuracy, sections: [data, limits], text: {limits: None.},
         tasks: [{text: A, marks: 1, answers: [data]}], final: false, references: ""}
laptop: {seeds: [0]}
smoke: {seeds: [0]}
"""


def found_in(value: Any, at: tuple = ()) -> Iterator[tuple]:
    """The key paths of everything in a nested value."""
    yield at
    items = value.items() if isinstance(value, dict) else ()
    for key, inner in items or (enumerate(value) if isinstance(value, list) else ()):
        yield from found_in(inner, (*at, key))


def value_at(value: Any, at: tuple) -> Any:
    """What stands at a key path."""
    for key in at:
        value = value[key]
    return value


@pytest.fixture
def full(tmp_path: Path) -> Path:
    path = tmp_path / "wrong.yaml"
    path.write_text(FULL)
    Plan(path)
    return path


def test_the_example_has_every_key_that_leads_on():
    """So that the next two tests reach every section of the schema."""
    data = yaml.safe_load(FULL)
    assert set(data) == set(Study.model_fields)
    sections: list = []
    collect(Study, sections)
    sections.remove(Model)  # written flat
    sections.remove(SeedRounds)  # not with prune loops; see CASES
    sections.remove(Budget)  # not with the grid that the variant `b` is chosen from
    for section in sections:
        fields = set(section.model_fields)
        assert any(
            isinstance(value, dict) and value and {*value} <= fields
            for value in (value_at(data, at) for at in found_in(data))
        ), section


def test_a_misspelt_key_anywhere_names_the_nearest(full: Path):
    data = yaml.safe_load(FULL)
    named = ("arguments", "layers", "name", "patch")
    sections: list = []
    collect(Study, sections)
    known = {key for section in sections for key in section.model_fields} | {*named}
    tried = 0
    for at in list(found_in(data)):
        if not at or at[-1] not in known or at[0] in ("laptop", "smoke"):
            continue
        if at[-1] == "name" and at[-2] == "model":
            continue  # a model without a name is another mistake
        wrong = yaml.safe_load(FULL)
        owner = value_at(wrong, at[:-1])
        misspelt = at[-1][:-1] + "q" + at[-1][-1]
        owner[misspelt] = owner.pop(at[-1])
        full.write_text(yaml.safe_dump(wrong, sort_keys=False))
        with pytest.raises(LabmillError) as caught:
            Plan(full)
        message = str(caught.value)
        assert f"{misspelt}: unknown" in message, message
        assert f"did you mean '{at[-1]}'?" in message, message
        tried += 1
    assert tried > 80


def test_a_repeated_entry_anywhere_is_refused(full: Path):
    # Two tasks of an assignment may be worded alike.
    may_repeat = ("mean", "std", "betas", "tasks")
    data = yaml.safe_load(FULL)
    tried = 0
    for at in list(found_in(data)):
        listed = value_at(data, at)
        if (
            not isinstance(listed, list)
            or at[-1] in may_repeat
            or at[1:2] == ("model",)
            or at[-2:-1] == ("levels",)
        ):
            continue
        wrong = yaml.safe_load(FULL)
        value_at(wrong, at).append(listed[0])
        full.write_text(yaml.safe_dump(wrong, sort_keys=False))
        with pytest.raises(LabmillError, match="listed twice"):
            scale = at[0] if at[0] in ("laptop", "smoke") else "full"
            Plan(full, scale)
        tried += 1
    assert tried > 20
