"""The first page: it answers every question, shortly, without jargon."""

import json
import re
from pathlib import Path
from typing import Any

import pymupdf
import pytest
import yaml

from helpers.report_page import built, plain, results_of, write_again
from helpers.synthetic_results import STUDY, make_results
from labmill.report import style
from labmill.report.document import Document, count_words
from labmill.report.sections.answers.front_page import front_page
from labmill.report.summarize import summarize

STUDIES = sorted(Path(__file__).parents[2].glob("studies/*.yaml"))
MOST_WORDS, MOST_PAGES = 250, 10
JARGON = re.compile(r"t-test|Tukey|McNemar|Holm|\bp\b|[0-9a-f]{8,}")


def first_page(folder: Path) -> str:
    """Return the Markdown before the results."""
    text = (folder / "report.md").read_text(encoding="utf-8")
    return text.partition("\n## Results")[0]


def test_all_that_tie_are_named(tmp_path: Path):
    small = {"model": {"name": "cnn", "layers": ["conv 4", "pool", "flatten"]}}
    changes: dict[str, Any] = {"compare": {}, "pruning": {}}
    changes["variants"] = dict.fromkeys("abc", small)
    true = {name: [0.9, 0.95, 1.0] for name in "abc"}
    changes["published"] = None
    said = front_page(results_of(built(tmp_path, true=true, changes=changes))).sentence
    assert said.startswith("A, b and c come first together: 95.0")


def test_it_is_short_and_has_every_question(report_folder: Path):
    page = first_page(report_folder)
    assert count_words(page) <= MOST_WORDS
    assert not JARGON.search(re.sub(r"\(.*?\)|\{.*?\}", "", page))
    rows = [line for line in page.splitlines() if "[details](#" in line]
    assert len(rows) == 4  # two questions, a search, a prune loop
    asked = {"positions": "how positions are told?", "network": "Can the ViT reach 9"}
    for name, words in asked.items():
        assert any(words in row and f"(#question-{name})" in row for row in rows)
    (hero,) = re.findall(r"\(figures/(\w+)\.svg\)", page)
    assert hero == "accuracy"
    assert page.count("- **") == 3  # numbers in large type
    assert re.search(
        r"Caveat: from .*\. 1 of .* runs has no result", page
    )  # one diverged


def imitated(path: Path, root: Path) -> tuple[Path, dict, dict]:
    """Return the results' folder, the job and the study: results of each are made up."""
    study = yaml.safe_load(path.read_text("utf-8"))
    given = {
        key: study[key] for key in study if key not in ("laptop", "smoke", "seeds")
    }
    report = dict(study.get("report", {})) | {"sections": ["answers", "method"]}
    changes = {"compare": {}, "pruning": {}, "published": None}
    changes |= given | {"report": report}
    job, index = make_results(root, changes=changes, name=path.stem)
    folder = root / "results" / path.stem
    summarize(
        job,
        index,
        runs=folder / "runs.csv",
        index_out=folder / "index.json",
        claims=folder / "claims.json",
    )
    return folder, job, study


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_first_page_of_every_study_of_ours(path: Path, tmp_path: Path):
    folder, job, study = imitated(path, tmp_path)
    page = Document(results_of(folder, job)).main.partition("\n## Method")[0]
    assert count_words(page) <= MOST_WORDS, page
    assert not JARGON.search(re.sub(r"\(.*?\)|\{.*?\}", "", page))
    assert not re.search(r"at least [\d.]+", page), "reads like a bound"
    assert "Caveat: " in page and "3\u00a0seeds, one split" in page
    assert page.count("[details](#") >= len(study.get("compare", {}))


def test_many_variants_and_questions_fit_on_the_first_page_of_paper(tmp_path: Path):
    asked = {path: len(questions(path)) for path in STUDIES}
    path = max(STUDIES, key=asked.__getitem__)
    folder, job, study = imitated(path, tmp_path)
    write_again(folder, job)
    words = plain(pymupdf.open(folder / "report.pdf")[0].get_text())
    assert len(study["variants"]) > 20 and len(questions(path)) > 8
    for asked in questions(path).values():
        assert plain(asked["question"]).replace("-", "") in words.replace("-", "")


def questions(path: Path) -> dict:
    return yaml.safe_load(path.read_text("utf-8")).get("compare", {})


def test_each_question_has_its_row_of_the_forest_plot(report_folder: Path):
    text = (report_folder / "report.md").read_text(encoding="utf-8")
    claims = json.loads((report_folder / "claims.json").read_text())
    asked = [c for c in claims if c["kind"] == "question" and c["interval"]]
    for claim in asked:
        number = 1 + claims.index(claim)
        assert (
            f"(figures/row-forest-{number}.svg)" in text.partition("## Discussion")[0]
        )
        drawn = (report_folder / f"figures/row-forest-{number}.svg").read_text()
        assert style.color(0) in drawn or claim["verdict"] not in ("higher", "lower")
    assert asked


def test_paper_is_short_and_its_first_page_has_all_of_it(report_folder: Path):
    pdf = pymupdf.open(report_folder / "report.pdf")
    assert len(pdf) <= MOST_PAGES
    assert "In the author’s words" in pdf[0].get_text()
    assert len(pymupdf.open(report_folder / "appendix.pdf")) > 1


def test_one_seed_ranks_nobody(tmp_path: Path):
    page = front_page(results_of(built(tmp_path, seeds=1)))
    assert "1\u00a0seed cannot separate it from" in page.sentence
    assert not any("better" in answer.answer for answer in page.answers)


def test_networks_that_guess_are_no_answer(tmp_path: Path):
    guessing = dict.fromkeys(STUDY["variants"], 0.12)
    page = front_page(results_of(built(tmp_path, seeds=1, true=guessing)))
    assert page.sentence.startswith("No variant learned more than guessing (1")
    assert "learned too little" in page.caveat


def test_full_reports_are_one_document_with_the_figure_of_choice(tmp_path: Path):
    tasks = [
        {
            "text": "Compare the networks",
            "marks": 20,
            "answers": ["network", "error analysis"],
        },
        {"text": "Prune one", "answers": ["prune"]},
    ]
    report = {"length": "full", "hero": "curves", "tasks": tasks}
    report["text"] = {"error analysis": "Sevens look like ones."}
    folder = built(tmp_path, changes={"report": report})
    assert not (folder / "appendix.pdf").exists()
    assert "(figures/curves.svg)" in first_page(folder)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert not re.search(r"(Figure|Table) A\d", text)
    number = next(
        answer["number"]
        for answer in json.loads((folder / "report.json").read_text())["answers"]
        if answer["about"] == "network"
    )
    assert "{#section-error-analysis}" in text
    row = next(line for line in text.splitlines() if "| Compare the networks |" in line)
    assert number in row and "(#section-error-analysis)" in row and "| 20 |" in row
