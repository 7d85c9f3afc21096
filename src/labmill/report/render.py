"""Markdown to one HTML page and to PDF: pandoc and typst, without network or system files."""

import base64
import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pypandoc
import typst
import vl_convert
from markupsafe import Markup

from labmill.errors import LabmillError
from labmill.report.inline import outlines, placed
from labmill.report.text import Markdown, escape

ASSETS = files("labmill.report") / "assets"
TEMPLATES = files("labmill.report") / "templates"
# Nothing that a user writes can be HTML, TeX or Typst of its own, or metadata.
READER = (
    "markdown-raw_html-raw_tex-raw_attribute-native_divs-native_spans"
    "-markdown_in_html_blocks-yaml_metadata_block-pandoc_title_block-smart"
)
# Names that the report gives to what it computes.
OWN = re.compile(r"(claim|fig|tbl|labmill)-|section-(?!\d)|(top|refs)$")

# A comment begins with {#, which is Markdown's way to name a heading.
COMMENTS = {"comment_start_string": "{##", "comment_end_string": "##}"}


def environment(kind: str) -> jinja2.Environment:
    """Templates of a kind: `md` escapes Markdown, `html` HTML, `typ` Typst strings."""
    finalize = {"md": escape, "typ": lambda value: value, "html": lambda value: value}
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(TEMPLATES)),
        undefined=jinja2.StrictUndefined,
        autoescape=kind == "html",
        finalize=finalize[kind],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **COMMENTS,
    )


def pandoc(text: str, *arguments: str, reader: str = READER) -> str:
    """Run pandoc with the filter that makes a document harmless."""
    command = [
        pypandoc.get_pandoc_path(),
        f"--from={reader}",
        "--wrap=none",
        "--columns=10000",  # else wide pipe tables get relative widths
        "--syntax-highlighting=none",
        *arguments,
        f"--lua-filter={ASSETS / 'filter.lua'}",
    ]
    done = subprocess.run(
        command, input=text, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise LabmillError(f"pandoc: {done.stderr.strip()}")
    return done.stdout


def harmless(text: str, where: str, base: int = 3) -> Markdown:
    """A user's Markdown as a block that says so, every construct closed.

    Its headings begin at `base`. LabmillError where it uses names or looks that are
    the report's own, so that nobody takes its words for computed ones; `where`: for the
    message.
    """
    if not text.strip():
        return Markdown("")
    own_looks(json.loads(pandoc(text, "--to=json")), where)
    levels = [len(found) for found in re.findall(r"^(#+)\s", text, re.MULTILINE)]
    shift = base - min(levels, default=base)
    done = pandoc(text, f"--to={READER}", f"--shift-heading-level-by={shift}")
    return Markdown(f"::::::::: words\n{done.strip()}\n:::::::::")


def own_looks(element: Any, where: str) -> None:
    """LabmillError for an identifier of the report, or a class on anything but code.

    element: pandoc's JSON, or a part of it.
    """
    if isinstance(element, dict):
        kind, inside = element.get("t"), element.get("c")
        at = {"Header": 1, "Link": 0, "Image": 0, "Span": 0, "Div": 0, "Figure": 0}
        at |= {"Code": 0, "CodeBlock": 0, "Table": 0}
        if kind in at:
            identifier, classes, _ = inside[at[kind]]
            if OWN.match(identifier):
                raise LabmillError(
                    f"{where}: the name #{identifier} is the report's own; give this "
                    f"another one, such as {{#my-{identifier}}}"
                )
            if classes and not kind.startswith("Code"):
                raise LabmillError(
                    f"{where}: found {{.{classes[0]}}}; how words look is the report's "
                    "own, so that they cannot be taken for computed ones"
                )
        element = list(element.values())
    if isinstance(element, list):
        for part in element:
            own_looks(part, where)


def to_html(
    markdown: str,
    *,
    title: str,
    drawn: Mapping[str, str],
    alts: Mapping[str, str],
    charts: Mapping[str, Any],
    explorer: Any,
    references: str,
) -> str:
    """One page that needs no other file.

    drawn: figure → SVG; alts: figure → alternative text; charts: figure → Vega-Lite
    specification; explorer: data of the prediction explorer, or None.
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
        lambda found: placed(
            found[1], drawn[found[1]], alts[found[1]], found[1] in charts
        ),
        body,
    )
    scripts = [(ASSETS / "report.js").read_text(encoding="utf-8")]
    if charts:
        scripts.insert(0, bundle())
    data = {"charts": charts, "explorer": explorer}
    return (
        environment("html")
        .get_template("page.html.j2")
        .render(
            title=title,
            toc=Markup(toc),
            body=Markup(body),
            outlines=Markup(outlines(drawn.values())),
            css=Markup((ASSETS / "report.css").read_text(encoding="utf-8")),
            data=Markup(script_json(data)),
            scripts=[Markup(s) for s in scripts],
            policy=policy(scripts),
        )
    )


def script_json(data: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return (
        text.replace("<", "\\u003c")
        .replace("\u2028", "\\u2028")
        .replace("\u2029", "\\u2029")
    )


def policy(scripts: Sequence[str]) -> str:
    """A content security policy: these scripts and no others, and no network at all."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'"
        for s in scripts
    )
    # Vega compiles its expressions, hence unsafe-eval.
    return (
        f"default-src 'none'; script-src {digests} 'unsafe-eval'; "
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )


@cache
def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return script.replace("</script", "<\\/script")


def to_pdf(
    markdown: str, *, title: str, author: str, date: str, folder: Path, references: str
) -> bytes:
    """The PDF, byte for byte the same for the same input. `folder` holds `figures/`."""
    with bibliography(references) as cited:
        body = pandoc(markdown, "--to=typst", *cited)
    source = (
        environment("typ")
        .get_template("report.typ.j2")
        .render(title=quoted(title), author=quoted(author), date=date, body=body)
    )
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "report.typ").write_text(source, encoding="utf-8")
        (root / "figures").mkdir()
        for path in folder.glob("*.svg"):
            (root / "figures" / path.name).write_bytes(path.read_bytes())
        try:
            return typst.compile(
                root / "report.typ",
                root=root,
                ignore_system_fonts=True,
                timestamp=int(datetime.fromisoformat(f"{date}T00:00Z").timestamp()),
            )
        except typst.TypstError as error:
            raise LabmillError(f"typst: {error}") from error


def quoted(text: str) -> str:
    """A Typst string literal."""
    text = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


class bibliography:  # noqa: N801
    """A temporary BibTeX file as pandoc's arguments; no arguments where it is empty."""

    def __init__(self, references: str) -> None:
        self.references = references

    def __enter__(self) -> list[str]:
        if not self.references.strip():
            self.file = None
            return []
        self.file = tempfile.NamedTemporaryFile("w", suffix=".bib", encoding="utf-8")
        self.file.write(self.references)
        self.file.flush()
        return [
            "--citeproc",
            f"--bibliography={self.file.name}",
            f"--metadata-file={ASSETS / 'references.yaml'}",
        ]

    def __exit__(self, *_: object) -> None:
        if self.file:
            self.file.close()
