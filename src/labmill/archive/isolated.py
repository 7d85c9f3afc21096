"""Check somebody else's results; where that needs their own code, in a sandbox.

As a program (`python -m labmill.archive.isolated ROOT RESULTS DATA WEIGHTS`) it is what runs
in the sandbox: its last line of output is the checks as JSON.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from labmill.archive.records import Opened
from labmill.archive.reevaluate import reevaluate
from labmill.archive.sandbox import MEMORY_LIMIT, bare_environment, sandbox
from labmill.archive.unpack import open_unpacked
from labmill.archive.verify import Check, verify_opened
from labmill.core import project
from labmill.core.errors import LabmillError
from labmill.core.paths import PACKAGE
from labmill.core.processes import run

TIME_LIMIT = 600.0  # seconds of the checks of one archive
CHECKS = TypeAdapter(list[Check])
OWN_WORD = (
    "what these checks compute with the archive's own code rests on that code's word"
)


def check_foreign(
    opened: Opened,
    data: Path,
    *,
    weights: bool,
    trust_code: bool,
    show: Callable[[str], None],
) -> list[Check]:
    """Recompute somebody else's report and, with `weights`, evaluate its networks.

    `trust_code`: whether own code of the author may run; `show` gets how it is isolated.
    """
    own = any((opened.root / folder).is_dir() for folder in project.FOLDERS)
    if not (trust_code and own):
        return checks(opened, data, weights=weights)
    with tempfile.TemporaryDirectory() as scratch:
        readable = [opened.root, PACKAGE.parent, *([data] if data.is_dir() else [])]
        isolated = sandbox(Path(scratch), readable)
        show(f"{isolated.told}; {OWN_WORD}")
        places = [opened.root, opened.place.planned, data.resolve(), int(weights)]
        command = [sys.executable, "-m", __name__, *map(str, places)]
        done = run(
            [*isolated.prefix, *command],
            what="the check by the archive's code",
            timeout=TIME_LIMIT,
            memory=MEMORY_LIMIT,
            folder=Path(scratch),
            environment=bare_environment() | {"PYTHONPATH": str(PACKAGE.parent)},
        )
    try:
        return CHECKS.validate_json((done.stdout.splitlines() or [b""])[-1])
    except ValidationError:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
        raise LabmillError(
            "the check by the archive's code failed: " + " ".join(said)
        ) from None


def checks(
    opened: Opened, data: Path, *, weights: bool, trusted: bool = False
) -> list[Check]:
    """Return what was checked, in this process."""
    found = [*verify_opened(opened, data=data, foreign=True, trust_code=trusted).checks]
    if weights and not any(one.key == "files" and one.problems for one in found):
        same = "The predictions are those of the submitted weights, evaluated here."
        compared = reevaluate(opened, data, trust_code=trusted)
        found.append(Check("weights", same, *compared))
    return found


def main(root: str, results: str, data: str, weights: str) -> None:
    """Print the checks of an unpacked archive."""
    opened = open_unpacked(Path(root), results)
    found = checks(opened, Path(data), weights=weights == "1", trusted=True)
    print(f"\n{CHECKS.dump_json(found).decode()}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except LabmillError as error:
        sys.exit(str(error))
