"""Nothing that a user names or writes becomes code in any of the documents."""

import re
from collections import Counter
from pathlib import Path

import pymupdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import synthetic_results as synthetic
from helpers.report_page import Page, built, plain
from labmill.core.errors import LabmillError
from labmill.report.pandoc import pandoc
from labmill.report.pdf import to_pdf
from labmill.report.render import script_json, to_html
from labmill.report.table import Table
from labmill.report.text import Markdown, escape
from labmill.report.words import harmless, read_words

HOSTILE = [
    "<script>window.hit=1</script>",
    '"><img src=x onerror="window.hit=1">',
    "`<b>code</b>`{=html}",
    "$\\input{/etc/passwd}$ & \\write18{id}",
    '#eval("1 + 1") #import "x.typ" #panic("hit")',
    "| a | b {.c onclick=hit}",
    "{{ 7 * 7 }} {% raw %} ${hit} ]( javascript:hit",
    "</script><svg onload=hit> *x* _y_ @z ^u^ ~v~ [^1]",
    "1. one",
    "- two",
]
OWN = """<script>window.hit=1</script> <img src=x onerror="window.hit=1">

[link](javascript:window.hit=1) and [span]{onclick="window.hit=1" style="x:y"}

![picture](https://example.org/x.png) ![file](/etc/passwd)

`#panic("hit")`{=typst} \\input{/etc/passwd}

```{=html}
<script>window.hit=2</script>
```

::: {#mine data-chart="curves" onmouseover="window.hit=1"}
never closed

```
never closed either
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report in which everything a user may name or write is hostile."""
    patch = pytest.MonkeyPatch()
    patch.setattr(synthetic, "CLASSES", tuple(HOSTILE))
    study = synthetic.STUDY
    variants = {
        name: variant | {"label": HOSTILE[i]}
        for i, (name, variant) in enumerate(study["variants"].items())
    }
    try:
        return built(
            tmp_path_factory.mktemp("hostile"),
            search=True,
            changes={
                "title": HOSTILE[0] + HOSTILE[4],
                "question": OWN,
                "author": {
                    "name": HOSTILE[1],
                    "course": HOSTILE[3],
                    "roll_number": HOSTILE[6],
                },
                "variants": variants,
                "compare": {
                    "positions": {
                        "question": HOSTILE[7],
                        "levels": {"<i>": ["vit_sin_relu"], "#x": ["vit_learn_relu"]},
                    }
                },
                "published": {
                    "source": HOSTILE[1],
                    "variants": {"cnn": {"test_accuracy": 0.9}},
                    "notes": {"cnn": HOSTILE[5]},
                },
                "report": {"text": {"<script>": HOSTILE[1], "results": OWN}},
            },
        )
    finally:
        patch.undo()


def test_page_runs_only_its_own_scripts(folder):
    html = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    kinds = [script.get("type") for script in page.all("script")]
    assert kinds == ["application/json", None]
    assert {tag for tag, _ in page.elements} & {
        "img",
        "iframe",
        "object",
        "link",
    } == set()
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "javascript" not in (attributes.get("href") or "")
    policy = next(m for m in page.all("meta") if m.get("http-equiv"))["content"]
    assert (
        "default-src 'none'" in policy
        and "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    )


def test_names_stand_in_the_page_as_they_are(folder):
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    for name in HOSTILE[:5]:
        assert plain(name) in page.text


def test_names_stand_in_the_pdf_as_they_are(folder):
    pdf = pymupdf.open(folder / "report.pdf")
    text = plain("".join(page.get_text() for page in pdf)).replace("-", "")
    for name in HOSTILE[:3]:
        assert plain(name).replace("-", "")[:20] in text
    assert "root:" not in text


def test_sections_after_hostile_words_are_still_there(folder):
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert {"section-data", "section-limits", "section-appendix"} <= {
        section.get("id") for section in page.all("section")
    }


def test_attributes_come_in_one_order():
    text = "Words ![a plot](b.png){width=50% alt=x role=img}"
    words = harmless({"a": text})["a"]
    ((html, _),) = Counter(pandoc(words, "--to=html5") for _ in range(12)).items()
    assert '<div class="words" role="note" aria-label=' in html


@settings(max_examples=25, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=40)
)
def test_any_text_comes_out_as_it_went_in(text):
    html = pandoc(f"x {escape(text)} y\n", "--to=html5")
    page = Page(html)
    assert page.text == plain(f"x{text}y")
    assert {tag for tag, _ in page.elements} == {"p"}


@settings(max_examples=10, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["C", "Z"]), max_size=15),
        min_size=2,
        max_size=4,
    )
)
def test_any_cells_make_one_table(cells):
    table = Table(["name", *("c" for _ in cells[1:])], [cells, cells], "caption")
    page = Page(pandoc(table.markdown() + "\n", "--to=html5"))
    rows = len(page.all("tr"))
    assert rows == 3 and len(page.all("td")) + len(page.all("th")) == 3 * len(cells)


@given(
    st.recursive(
        st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
)
def test_data_never_ends_its_script(value):
    import json

    text = script_json(value)
    assert "<" not in text and json.loads(text) == value


def test_wide_tables_are_cut_into_parts_that_fit():
    columns = ["Variant", *(f"setting number {i}" for i in range(14))]
    table = Table(columns, [["name", *("some longer value",) * 14]], "All.")
    parts = table.split()
    assert len(parts) > 1
    assert [c for part in parts for c in part.columns[1:]] == columns[1:]
    assert all(part.columns[0] == "Variant" for part in parts)


def test_marks_of_a_cell_take_no_room():
    columns = ["Variant", *(f"Column {i}" for i in range(6))]
    plain = [Markdown("41.8 % of 60")] * 6
    marked = [Markdown("[41.8 % of 60]{.lesser}"), Markdown("**41.8 % of 60**")] * 3
    for cells in (plain, marked):
        assert len(Table(columns, [["name", *cells]], "All.").split()) == 1


@pytest.mark.parametrize(
    "name", ["decoder.0.cross.scaled_dot_product_attention", "a" * 95]
)
def test_long_names_stay_in_their_cells(tmp_path, name):
    heads = ["Layer", "Kind", *(f"a long head {i}" for i in range(6))]
    table = Table(heads, [[name, "attention", *["1,234,567"] * 6]] * 3, "Operations.")
    about = {"title": "x", "author": "", "date": "2026-01-01", "references": ""}
    pdf = to_pdf(table.markdown(), **about, folder=tmp_path)
    sheet = pymupdf.open(stream=pdf)[0]
    boxes = [pymupdf.Rect(word[:4]) for word in sheet.get_text("words")]
    for i, box in enumerate(boxes):
        # Lines may touch, words may not.
        inner = pymupdf.Rect(box.x0 + 0.5, box.y0 + 2, box.x1 - 0.5, box.y1 - 2)
        assert not any(inner.intersects(other) for other in boxes[:i])


def test_references_that_nobody_cites_are_listed_too():
    entry = "@article{lecun, author={LeCun, Yann}, title={Learning}, year={1998}}"
    page = to_html(
        "## References\n\n::: {#refs}\n:::\n",
        title="x",
        drawn={},
        alts={},
        narrow={},
        data={},
        references=entry,
    )
    assert "LeCun" in page


def test_headings_of_the_author_begin_below_the_section():
    lines = harmless({"a": "# One\n\n### Three"})["a"].splitlines()
    assert lines[0] == "::::::::: words" and lines[1] == "### One"
    assert lines[3] == "#### Three"
    found = harmless({"a": "# One", "b": "### Three"})
    assert "\n### Three" in found["b"], "each text starts at level 3"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- **C1.** [It is best.]{#claim-1}", "#claim-1"),
        ("# Mine {#section-summary}", "#section-summary"),
        ("# Claim 1 {#claim-1}", "#claim-1"),
        ("::: {#refs}\n:::", "#refs"),
        ("```{#fig-curves}\n```", "#fig-curves"),
        ("It is [higher]{.verdict}.", ".verdict"),
        ("::: banner\nLook.\n:::", ".banner"),
    ],
)
def test_own_words_cannot_look_like_computed_ones(text: str, found: str):
    with pytest.raises(
        LabmillError, match=rf"report\.text\.mine: .*{re.escape(found)}"
    ):
        harmless({"report.text.mine": text})


def test_own_words_may_have_names_and_code():
    text = "# Section 2\n\n# Data {#my-data}\n\n[see](#my-data)\n\n```python\n1\n```"
    assert "{#my-data}" in harmless({"a": text})["a"]


def test_a_broken_bibliography_is_named():
    with pytest.raises(LabmillError, match=r"report\.references: no BibTeX"):
        read_words({}, references="@article{x")


def both(markdown: str, tmp_path: Path, references: str = "") -> tuple[str, str]:
    """Return a document as HTML and as the text of its PDF."""
    page = to_html(
        markdown,
        title="x",
        drawn={},
        alts={},
        narrow={},
        data={},
        references=references,
    )
    printed = to_pdf(
        markdown,
        title="x",
        author="",
        date="2026-01-01",
        folder=tmp_path,
        references=references,
    )
    with pymupdf.open(stream=printed) as document:
        return re.sub("<[^>]*>", "", page), " ".join(one.get_text() for one in document)


ENTRY = "@article{he2016, author={He, K.}, title={Deep}, year={2016}}"
# The author's words → what HTML and PDF show.
SHOWN = {
    "a name": ("The trick of @someone.", "@someone"),
    "a name that looks like a reference": ("See @fig:1 and @sec-x.", "@fig:1"),
    "a citation without references": ("As [@foo] shows.", "[@foo]"),
    "an address": ("<https://example.org/a> <me@example.org>", "example.org"),
    "an anchor that is not there": ("See [the table](#my-table).", "the table"),
    "a heading named as a claim": ("# Claim 1\n\n[see](#claim-1) [Claim 1]", "see"),
    "a heading named top": ("# Top\n\n# Refs\n\n# Section summary", "Top"),
    "two anchors of one name": ("[a]{#x} [b]{#x} [see](#x)", "see"),
    "every kind of anchor": (
        "`a`{#a} [b](http://b.c){#b} [c]{#c} [](#d) []{#e} ![f](x.png){#f}\n\n"
        "~~~ {#d}\nd\n~~~\n\n# [g]{#g}\n\n^[note [h]{#h}]\n\n"
        "see [1](#a) [2](#b) [3](#c) [4](#d) [5](#e) [6](#f) [7](#g) [8](#h)",
        "see",
    ),
    "mathematics that is none": ("It is $\\foo{x}$.", "foo"),
    "typst": ("#panic() @x <y> $1 = 2$ \\ `a` _b_ ~ // no *c*", "#panic()"),
}


@pytest.mark.parametrize("case", SHOWN)
def test_words_are_shown_in_page_and_pdf(case: str, tmp_path: Path):
    text, found = SHOWN[case]
    for references in ("", ENTRY):
        words = harmless({"a": text}, references=references)["a"]
        page, printed = both(words, tmp_path, references)
        if "@" not in found or not references:
            assert found in page and found in printed


def test_footnotes_of_two_texts_are_both_shown(tmp_path: Path):
    texts = {name: f"x[^1]\n\n[^1]: note {name}\n\n    more" for name in "ab"}
    page, printed = both("\n\n".join(harmless(texts).values()), tmp_path)
    for name in "ab":
        assert f"note {name}" in page and f"note {name}" in printed
