"""Controls, lessons and looks in the report: sentences, tables and figures."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.finish_report import finish
from helpers.report_page import built, results_of
from helpers.report_records import PROVENANCE
from helpers.synthetic_results import STUDY, make_results
from labmill.report import number_format
from labmill.report.figures import draw
from labmill.report.sections.cost.tables import formulations
from labmill.report.sections.pruning.influence import correlation_interval
from labmill.report.sections.pruning.networks import networks
from labmill.report.sections.pruning.tables import controls
from labmill.report.sections.search.figures.search_effects import margins_of
from labmill.report.sections.search.tables import ranking
from labmill.search.records import RankedPoint

LAYER = {
    "accuracy_drop": [0.01, 0.0, 0.02],
    "loss_rise": [0.1, -0.01, 0.2],
    "predicted": {"squares": [2.0, 1.0, 3.0], "random": [0.5, 0.1, 0.2]},
    "rank_correlation": {
        "squares": {"accuracy_drop": 1.0, "loss_rise": 1.0},
        "random": {"accuracy_drop": 0.5, "loss_rise": -0.5},
    },
}
TIME = {"q1_s": 0.9, "q3_s": 1.2, "n": 3}
TIMES = {"library": {"median_s": 1.0, **TIME}, "unfold": {"median_s": 2.5, **TIME}}
CHANGES = {
    "pruning": {
        "prune": STUDY["pruning"]["prune"]
        | {"controls": ["scratch", "longer"], "above": 0.8, "measured": "every"}
    },
    "lessons": {"reference": "vit_sin_relu", "variants": ["vit_sin_tanh"]},
    "influence": {"variants": ["cnn"]},
    "formulate": {"variants": ["cnn"]},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study with all of it, and a lesson that diverged."""
    root = tmp_path_factory.mktemp("work")
    job, index = make_results(root, diverged=True, changes=CHANGES)
    found = {
        "influence": {
            "accuracy": 0.9,
            "loss": 0.3,
            "layers": {"conv1": LAYER},
            "provenance": PROVENANCE,
        },
        "formulate": {
            "images": 2000,
            "batch": 32,
            "threads": 1,
            "device": "cpu",
            "inference": TIMES,
            "training": TIMES,
            "largest_difference": {"library": 0.0, "unfold": 2e-6},
            "provenance": PROVENANCE,
        },
    }
    for record in index:
        for kind in found.keys() & record["files"].keys():
            (root / record["files"][kind]).write_text(json.dumps(found[kind]))
    return finish(root, job, index)


@pytest.fixture
def claims(place: Path) -> dict[str, dict]:
    return {c["id"]: c for c in json.loads((place / "claims.json").read_text())}


def accuracy(place: Path, stage: str) -> list[float]:
    rows = pd.read_csv(place / "runs.csv")
    return rows[(rows["variant"] == "cnn") & (rows["stage"] == stage)].test_accuracy


def test_a_loop_is_held_against_its_controls(place: Path, claims):
    end = accuracy(place, "prune_3").to_numpy()
    for control in ("scratch", "longer"):
        claim = claims[f"prune:prune:cnn:{control}"]
        expected = np.mean(end - accuracy(place, f"prune_{control}").to_numpy())
        assert claim["estimate"] == pytest.approx(expected)
        assert claim["n"] == 3
        assert claim["family"] == claims["prune:prune:cnn:end"]["family"]
    results = results_of(place)
    # Of every seed, though latency is measured of the first only: else means disagree.
    assert all(net.macs for net in networks(results))
    rows = controls(results).rows
    assert [row[1] for row in rows] == [
        "dense",
        "pruned to the end",
        "same widths from scratch",
        "unpruned, trained as long",
    ]


def test_the_network_of_fewest_operations_above_an_accuracy(place: Path, claims):
    said = claims["prune:prune:cnn:enough"]["statement"]
    assert "above 80" in said
    for seed, test in enumerate(accuracy(place, "prune_3")):
        part = said.split(f"seed {seed}: ")[1].split(";  seed")[0]
        assert part.startswith("step 3 (0 10 units; 34")
        assert f"test {100 * test:.1f}" in part


def test_lessons_measure_curves_and_enter_no_ranking(claims):
    said = claims["lesson:vit_sin_tanh"]
    # The synthetic losses are the same for all, and training loss only falls.
    assert said["estimate"] == 1
    told = said["statement"].replace(number_format.SPACE, " ")
    assert "which it reached after epoch 6" in told
    assert "Of the movement of its training loss 0 % goes back up" in told
    assert "rose" not in told, "no validation loss did"
    assert not [id for id in claims if id.startswith("pair:") and "vit_sin_tanh" in id]


def test_an_interval_of_a_rank_correlation():
    assert correlation_interval(0.5, 30) == pytest.approx((0.1482, 0.7403), abs=1e-3)
    assert correlation_interval(0.5, 4) is None
    low, high = correlation_interval(1.0, 8)
    assert 0 < low <= high <= 1


def test_influence_and_products_are_told(place: Path, claims):
    said = claims["influence:cnn:conv1"]["statement"]
    assert "1.00 for squares" in said and "−0.50 for random" in said
    assert "not shown to differ from a random order: squares and random" in said
    said = claims["formulate:cnn"]["statement"]
    assert "inference takes 1.00" in said and "2.50" in said
    table = formulations(results_of(place))
    assert [row[1] for row in table.rows] == ["library", "unfold"]


@pytest.mark.parametrize("name", ["influence", "lessons", "pruning_cost"])
def test_figures_are_drawn(place: Path, name: str):
    assert draw(name, results_of(place))


def ranked(**more) -> RankedPoint:
    """A point of a search, one seed."""
    nothing = {"seconds": [], "operations": [], "parameters": []}
    point = {"point": "p", "settings": {}, "validation_sd": None, "seconds": 1}
    point |= {"operations": 1, "parameters": 1, "status": "completed"}
    point |= {"reached": None, "seeds": [0], "accuracies": [], "costs": nothing}
    return RankedPoint(**point | more)


def grid(effect) -> list[RankedPoint]:
    """A full grid of three by four by two points whose accuracy is `effect(a, b, c)`."""
    values = itertools.product(range(3), range(4), range(2))
    return [
        ranked(
            settings={"model.a": a, "model.b": b, "model.c": c},
            validation_accuracy=effect(a, b, c),
            seconds=float(a),
            operations=10 - b,
        )
        for a, b, c in values
    ]


def test_other_settings_do_not_widen_the_interval_of_a_main_effect():
    added = grid(lambda a, b, c: 0.5 + 0.01 * a + 0.1 * b + 0.05 * c)
    assert list(margins_of(added, "model.a")) == ["0", "1", "2"]
    assert max(margins_of(added, "model.a").values()) == pytest.approx(0, abs=1e-12)
    mixed = grid(lambda a, b, c: 0.5 + 0.01 * a * (b - 1) + 0.1 * b)
    assert min(margins_of(mixed, "model.a").values()) >= 0
    assert max(margins_of(mixed, "model.a").values()) > 0.001
    assert margins_of(added[:1], "model.a") == {}


def test_a_search_has_one_table_with_ranks_and_published_points(tmp_path: Path):
    theirs = [
        {"settings": {"training.learning_rate": rate, "training.batch_size": 8}}
        | {"accuracy": accuracy, "seconds": 81}
        for rate, accuracy in ((1e-2, 0.8948), (0.5, 0.1))
    ]
    published = {"source": "there", "variants": {}, "searches": {"arch": theirs}}
    changes = {"published": published, "pruning": {}}
    job, index = make_results(tmp_path, 1, search=True, changes=changes)
    table = ranking(results_of(finish(tmp_path, job, index)), "arch")
    assert table.columns[3:5] == ["batch size", "learning rate"]
    said = {
        (row[3], row[4]): row[-1].replace(number_format.SPACE, " ")
        for row in table.rows
    }
    assert said["8", "0.01"].startswith("89.48 %, 1 min 21 s")
    assert said["8", "0.5"].startswith("10.00 %") and table.rows[-1][0] == "–"
    places = [tuple(row[:3]) for row in table.rows[:-1]]
    assert [place[0] for place in places] == sorted(place[0] for place in places)
    for by in range(2):
        assert {place[by] for place in places} >= {1, 2, 3, 4, 5}
    # All points have the same operations, and so one rank by them.
    assert {place[2] for place in places} == {1}


def test_a_choice_that_is_the_base_says_so(tmp_path):
    """USERS A6: no comparison of a network with itself."""
    base = STUDY["variants"]["cnn"]
    changes = {
        "variants": {"cnn": base, "best": {"chosen": {"search": "rates"}}},
        "search": {
            "rates": {"variant": "cnn", "matrix": {"training.learning_rate": [2e-3]}}
        },
        "compare": {},
        "pruning": {},
        "published": None,
    }
    folder = built(tmp_path, changes=changes, equal=True)
    claims = json.loads((folder / "claims.json").read_text())
    texts = {one["id"]: one["statement"] for one in claims}
    assert "best is CNN: search rates chose" in texts["search:rates:repeated:best"]
    results = results_of(folder)
    assert results.repeated == {"best": "cnn"} and results.ranked == ["cnn"]
    assert not any(one["p"] is not None for one in claims)
