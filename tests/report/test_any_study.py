"""The report always comes: random small studies through summary and report.

LABMILL_STUDIES: how many are drawn (default 10). Every tenth is written as HTML and PDF
too; of the others the document and its figures are made.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from helpers.report_page import built, results_of, write_again
from helpers.synthetic_results import SEARCH, STUDY, make_results
from labmill.core import registry
from labmill.core.files import read_json
from labmill.core.fingerprint import digest
from labmill.report import figures
from labmill.report.document import Document
from labmill.report.sections.results import tables
from labmill.report.summarize import summarize

STUDIES = int(os.environ.get("LABMILL_STUDIES", "10"))
NOTE = "cannot be made of these results"
NAMES = ["cnn", "vit_sin_relu", "vit_sin_tanh", "vit_learn_relu", "vit_learn_tanh"]


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the arguments of `make_results`: a study, and how its runs ended."""
    names = NAMES[: draw(st.integers(1, 5))]
    variants = {name: dict(STUDY["variants"][name]) for name in names}
    for name in names:
        epochs = draw(st.sampled_from([6, 6, 6, 1, 0]))
        variants[name] |= {"training": {"epochs": epochs}}
    if draw(st.booleans()):
        variants["cnn"]["label"] = draw(
            st.sampled_from(["$x$", "a" * 95, "a, b & <c>"])
        )
    changes: dict[str, Any] = {
        "variants": variants,
        "measure": {
            "batches": draw(st.sampled_from([[1], [32], [1, 32]])),
            "convention": draw(st.sampled_from(["macs", "report5", "everything"])),
            "count_table": draw(st.booleans()),
        },
        "figures": list(registry.names("report/figures"))
        if draw(st.booleans())
        else [],
        "compare": {},
        "pruning": {},
        "published": None,
    }
    if draw(st.booleans()):
        changes["pruning"] = {
            "prune": {
                "variants": names[: draw(st.integers(1, 2))],
                "steps": draw(st.integers(1, 3)),
                "controls": draw(st.sampled_from([[], ["scratch"], ["longer"]])),
                "measured": draw(st.sampled_from(["last", "every"])),
            }
        }
    if len(names) > 1 and draw(st.booleans()):
        levels = {"one": [names[0]], "two": [names[1]]}
        metric = draw(st.sampled_from(["test_accuracy", "train_seconds", "macs"]))
        changes["compare"] = {"question": {"levels": levels, "metric": metric}}
    # Analyses whose jobs failed: a partial report.
    for section in draw(
        st.sets(st.sampled_from(["represent", "influence", "formulate"]))
    ):
        changes[section] = {"variants": ["cnn"]}
    if len(names) > 1:
        if draw(st.booleans()):
            changes["examine"] = {"variants": [names[1]]}
        if draw(st.booleans()):
            changes["lessons"] = {"reference": "cnn", "variants": names[1:]}
    if draw(st.booleans()):
        changes["pretexts"] = {"turns": {"images": "train"}}
    if draw(st.booleans()):
        changes["published"] = {
            "source": "x",
            "variants": {"cnn": {"test_accuracy": 0.9}},
        }
    if draw(st.booleans()):
        matrix = draw(
            st.sampled_from(
                [
                    {"training.learning_rate": [1e-3]},
                    {"training.learning_rate": [1e-3, 1e-2]},
                    SEARCH["arch"]["matrix"],
                ]
            )
        )
        # A search chooses by validation accuracy.
        variants["cnn"]["training"]["epochs"] = 6
        changes["search"] = {"arch": SEARCH["arch"] | {"matrix": matrix}}
    return {
        "changes": changes,
        "seeds": draw(st.integers(1, 3)),
        "diverged": draw(st.sampled_from([False, False, True, "all"])),
        "equal": draw(st.booleans()),
        "absent": draw(st.booleans()),
        "failed": draw(st.booleans()),
        "true": draw(
            st.sampled_from([{}, {"cnn": 0.1}, {name: 0.1 for name in NAMES}])
        ),
    }


@settings(
    max_examples=STUDIES,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # a smaller example costs minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(options())
def test_any_study_gets_its_report(
    tmp_path_factory: pytest.TempPathFactory, chosen: dict[str, Any]
):
    root = tmp_path_factory.mktemp("any")
    job, index = make_results(root, **chosen)
    folder = root / "results" / "synthetic"
    summarize(
        job,
        index,
        runs=folder / "runs.csv",
        index_out=folder / "index.json",
        claims=folder / "claims.json",
    )
    assert read_json(folder / "index.json")["unmade"] == []
    if int(digest(chosen)[:8], 16) % 10 == 0:
        write_again(folder, job)
        text = (folder / "report.md").read_text()
    else:
        text = Document(results_of(folder, job)).markdown
    assert NOTE not in text, text[text.index(NOTE) - 80 :][:400]
    assert text.count("\n## ") > 5


def fail(*_: Any) -> None:
    raise ZeroDivisionError("no panels")


def test_what_fails_says_so_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    curves = registry.load("report/figures", "curves")
    monkeypatch.setattr(curves, "draw", fail)
    monkeypatch.setattr(tables, "scores", fail, raising=False)
    pruning = registry.load("report/claims", "pruning")
    monkeypatch.setattr(pruning, "make_claims", fail)
    folder = built(tmp_path, seeds=2)
    text = (folder / "report.md").read_text()
    assert f"The figure curves {NOTE}: ZeroDivisionError: no panels" in text
    assert f"Statements about pruning {NOTE}" in text
    assert "## Results" in text and (folder / "report.pdf").exists()
    assert (folder / "figures/losses.svg").exists()
    assert figures.draw("losses", results_of(folder))
