"""Try networks of torchvision and timm, and write docs/networks.md: `make networks`.

Every classification network of torchvision and the 50 smallest of timm are built without
memory, at the smallest size of images that they read, to find their operations, head and
layers that can be pruned. Those of at most MOST_PARAMETERS are then trained, stopped,
resumed and measured. Results are kept in a file between calls, so that a call that was
stopped continues: `python scripts/networks.py FILE [SECONDS]`; after SECONDS no network is
begun, and the page says how many were not tried.
"""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision

from labmill.conformance.check_model import check_model
from labmill.conformance.try_build import build_on_meta
from labmill.core.errors import LabmillError
from labmill.models.foreign import head_name
from labmill.pruning.structure import prunable_layers

PAGE = Path(__file__).resolve().parents[1] / "docs" / "networks.md"
SIZES = (32, 64, 96, 128, 160, 192, 224, 256)
SMALLEST = 50
# Of larger ones, the copies that are compared would hardly fit into 24 GB.
MOST_PARAMETERS = 330_000_000
PRUNING_SECONDS = 120
TRIED = ("build", "train", "resume to the bit", "save and load", "operations")
NOT_TRIED = ("bfloat16", "compiled step", "features", "pruning")
NAMES = torchvision.models.list_models(module=torchvision.models)
Row = dict[str, Any]


def networks() -> Iterator[tuple[str, str]]:
    """Yield library and name of every network of the page."""
    for name in NAMES:
        yield "torchvision", name
    sizes = {}
    for name in timm.list_models():
        # Without memory: only shapes are needed to count parameters.
        with torch.device("meta"):
            try:
                made = timm.create_model(name)
            except (RuntimeError, NotImplementedError):
                continue
        sizes[name] = sum(p.numel() for p in made.parameters())
    for name in sorted(sizes, key=lambda name: (sizes[name], name))[:SMALLEST]:
        yield "timm", name


def shape_of(library: str, network: str) -> Row:
    """Return what is found without memory, at the smallest size that works."""
    reason = ""
    for size in SIZES:
        facts = {"num_classes": 10, "image_size": size, "in_channels": 3}
        try:
            with torch.no_grad():
                made: Any = build_on_meta(library, {"network": network, **facts})
                made(torch.empty(2, 3, size, size, device="meta"))
        except (RuntimeError, ValueError, AssertionError, LabmillError) as error:
            reason = " ".join(str(error).split())[:100]
            continue
        found: Row = {"size": size, "head": head_name(made)}
        found["parameters"] = sum(p.numel() for p in made.parameters())
        try:
            with at_most(PRUNING_SECONDS):
                found["layers"] = list(prunable_layers(made.eval()))
        except Exception as error:
            found["layers"], found["why"] = [], " ".join(str(error).split())[:100]
        return found
    return {"failed": reason}


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after some seconds of processor time."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"not found within {seconds} s")

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def row_of(library: str, network: str, found: Row | None) -> Row:
    """Return all that the page has of one network, of which the shape may be known."""
    found = found or shape_of(library, network)
    if found.get("parameters", MOST_PARAMETERS + 1) > MOST_PARAMETERS:
        return found
    facts = {"num_classes": 10, "image_size": found["size"], "in_channels": 3}
    trials = check_model(f"{library}/{network}", {}, facts, without=NOT_TRIED)
    found["works"] = {one.stage: one.works for one in trials}
    found["seen"] = {one.stage: one.seen for one in trials if not one.works}
    return found


def main(file: Path, seconds: float = float("inf")) -> None:
    """Try what was not tried yet, and write the page."""
    began = time.monotonic()
    rows: dict[str, Row] = json.loads(file.read_text()) if file.exists() else {}
    for library, network in networks():
        if time.monotonic() - began > seconds:
            break
        name = f"{library}/{network}"
        if "works" not in rows.get(name, {}):
            rows[name] = row_of(library, network, rows.get(name))
            file.write_text(json.dumps(rows, indent=1))
    PAGE.write_text(page(rows), encoding="utf-8")


def mark(found: Row, stage: str) -> str:
    """Return ✓, ✗, or – for a stage that was not tried."""
    works = found.get("works", {}).get(stage)
    return "–" if works is None else "✓" if works else "✗"


def page(rows: dict[str, Row]) -> str:
    """Return the page."""
    lines = [HEAD.rstrip(), ""]
    for library in ("torchvision", "timm"):
        mine = {n: r for n, r in rows.items() if n.startswith(f"{library}/")}
        every = len(NAMES) if library == "torchvision" else SMALLEST
        lines += [f"## {library}", "", f"Tried: {len(mine)} of {every}.", "", *TABLE]
        for name, found in mine.items():
            if "size" not in found:
                lines.append(f"| `{name}` | – | – | – | – | – | {found['failed']} |")
                continue
            layers = found["layers"]
            shown = ", ".join(f"`{layer}`" for layer in layers[:2])
            more = f" … {len(layers)} layers" if len(layers) > 2 else ""
            cut = f"{shown}{more}" if layers else found.get("why", "none")
            cells = [f"{found['size']}", f"{found['parameters'] / 1e6:.1f}"]
            cells += [mark(found, stage) for stage in SHOWN]
            lines.append(f"| `{name}` | {' | '.join(cells)} | {cut} |")
        lines.append("")
    return "\n".join(lines)


SHOWN = ("train", "resume to the bit", "operations")
TABLE = [
    "| network | least size | parameters (M) | train | resume | measure | can be pruned |",
    "| --- | --- | --- | --- | --- | --- | --- |",
]
HEAD = f"""# Networks of other libraries

Generated by `make networks`.

```yaml
model: {{name: torchvision/mobilenet_v3_small}}
model: {{name: timm/resnet18, resize: 64}}
model: {{name: torchvision/resnet18, pretrained: true}}
```

torchvision is part of labmill; timm is not: `pip install timm`.

- The last layer has one output per class of the dataset. The first convolution reads as many channels as the images
  have; where all are equal, it computes the same as the one for colour.
- `resize: 64` scales the images inside the network, for networks that need larger ones than the dataset has.
- Without `pretrained` the weights are drawn from the run's seed.
- Another network of the same library keeps `resize` and the other options of `defaults`.

## Pretrained weights

`pretrained: true` starts from the library's own weights, except those of the last layer. One job per network fetches them, as datasets
are fetched: from `LABMILL_MIRROR` or `mirror` in `config.yaml` (`torchvision/<file>`, `timm/timm/<network>/resolve/main/model.safetensors`),
else from the library's address. No training downloads anything. `data/weights/<network>/card.json` has source,
licence and digests, and an archive contains it.

torchvision's file names contain how the digest begins, which is checked. timm publishes no digest: the one that was found is in the log;
`sha256: <digest>` in the model checks it from then on, for both libraries.

| wanted | write |
| --- | --- |
| train all layers alike | `pretrained: true` |
| smaller learning rates for early layers | `training: {{layer_decay: 0.75}}`: 0.75 of the next layer's rate |
| train the head only (feature extraction) | `training: {{layer_decay: 0}}` |

Most weights expect images normalised as in ImageNet: `data: {{normalisation: {{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}}}}`.

## What was tried

Least size: the smallest of {", ".join(map(str, SIZES))} pixels a side that the network reads without `resize`. Networks of at
most {MOST_PARAMETERS // 10**6} million parameters were trained for six steps, stopped, resumed to the same bits, and counted; – was not tried.
Layers that can be pruned were found without weights: without one output of each the network still works.
"""


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(float, sys.argv[2:]))
