"""Jinja templates of the report."""

from importlib.resources import files

import jinja2

from labmill.report.text import escape

TEMPLATES = files("labmill.report") / "templates"
SECTIONS = files("labmill.report") / "sections"


def environment(kind: str) -> jinja2.Environment:
    """Templates of a kind: `md` escapes Markdown, `html` HTML, `typ` Typst strings."""
    finalize = {"md": escape, "typ": lambda value: value, "html": lambda value: value}
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([str(TEMPLATES), str(SECTIONS)]),
        undefined=jinja2.StrictUndefined,
        autoescape=kind == "html",
        finalize=finalize[kind],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # {# is Markdown's way to name a heading.
        comment_start_string="{##",
        comment_end_string="##}",
    )
