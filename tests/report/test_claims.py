"""Claims: true effects are found, luck is not, and no sentence outruns its test."""

import ast
import importlib
import inspect
import json
import pkgutil
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from helpers.synthetic_results import TRUE, make_results
from labmill.core import registry
from labmill.core.files import read_json
from labmill.core.fingerprint import canonical
from labmill.report import claims, number_format, sections
from labmill.report.claims.claim import RANKING, Statement, Test, TestedStatement
from labmill.report.claims.claim import claim as make_claim
from labmill.report.runs import results_folder
from labmill.report.summarize import summary
from labmill.report.text import listed, named, plain
from labmill.stats.margins import Verdict

MODULES = [
    importlib.import_module(found.name)
    for package in (claims, sections)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if ".figures" not in found.name
]
TEMPLATES = {
    f"{module.__name__}.{name}": value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, Statement | TestedStatement)
}
KEYS = "id section kind about contrast statement inputs test family n estimate interval p p_adjusted verdict details"


def claims_of(root: Path, **options: Any) -> dict[str, dict[str, Any]]:
    """The claims of synthetic results, by id."""
    job, index = make_results(root, **options)
    place = results_folder(index, root / "results/synthetic")
    made = summary(job, index, place).claims
    assert len({claim["id"] for claim in made}) == len(made), "ids are unique"
    return {claim["id"]: claim for claim in made}


@pytest.fixture(scope="module")
def three(
    synthetic: tuple[Path, dict[str, Any], list[dict[str, Any]]],
) -> dict[str, dict[str, Any]]:
    """Claims of three seeds of everything."""
    root, job, index = synthetic
    made = summary(job, index, results_folder(index, root / "results/synthetic"))
    return {claim["id"]: claim for claim in made.claims}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Claims of one seed."""
    return claims_of(tmp_path_factory.mktemp("one"), seeds=1)


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Claims where one run diverged, one failed, and two variants are equally good."""
    return claims_of(
        tmp_path_factory.mktemp("troubled"),
        seeds=5,
        diverged=True,
        failed=True,
        true={"vit_learn_relu": 0.965, "cnn": 0.965},
    )


# --- no ranking without a test ---------------------------------------------------------


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_sentence_ranks_without_a_verdict(name: str):
    template = TEMPLATES[name]
    texts = (
        [template.text]
        if isinstance(template, Statement)
        else [template.equal, template.undecided, template.untested]
    )
    for text in texts:
        assert not RANKING.search(text), text


def test_a_ranking_sentence_without_a_verdict_cannot_be_made():
    for text in ("A is better than B", "A outperforms B", "The lowest loss", "B WINS"):
        with pytest.raises(ValueError, match="needs a test"):
            Statement(text)
        for place in ("equal", "undecided", "untested"):
            texts = dict.fromkeys(("higher", "lower", "equal", "undecided"), "no")
            with pytest.raises(ValueError, match="needs a test"):
                TestedStatement(**({"untested": "no"} | texts | {place: text}))


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_no_ranking_word_hides_in_the_code_that_fills_templates(module: Any):
    """Every text outside `higher=` and `lower=`, fragments of f-strings included."""
    tree = ast.parse(inspect.getsource(module))
    allowed = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ("higher", "lower"):
            allowed |= {id(inner) for inner in ast.walk(node)}
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
            ast.get_docstring(node) is not None
        ):
            allowed.add(id(node.body[0].value))
    if module.__name__.rpartition(".")[2] in ("claim", "answers", "front_page"):
        return  # the list of ranking words itself; words for verdicts of claims
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            sentence = " " in node.value and id(node) not in allowed
            assert not (sentence and RANKING.search(node.value)), node.value


def test_verdict_chooses_the_sentence():
    template = TestedStatement("{x} up", "{x} down", "{x} same", "{x} open", "{x} few")
    said = {}
    for verdict in Verdict:
        test = Test(name="t", n=3, family="f", estimate=0.1, p=0.02, verdict=verdict)
        said[verdict] = make_claim(template, "i", [], test=test, x="X")["statement"]
    assert list(said.values()) == ["X up", "X down", "X same", "X open"]
    few = Test(name="t", n=1, family="f", estimate=0.1)
    assert make_claim(template, "i", [], test=few, x="X")["statement"] == "X few"


def test_every_ranking_statement_has_a_test_and_a_verdict(three, one, troubled):
    for made in (three, one, troubled):
        for claim in made.values():
            assert list(claim) == KEYS.split()
            assert claim["section"] in registry.sections()
            if RANKING.search(claim["statement"]):
                assert claim["verdict"] in ("higher", "lower"), claim
                assert claim["p_adjusted"] <= 0.05 and claim["test"] and claim["n"]
            if claim["verdict"] is None:
                assert claim["test"] is None


# --- what is found ---------------------------------------------------------------------


def test_best_is_shown_where_it_is_true(three):
    best = three["best"]
    assert best["verdict"] == "higher"
    assert "CNN" in best["statement"]
    assert best["p_adjusted"] >= best["p"]


def test_factor_alone_and_by_level(three):
    whole = three["compare:positions:learnable"]
    assert whole["verdict"] == "higher" and whole["n"] == 3
    assert whole["interval"][0] < 0.05 < whole["interval"][1], "the true effect"
    by_level = [
        three["compare:positions:learnable:vit_learn_relu:vit_sin_relu"],
        three["compare:positions:learnable:vit_learn_tanh:vit_sin_tanh"],
    ]
    mean = np.mean([claim["estimate"] for claim in by_level])
    assert whole["estimate"] == pytest.approx(mean)
    assert {c["family"] for c in (whole, *by_level)} == {"questions of the study"}
    # An average is no less certain than its parts.
    widths = [c["interval"][1] - c["interval"][0] for c in (whole, *by_level)]
    assert widths[0] <= max(widths[1:])


def test_a_pair_has_one_verdict(three, one, troubled, tmp_path: Path):
    """Wherever it is compared: in the ranking, in a question, in one of several."""
    pairs = {
        "levels": {"vit": ["vit_learn_relu"] * 2, "others": ["cnn", "vit_sin_relu"]}
    }
    equal = claims_of(
        tmp_path,
        true=dict.fromkeys(TRUE, 0.9),
        changes={
            "compare": {
                "one": {"levels": {"vit": ["vit_learn_relu"], "cnn": ["cnn"]}},
                "other": {"levels": {"cnn": ["cnn"], "vit": ["vit_learn_relu"]}},
                "both": pairs,
                "score": pairs | {"metric": ["test_macro_f1", "test_loss"]},
            }
        },
    )
    for made in (three, one, troubled, equal):
        said: dict[Any, set[str]] = {}
        for claim in made.values():
            if claim["contrast"] and claim["verdict"]:
                key = (
                    frozenset(map(frozenset, claim["contrast"]["pairs"])),
                    claim["contrast"]["metric"],
                    "images" in (claim["test"] or ""),
                    claim["id"] if claim["section"] == "classes" else "",
                )
                up = {"higher": "differ", "lower": "differ"}
                word = up.get(claim["verdict"], claim["verdict"])
                said.setdefault(key, set()).add(word)
        assert said and all(len(words) == 1 for words in said.values()), said
        # And no pair of networks twice on the same images.
        images = [
            frozenset(c["contrast"]["pairs"][0])
            for c in made.values()
            if ":images:" in c["id"] and c["contrast"]
        ]
        assert len(images) == len(set(images))


def test_a_lead_among_many_variants_is_shown(tmp_path: Path):
    """Ten more variants hide no lead of four points at five seeds."""
    small = {"model": {"name": "cnn", "layers": ["conv 4", "pool", "flatten"]}}
    others = {f"other{i}": small for i in range(10)}
    made = claims_of(
        tmp_path,
        seeds=5,
        true={"first": 0.93} | dict.fromkeys(others, 0.89),
        changes={
            "variants": {"first": small} | others,
            "compare": {},
            "pruning": {},
            "published": None,
        },
    )
    best = made["best"]
    assert best["verdict"] == "higher" and best["family"] == "all pairs of variants"
    own = [id for id in made if made[id]["section"] == "results"]
    assert own == ["best", "power", "all_well"]


def test_equal_variants_are_not_told_apart(troubled):
    best, pair = troubled["best"], troubled["compare:network:cnn"]
    assert best["verdict"] == pair["verdict"] == "practically equal"
    assert pair["p_adjusted"] == pytest.approx(best["p_adjusted"])
    low, high = pair["interval"]
    assert -0.01 < low <= 0 <= high < 0.01
    assert "practically equal" in pair["statement"]


def test_the_margin_decides_what_is_practically_equal(tmp_path: Path):
    made = claims_of(
        tmp_path,
        seeds=5,
        true={"vit_learn_relu": 0.965, "cnn": 0.965},
        changes={"margin": 0.001},
    )
    pair = made["compare:network:cnn"]
    assert pair["verdict"] == "undecided" and pair["details"]["seeds_to_decide"] > 5
    assert re.search(r"about \d+ seeds would decide it", pair["statement"])


def test_the_differences_of_few_seeds_are_shown(three):
    pair = three["compare:network:cnn"]
    differences = pair["details"]["differences"].values()
    written = [f"+{100 * value:.1f}" for value in differences]
    assert f"by seed {written[0]}, {written[1]} and {written[2]}" in pair["statement"]


def test_new_images_are_less_certain_than_these(three):
    pair = three["compare:network:cnn"]
    (low, high), (least, most) = pair["interval"], pair["details"]["same_images"]
    assert low <= least <= pair["estimate"] <= most <= high


def test_who_misses_seeds_is_not_ranked_and_named(tmp_path: Path):
    made = claims_of(tmp_path, seeds=3, diverged=True, failed=True)
    best = made["best"]
    assert best["verdict"] == "higher" and best["n"] == 3
    said = best["statement"].replace(number_format.SPACE, " ")
    assert re.search(r"sinusoidal, tanh” \(8\d.\d %; two of three seeds\)", said)
    assert re.search(r"learnable, tanh” \(9\d.\d %; two of three seeds\)", said)


def test_two_seeds_have_no_power_and_no_verdict(tmp_path: Path):
    made = claims_of(tmp_path, seeds=2)
    assert made["best"]["verdict"] == "undecided" and "power" not in made
    assert made["best"]["p"] is None
    assert "twice" in made["best"]["statement"]


def test_one_variant_that_scatters_is_named(tmp_path: Path):
    small = {"model": {"name": "cnn", "layers": ["conv 4", "pool", "flatten"]}}
    names = [f"v{i}" for i in range(8)]
    job, index = make_results(
        tmp_path,
        seeds=4,
        true=dict.fromkeys(names, 0.9),
        changes={
            "variants": dict.fromkeys(names, small),
            "compare": {},
            "pruning": {},
            "published": None,
        },
    )
    place = results_folder(index, tmp_path / "results/synthetic")
    calm = {c["id"]: c for c in summary(job, index, place).claims}
    assert "v3" not in calm["power"]["statement"]
    for seed, share in enumerate((0.5, 0.9, 0.7, 0.95)):
        path = tmp_path / f"results/synthetic/v3/seed{seed}/dense/metrics.json"
        record = read_json(path)
        record["parts"]["test"]["accuracy"] = share
        path.write_text(json.dumps(record))
    wild = {c["id"]: c for c in summary(job, index, place).claims}
    assert "v3 varies far more than the others" in wild["power"]["statement"]


def test_a_level_that_is_one_variant_is_named_with_it(three):
    said = three["compare:network:cnn"]["statement"]
    assert "with CNN than with “ViT, learnable, relu”" in said
    whole = three["compare:positions:learnable"]["statement"]
    assert "with learnable than with sinusoidal" in whole


def test_pruning_says_how_far_and_what_it_costs(three):
    assert three["prune:prune:cnn:reach"]["estimate"] == 1
    said = three["prune:prune:cnn:reach"]["statement"]
    assert said.startswith("Pruning CNN to 70") and "step 1 of loop prune" in said
    end = three["prune:prune:cnn:end"]
    assert end["verdict"] == "lower" and end["estimate"] == pytest.approx(
        -0.036, abs=0.01
    )


def published_claims(
    root: Path, theirs: float, official: bool = True, seeds: int = 3
) -> dict[str, Any]:
    """The claims about one published accuracy and others, at full scale."""
    metrics = {"test_accuracy": theirs, "train_accuracy": 0.5, "test_loss": 0.3}
    published = {"source": "A report", "variants": {"cnn": metrics}}
    job, index = make_results(root, seeds=seeds, changes={"published": published})
    path = root / "results/synthetic/split.json"
    path.write_text(json.dumps(read_json(path) | {"official_test": official}))
    place = results_folder(index, root / "results/synthetic")
    return {c["id"]: c for c in summary(job, index, place).claims}


def test_a_published_run_has_a_spread_of_its_own(tmp_path: Path):
    made = published_claims(tmp_path / "a", 0.9)
    assert made["published:cnn:test_accuracy"]["verdict"] == "higher"
    ours = made["published:cnn:test_accuracy"]
    values = [
        read_json(tmp_path / f"a/results/synthetic/cnn/seed{k}/dense/metrics.json")
        for k in range(3)
    ]
    sd = np.std([v["parts"]["test"]["accuracy"] for v in values], ddof=1)
    half = stats.t.ppf(0.975, 2) * sd * (1 + 1 / 3) ** 0.5
    assert ours["interval"][1] - ours["estimate"] == pytest.approx(half)
    # Training accuracy is of other epochs, loss depends on the machine's mathematics.
    assert made["published:cnn:train_accuracy"]["verdict"] is None
    assert made["published:cnn:test_loss"]["verdict"] is None


def test_only_the_same_task_is_tested_against_published_figures(three, tmp_path: Path):
    """Not another split, not runs whose difference is declared, not a smaller scale."""
    other = published_claims(tmp_path, 0.9, official=False)
    assert other["published:cnn:test_accuracy"]["verdict"] is None
    noted = three["published:cnn:test_accuracy"]
    assert noted["verdict"] is None and "ten epochs" in noted["statement"]
    time = three["published:vit_sin_relu:train_seconds"]
    assert time["verdict"] is None and "another machine" in time["statement"]
    assert "machine" not in three["published:cnn:test_loss"]["statement"]
    differs = [
        k for k, c in three.items() if "trained for ten epochs" in c["statement"]
    ]
    assert differs == ["published:cnn:test_accuracy"]


def test_search_says_what_was_given_up(three):
    said = three["search:arch"]["statement"]
    assert "12\N{NO-BREAK SPACE}settings" in said and "least operations" in said
    assert three["search:arch"]["n"] == 12


def test_inputs_exist(three, synthetic):
    root, _, _ = synthetic
    for claim in three.values():
        assert claim["inputs"] or claim["id"] == "all_well"
        for one in claim["inputs"]:
            path = root / one["file"]
            assert path.is_file()
            if path.suffix == ".json":
                value = read_json(path)
                for key in one["field"].split("."):
                    value = value[int(key) if isinstance(value, list) else key]


# --- few seeds, failures ---------------------------------------------------------------


def test_one_seed_cannot_rank(one):
    best = one["best"]
    assert best["verdict"] == "undecided"
    assert "are not ranked" in best["statement"]
    assert "once" in best["statement"] and "chance" in best["statement"]
    for claim in one.values():
        if claim["verdict"] in ("higher", "lower"):
            assert "images" in claim["test"]
            if claim["section"] != "classes":
                assert "for these two trained networks" in claim["statement"]
                assert claim["statement"].startswith("On these 400 test images")


def test_one_seed_offers_the_comparison_over_images(one):
    offered = one["compare:network:cnn:images:cnn:vit_learn_relu"]
    assert offered["n"] == 400 and offered["verdict"] == "higher"


def test_trouble_is_told_and_left_out(troubled):
    assert "out of memory" in troubled["failed:vit_learn_tanh:4:dense"]["statement"]
    assert "diverged" in troubled["diverged:vit_sin_tanh:4:dense"]["statement"]
    assert "all_well" not in troubled
    pair = troubled["compare:positions:learnable:vit_learn_tanh:vit_sin_tanh"]
    assert pair["n"] == 4, "the fifth seed of both is gone"
    assert troubled["best"]["n"] == 5, "the others keep theirs"
    assert abs(pair["estimate"] - 0.05) < 0.02, "the diverged run's 10 % is in no mean"


def test_question_without_an_answer_says_so(tmp_path: Path):
    job, index = make_results(tmp_path, seeds=1)
    for record in index:
        if record["variant"] == "cnn":
            record["files"] = dict.fromkeys(record["files"])
    made = summary(
        job, index, results_folder(index, tmp_path / "results/synthetic")
    ).claims
    (claim,) = [c for c in made if c["id"] == "compare:network:cnn"]
    assert "no answer" in claim["statement"] and claim["verdict"] is None


def test_only_variant_has_a_score(tmp_path: Path):
    made = claims_of(
        tmp_path,
        seeds=3,
        changes={
            "variants": {"cnn": {"model": {"name": "cnn", "layers": ["flatten"]}}},
            "compare": {},
            "published": None,
            "pruning": {},
        },
    )
    assert "best" not in made
    assert made["score"]["estimate"] == pytest.approx(0.97, abs=0.01)


def test_counted_and_lower_is_better_metrics(tmp_path: Path):
    levels = {"vit": ["vit_learn_relu"], "cnn": ["cnn"]}
    made = claims_of(
        tmp_path,
        seeds=3,
        changes={
            "compare": {
                "size": {"levels": levels, "metric": "macs"},
                "loss": {"levels": levels, "metric": "test_loss"},
            }
        },
    )
    said = made["compare:size:cnn"]["statement"]
    assert "180,000 with CNN, 270,000 with “ViT, learnable, relu”" in said
    assert made["compare:size:cnn"]["verdict"] is None
    assert made["compare:loss:cnn"]["verdict"] == "lower"
    assert "points" not in made["compare:loss:cnn"]["statement"]
    assert made["compare:loss:cnn"]["details"]["same_images"] is None


def test_metrics_that_disagree_are_told(tmp_path: Path):
    """One question, several metrics: a difference in one and not in another."""
    levels = {"vit": ["vit_learn_relu"], "cnn": ["cnn"]}
    metrics = ["test_accuracy", "test_calibration_error"]
    made = claims_of(
        tmp_path, changes={"compare": {"q": {"levels": levels, "metric": metrics}}}
    )
    other = made["compare:q:cnn:test_calibration_error"]
    assert made["compare:q:cnn"]["verdict"] == "higher"
    assert other["contrast"]["metric"] == "test_calibration_error"
    told = made.get("compare:q:cnn:metrics")
    assert (told is None) == (other["verdict"] in ("higher", "lower"))
    if told:
        assert "differ in test accuracy, but" in told["statement"]


def test_names_cannot_become_markup(tmp_path: Path):
    evil = "<script>alert(1)</script> | *x* `y` $z$ {{ 7*7 }} [a](b) _c_\n# h"
    made = claims_of(
        tmp_path,
        seeds=1,
        changes={
            "variants": {
                "cnn": {
                    "label": evil,
                    "model": {"name": "cnn", "layers": ["flatten"]},
                },
                "other": {},
            },
            "compare": {"q": {"levels": {"a": ["cnn"], "b": ["other"]}}},
            "published": None,
        },
    )
    for claim in made.values():
        said = claim["statement"].replace("p\N{NO-BREAK SPACE}<\N{NO-BREAK SPACE}", "")
        assert "\n" not in said
        assert not re.search(r"(?<!\\)[<>|*`$\[\]{}]", said), said


# --- numbers ---------------------------------------------------------------------------


def test_digits_follow_from_n():
    assert (
        number_format.percent(0.97345, number_format.decimals(400, 1))
        == "97\N{NO-BREAK SPACE}%"
    )
    assert (
        number_format.percent(0.97345, number_format.decimals(400, 3))
        == "97.3\N{NO-BREAK SPACE}%"
    )
    assert number_format.percent(0.97345, number_format.decimals(10_000, 5)).startswith(
        "97.3\N{NO-BREAK SPACE}"
    )
    assert number_format.points(0.002, 0).startswith("less than 1")
    assert number_format.points(0.01, 0) == "1\N{NO-BREAK SPACE}point"
    assert number_format.signed(-0.021, "%", 1).startswith("\N{MINUS SIGN}2.1")
    assert number_format.signed(-0.0001, "%", 1).startswith("0.0")


@given(st.floats(1e-9, 1e15), st.integers(1, 6))
def test_significant_digits(value: float, digits: int):
    text = number_format.significant(value, digits).replace(",", "")
    assert float(text) == pytest.approx(value, rel=0.5 * 10 ** (1 - digits) * 1.001)
    written = text.replace(".", "").lstrip("0")
    if value < 1:
        assert len(written) <= digits + 1


@given(st.text(min_size=1, max_size=30))
def test_escape_leaves_no_markup(text: str):
    made = plain(text)
    assert "\n" not in made
    assert not re.search(r"(?<!\\)(\\\\)*[<>|*`$\[\]{}#~^@&]", made)


def test_names_of_several_words_are_quoted():
    assert named("cnn") == "cnn"
    assert named("as published") == "“as published”"
    assert named("dense, 64") == "“dense, 64”"


def test_a_validation_loss_rose_only_if_it_did_in_every_seed(
    synthetic: Any, tmp_path: Path
):
    source, job, index = synthetic
    root = tmp_path / "work"
    shutil.copytree(source, root)
    # Seed 2 ends two epochs earlier: each seed's own end counts.
    for seed, epochs, told in (
        (0, 6, []),
        (1, 6, []),
        (2, 4, ["Guessing costs 2.3:", "each of 3"]),
    ):
        path = root / f"results/synthetic/cnn/seed{seed}/dense/history.csv"
        table = pd.read_csv(path)[:epochs]
        said = []
        for loss in (5e6, 0.9):
            table.loc[table.index[-1], "validation_loss"] = loss
            table.to_csv(path, index=False)
            place = results_folder(index, root / "results/synthetic")
            made = summary(job, index, place).claims
            said += [c["statement"] for c in made if c["id"] == "rose:cnn"]
        assert [word for word in told if word in " ".join(said)] == told
        assert bool(said) is bool(told)
    assert "each of 3" in said[1] and "after epoch 4 to 6" in said[1]
    assert "Guessing" not in said[1]


def test_lists_of_names():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed([str(k) for k in range(9)]).endswith("and 3 others")
    assert listed([]) == ""


# --- up to how many labels something helps ---------------------------------------------

WAYS = ("from scratch", "pretrained")
COUNTS = (50, 100, 200, None)


def over_labels(root: Path, gains: tuple[float, ...], seeds: int = 4) -> dict[str, Any]:
    """The claim about pretraining, whose true gain is known at each label count."""
    names = {way: [f"{way[:4]}_{n or 'all'}" for n in COUNTS] for way in WAYS}
    true = dict.fromkeys(names["from scratch"], 0.8)
    for name, gain in zip(names["pretrained"], gains, strict=True):
        true[name] = 0.8 + gain
    small = {"name": "cnn", "layers": ["conv 4", "pool", "flatten"]}
    changes = {
        "variants": {
            name: {"model": small, "training": {"labels": n}}
            for variants in names.values()
            for name, n in zip(variants, COUNTS, strict=True)
        },
        # Levels in an order of their own: the claim sorts them.
        "compare": {
            "start": {"levels": {way: names[way][::-1] for way in WAYS}},
            "one_place": {"levels": {way: names[way][:1] for way in WAYS}},
        },
        "pruning": {},
        "published": None,
    }
    found = claims_of(root, seeds=seeds, true=true, changes=changes)
    assert [id for id in found if id.startswith("labels:")] == [
        "labels:start:pretrained"
    ]
    return found["labels:start:pretrained"]


def test_a_gain_that_ends_is_found_to_end(tmp_path: Path):
    claim = over_labels(tmp_path, (0.12, 0.08, 0.0, 0.0))
    said = claim["statement"].replace(number_format.SPACE, " ")
    assert claim["verdict"] == Verdict.HIGHER
    assert "with pretrained than with “from scratch” at 50 labels and 100" in said
    assert re.search(r"(equal|undecided) at 200 labels", said)
    assert claim["estimate"] == pytest.approx(0.08, abs=0.02)
    assert len(claim["inputs"]) == 2 * 4 * len(COUNTS)
    # One number with its interval for each label count.
    assert said.count("95 % interval") == len(COUNTS)


def test_a_gain_that_does_not_end_is_said_not_to(tmp_path: Path):
    said = over_labels(tmp_path, (0.12, 0.12, 0.12, 0.12))["statement"]
    assert "200\N{NO-BREAK SPACE}labels and all labels." in said


def test_no_gain_is_not_claimed_and_a_loss_is_told(tmp_path: Path):
    none = over_labels(tmp_path / "none", (0.0, 0.0, 0.0, 0.0))
    assert none["verdict"] in (Verdict.UNDECIDED, Verdict.PRACTICALLY_EQUAL)
    lost = over_labels(tmp_path / "lost", (0.0, 0.0, 0.0, -0.12))
    assert lost["verdict"] == Verdict.LOWER
    assert (
        "is lower with pretrained than with “from scratch” at all labels"
        in (lost["statement"])
    )


def test_two_seeds_say_nothing_about_labels(tmp_path: Path):
    claim = over_labels(tmp_path, (0.12, 0.0, 0.0, 0.0), seeds=2)
    assert claim["verdict"] == Verdict.UNDECIDED and claim["p"] is None
    assert "at least three are needed" in claim["statement"]


def test_the_first_level_of_the_file_is_the_reference(tmp_path: Path):
    job, index = make_results(tmp_path, seeds=1)
    # As a job's record comes to its script: with sorted keys.
    job = json.loads(canonical(job))
    made = summary(job, index, results_folder(index, tmp_path / "results/synthetic"))
    asked = [c["id"] for c in made.claims if c["id"].startswith("compare:")]
    assert "compare:positions:learnable" in asked, "sinusoidal stands first"
    assert not any(id.startswith("compare:positions:sinusoidal") for id in asked)
    assert "compare:network:cnn" in asked
    assert [*dict.fromkeys(id.split(":")[1] for id in asked)] == [
        "positions",
        "network",
    ]
