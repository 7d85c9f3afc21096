"""Word and LaTeX have the numbers of the page."""

import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pymupdf
import pytest

from labmill.core.files import read_json
from labmill.report.pandoc import ASSETS
from labmill.report.sections.appendix.evidence import estimate

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def paper(folder: Path) -> str:
    """Return the text of both PDF files."""
    files = (folder / "report.pdf", folder / "appendix.pdf")
    return "".join(page.get_text() for file in files for page in pymupdf.open(file))


def word(folder: Path) -> str:
    """Return the text of the Word document, a line for each paragraph."""
    with zipfile.ZipFile(folder / "report.docx") as document:
        xml = document.read("word/document.xml").decode()
    return re.sub(r"<[^>]*>", "", xml.replace("</w:p>", "\n"))


def numbers_of_claims(folder: Path) -> set[str]:
    """Return the numbers of all claims: of the sentences that are told, else estimates."""
    markdown = FORMATS["md"](folder)
    return {
        number
        for claim in read_json(folder / "claims.json")
        for number in NUMBER.findall(
            claim["statement"] if claim["statement"] in markdown else estimate(claim)
        )
    }


FORMATS = {
    "md": lambda folder: (folder / "report.md").read_text(encoding="utf-8"),
    "html": lambda folder: (folder / "report.html").read_text(encoding="utf-8"),
    "pdf": paper,
    "docx": word,
    "tex": lambda folder: (folder / "report_latex/report.tex").read_text(encoding="utf-8"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS)
def test_every_number_of_a_claim_is_in_every_format(report_folder: Path, kind: str):
    text = FORMATS[kind](report_folder)
    # Numbers at the end of a line of Markdown's tables are escaped.
    printed = set(NUMBER.findall(text.replace("\\.", ".").replace("{,}", ",")))
    wanted = numbers_of_claims(report_folder)
    assert len(wanted) > 50
    assert wanted <= printed, wanted - printed


def test_word_has_pictures_with_alternative_text(report_folder: Path):
    with zipfile.ZipFile(report_folder / "report.docx") as document:
        xml = document.read("word/document.xml").decode()
        pictures = [n for n in document.namelist() if n.startswith("word/media/")]
    figures = list((report_folder / "figures").glob("*.svg"))
    assert len(pictures) == len(figures)
    # The small pictures in the rows of a table repeat its numbers.
    drawn = [path for path in figures if not path.name.startswith("row-")]
    texts = re.findall(r'<wp:docPr [^>]*descr="([^"]+)"', xml)
    assert len(texts) == len(drawn) and min(map(len, texts)) > 20
    assert 'w:styleId="Prompt"' not in xml and 'w:val="Answer"' in xml


def test_latex_has_figures_tables_and_macros(report_folder: Path):
    folder = report_folder / "report_latex"
    text = (folder / "report.tex").read_text(encoding="utf-8")
    named = set(re.findall(r"\{figures/([\w-]+)\.pdf\}", text))
    assert named == {path.stem for path in folder.glob("figures/*.pdf")}
    assert text.count("\\toprule") > 5 and "\\input{results.tex}" in text
    macros = (folder / "results.tex").read_text(encoding="utf-8")
    assert re.search(r"\\setresult\{cnn\.test_accuracy\}\{9\d\.\d~\\%\}", macros)
    assert "\\result{" in (folder / "README.md").read_text(encoding="utf-8")


def test_every_block_of_the_report_has_its_environment_in_latex():
    blocks = re.search(
        r"local BLOCKS = \{(.*?)\}", (ASSETS / "filter.lua").read_text(), re.S
    )
    header = (ASSETS / "header.tex").read_text()
    defined = set(re.findall(r"^\\newenvironment\{(\w+)\}", header, re.M))
    assert defined == set(re.findall(r"(\w+) = \"", blocks[1]))
    assert all(line[0] in "\\%" for line in header.splitlines() if line)


def test_word_opens_in_libreoffice(report_folder: Path, tmp_path: Path):
    if not (soffice := shutil.which("soffice")):
        pytest.skip("needs LibreOffice (Debian: libreoffice-writer)")
    profile = f"-env:UserInstallation=file://{tmp_path}/profile"
    command = [soffice, profile, "--headless", "--convert-to", "pdf", "--outdir"]
    document = report_folder / "report.docx"
    done = subprocess.run(
        [*command, str(tmp_path), str(document)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    pages = list(pymupdf.open(tmp_path / "report.pdf"))
    text = "".join(page.get_text() for page in pages)
    printed = set(NUMBER.findall(text))
    assert numbers_of_claims(report_folder) <= printed
    markdown = FORMATS["md"](report_folder)
    for kind in ("Figure", "Table"):
        captions = set(re.findall(rf"\*\*({kind} A?\d+)\.", markdown))
        assert captions == set(re.findall(rf"({kind} A?\d+)\. ", text)) & captions
    shown = sum(len(page.get_images()) for page in pages)
    assert shown >= len(re.findall(r"\(figures/(?!row-)", markdown))


def test_latex_compiles(report_folder: Path, tmp_path: Path):
    if not (latexmk := shutil.which("latexmk")) or not shutil.which("xelatex"):
        pytest.skip("needs latexmk and xelatex (Debian: latexmk, texlive-xetex)")
    shutil.copytree(report_folder / "report_latex", tmp_path / "report")
    command = [latexmk, "-xelatex", "-interaction=nonstopmode", "report.tex"]
    done = subprocess.run(
        command, cwd=tmp_path / "report", capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-3000:]
    printed = pymupdf.open(tmp_path / "report/report.pdf")
    assert "Five synthetic networks" in printed[0].get_text()
