"""Words of a study work in HTML and PDF, or are one message before anything runs."""

import os
import random
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from helpers.finish_report import finish
from helpers.patience import SLOW
from helpers.report_page import built
from helpers.synthetic_results import STUDY, make_results
from labmill.archive.archive import write_archive
from labmill.archive.verify import verify
from labmill.core.digest_cache import Remembered
from labmill.core.errors import LabmillError
from labmill.plan.plan import Plan
from labmill.report.pdf import to_pdf
from labmill.workflow import check_words as module
from labmill.workflow.check_words import check_words

BIBTEX = "@article{he2016, author={He, K.}, title={Deep}, year={2016}}\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def planned(folder: Path, **changes: Any) -> Plan:
    """Plan a study of one variant with these words."""
    study = {"title": "x", "variants": {"a": {}}} | changes
    path = folder / "mine.yaml"
    text = yaml.safe_dump(study, sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    return Plan(path)


def limits(text: str, references: str = "") -> dict[str, Any]:
    return {"report": {"text": {"limits": text}, "references": references}}


GOOD = {
    "name": limits("The trick of @someone, see @fig:1 and @sec-x."),
    "name in the question": {"question": "Is the trick of @someone worth it?"},
    "addresses": limits("<https://example.org/data> and <me@example.org>."),
    "citation": limits("As @he2016 and [@he2016, p. 3] say.", BIBTEX),
    "anchors": limits(
        "# My table\n\n[See](#my-table), [](#section-results) [My table]"
    ),
    "headings named as what is computed": limits("# Claim 1\n\n# Top\n\n# Fig 2"),
    "mathematics": limits("$\\frac{1}{2}$ and $$\\sum_i x_i$$ for 5 $ or 6 $."),
    "braces": limits('{{ x }} {% raw %} {# {{ result("a", "test_accuracy") }}'),
    "typst": limits("#panic() <a> @b $ \\ ` _ * ~ // /* */ = - + #let x = 1"),
    "code": limits("```yaml\na: {{ b }}\n```\n\n`$x$` `@x`"),
    "unclosed": limits("::: a b\n\n```\n\n| a | b\n\n[^1]: x\n\n**b *i `c"),
    "footnotes": limits("a[^1] b[^1]\n\n[^1]: c\n\n    d"),
    "table": limits("| a | b |\n|---|--:|\n| 1 | 2 |\n\n: c {#mine}\n\n[see](#mine)"),
    "lists": limits("(@) one\n(@a) two\n\n(@a) it\n\n- [ ] a\n- [x] b\n\nterm\n:   d"),
    "alphabets": {"title": "Привет, Ελλάδα, naïve, 😀, ≥ → ∑"},
    "label": {"variants": {"a": {"label": "<b> @x #y $z$ [q] {r} \\ `s` ~ ^ | _"}}},
    "html": limits('<img src="x"> <script>1</script> &amp; &nosuch;'),
}
BAD = {
    "citation without references": (limits("As [@foo]."), "report.text.limits", "@foo"),
    "missing citation": (limits("@he2015", BIBTEX), "text.limits", "@he2016"),
    "missing anchor": (limits("[x](#my-table)"), "text.limits", "#my-table"),
    "reserved anchor": (limits("# A {#claim-1}"), "text.limits", "#claim-1"),
    "looks": (limits("[a]{.verdict}"), "text.limits", ".verdict"),
    "no TeX": (limits("$\\foo{x}$"), "text.limits", "\\foo"),
    "nested brackets": (limits("[" * 25 + "a]](("), "text.limits", "not read after"),
    "nested question": ({"question": "[" * 25 + "a]]("}, "question", "not read after"),
    "broken BibTeX": (limits("x", "@article{x"), "report.references", "BibTeX"),
    "no BibTeX": (limits("x", "He et al., 2016"), "report.references", "BibTeX"),
    "BibTeX in part": (limits("x", BIBTEX + "@book(a"), "report.references", ""),
    "entry twice": (limits("x", BIBTEX * 2), "report.references", "twice"),
    "CJK": ({"title": "日本"}, "title", "U+65E5"),
    "emoji in a label": (
        {"variants": {"a": {"label": "fast 🎉"}}},
        "variants.a.label",
        "U+1F389",
    ),
    "CJK in a level": (
        {
            "variants": {"a": {}, "b": {}},
            "compare": {"c": {"levels": {"是": ["a"], "x": ["b"]}}},
        },
        "compare.c.levels.是",
        "U+662F",
    ),
    "missing picture": (limits("![a](pics/no.png)"), "text.limits", "pics/no.png"),
    "picture elsewhere": (limits("![a](https://x.org/a.png)"), "text.limits", "a.png"),
    "picture above": (limits("![a](../mine.png)"), "text.limits", "../mine.png"),
    "number": (limits("{{ reslt('a', 'test_accuracy') }}"), "text.limits", "reslt"),
}


@pytest.mark.parametrize("case", GOOD)
def test_good_words(case: str, tmp_path: Path):
    check_words(planned(tmp_path, **GOOD[case]))


@pytest.mark.parametrize("case", BAD)
def test_bad_words_are_one_message(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "TIMEOUT", 3.0)
    changes, key, words = BAD[case]
    with pytest.raises(LabmillError) as caught:
        check_words(planned(tmp_path, **changes))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/mine.yaml:") and "\n" not in message
    assert key in message and words in message, message
    assert message.split(":")[1].isdigit(), message


def test_an_author_of_config_is_named_there(tmp_path: Path):
    planned(tmp_path)
    plan = Plan(tmp_path / "mine.yaml", author={"name": "日本"})
    with pytest.raises(LabmillError, match=r"config\.yaml: author\.name: found"):
        check_words(plan)


def test_words_are_rendered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    check_words(planned(tmp_path))
    monkeypatch.setattr(module, "render", None)
    check_words(planned(tmp_path))
    with pytest.raises(TypeError):
        check_words(planned(tmp_path, question="Other?"))


def test_remembered_digests_survive_a_damaged_file(tmp_path: Path):
    one = Remembered("words")
    one.add(["a"])
    assert "a" in Remembered("words")
    one.path.write_text("{")
    assert "a" not in Remembered("words")


# --- pictures ------------------------------------------------------------------------------

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 5"><path d="M0 0h9"/></svg>'


def draw_pictures(folder: Path) -> None:
    (folder / "pics").mkdir(parents=True)
    for name in ("a.png", "b.jpg", "a b.png"):
        Image.new("RGB", (30, 20), "red").save(folder / "pics" / name)
    (folder / "pics" / "c.svg").write_text(SVG)


def test_own_pictures_are_embedded(tmp_path: Path):
    texts = "![My set-up](pics/a.png)\n\nx ![](pics/b.jpg) ![s](<pics/a b.png>)"
    changes = {"report": {"text": {"limits": texts, "data": "![c](pics/c.svg)"}}}
    draw_pictures(tmp_path / "root/studies")
    folder = built(tmp_path / "root", changes=changes)
    page = (folder / "report.html").read_text()
    assert page.count("base64,") >= 4 and 'aria-label="My set-up"' in page
    assert len([*folder.glob("figures/own_*.svg")]) == 3, "two files have equal content"
    assert 'src="pics' not in page


def test_own_pictures_are_verified_and_archived(tmp_path: Path):
    draw_pictures(tmp_path / "studies")
    changes = limits("![a](<pics/a b.png>)") | {"pruning": {}, "published": None}
    results = finish(tmp_path, *make_results(tmp_path, seeds=2, changes=changes))
    shutil.rmtree(tmp_path / "studies/pics")
    verdict = verify(results, data=tmp_path / "no data")
    states = {check.key: check.state for check in verdict.checks}
    assert states["report"] == "met", verdict
    draw_pictures(tmp_path / "studies")
    write_archive(results, tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip") as zipped:
        assert "studies/pics/a b.png" in zipped.namelist()


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n123", b"<svg", b"GIF89a"])
def test_a_file_that_is_no_picture_is_named(content: bytes, tmp_path: Path):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(LabmillError, match=r"text\.limits: x\.png: "):
        check_words(planned(tmp_path, **limits("![a](x.png)")))


def test_a_changed_picture_changes_the_report(tmp_path: Path):
    draw_pictures(tmp_path)
    before = planned(tmp_path, **limits("![a](pics/c.svg)")).report_job().fingerprint
    (tmp_path / "pics/c.svg").write_text(SVG.replace("h9", "h8"))
    after = planned(tmp_path, **limits("![a](pics/c.svg)")).report_job().fingerprint
    assert before != after


# --- random words --------------------------------------------------------------------------

PIECES = (
    *("word", " ", "\n", "\n\n", "# ", "## ", "- ", "1. ", "> ", "| ", "|---|", ": "),
    *(
        "*",
        "**",
        "_",
        "`",
        "```",
        "~~~",
        "$",
        "$$",
        "[",
        "]",
        "(",
        ")",
        "![",
        "](",
        "^",
    ),
    *(
        "{",
        "}",
        "{#x}",
        "{.y}",
        "{{",
        "}}",
        "{%",
        "%}",
        "@",
        "@he2016",
        "[@he2016]",
        "-@a",
    ),
    *(
        "<",
        ">",
        "<https://a.b>",
        "<a@b.c>",
        "https://a.b",
        "&amp;",
        "\\",
        "\\alpha",
        "~",
    ),
    *(
        ":::",
        "::: z",
        "[^1]",
        "[^1]:",
        "(@)",
        "#x",
        "[a](#x)",
        "<!--",
        "-->",
        "---",
        "é",
    ),
    *("😀", "=", "+", "/*", "//", "#let", '"', "'", "\u00a0", "\u200d", "\u202e", "0"),
)
WORDS = int(os.environ.get("LABMILL_WORDS", "15"))


@pytest.mark.parametrize("seed", range(WORDS))
def test_random_words_work_or_are_one_message(seed: int, tmp_path: Path):
    rng = random.Random(seed)

    def text(most: int) -> str:
        return "".join(rng.choice(PIECES) for _ in range(rng.randrange(most)))

    changes = {
        "question": text(12),
        "variants": {"a": {"label": " ".join(text(6).split()) or "a"}},
        "report": {
            "text": {"limits": text(40), "mine": text(20)},
            "references": BIBTEX if rng.random() < 0.5 else "",
        },
    }
    begun = time.monotonic()
    try:
        plan = planned(tmp_path, **changes)
        check_words(plan)
    except LabmillError as error:
        message = str(error)
        assert message.startswith(f"{tmp_path}/mine.yaml:"), message
        assert message.count("\n") < 3 and len(message) < 1500, message
    assert time.monotonic() - begun < 5 * SLOW


def test_what_was_checked_is_what_the_report_shows(tmp_path: Path):
    """All good words at once, in a real report."""
    texts = {
        case.replace(" ", "_"): changes["report"]["text"]["limits"]
        for case, changes in GOOD.items()
        if "report" in changes
    }
    texts["braces"] = texts["braces"].replace('"a"', '"cnn"')
    changes = {
        "title": GOOD["alphabets"]["title"],
        "question": GOOD["name in the question"]["question"],
        "report": {"text": texts, "references": BIBTEX},
        "variants": STUDY["variants"]
        | {"cnn": STUDY["variants"]["cnn"] | GOOD["label"]["variants"]["a"]},
    }
    for words in ("@someone", "@fig:1", "@sec-x", "@x", "@b"):
        texts = {k: v.replace(words, "\\" + words) for k, v in texts.items()}
    changes["report"]["text"] = texts
    changes["question"] = "Is \\@someone worth it?"
    folder = built(tmp_path, changes=changes)
    page = (folder / "report.html").read_text()
    assert "@someone" in page and (folder / "report.pdf").stat().st_size > 10_000


def test_the_compiler_is_limited(tmp_path: Path):
    with pytest.raises(LabmillError, match="not finished after"):
        to_pdf(
            "x",
            title="x",
            author="",
            date="2026-01-01",
            folder=tmp_path,
            references="",
            timeout=0.01,
        )
