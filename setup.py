"""Put the workflow, its profiles and the studies into the wheel, as labmill/shipped."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
FOLDERS = ("workflow", "studies", "profiles")
FILES = (
    *("Snakefile", "config.yaml", "pyproject.toml", "requirements.lock"),
    *("LICENSE", "README.md", "CITATION.cff"),
)


class BuildWithWorkflow(build_py):
    """Build the package; an editable installation uses the checkout instead."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        shipped = Path(self.build_lib, "labmill", "shipped")
        for name in FOLDERS:
            ignored = shutil.ignore_patterns("__pycache__", "site.yaml")
            shutil.copytree(
                ROOT / name, shipped / name, ignore=ignored, dirs_exist_ok=True
            )
        for name in FILES:
            shutil.copy2(ROOT / name, shipped / name)


setup(cmdclass={"build_py": BuildWithWorkflow})
