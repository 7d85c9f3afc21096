"""Markdown to one HTML page: pandoc, without network or system files."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from labmill.report import style
from labmill.report.inline import one, outlines, placed
from labmill.report.jinja import TEMPLATES, environment
from labmill.report.pandoc import ASSETS, bibliography, pandoc


def to_html(
    markdown: str,
    *,
    title: str,
    drawn: Mapping[str, str],
    alts: Mapping[str, str],
    narrow: Mapping[str, str],
    data: Mapping[str, Any],
    references: str,
) -> str:
    """One page that needs no other file.

    drawn: figure → SVG; alts: figure → alternative text; narrow: figure → SVG for a
    phone; data: what the page's script reads.
    """
    with bibliography(references) as cited:
        body = pandoc(
            markdown,
            "--to=html5",
            "--mathml",
            "--toc",
            "--toc-depth=3",
            "--section-divs",
            f"--template={TEMPLATES / 'fragment.html'}",
            *cited,
        )
    toc, _, body = body.partition("<!--body-->")
    toc = re.sub(
        r"(?s)^<ul>\s*<li><a[^>]*>.*?</a>\s*<ul>(.*)</ul>\s*</li>\s*</ul>\s*$",
        r"<ul>\1</ul>",
        toc.strip(),
    )
    body = re.sub(
        r"(?s)<table.*?</table>",
        lambda found: (
            f'<div class="scroll" tabindex="0" role="region" aria-label="Table">{found[0]}</div>'
        ),
        body,
    )
    # Else the other columns squeeze a list of layers into a word's width.
    body = re.sub(r"<td([^>]*)>(?=[^<]{57})", r'<td\1 class="long">', body)
    body = re.sub(
        r'<img\s[^>]*?src="figures/([\w-]+)\.svg"[^>]*?/?>',
        lambda found: (
            one(found[1], drawn[found[1]], alt_of(found, alts), "row")
            if found[1].startswith("row-")
            else placed(
                found[1], drawn[found[1]], alt_of(found, alts), narrow.get(found[1])
            )
        ),
        body,
    )
    body = explained(body)
    scripts = [(ASSETS / "report.js").read_text(encoding="utf-8")]
    css = style.css() + (ASSETS / "report.css").read_text(encoding="utf-8")
    return (
        environment("html")
        .get_template("page.html.j2")
        .render(
            title=title,
            toc=Markup(toc),
            body=Markup(body),
            outlines=Markup(outlines([*drawn.values(), *narrow.values()])),
            css=Markup(css),
            data=Markup(script_json(data)),
            scripts=[Markup(s) for s in scripts],
            policy=policy(scripts),
        )
    )


def explained(body: str) -> str:
    """Return the page with a tooltip at the first place in its text of each term."""
    for number, (term, meaning) in enumerate(TERMS.items(), 1):
        words = re.escape(term).replace("\\ ", "[ \u00a0]")
        tip = (
            f'<button type="button" class="term" aria-describedby="term-{number}">'
            f'\\2</button><span role="tooltip" id="term-{number}">{meaning}</span>'
        )
        before = r"(?:<a\b[^>]*>(?:(?!</a>).)*</a>|<(?!/p>|a\b)[^>]*>|[^<])*?"
        body = re.sub(rf"(<p>{before})\b({words})\b", rf"\1{tip}", body, count=1)
    return body


# Term → what it means, for who meets it for the first time.
TERMS = {
    "95 % interval": "The range that contains the value sought in about 95 of 100 repetitions "
    "of the study.",
    "Macro F1": "The mean over classes of the harmonic mean of precision and recall: low where "
    "a network ignores classes.",
    "Pareto front": "The points that no other one beats in both respects.",
    "practically equal": "The interval of the difference is inside the study's margin.",
}


def alt_of(image: re.Match[str], alts: Mapping[str, str]) -> str:
    """Return the alternative text of a figure, or of an author's picture."""
    written = re.search(r'\salt="([^"]*)"', image[0])
    return alts.get(image[1]) or (html.unescape(written[1]) if written else "")


def script_json(data: Any) -> str:
    """Return JSON that cannot end its script element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return (
        text.replace("<", "\\u003c")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )


def policy(scripts: Sequence[str]) -> str:
    """Return a content security policy: these scripts and no others, and no network at all."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'"
        for s in scripts
    )
    return (
        f"default-src 'none'; script-src {digests}; "
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )
