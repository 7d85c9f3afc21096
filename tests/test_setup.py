"""scripts/setup.py: which packages are installed, and what a user sees of it."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from helpers.scripts import load_script
from helpers.workflow_run import ROOT

SETUP = ROOT / "scripts" / "setup.py"


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load_script("setup")
    monkeypatch.setattr(module, "VENV", tmp_path)
    return module


def test_the_lock_is_the_default(setup: ModuleType):
    sync, checkout = setup.commands("default")
    assert sync[-2:] == ["--require-hashes", str(setup.LOCK)]
    assert checkout[-2:] == ["--editable", str(ROOT)]


def test_cpu_builds_take_the_place_of_the_locked_ones(setup: ModuleType):
    sync, cpu, _ = setup.commands("cpu")
    text = Path(sync[-1]).read_text()
    names = {
        line.partition("==")[0] for line in text.splitlines() if line[:1].isalpha()
    }
    left_out = setup.locked().keys() - names
    assert {"torch", "torchvision", "triton"} <= left_out
    assert all(
        name.startswith(("torch", "nvidia-", "cuda-", "triton")) for name in left_out
    )
    assert {"torchmetrics", "torch-pruning", "numpy", "snakemake"} <= names
    assert cpu[cpu.index("--torch-backend") + 1] == "cpu"
    # The same versions as in the lock.
    for name in ("torch", "torchvision"):
        wanted = setup.locked()[name].split()[0]
        assert wanted in cpu and "==" in wanted


def test_another_word_than_cpu_is_refused(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, SETUP],
        env=os.environ | {"TORCH": "gpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "TORCH: found 'gpu'; allowed: cpu, default"


def test_bars_are_shown_and_the_list_of_packages_is_not(setup: ModuleType):
    script = (
        "import sys; sys.stderr.write('torch 200 MB\\nInstalled 2 packages\\n + a')"
    )
    own, theirs = pty.openpty()
    call = f"import sys; sys.path.insert(0, {str(SETUP.parent)!r}); import setup; "
    call += f"sys.exit(setup.in_terminal([sys.executable, '-c', {script!r}]))"
    done = subprocess.run([sys.executable, "-c", call], stderr=theirs)
    os.close(theirs)
    assert done.returncode == 0
    assert os.read(own, 1000).split() == [b"torch", b"200", b"MB"]


def test_no_other_environment_and_no_warnings_of_tools(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    monkeypatch.setenv("CONDA_PREFIX", "/elsewhere")
    assert "/elsewhere" not in setup.quiet().values()
    assert setup.quiet()["PIP_DISABLE_PIP_VERSION_CHECK"] == "1"


APPLE = """
import builtins, importlib, os, pkgutil, sys
import labmill

def import_all():
    for module in pkgutil.walk_packages(labmill.__path__, "labmill."):
        importlib.import_module(module.name)

# The libraries have builds for each system: they are imported before it changes.
import_all()
for name in [name for name in sys.modules if name.startswith("labmill.")]:
    del sys.modules[name]
sys.platform = "darwin"
for name in ("sched_getaffinity", "O_TMPFILE", "memfd_create", "pidfd_open"):
    if hasattr(os, name):
        delattr(os, name)
real = builtins.open
def opened(path, *rest, **more):
    assert not str(path).startswith(("/proc", "/sys")), path
    return real(path, *rest, **more)
builtins.open = opened
import_all()
from labmill.core import provenance, processes
print(provenance.machine()["cores"], processes.LIBC)
"""


def test_no_module_needs_linux_when_it_is_imported():
    done = subprocess.run(
        [sys.executable, "-c", APPLE], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == "None"
