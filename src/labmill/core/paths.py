"""Folders of the package, of the workflow that it brings, and of the working directory."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# A wheel has the workflow inside the package (setup.py), a checkout around it.
SHIPPED = PACKAGE / "shipped"
CHECKOUT = SHIPPED if SHIPPED.is_dir() else PACKAGE.parents[1]
# Locked by the Snakemake that runs the workflow here; written when it starts.
MAIN_PROCESS = Path(".snakemake/labmill-controller")


def project_file(name: str) -> Path:
    """Return a file or folder of the working directory, else labmill's own."""
    return Path(name) if Path(name).exists() else CHECKOUT / name


def slurm_profile() -> Path:
    """Return the profile for clusters of the working directory, else labmill's own."""
    return project_file("profiles/slurm")
