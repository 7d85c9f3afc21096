"""Rule weights: fetch the pretrained weights of another library's network, once."""

import pickle
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.core.files import atomic_write, file_digest
from labmill.core.logs import log
from labmill.download.download import fetch
from labmill.models.library import Weights, to_plain
from labmill.models.records import WeightsCard


def prepare_weights(
    library: str,
    network: str,
    *,
    sha256: str | None,
    model: Path,
    card: Path,
    mirror: str | None = None,
    downloads: Path = Path("data/downloads"),
) -> None:
    """Fetch, verify and convert one network's weights; write them and their card.

    Args:
        library: `torchvision` or `timm`.
        network: its name there.
        sha256: expected digest of the file, or how it begins; None: the library's.
        model: the file of weights to write.
        card: the file of facts to write.
        mirror: searched before LABMILL_MIRROR.
        downloads: folder of raw files.
    """
    source: Weights = registry.load("models", library).weights(network)
    expected = sha256 or source.sha256
    files = fetch(
        library,
        {source.file: {"size": None, "sha256": expected}},
        urls=[source.url],
        folder=downloads / library,
        mirror=mirror,
        subject=f"weights of {library}/{network}",
    )
    path = files[source.file]
    with atomic_write(model, "wb") as file:
        file.write(safetensors.torch.save(to_plain(read_weights(path))))
    found = file_digest(path)
    if not expected:
        log.warning(
            "%s/%s: nobody publishes a digest of %s; found %s, which `sha256` in the "
            "study's model makes sure of",
            *(library, network, source.file, found),
        )
    WeightsCard(
        library=library,
        network=network,
        source=source.url + source.file,
        licence=source.licence,
        verified=bool(expected),
        digests={path.name: found, model.name: file_digest(model)},
    ).write(card)
    log.info("%s/%s: licence %s", library, network, source.licence or "not known")


def read_weights(path: Path) -> Any:
    """Return what a file of weights contains; no code in it runs."""
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (
        OSError,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        safetensors.SafetensorError,
    ) as error:
        reason = str(error).splitlines()[0]
        raise LabmillError(f"{path}: no file of weights: {reason}") from None
