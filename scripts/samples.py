"""Put sample reports in place: `python scripts/samples.py results/<study> …`.

Each report is written again by the code as it is now and copied to docs/samples/ as HTML
and PDF, with a picture of its first page; docs/samples/README.md lists them all.
"""

import html
import re
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from labmill.report.again import again

SAMPLES = Path(__file__).resolve().parents[1] / "docs" / "samples"
LARGEST = 5e6  # bytes of one page
HEAD = """# Sample reports

Each was built by `make study` from the study of its name and put here by
`make samples`. Download the HTML and open it: it needs no network.

| Report | Results | |
| --- | --- | --- |
"""


def main(folders: list[str]) -> None:
    """Write the samples of these results, then the list of all samples."""
    SAMPLES.mkdir(parents=True, exist_ok=True)
    for folder in map(Path, folders):
        with tempfile.TemporaryDirectory() as temporary:
            page = again(folder, Path(temporary))
            if page.stat().st_size > LARGEST:
                sys.exit(f"{folder}: {page.stat().st_size / 1e6:.1f} MB, above 5 MB")
            for kind in ("html", "pdf"):
                shutil.copy(page.with_suffix(f".{kind}"), sample(folder.name, kind))
        picture(sample(folder.name, "html"), sample(folder.name, "png"))
    rows = [row(page) for page in sorted(SAMPLES.glob("*.html"))]
    (SAMPLES / "README.md").write_text(HEAD + "".join(rows), encoding="utf-8")


def sample(study: str, kind: str) -> Path:
    """A sample's file."""
    return SAMPLES / f"{study}.{kind}"


def picture(page: Path, out: Path) -> None:
    """The top of a report as a laptop shows it."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        view = browser.new_page(viewport={"width": 1280, "height": 1100})
        view.goto(page.as_uri())
        view.screenshot(path=out)
        browser.close()


def row(page: Path) -> str:
    """A line of the list."""
    text = page.read_text(encoding="utf-8")
    title = html.unescape(re.search(r"<title>(.*?)</title>", text, re.S)[1])
    told = re.search(r"Results of [^<]*", text)
    about = " ".join(html.unescape(told[0]).split()) if told else ""
    scale = re.search(r"<strong>(Laptop|Smoke) scale", text)
    about += f" · {scale[1].lower()} scale" if scale else ""
    pdf = f"[PDF]({page.stem}.pdf)"
    return f"| [{title}]({page.name}) | {about} | {pdf} |\n"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("Say which: python scripts/samples.py results/<study> …")
    main(sys.argv[1:])
