"""Time and verdicts of grading a class, hostile archives among it.

Makes archives from one finished study: honest ones by a few authors, each handed in several
times (nothing is cached between archives), forged ones and hostile ones. Grades them as
`labmill grade --jobs` does.

    .venv/bin/python benchmarks/grade_class.py results/quickstart [ARCHIVES] [JOBS]
"""

import json
import random
import resource
import shutil
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers import forgeries
from helpers.archives import contents_of, packed_again
from labmill.archive.archive import CONTENTS, as_json, write_archive
from labmill.archive.grade import Rules, grade_class
from labmill.archive.rerender import rerender
from labmill.core.provenance import machine

AUTHORS = 4
FORGED = (
    forgeries.swapped_logits,
    forgeries.seed_copied,
    forgeries.declared_diverged,
    forgeries.other_settings,
)


def handed_in(results: Path, folder: Path, *forge: Callable[[Path], None]) -> Path:
    """Return the archive of a copy of a study after a forgery; its report is new."""
    root = folder / "work"
    copy = root / results.relative_to(results.parents[1])
    shutil.copytree(results, copy)
    for name in ("studies", "data"):
        shutil.copytree(results.parents[1] / name, root / name, symlinks=True)
    for change in forge:
        change(copy)
    forgeries.republish(copy)
    rerender(copy)
    write_archive(copy, folder / "a.zip", weights=True)
    shutil.rmtree(root)
    return folder / "a.zip"


def hostile(honest: Path, folder: Path) -> Iterator[Path]:
    """Yield archives that were made to harm."""
    data = honest.read_bytes()
    (folder / "none.zip").write_bytes(b"no zip")
    yield folder / "none.zip"
    (folder / "cut.zip").write_bytes(data[: len(data) // 2])
    yield folder / "cut.zip"
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in [*contents_of(honest).items(), ("big", bytes(1 << 30))]:
            zipped.writestr(name, content)
    yield folder / "bomb.zip"
    draw = random.Random(0)
    broken = bytearray(data)
    for _ in range(20):
        broken[draw.randrange(len(broken))] ^= 4
    (folder / "bits.zip").write_bytes(broken)
    yield folder / "bits.zip"

    def outside(files: dict[str, bytes]) -> None:
        (name,) = [name for name in files if name.endswith("/index.json")]
        index = json.loads(files[name])
        index["runs"][0]["files"]["predictions"] = "/etc/passwd"
        files[name] = as_json(index)

    def executed(files: dict[str, bytes]) -> None:
        files["code/src/labmill/__init__.py"] += b"\nraise SystemExit('executed')\n"
        files["models/vit.py"] = b"raise SystemExit('executed')\n"

    def deep(files: dict[str, bytes]) -> None:
        (name,) = [name for name in files if name.endswith("/claims.json")]
        files[name] = b"[" * 100_000

    for change in (outside, executed, deep):
        yield packed_again(honest, folder / f"{change.__name__}.zip", change)
    yield packed_again(honest, folder / "title.zip", lambda _: None, study="\x1b[2J")
    deep_contents = contents_of(honest) | {CONTENTS: b"{" * 10_000}
    with zipfile.ZipFile(folder / "contents.zip", "w") as zipped:
        for name, content in deep_contents.items():
            zipped.writestr(name, content)
    yield folder / "contents.zip"


def processor_seconds() -> float:
    """Return the processor time of this process and of all that it waited for."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(one)[:2]) for one in whose)


def main() -> None:
    """Make the archives, grade them and print the time."""
    results = Path(sys.argv[1]).resolve()
    count, jobs = (int(word) for word in (*sys.argv[2:], 100, 2)[:2])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        honest, bad = [], []
        for number in range(AUTHORS):
            (folder / f"h{number}").mkdir()
            rename = partial(forgeries.renamed_author, name=f"Student {number}")
            honest.append(handed_in(results, folder / f"h{number}", rename))
        for forge in FORGED:
            (folder / forge.__name__).mkdir()
            bad.append(handed_in(results, folder / forge.__name__, forge))
        (folder / "hostile").mkdir()
        bad += hostile(honest[0], folder / "hostile")
        archives = []
        for number in range(count):
            made = bad[number] if number < len(bad) else honest[number % AUTHORS]
            name = made.parent.name if made.stem == "a" else made.stem
            archives.append(folder / f"{number:03}_{name}.zip")
            shutil.copy(made, archives[-1])
        spec = folder / "assignment.yaml"
        spec.write_text("title: Quickstart\nseeds: 3\n")
        rules = Rules(spec, results.parents[1] / "data")
        began, used = time.monotonic(), processor_seconds()
        grades = list(grade_class(archives, rules, jobs=jobs))
        used, seconds = processor_seconds() - used, time.monotonic() - began
    wrong = [
        f"{one.archive}: {one.error or ', '.join(one.in_state('failed')) or 'met'}"
        for number, one in enumerate(grades)
        # Where only the code was made to harm, the results are true.
        if one.met is (number < len(bad) and "executed" not in one.archive)
    ]
    verdicts = Counter(
        "refused" if one.error else "met all requirements" if one.met else "failed some"
        for one in grades
    )
    print(
        f"n = {count} archives, {min(len(bad), count)} of them forged or hostile: "
        f"{', '.join(f'{n} {what}' for what, n in verdicts.items())}\n"
        f"wrong verdicts: {'; '.join(wrong) or 'none'}\n"
        f"{used:.0f} s of processor time ({used / count:.1f} s per archive), "
        f"{seconds:.0f} s of wall time with {jobs} jobs at once "
        f"({machine()['processor']}, {machine()['cores']} cores)"
    )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
