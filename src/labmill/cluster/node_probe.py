"""Report what a compute node has, from inside one small job, as a line of JSON.

    python -m labmill.cluster.node_probe FOLDER

FOLDER was made by the login node, which holds the lock of the file `lock` in it.
"""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from labmill.core import registry
from labmill.core.trees import Settings


def internet(timeout: float = 5) -> bool:
    """Return True if a host that datasets come from can be reached."""
    url = registry.constant("data/datasets", "mnist", "URLS")[0]
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        with socket.create_connection((address.hostname, port), timeout):
            return True
    except OSError:
        return False


def renames(folder: Path) -> bool:
    """Return True if a rename replaces a file that another machine wrote."""
    fresh = folder / "new"
    fresh.write_text("node")
    fresh.replace(folder / "renamed")
    return (folder / "renamed").read_text() == "node"


def sees_lock(folder: Path) -> bool:
    """Return True if the login node's lock holds here too."""
    with (folder / "lock").open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def driver() -> str | None:
    """Return the NVIDIA driver's version, where there is one."""
    if not shutil.which("nvidia-smi"):
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[0].strip() or None


def probe(folder: Path) -> Settings:
    """Return all findings, for `labmill doctor`."""
    import torch

    return {
        "host": socket.gethostname(),
        "internet": internet(),
        "renames": renames(folder),
        "sees_lock": sees_lock(folder),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "driver": driver(),
        "built_for": torch.version.cuda,
        "cuda": torch.cuda.is_available(),
    }


if __name__ == "__main__":
    print("labmill-probe " + json.dumps(probe(Path(sys.argv[1]))))
