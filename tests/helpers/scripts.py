"""Load a file of scripts/, which is no package."""

import importlib.util
from types import ModuleType

from helpers.workflow_run import ROOT


def load_script(name: str) -> ModuleType:
    """Return the module of `scripts/<name>.py`, loaded anew."""
    path = ROOT / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"labmill_{name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
