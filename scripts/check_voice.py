"""Check docs, comments, messages and templates for phrases of translated prose.

`python scripts/check_voice.py [FILE …]`; without files, everything that git tracks except
tests. Paths that begin with an entry of pyproject's `tool.voice.pending` are left out.
"""

import ast
import io
import os
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# A phrase (its spaces also match line breaks), and what to write instead.
PHRASES = {
    r"stands?(?! for\b)|stood|standing": "is, contains, applies",
    r"(?:go|goes|gone|going|went) on": "continue, resume",
    r"beside": "next to, compared with, at the same time as",
    r"anew": "again",
    r"of (?:its|their|his) own": "own, separate",
    r"what (?:\w+ ){1,3}(?:says?|tells?|asks?)": "name the thing: the study's settings",
    r"of which there (?:is|are)|of what there is": "name the thing",
    r"(?:could|can|can ?not|could not) be had|(?:is|are|was|were) (?:not )?had": "available",
    r"whose (?:\w+ )+?is shown": "with a significant …",
    r"there (?:is|are) no \w+ that": "no … does",
    r"as it (?:now )?is(?! (?:\w+ed|\w+ing|built|made|sent|written)\b)": "unchanged",
    r"all of them": "all",
    r"by (?:itself|themselves)": "automatically, alone",
    r"once again": "again",
}
PATTERNS = {
    re.compile(rf"\b(?:{phrase})\b".replace(" ", r"[\s#]+"), re.IGNORECASE): hint
    for phrase, hint in PHRASES.items()
}

# (file name, phrase): used in its literal sense there.
ALLOWED: set[tuple[str, str]] = set()

TEXTS = {".md", ".yaml", ".toml", ".smk", ".j2", ".cff"}
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def main(arguments: list[str]) -> int:
    """Print every phrase found; return 1 if there is one."""
    os.chdir(ROOT)
    found = [line for path in paths(arguments) for line in check(path)]
    print(*found, sep="\n", end="\n" * bool(found))
    return int(bool(found))


def paths(arguments: list[str]) -> Iterator[Path]:
    """Yield the files to check."""
    settings = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    pending = tuple(settings["tool"]["voice"]["pending"])
    if not arguments:
        listed = "git ls-files --cached --others --exclude-standard :!tests :!*/check_voice.py"
        arguments = subprocess.check_output(listed.split(), text=True).split("\n")
    for name in arguments:
        path = Path(name)
        known = path.suffix in TEXTS | {".py"} or path.name in ("Makefile", "Snakefile")
        if known and path.is_file() and not name.startswith(pending):
            yield path


def check(path: Path) -> Iterator[str]:
    """Yield one line for each phrase in a file."""
    text = path.read_text(encoding="utf-8")
    for line, prose in passages(path, text):
        for pattern, hint in PATTERNS.items():
            for match in pattern.finditer(prose):
                phrase = " ".join(match[0].lower().replace("#", " ").split())
                at = line + prose.count("\n", 0, match.start())
                if (path.name, phrase) not in ALLOWED:
                    yield f"{path}:{at}: “{phrase}”: write {hint}"


def passages(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Yield the first line and the text of each passage that people read."""
    if path.suffix != ".py":
        blank = lambda match: re.sub(r"[^\n]", " ", match[0])  # noqa: E731
        yield 1, CODE.sub(blank, text) if path.suffix == ".md" else text
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    comments: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            line = token.start[0]
            if comments and line == comments[-1][0] + comments[-1][1].count("\n") + 1:
                comments[-1] = comments[-1][0], f"{comments[-1][1]}\n{token.string}"
            else:
                comments.append((line, token.string))
    yield from comments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
