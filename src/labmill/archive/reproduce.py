"""Check an archive, and train runs of it again through the real workflow.

Nothing of an archive is executed: its runs are trained by the code here, if that is the
code that they were made with. Only `trust_code` lets the archive's own code run, in a
sandbox where the machine has one.
"""

import difflib
import hashlib
import json
import math
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from labmill.archive.archive import CODE, code_files, plan_of
from labmill.archive.chain import is_image_folder, planned_outputs
from labmill.archive.isolated import check_foreign
from labmill.archive.records import Opened, read_arrays
from labmill.archive.reevaluate import different_rows
from labmill.archive.sandbox import MEMORY_LIMIT, Sandbox, bare_environment, sandbox
from labmill.archive.unpack import open_archive
from labmill.archive.verify import Verdict
from labmill.core import project
from labmill.core.csv_tables import read_table
from labmill.core.errors import LabmillError, suggest
from labmill.core.files import file_digest, read_json
from labmill.core.paths import CHECKOUT
from labmill.core.processes import run as run_limited
from labmill.core.trees import Settings

TOLERANCE = 0.02  # of test accuracy, where a rerun is not bit-equal
TIME_LIMIT = 3600.0  # seconds of one rerun
LONGEST_DIFF = 400  # lines
TIMED = ("seconds", "images_per_second", "peak_memory_mb")


class Outcome(StrEnum):
    """How a run that was trained again compares."""

    EQUAL = "bit-equal"
    WITHIN = "within the tolerance"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Rerun:
    """One stage of a run, trained again. Accuracies on the test images, in 0..1."""

    file: str
    outcome: Outcome
    then: float
    now: float
    unequal: tuple[str, ...]  # of predictions, weights and history
    alike: bool  # whether both were computed by the same processor and libraries

    def __str__(self) -> str:
        unequal = f"not equal: {', '.join(self.unequal)}" if self.unequal else "equal"
        return (
            f"{self.file}: {self.outcome} (test accuracy {100 * self.then:.2f} % then, "
            f"{100 * self.now:.2f} % now; {unequal}; "
            f"{'same' if self.alike else 'another'} kind of processor and libraries)"
        )


def reproduce(
    archive: Path,
    run: str | None = None,
    *,
    trust_code: bool = False,
    data: Path = Path("data"),
    tolerance: float = TOLERANCE,
    show: Callable[[str], None] | None = None,
) -> tuple[Verdict, list[Rerun]]:
    """Check the report of an archive, and train its run `variant:seed` again.

    `show` gets the difference between the archive's code and the code here.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        opened = open_archive(archive, root)
        if run is not None:
            stages_of(opened, run)  # before the checks, which take minutes
        verdict = Verdict(
            check_foreign(
                opened,
                data,
                weights=False,
                trust_code=trust_code,
                show=show or print,
            )
        )
        if run is None:
            return verdict, []
        return verdict, rerun(
            opened,
            run,
            trust_code=trust_code,
            data=data,
            tolerance=tolerance,
            show=show,
        )


def rerun(
    opened: Opened,
    run: str,
    *,
    trust_code: bool,
    data: Path,
    tolerance: float,
    show: Callable[[str], None] | None = None,
) -> list[Rerun]:
    """Train and evaluate one run in a separate folder; compare every evaluated stage.

    `trust_code`: whether the archive's code may run if it is not the code here.
    """
    files = stages_of(opened, run)
    with project.using(opened.root, trusted=False):
        changed = changed_modules(opened, run)
    theirs = authors_code(opened.root)
    unknown = changed or [name for name, here in theirs.items() if not here]
    if show and changed:
        show(code_difference(opened.root))
    if unknown and not trust_code:
        names = ", ".join(unknown[:3]) + (" …" if len(unknown) > 3 else "")
        raise LabmillError(
            f"run {run}: was made by other code than this ({names}); --trust-code runs "
            "the archive's code, in a sandbox if bubblewrap is installed"
        )
    code = opened.root / "code" if changed else CHECKOUT
    folder = opened.root / "rerun"
    changes = opened.index["provenance"]["settings"].get("changes")
    config = [f"set={json.dumps(changes)}"] if changes else []
    for name in (f"studies/{opened.index['study']}.yaml", *theirs):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((opened.root / name).read_bytes())
    store, isolated = data / "store", None
    if unknown:
        isolated = sandbox(folder, readable=[code])
        (show or print)(isolated.told)
        if store.is_dir():  # the code may not change the datasets here
            shutil.copytree(store, folder / "store")
        store = folder / "store"
    work(
        code,
        folder,
        files,
        store=store,
        config=config,
        isolated=isolated,
    )
    return [compare(opened, file, folder, tolerance) for file in files]


def stages_of(opened: Opened, run: str) -> list[str]:
    """Return the predictions of a run's stages.

    Raises:
        LabmillError: the run is unknown, or cannot be trained again here.
    """
    known = runs_of(opened)
    if run not in known:
        raise LabmillError(f"run: found {run!r}; {suggest(run, known)}")
    if is_image_folder(opened):
        raise LabmillError(f"run {run}: the study's own images are not in the archive")
    return known[run]


def runs_of(opened: Opened) -> dict[str, list[str]]:
    """Return `variant:seed` → the predictions of its stages."""
    found: dict[str, list[str]] = {}
    for record in opened.index["runs"]:
        if opened.file(record, "predictions"):
            name = f"{record['variant']}:{record['seed']}"
            found.setdefault(name, []).append(record["files"]["predictions"])
    return found


def changed_modules(opened: Opened, run: str) -> list[str]:
    """Return the modules behind a run that are not the ones here."""
    plan = plan_of(opened)
    found: set[str] = set()
    for record in opened.index["runs"]:
        if f"{record['variant']}:{record['seed']}" != run:
            continue
        for name, job in planned_outputs(plan, record).items():
            made = opened.read(record, name)
            stored = made["provenance"]["code"] if made else {}
            here = job.record["code"]
            keys = {*stored, *here} - {*job.libraries}
            found |= {key for key in keys if stored.get(key) != here.get(key)}
    return sorted(found)


def authors_code(root: Path) -> dict[str, bool]:
    """Return the files of the author's own code → whether the same are here.

    `root`: the folder in which the archive was unpacked; here: the working directory.
    """
    return {
        name: Path(name).is_file() and Path(name).read_bytes() == path.read_bytes()
        for name, path in all_files(root).items()
        if name.split("/")[0] in project.FOLDERS
    }


def code_difference(root: Path) -> str:
    """Return how the code of an unpacked archive differs from the code here."""
    places = tuple(f"code/{name}" for name in (*CODE, "Snakefile"))
    files = [
        {name: path for name, path in found.items() if name.startswith(places)}
        for found in (code_files(CHECKOUT), all_files(root))
    ]
    lines: list[str] = []
    for name in sorted({*files[0], *files[1]}):
        old, new = [
            found[name].read_text(encoding="utf-8", errors="replace").splitlines()
            if name in found
            else []
            for found in files
        ]
        lines += difflib.unified_diff(
            old, new, f"here/{name}", f"archive/{name}", lineterm="", n=1
        )
    more = len(lines) - LONGEST_DIFF
    if more > 0:
        lines = [*lines[:LONGEST_DIFF], f"… and {more} more lines"]
    return "\n".join(lines)


def all_files(root: Path) -> dict[str, Path]:
    """Return every file of an unpacked archive by its name."""
    found = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {path.relative_to(root).as_posix(): path for path in found}


def work(
    code: Path,
    folder: Path,
    targets: Sequence[str],
    *,
    store: Path,
    config: Sequence[str],
    isolated: Sandbox | None,
) -> None:
    """Build `targets` in `folder` by the workflow of a checkout.

    Args:
        code: the checkout.
        folder: the working directory, with the study in it.
        targets: files to make.
        store: downloaded datasets, which are used again.
        config: further values for Snakemake's --config.
        isolated: where code that is not trusted runs; None: the code is trusted.
    """
    command = [
        *(isolated.prefix if isolated else ()),
        *(sys.executable, "-m", "snakemake", *targets),
        *("--snakefile", str(code / "Snakefile")),
        *("--profile", str(code / "profiles/local")),
        *("--config", f"store={store.resolve()}", *config),
    ]
    environment = bare_environment() if isolated else os.environ
    done = run_limited(
        command,
        what="the rerun",
        timeout=TIME_LIMIT,
        memory=MEMORY_LIMIT if isolated else None,
        folder=folder,
        environment={**environment, "PYTHONPATH": str(code / "src")},
    )
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        last = "\n".join(said.splitlines()[-15:])
        raise LabmillError(f"the rerun failed:\n{last}")


def compare(opened: Opened, file: str, folder: Path, tolerance: float) -> Rerun:
    """Compare one stage then and now; `file` is its predictions.

    The same network cannot give two results, and the same processor with the same
    libraries trains the same network: only elsewhere does the tolerance decide.
    """
    stage = Path(file).parent
    (then, now), (then_made, now_made) = [
        [place(f"{stage}/{name}") for place in (opened.place.path, folder.joinpath)]
        for name in ("predictions.npz", "model.json")
    ]
    old, new = read_arrays(then), read_arrays(now)
    unequal = []
    if old.keys() != new.keys() or not all(
        old[name].dtype == new[name].dtype and np.array_equal(old[name], new[name])
        for name in old
    ):
        unequal.append("predictions")
    weights = f"{stage}/model.safetensors"
    if opened.weights.get(weights) != file_digest(folder / weights):
        unequal.append("weights")
    if epochs(then.with_name("history.csv")) != epochs(now.with_name("history.csv")):
        unequal.append("history")
    before, after = [
        float((arrays["test_logits"].argmax(1) == arrays["test_labels"]).mean())
        for arrays in (old, new)
    ]
    alike = facts(then_made) == facts(now_made)
    edited = "weights" not in unequal and different_rows(
        old["test_logits"], new["test_logits"]
    )
    near = abs(before - after) <= tolerance
    outcome = Outcome.EQUAL
    if unequal:
        within = near and not edited and not alike
        outcome = Outcome.WITHIN if within else Outcome.DIFFERENT
    return Rerun(file, outcome, before, after, tuple(unequal), alike)


def epochs(path: Path) -> list[Settings]:
    """Return a history without what depends on the time of day."""
    rows = read_table(path) if path.is_file() else []
    return [{key: row[key] for key in row if key not in TIMED} for row in rows]


def facts(path: Path) -> list[Any]:
    """Return what decides the bits of a training, besides settings and code."""
    made = read_json(path)
    training, job = made["training"], made["provenance"]
    keys = ("device", "threads", "precision", "compile")
    found = [training[key] for key in keys]
    found += [job["machine"][key] for key in ("processor", "system")]
    return found + [job["versions"][key] for key in ("torch", "numpy")]


def draw(runs: Sequence[str], count: int, *, archive: Path, secret: str) -> list[str]:
    """Draw runs that nobody could foresee when the archive was made.

    The seed is made of the archive's digest and a secret that its author does not know.
    """
    seed = hashlib.sha256(f"{file_digest(archive)} {secret}".encode()).digest()
    return random.Random(seed).sample(sorted(runs), min(count, len(runs)))


def probability_of_finding(forged: int, *, runs: int, drawn: int) -> float:
    """Return how likely at least one of the forged runs is among the drawn ones."""
    return 1 - math.comb(runs - forged, drawn) / math.comb(runs, drawn)
