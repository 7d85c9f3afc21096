"""Ranking, choosing, and laying the choice over a run."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.job_records import FACTS, provenance_of
from labmill.core.csv_tables import write_table
from labmill.core.errors import LabmillError
from labmill.search.chosen_settings import resolve, resolved_run
from labmill.search.records import Costs, RankedPoint, Rule
from labmill.search.select import rank, select
from labmill.study.schema import Model, Run, Training
from labmill.training.records import EpochRow, ModelDescription, TrainingRecord

GRID = {
    # accuracies per seed, seconds, operations, parameters
    "arch_small": ([0.86, 0.88], 10.0, 100, 50),
    "arch_medium": ([0.88, 0.89], 20.0, 200, 40),
    "arch_large": ([0.90, 0.89], 90.0, 900, 300),
    "arch_wild": ([0.10, 0.99], 1.0, 1, 1),
}
RULE = {"rule": "best", "tolerance": 0.01, "cost": "seconds"}


def write_run(folder, accuracies, cost, *, status="completed", recipe=None):
    """history.csv and model.json as `train` writes them."""
    folder.mkdir(parents=True)
    seconds, operations, parameters = cost
    empty = dict.fromkeys(EpochRow.model_fields, 0)
    rows = []
    for epoch, accuracy in enumerate(accuracies, 1):
        share = epoch / len(accuracies)
        row = {"epoch": epoch, "validation_accuracy": accuracy or None}
        # One slow epoch, such as the first: the usual one counts.
        costs = {"seconds": 1000.0, "operations": int(operations * share)}
        rows.append(EpochRow(**empty | row | costs))
    facts = {**FACTS.model_dump(), "epochs": len(rows), "seconds": seconds}
    ModelDescription(
        name="two_conv",
        arguments={},
        num_classes=10,
        image_size=8,
        in_channels=1,
        training=TrainingRecord(**facts, status=status, parameters=parameters),
        provenance=provenance_of({"training": recipe or {"early_stopping": None}}),
    ).write(folder / "model.json")
    write_table(folder / "history.csv", EpochRow.model_fields, map(dict, rows))
    return {"history": folder / "history.csv", "description": folder / "model.json"}


@pytest.fixture
def histories(tmp_path):
    runs = []
    for name, (accuracies, *cost) in GRID.items():
        for seed, accuracy in enumerate(accuracies):
            wild = name == "arch_wild" and seed == 0
            values = ["" if wild else accuracy]
            files = write_run(
                tmp_path / name / str(seed),
                [0.5, *values],
                cost,
                status="diverged" if wild else "completed",
            )
            runs.append({"point": name, "seed": seed, **files})
    return runs


def settings(**rule):
    points = {name: {"model.filters1": i} for i, name in enumerate(GRID)}
    return {**RULE, "points": points, **rule}


def chosen(histories, tmp_path, base=None, **rule):
    out = tmp_path / "chosen.json"
    job = provenance_of(settings(**rule))
    select(histories=histories, base=base, out=out, provenance=job)
    return json.loads(out.read_text())


@pytest.mark.parametrize(
    ("rule", "order"),
    [
        ({"rule": "best"}, ["large", "medium", "small"]),
        ({"rule": "fastest", "tolerance": 0.01}, ["medium", "large", "small"]),
        ({"rule": "fastest", "tolerance": 0.05}, ["small", "medium", "large"]),
        ({"rule": "fastest", "tolerance": 0.0}, ["large", "medium", "small"]),
        (
            {"rule": "fastest", "tolerance": 0.05, "cost": "parameters"},
            ["medium", "small", "large"],
        ),
        ({"rule": "knee", "cost": "operations"}, ["medium", "large", "small"]),
    ],
)
def test_rules(histories, tmp_path, rule, order):
    ranking = chosen(histories, tmp_path, **rule)["ranking"]
    assert [row["point"] for row in ranking] == [f"arch_{n}" for n in [*order, "wild"]]
    assert ranking[-1]["status"] == "diverged"


def test_what_is_written(histories, tmp_path):
    record = chosen(histories, tmp_path)
    first = record["ranking"][0]
    assert record["settings"] == first["settings"] == {"model.filters1": 2}
    assert first["validation_accuracy"] == pytest.approx(0.895)
    assert first["validation_sd"] == pytest.approx(0.005 * 2**0.5)
    assert (first["seconds"], first["operations"], first["parameters"]) == (
        90,
        900,
        300,
    )
    assert record["ranking"][-1]["settings"] == {"model.filters1": 3}


def test_early_stopping_counts_the_weights_that_were_kept(tmp_path):
    recipe = {"early_stopping": {"patience": 1, "tolerance": 0}}
    kept = write_run(tmp_path / "a", [0.9, 0.7], (1, 1, 1), recipe=recipe)
    last = write_run(tmp_path / "b", [0.9, 0.8], (1, 1, 1))
    runs = [{"point": "p_a", "seed": 0, **kept}, {"point": "p_b", "seed": 0, **last}]
    wanted = {**RULE, "points": {"p_a": {}, "p_b": {}}}
    out = tmp_path / "chosen.json"
    select(histories=runs, base=None, out=out, provenance=provenance_of(wanted))
    ranking = json.loads(out.read_text())["ranking"]
    assert [row["validation_accuracy"] for row in ranking] == [0.9, 0.8]
    assert [row["validation_sd"] for row in ranking] == [None, None]


def test_a_second_search_hands_the_first_ones_settings_on(histories, tmp_path):
    (tmp_path / "one").mkdir()
    base = tmp_path / "one" / "chosen.json"
    ranking = [
        {
            "settings": {
                "model.filters1": 99,
                "model.dense": 64,
                "training.batch_size": 8,
            }
        },
        {"settings": {"model.dense": 100}},
    ]
    base.write_text(json.dumps({"base": {"model.kernel1": 5}, "ranking": ranking}))
    about = {"rank": 1, "fixed": ["training.batch_size"]}
    record = chosen(histories, tmp_path, base=base)
    assert record["settings"] == {
        "model.kernel1": 5,
        "model.filters1": 2,
        "model.dense": 64,
        "training.batch_size": 8,
    }
    select(
        histories=histories,
        base=base,
        out=tmp_path / "again.json",
        provenance=provenance_of(settings() | {"base": about}),
    )
    again = json.loads((tmp_path / "again.json").read_text())
    assert "training.batch_size" not in again["settings"]
    select(
        histories=histories,
        base=base,
        out=tmp_path / "second.json",
        provenance=provenance_of(settings() | {"base": {"rank": 2, "fixed": []}}),
    )
    second = json.loads((tmp_path / "second.json").read_text())
    assert second["settings"] == {
        "model.kernel1": 5,
        "model.filters1": 2,
        "model.dense": 100,
    }


def test_nothing_can_be_chosen_where_all_diverged(tmp_path):
    files = write_run(tmp_path / "a", [""], (1, 1, 1), status="diverged")
    wanted = {**RULE, "points": {"p": {}}}
    with pytest.raises(LabmillError, match=r"all 1 points.*diverged.*learning_rate"):
        select(
            histories=[{"point": "p", "seed": 0, **files}],
            base=None,
            out=tmp_path / "chosen.json",
            provenance=provenance_of(wanted),
        )
    assert not (tmp_path / "chosen.json").exists()


def test_without_validation_figures_there_is_no_choice(tmp_path):
    files = write_run(tmp_path / "a", [""], (1, 1, 1))
    with pytest.raises(LabmillError, match="no validation accuracy to choose by"):
        select(
            histories=[{"point": "p", "seed": 0, **files}],
            base=None,
            out=tmp_path / "chosen.json",
            provenance=provenance_of({**RULE, "points": {"p": {}}}),
        )


ROWS = st.lists(
    st.tuples(st.sampled_from([0.5, 0.6, 0.7]), st.integers(1, 4), st.booleans()),
    min_size=1,
    max_size=8,
)


@given(ROWS, st.sampled_from(["best", "fastest", "knee"]), st.sampled_from([0.0, 0.1]))
def test_every_point_is_ranked_once_and_diverged_ones_last(rows, rule, tolerance):
    rows = [
        RankedPoint(
            point=str(i),
            settings={},
            validation_accuracy=accuracy,
            validation_sd=None,
            seconds=cost,
            operations=0,
            parameters=0,
            status="diverged" if lost else "completed",
            reached=None,
            seeds=[0],
            accuracies=[accuracy],
            costs=Costs(seconds=[cost], operations=[0], parameters=[0]),
        )
        for i, (accuracy, cost, lost) in enumerate(rows)
    ]
    how = Rule(rule=rule, tolerance=tolerance, cost="seconds")
    ranking = rank(rows, how)
    assert sorted(r.point for r in ranking) == sorted(r.point for r in rows)
    lost = [r.status == "diverged" for r in ranking]
    assert lost == sorted(lost)
    again = rank(rows[::-1], how)
    assert again == ranking, "neither does the order of the rows decide a tie"
    sound = [r for r in rows if r.status != "diverged"]
    if not sound:
        return
    first, best = ranking[0], max(r.validation_accuracy for r in sound)
    if rule == "best":
        assert first.validation_accuracy == best
    if rule == "fastest":
        near = [r for r in sound if r.validation_accuracy >= best - tolerance - 1e-12]
        assert first.seconds == min(r.seconds for r in near)
    # Nothing sound beats the choice in both.
    assert not any(
        r.validation_accuracy > first.validation_accuracy and r.seconds < first.seconds
        for r in sound
    )


RUN = Run(
    variant="final",
    seed=0,
    model=Model(name="two_conv", arguments={"dense": 100}),
    training=Training(),
    rank=2,
    fixed=("training.learning_rate",),
)
RECORD = {
    "base": {"model.kernel1": 5, "model.dense": 32},
    "ranking": [
        {"settings": {"model.dense": 64, "training.learning_rate": 0.1}},
        {
            "settings": {
                "training.schedule.kind": "cosine",
                "training.betas": [0.8, 0.9],
            }
        },
    ],
}


def test_the_choice_is_laid_over_the_run_but_for_what_is_fixed(tmp_path):
    path = tmp_path / "chosen.json"
    path.write_text(json.dumps(RECORD))
    first = resolve(RUN, path, 1)
    assert first.model.arguments == {"dense": 64, "kernel1": 5}
    assert first.training == RUN.training
    second = resolved_run(RUN.model_dump(mode="json"), path)
    assert second.model.arguments == {"dense": 32, "kernel1": 5}
    assert second.training.schedule.kind == "cosine"
    assert second.training.betas == (0.8, 0.9)
    assert second.training.learning_rate == RUN.training.learning_rate
    assert resolved_run(RUN.model_dump(mode="json"), None) == RUN
    assert resolve(RUN, None) is RUN


def test_a_rank_that_is_not_there(tmp_path):
    path = tmp_path / "chosen.json"
    path.write_text(json.dumps(RECORD))
    with pytest.raises(LabmillError, match=r"chosen.rank: found 3; .* ranks 2 points"):
        resolve(RUN, path, 3)
