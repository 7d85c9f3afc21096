"""Nothing that a user names or writes becomes code in any of the documents."""

import re
from collections import Counter
from pathlib import Path

import pymupdf
import pytest
import synthetic
from document import Page, built, plain
from hypothesis import given, settings
from hypothesis import strategies as st

from labmill.errors import LabmillError
from labmill.report.render import harmless, pandoc, script_json, to_html, to_pdf
from labmill.report.tables import Table
from labmill.report.text import escape

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
    assert kinds == ["application/json", None, None]
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
    words = harmless("Words ![a plot](b.png){width=50% alt=x role=img}", "report.text")
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


def test_long_names_of_layers_stay_in_their_cells(tmp_path):
    name = "decoder.0.cross.scaled_dot_product_attention"
    heads = ["Layer", "Kind", *(f"a long head {i}" for i in range(6))]
    table = Table(heads, [[name, "attention", *["1,234,567"] * 6]] * 3, "Operations.")
    about = {"title": "x", "author": "", "date": "2026-01-01", "references": ""}
    pdf = to_pdf(table.markdown(), **about, folder=tmp_path)
    (sheet,) = pymupdf.open(stream=pdf)
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
        charts={},
        explorer=None,
        references=entry,
    )
    assert "LeCun" in page


def test_headings_of_the_author_begin_below_the_section():
    lines = harmless("# One\n\n### Three", "report.text.limits").splitlines()
    assert lines[1] == "### One" and lines[0] == "::::::::: words"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- **C1.** [It is best.]{#claim-1}", "#claim-1"),
        ("# Mine {#section-summary}", "#section-summary"),
        ("# Claim 1", "#claim-1"),
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
        harmless(text, "report.text.mine")


def test_own_words_may_have_names_and_code():
    text = "# Section 2\n\n# Data {#my-data}\n\n[see](#my-data)\n\n```python\n1\n```"
    assert "{#my-data}" in harmless(text, "report.text.mine")


def test_a_broken_bibliography_is_named():
    from labmill.report.render import bibliography

    with (
        pytest.raises(LabmillError, match="pandoc"),
        bibliography("@article{x") as cited,
    ):
        pandoc("[@x]", "--to=html5", *cited)
