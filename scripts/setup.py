"""Make .venv and install exactly requirements.lock into it. Needs only Python."""

import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"


def main() -> None:
    """Create the environment, then let the pinned uv bring it to the lock's state."""
    if sys.version_info < (3, 11):
        sys.exit(
            f"labmill needs Python 3.11 or newer; this is {sys.version.split()[0]}"
        )
    if not (VENV / "bin" / "uv").exists():
        venv.create(VENV, with_pip=True)
        pinned = re.search(r"^uv==.*?(?=^\S)", LOCK.read_text(), re.M | re.S)
        assert pinned, "requirements.lock pins no uv"
        only_uv = VENV / "uv.lock"
        only_uv.write_text(pinned.group())
        run("-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(only_uv))
    run("-m", "uv", "pip", "sync", "--quiet", "--require-hashes", str(LOCK))
    run("-m", "uv", "pip", "install", "--quiet", "--no-deps", "--editable", str(ROOT))


def run(*arguments: str) -> None:
    """Run the environment's Python; stop with its exit code when it fails."""
    result = subprocess.run([PYTHON, *arguments], cwd=ROOT)
    if result.returncode:
        sys.exit(result.returncode)


if __name__ == "__main__":
    main()
