"""Put sample reports in place: `python scripts/samples.py [results/<study> …]`.

Without arguments: those of every study, at the largest scale that was run. Each report is
rendered by the current code and copied to docs/samples/ as HTML and PDF, with a picture of
its first page; docs/samples/index.html has question, answer and first figure of each.
"""

import base64
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from labmill.archive.rerender import rerender
from labmill.core.files import read_json
from labmill.core.paths import CHECKOUT
from labmill.report.index_page import describe, page_of
from labmill.workflow.targets import study_names

SAMPLES = CHECKOUT / "docs" / "samples"
LARGEST = 5e6  # bytes of one page
LARGEST_PICTURE = 150_000  # bytes
FIGURE = re.compile(r'<figure id="fig-([\w-]+)">.*?aria-label="(.*?)" style', re.DOTALL)
HEAD = """# Sample reports

`make study` built each report from the study of the same name, and `make samples` copied them here. Download an HTML
file and open it: it needs no network. [index.html](index.html) shows question, answer and first figure of each.

| Report | Results | |
| --- | --- | --- |
"""


def main(folders: list[Path]) -> None:
    """Write the samples of these results, their list and their gallery."""
    if not folders:
        sys.exit("No study has a finished report: the samples stay as they are")
    shutil.rmtree(SAMPLES, ignore_errors=True)
    SAMPLES.mkdir(parents=True)
    shown = [sample(folder) for folder in folders]
    rows = "".join(row(one) for one in shown)
    (SAMPLES / "README.md").write_text(HEAD + rows, encoding="utf-8")
    (SAMPLES / "index.html").write_text(page_of(shown), encoding="utf-8")


def finished() -> list[Path]:
    """Return the results of every study that has a report, at the largest scale."""
    found = []
    for name in sorted(study_names()):
        places = (CHECKOUT / "results" / at / name for at in ("", "laptop"))
        found += [one for one in places if (one / "report.html").is_file()][:1]
    return found


def sample(folder: Path) -> dict[str, Any]:
    """Write one sample, and return what the gallery shows of it."""
    name = folder.name
    page = SAMPLES / f"{name}.html"
    with tempfile.TemporaryDirectory() as temporary:
        made = rerender(folder, Path(temporary))
        shutil.copy(made, page)
        shutil.copy(made.with_suffix(".pdf"), page.with_suffix(".pdf"))
        about = describe(folder, made.parent)
        if first := FIGURE.search(made.read_text(encoding="utf-8")):
            drawn = (made.parent / f"figures/{first[1]}.svg").read_bytes()
            about["figure"] = base64.b64encode(drawn).decode()
            about["alt"] = first[2]
    if page.stat().st_size > LARGEST:
        sys.exit(f"{folder}: {page.stat().st_size / 1e6:.1f} MB, above 5 MB")
    picture(page, page.with_suffix(".png"))
    return about | {
        "name": name,
        "scale": read_json(folder / "index.json")["scale"],
        "state": "complete",
        "why": "",
        "made": True,
        "files": {"html": page.name, "pdf": f"{name}.pdf"},
    }


def picture(page: Path, out: Path) -> None:
    """Take a picture of the top of a report, as on a laptop."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        view = browser.new_page(viewport={"width": 1280, "height": 1100})
        view.goto(page.as_uri())
        view.screenshot(path=out)
        browser.close()
    with Image.open(out) as image:
        image.quantize(64).save(out, optimize=True)
    if out.stat().st_size > LARGEST_PICTURE:
        sys.exit(f"{out}: {out.stat().st_size} bytes, above {LARGEST_PICTURE}")


def row(one: dict[str, Any]) -> str:
    """Return a line of the list."""
    about = f"{one['date']} · {one['networks']} networks · {one['scale']} scale"
    name = one["name"]
    return f"| [{one['title']}]({name}.html) | {about} | [PDF]({name}.pdf) |\n"


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]] or finished())
