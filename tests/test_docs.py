"""Files, modules, links and commands that the documents name exist."""

import re
from pathlib import Path

import pytest

from helpers.workflow_run import ROOT
from labmill import cli

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
]
PATH = re.compile(r"(?<![\w/.<>-])\.?\w[\w.]*(?:/[\w.]+)+\.\w+\b")
# Made by a run, or an example.
MADE = re.compile(
    r"(?:results|data|logs|figures)/|studies/(?:mine|x)\.|models/(?:mixer|my_network)\.py|pictures/|timm/|torchvision/|.*/site\.yaml$"
)


def code(page: Path) -> list[str]:
    """Return the code spans and blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)


def by_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_files_exist(page: Path):
    named = {path for span in code(page) for path in PATH.findall(span)}
    roots = (ROOT, ROOT / "src" / "labmill")
    for path in named:
        assert MADE.match(path) or any((root / path).exists() for root in roots), path


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_modules_and_their_names_exist(page: Path):
    for span in code(page):
        for name in re.findall(r"\blabmill((?:\.\w+)+)", span):
            *parents, last = name[1:].split(".")
            package = ROOT.joinpath("src", "labmill", *parents)
            module = package / last
            if module.is_dir() or module.with_suffix(".py").is_file():
                continue
            holders = (package.with_suffix(".py"), package / "__init__.py")
            texts = [path.read_text("utf-8") for path in holders if path.is_file()]
            assert any(re.search(rf"\b{last}\b", text) for text in texts), name


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_links_lead_to_files(page: Path):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if not path.startswith("http"):
            found = page.parent / path if path else page
            assert found.exists(), target
            headings = (
                re.findall(r"^#+ (.*)$", found.read_text("utf-8"), re.M)
                if anchor
                else []
            )
            slugs = [
                re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings
            ]
            assert not anchor or anchor in slugs, target


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_commands_exist(page: Path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.M))
    subcommands = cli.parser().format_help()
    for span in code(page):
        for target in re.findall(r"(?:^|`)make (\w+)", span, re.M):
            assert target in targets, target
        for command in re.findall(r"(?:^|`|bin/)labmill (\w+)", span, re.M):
            assert re.search(rf"^    {command}\b", subcommands, re.M), command


def test_named_tests_exist():
    tests = (ROOT / "tests").rglob("test_*.py")
    sources = "".join(path.read_text(encoding="utf-8") for path in tests)
    spans = code(ROOT / "docs" / "slurm.md")
    named = {name for s in spans for name in re.findall(r"`(test_\w+)[…`]", s)}
    assert len(named) > 10
    for name in named:
        assert f"def {name}" in sources, name
