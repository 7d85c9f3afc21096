"""The document that comes out: content, order, author's words, bytes."""

import json
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pymupdf
import pytest

from helpers.report_page import Page, built, plain, said, write_again
from helpers.synthetic_results import STUDY
from labmill.core.errors import LabmillError
from labmill.report.document import SECTIONS


@pytest.fixture(scope="module")
def folder(report_folder: Path) -> Path:
    return report_folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pdf(folder: Path) -> pymupdf.Document:
    return pymupdf.open(folder / "report.pdf")


def job_of(folder: Path) -> dict:
    return json.loads((folder / "index.json").read_text())["provenance"]


def test_every_claim_is_printed_once_in_full(folder, page, pdf):
    claims = json.loads((folder / "claims.json").read_text())
    assert len(claims) > 20
    text = (folder / "report.md").read_text(encoding="utf-8")
    printed = plain("".join(sheet.get_text() for sheet in pdf))
    for number, claim in enumerate(claims, 1):
        assert text.count(f"{{#claim-{number}}}") == 1, claim["id"]
        assert text.count(claim["statement"]) <= 1, claim["id"]
        if claim["statement"] in text:
            assert plain(said(claim["statement"])) in page.text, claim["id"]
        else:  # many of one kind: in the table of tests
            assert claim["test"], claim["id"]
    # A sentence may run over the end of a page, and words are hyphenated there.
    head = plain(said(claims[0]["statement"]))[:40].replace("-", "")
    assert head in printed.replace("-", "")


def test_sections_are_in_order_and_empty_ones_left_out(folder):
    text = (folder / "report.md").read_text()
    headings = re.findall(r"^## (.+?) \{#section", text, re.M)
    known = [name for name in SECTIONS.values() if name in headings]
    assert [name for name in headings if name != "My remarks"] == known
    assert headings[0] == "Answers" and headings[-1] == "Appendix"
    first = [
        headings.index(name)
        for name in ("Results", "Discussion", "Conclusion", "Method")
    ]
    assert first == sorted(first)
    assert "Search" in headings and "Pruning" in headings
    assert "Arithmetic" not in headings  # nothing was counted
    assert headings.index("My remarks") == headings.index("Limits") - 1


def test_own_words_hold_numbers_mathematics_and_citations(folder, page, pdf):
    runs = pd.read_csv(folder / "runs.csv")
    mean = runs[(runs.variant == "cnn") & (runs.stage == "dense")].test_accuracy.mean()
    for words in (
        "The CNN got {} of",
        "better than the CNN's {}?",
        "the ViT reach {}?",
    ):
        assert plain(words.format(f"{100 * mean:.1f} %")) in page.text
    assert page.all("math")
    assert plain("Gradient-Based Learning").lower() in page.text.lower()
    assert "WhatIthinkofit." in page.text
    assert "LeCun" in "".join(sheet.get_text() for sheet in pdf)


def test_own_words_are_marked_in_page_and_pdf(page, pdf):
    assert any(
        div.get("role") == "note" and "author" in (div["aria-label"] or "")
        for div in page.all("div")
        if "words" in (div.get("class") or "")
    )
    printed = plain("".join(sheet.get_text() for sheet in pdf))
    assert plain("In the author’s words") in printed


def test_headings_never_skip_a_level(page):
    levels = [
        int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4", "h5")
    ]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_figures_have_words_and_tables_have_scopes(folder, page):
    # A phone is shown the narrow form of a figure, other screens the wide one.
    drawn = [
        svg
        for svg in page.all("svg")
        if svg.get("role") == "img" and "narrow" not in svg["class"].split()
    ]
    assert len(drawn) == len(list((folder / "figures").glob("*.svg"))) > 10
    assert all(len(svg["aria-label"]) > 20 for svg in drawn)
    heads = page.all("th")
    assert heads and all(th.get("scope") in ("col", "row") for th in heads)
    captions = [
        words for words in page.words if words.startswith(("Figure ", "Table "))
    ]
    assert len(captions) >= len(drawn)


def test_what_a_drawing_refers_to_stands_in_the_page_once(page):
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    used = {use["href"].removeprefix("#") for use in page.all("use")}
    clips = {g["clip-path"][5:-1] for g in page.all("g") if "clip-path" in g}
    assert len(used) > 30 and clips and used | clips <= set(names)


def test_numbers_of_figures_and_tables_count_up(folder):
    text = (folder / "report.md").read_text()
    for kind in ("Figure", "Table"):
        found = [int(n) for n in re.findall(rf"\*\*{kind} (\d+)\.\*\*", text)]
        assert found == list(range(1, len(found) + 1))


def test_references_lead_to_what_they_name(folder, page, pdf):
    text = (folder / "report.md").read_text()
    found = re.findall(r"\[([^]\[]+)\]\(#([\w-]+)\)", text)
    assert len(found) > 12
    names = {attributes.get("id") for _, attributes in page.elements}
    for words, anchor in found:
        assert anchor in names, anchor
        if words.startswith(("Figure ", "Table ")):
            assert re.search(rf"\*\*{words}\.\*\*.*{{#{anchor}[ }}]", text), words
    # Paper has links to what is in the same file.
    inside = [link for sheet in pdf for link in sheet.get_links() if "page" in link]
    assert len(inside) > 5


def test_pdf_has_bookmarks(folder):
    text = (folder / "report.md").read_text()
    sections = re.findall(r"^## (.+?) \{#section", text, re.M)
    marks = [
        title
        for name in ("report.pdf", "appendix.pdf")
        for level, title, _ in pymupdf.open(folder / name).get_toc()
        if level == 2
    ]
    assert marks == [title.replace("\\", "") for title in sections]


def test_page_needs_nothing_from_anywhere(folder, page):
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "data", "srcset", "poster"):
            value = attributes.get(name) or ""
            if tag == "a" and name == "href":
                assert value.startswith(("#", "https://", "http://", "mailto:"))
            elif value:
                assert value.startswith(("data:", "#")), (tag, name, value[:60])
    assert not page.all("link") and not page.all("iframe")


def test_all_files_are_the_same_bytes_when_written_again(folder, tmp_path):
    later = job_of(folder) | {"date": "2031-12-31T00:00:00+00:00"}
    write_again(folder, later, tmp_path)
    names = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")]
    assert {"report.docx", "report_latex/report.tex"} <= {str(name) for name in names}
    # Not compared in the assertion: pytest would look for what differs for ten minutes.
    different = [
        str(name)
        for name in names
        if (folder / name).is_file()
        and (folder / name).read_bytes() != (tmp_path / name).read_bytes()
    ]
    assert different == ["report.json"]  # it has the date


def test_nothing_stands_outside_the_pages(pdf):
    for number, sheet in enumerate(pdf, 1):
        frame = pymupdf.Rect(36, 20, sheet.rect.x1 - 36, sheet.rect.y1 - 20)
        for block in sheet.get_text("blocks"):
            assert pymupdf.Rect(block[:4]) in frame, (number, block[4][:80])
        for drawing in sheet.get_drawings():
            assert drawing["rect"].x0 >= 20 and drawing["rect"].x1 <= sheet.rect.x1 - 20


def test_report_needs_no_torch(folder):
    code = "import sys, labmill.report.write; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({"text": {"limits": '{{ result("cmn", "test_accuracy") }}'}}, ["report.text.limits", "'cmn'", "did you mean 'cnn'"]),
        ({"text": {"limits": '{{ result("cnn", "test_acuracy") }}'}}, ["report.text.limits", "the nearest are test_accuracy, "]),
        ({"text": {"limits": '{{ result("cnn") }}'}}, ["report.text.limits", "a number is written"]),
        ({"text": {"limits": "[Best.]{#claim-1}"}}, ["report.text.limits", "#claim-1 is the report's own"]),
    ],
)  # fmt: skip
def test_mistakes_of_the_author_are_named(folder, tmp_path, report, words):
    other = tmp_path / "results" / "synthetic"
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("*.safetensors"))
    (tmp_path / "data").symlink_to(folder.parents[1] / "data")
    summary = json.loads((other / "index.json").read_text())
    summary["provenance"]["settings"]["study"]["report"] |= report
    (other / "index.json").write_text(json.dumps(summary))
    with pytest.raises(LabmillError) as caught:
        write_again(other, summary["provenance"])
    for word in words:
        assert word in str(caught.value)


def test_one_seed_cannot_rank_and_says_so(tmp_path):
    folder = built(tmp_path, seeds=1)
    text = (folder / "report.md").read_text()
    assert "variants cannot be ranked" in text.partition("## Questions")[0]
    assert "may be no more than the luck of that seed" in text


def test_one_variant_has_a_report_without_tests(tmp_path):
    only = {"cnn": STUDY["variants"]["cnn"]}
    changes = {"variants": only, "compare": {}, "pruning": {}, "published": None}
    text = (built(tmp_path, changes=changes) / "report.md").read_text()
    assert "The tests behind the claims" not in text
    assert "reaches" in text.partition("## Results")[0]


def test_smoke_scale_says_that_it_is_no_result(tmp_path):
    folder = built(tmp_path, scale="smoke")
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert plain("this is a test of the pipeline, not a result") in page.text
    assert plain("data limit") in page.text  # what was reduced
