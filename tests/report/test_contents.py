"""The report's tables: which settings stand where, and which runs a mean may contain."""

import re
import shutil
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from helpers.finish_report import finish
from helpers.report_page import results_of
from helpers.synthetic_results import SEARCH, STUDY, make_results
from labmill.core.csv_tables import read_table
from labmill.core.files import read_json, write_json
from labmill.core.trees import differences, flatten
from labmill.flops.table import CONVENTIONS
from labmill.plan.outputs import cheapest_above
from labmill.profiling.records import CountTable, Quantities
from labmill.report import number_format
from labmill.report.runs import made_by_all, results_folder
from labmill.report.sections.appendix import tables as appendix
from labmill.report.sections.appendix.evidence import counted, estimate, evidence
from labmill.report.sections.appendix.tables import slurm
from labmill.report.sections.cost.tables import operations_of
from labmill.report.sections.limits.sentences import limits
from labmill.report.sections.method.tables import changed
from labmill.report.sections.pruning.tables import pruning
from labmill.report.sections.published.tables import published_history
from labmill.report.sections.variants import tables as variants
from labmill.report.sections.variants.tables import recipes
from labmill.report.summarize import summary
from labmill.report.text import setting
from labmill.search.chosen_settings import resolved_run


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Two kinds of network; a setting that differs, one of a kind's own, one of some."""
    shared = {"batch_size": 32, "ema": None}
    known = {
        "a": {"model": "vit", "heads": 4, "epochs": 5} | shared,
        "b": {"model": "vit", "heads": 4, "epochs": 9, "until.loss": 0.1} | shared,
        "c": {"model": "cnn", "layers": ["conv 4"], "epochs": 9} | shared,
    }
    for module in (variants, appendix):
        monkeypatch.setattr(module, "recipes", lambda results: known)
    return known


def cells(table: Any) -> dict[str, list[str]]:
    """Name of the row → its other cells."""
    return {row[0]: list(row[1:]) for row in table.rows}


def test_settings_stand_where_they_belong(known: dict[str, dict[str, Any]]):
    differs = variants.variants(None)
    assert cells(differs) == {
        "most variants": ["model vit; epochs 9"],
        "a": ["epochs 5"],
        "b": ["until: loss 0.1"],
        "c": ["model cnn"],
    }
    assert variants.networks(None).rows == [
        ["vit", "heads", "4"],
        ["cnn", "layers", "conv 4"],
    ]
    assert variants.hyperparameters(None).startswith(
        "All variants share batch size 32."
    )
    assert cells(appendix.settings(None)) == {"batch size": ["32"], "ema": ["–"]}


@pytest.mark.parametrize(
    ("key", "settings", "does"),
    [
        ("momentum", {"optimizer": "sgd"}, True),
        ("momentum", {"optimizer": "adam"}, False),
        ("schedule.gamma", {"schedule.kind": "cosine"}, False),
        ("learning_rate", {"optimizer": "adam"}, True),
        ("schedule.restart_epochs", {"schedule.kind": "cosine"}, False),
        ("schedule.final", {"schedule.kind": "cosine_restarts"}, True),
        ("accumulate", {"accumulate": 1}, False),
        ("accumulate", {"accumulate": 2}, True),
    ],
)
def test_settings_without_effect_are_not_told(key: str, settings: dict, does: bool):
    assert variants.effective(key, settings) is does


def test_only_what_every_seed_made_has_a_mean():
    assert made_by_all({1: [0, 1, 2], 2: [0, 1, 2], 3: [0]}) == [1, 2]
    assert made_by_all({}) == []


def test_steps_that_not_every_seed_made_are_told_as_such(
    synthetic: Any, tmp_path: Path
):
    source, job, index = synthetic
    root = tmp_path / "work"
    shutil.copytree(source, root)
    path = root / "results/synthetic/cnn/seed2/prune_3/model.json"
    record = read_json(path)
    record["training"]["status"] = "diverged"
    write_json(path, record)
    folder = finish(root, job, index)
    claims = {claim["id"]: claim for claim in read_json(folder / "claims.json")}
    said = claims["prune:prune:cnn:reach"]["statement"].replace(
        number_format.SPACE, " "
    )
    assert re.search(
        r"ended after steps 3 \(seed 0: [\d.]+ %\), 3 \(seed 1: .*2 \(seed 2: ", said
    )
    table = pruning(results_of(folder), "prune", "cnn")
    assert [(row[0], row[1]) for row in table.rows] == [(1, 3), (2, 3), (3, "2 †")]


def test_a_loop_that_stays_within_its_limit_is_told_by_what_all_seeds_made(
    synthetic: Any, tmp_path: Path
):
    source, job, index = synthetic
    root = tmp_path / "work"
    shutil.copytree(source, root)
    job = deepcopy(job)
    job["settings"]["study"]["pruning"]["prune"]["drop"] = 0.5
    place = results_folder(index, root / "results/synthetic")
    path = root / "results/synthetic/cnn/seed2/prune_3/model.json"
    for status, words_ in (("completed", "step 3"), ("diverged", "step 2")):
        record = read_json(path)
        record["training"]["status"] = status
        write_json(path, record)
        claims = {c["id"]: c for c in summary(job, index, place).claims}
        said = claims["prune:prune:cnn:reach"]["statement"]
        assert f"{words_} of loop prune, the last that every seed made" in said
        assert ("The seeds' loops ended" in said) is (status == "diverged")


def test_the_cheapest_above_is_strict_and_prefers_the_more_accurate():
    records = [
        {"macs": 10, "finetuned": 0.87},
        {"macs": 20, "finetuned": 0.88},
        {"macs": 20, "finetuned": 0.89},
        {"macs": 90, "finetuned": 0.95},
        {"finished": True},
    ]
    found = [cheapest_above(records, least) for least in (0.87, 0.86, 0.95)]
    assert found == [2, 0, None]
    assert cheapest_above([], 0.1) is None


def test_slurm_is_told_where_jobs_ran_there(finished_once: Path, results: Path):
    elsewhere = finished_once / "results/synthetic"
    assert slurm(results_of(elsewhere)) is None
    given = {"job": "7", "partition": "gpu", "cpus": "4", "memory_mb": "16000"}
    for seed in (0, 1):
        path = results / f"cnn/seed{seed}/dense/model.json"
        record = read_json(path)
        record["provenance"]["slurm"] = given
        write_json(path, record)
    table = slurm(results_of(results))
    assert table.rows == [["training", "gpu", "4", "16000", "–", "–", "–", 2]]


def test_a_count_that_no_layer_has_is_no_column():
    zero = dict.fromkeys(Quantities.model_fields, 0)
    shapes = {"input_shape": [1, 2], "output_shape": [1, 2]}
    layers = [
        zero | shapes | {"name": "0", "kind": "linear", "multiplications": 8},
        zero | shapes | {"name": "1", "kind": "activation"},
    ]
    counted = CountTable(
        layers=layers,
        total=zero | {"multiplications": 8},
        convention=asdict(CONVENTIONS["macs"]),
        dtype="float32",
        uncounted=[],
    )
    table = operations_of(counted, "x")
    assert table.columns == ["Layer", "Kind", "×"]
    assert table.rows[-1] == ["total", "", "8"]


def test_the_n_of_a_test_counts_what_was_tested():
    assert counted("paired t-test over seeds") == "seed"
    assert counted("McNemar's exact test over test images") == "image"


def test_what_a_scale_changed_is_told_by_name():
    labels = {"wide": "a wide one"}
    full = {
        "defaults": {"model": {"arguments": {"stem": "cifar"}}},
        "variants": {"wide": {"training": {"epochs": 100}}, "old": {"seeds": [0]}},
        "data": {"limit": None},
        "compare": {"ways": {}, "means": {"levels": {"from scratch": ["wide"]}}},
        "run": None,
    }
    here = {
        "defaults": {"model": {"arguments": {"stem": "imagenet"}}},
        "variants": {"wide": {"training": {"epochs": 12, "labels": {"count": 500}}}},
        "data": {"limit": 8000},
        "compare": {"means": {"levels": {"from scratch": ["wide", "old"]}}},
        "run": ["wide"],
    }
    rows = [changed(one, labels) for one in differences(full, here)]
    assert rows == [
        None,
        ["compare ways", "there", "left out"],
        ["data limit", "–", "8000"],
        ["model stem", "cifar", "imagenet"],
        ["variants that are run", "all", "1"],
        ["old", "there", "left out"],
        ["a wide one, epochs", "100", "12"],
        ["a wide one, labels", "–", "count 500"],
    ]


def test_differences_of_shares_are_in_points():
    claim = {
        "estimate": -0.0251,
        "interval": [-0.0458, -0.0043],
        "inputs": [{"file": "x", "field": "parts.test.accuracy"}],
    }
    written = estimate(claim)
    assert written.replace("\u00a0", " ") == "−2.5 (−4.6 to −0.4) points"
    claim["inputs"] = [{"file": "x", "field": "training.seconds"}]
    assert "points" not in estimate(claim)


def test_limits_name_what_only_one_seed_stands_behind(tmp_path: Path):
    folder = finish(tmp_path, *make_results(tmp_path, seeds=2, diverged=True))
    said = limits(results_of(folder))
    assert sum("There is only one result of" in sentence for sentence in said) == 1
    assert any("There are only two results of" in one for one in said)
    assert not any("show large differences" in sentence for sentence in said)
    assert not any("The tests over seeds" in sentence for sentence in said)
    # No test was made over seeds, and none is listed.
    table = evidence(results_of(folder), lambda claim: claim["id"])
    assert all("McNemar" in row[2] or row[-2] == "–" for row in table.rows)


def test_every_printed_setting_is_what_was_trained(tmp_path: Path):
    variants = STUDY["variants"] | {
        "tuned": {"chosen": {"search": "arch"}},
        "second": {
            "chosen": {"search": "arch", "rank": 2},
            "training": {"batch_size": 7},
        },
    }
    changes = {"search": SEARCH, "variants": variants}
    job, index = make_results(tmp_path, 1, changes=changes)
    place = finish(tmp_path, job, index)
    results = results_of(place)
    printed = recipes(results)
    rows = {
        row["variant"]: row
        for row in read_table(place / "runs.csv")
        if row["stage"] == "dense"
    }
    recorded = [r for r in index if r.get("stage") == "dense"]
    assert {r["variant"] for r in recorded} >= {"tuned", "second"}
    for record in recorded:
        declared = read_json(tmp_path / record["files"]["description"])
        chosen = record["chosen"] and tmp_path / record["chosen"]
        run = resolved_run(declared["provenance"]["settings"], chosen)
        trained = flatten(run.training.model_dump(mode="json"))
        name = record["variant"]
        told = printed.get(record["label"], {})
        for key, value in trained.items():
            assert told.get(key, value) == value
            cell = rows[name].get(f"training.{key}", value)
            assert cell == value or setting(cell) == setting(value)
    ranking = results.searches["arch"].ranking
    for name, rank in (("tuned", 0), ("second", 1)):
        found = ranking[rank].settings
        rate, batch = printed[name]["learning_rate"], printed[name]["batch_size"]
        assert rate == found["training.learning_rate"]
        assert batch == (7 if rank else found["training.batch_size"])


def test_published_epochs_of_test_images_stand_beside_validation(report_folder: Path):
    results = results_of(report_folder)
    trained, tested = published_history(results).rows
    assert trained[1:4] == ["Training accuracy", 1, "50.0\N{NO-BREAK SPACE}%"]
    assert tested[1] == "Test accuracy (ours: validation)"
    ours = results.epochs("cnn")["validation_accuracy"][1]
    assert tested[4].startswith(f"{100 * ours:.1f}")


def test_the_network_shown_is_none_that_goes_wrong_on_purpose(finished_once: Path):
    folder = finished_once / "results/synthetic"
    first, again = results_of(folder), results_of(folder)
    lessons = {"reference": "cnn", "variants": [first.best]}
    again.__dict__["study"] = first.study | {"lessons": lessons}
    assert again.best not in (None, first.best)
