"""Check that every network of a study can be built for its images, before training.

Networks are built by torch in a separate process, on the meta device. A network that was
built once is remembered, until its code changes.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn

from labmill.core import registry
from labmill.core.digest_cache import Remembered
from labmill.core.fingerprint import code_fingerprints, digest
from labmill.core.registry import FACTS
from labmill.core.trees import JsonObject, Settings
from labmill.study.check_models import MODELS, Facts
from labmill.study.schema import Study
from labmill.study.variants import ResolvedVariant
from labmill.study.yaml_source import YamlSource

# Weights, gradients and two moments of so many take 16 GB.
MOST_PARAMETERS = 10**9
TIMEOUT = 120


def check_networks(
    variants: Iterable[ResolvedVariant],
    facts: Facts,
    source: YamlSource,
    study: Study,
) -> None:
    """Build every network once, without weights."""
    built = Remembered("networks")
    new: dict[str, tuple[ResolvedVariant, Settings]] = {}
    for variant, network in networks_of(variants, facts, uses_of(study)):
        if (key := network_key(network)) not in built:
            new.setdefault(key, (variant, network))
    answers = build_all([network for _, network in new.values()])
    for (variant, network), answer in zip(new.values(), answers, strict=False):
        if isinstance(answer, str) or answer > MOST_PARAMETERS:
            fail(source, variant, network, answer)
    if answers:
        built.add(new)


def networks_of(
    variants: Iterable[ResolvedVariant],
    facts: Facts,
    uses: Mapping[str, set[str]],
) -> Iterator[tuple[ResolvedVariant, Settings]]:
    """Yield every variant with its network's name and arguments."""
    for variant in variants:
        name = variant.model.name
        known = {argument.name for argument in registry.arguments(MODELS, name)}
        if registry.is_own(MODELS, name):
            # Its logits are compared with the facts, whether it takes them or not.
            known = {*FACTS}
        given = {key: value for key, value in facts.items() if key in known and value}
        if variant.task == "rotation":
            given["num_classes"] = 4
        if "image_size" in known and "image_size" not in given:
            continue
        network: Settings = {"name": name}
        network["arguments"] = {**given, **variant.model.arguments}
        if registry.is_foreign(name):
            network["use"] = sorted(uses.get(variant.name, ()))
        yield variant, network


def uses_of(study: Study) -> dict[str, set[str]]:
    """Return the sections of the study that need more of a network, by variant."""
    found: dict[str, set[str]] = {}
    sections: list[tuple[str, Iterable[str]]] = [
        *(("pruning", loop.variants) for loop in study.pruning.values()),
        ("pretexts", study.pretexts),
        ("start", (name for name, v in study.variants.items() if v.start)),
        *(
            (key, section.variants)
            for key in ("represent", "influence")
            if (section := getattr(study, key))
        ),
    ]
    for section, names in sections:
        for name in names:
            found.setdefault(name, set()).add(section)
    return found


def network_key(network: Settings) -> str:
    """Return a digest of a network's arguments and code."""
    code = code_fingerprints([registry.module(MODELS, network["name"])])
    return digest([network, code])


def build_all(networks: list[Settings]) -> list[int | str]:
    """Build all networks; return nothing where the process itself fails.

    A user's network that ends the process is found, since each is then built alone.
    """
    if not networks:
        return []
    try:
        done = subprocess.run(
            [sys.executable, "-m", "labmill.conformance.try_build"],
            input=json.dumps(networks),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=True,
        )
        answers: list[int | str] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return []  # no mistake of the study: its jobs will tell
    except (OSError, subprocess.SubprocessError, ValueError):
        if len(networks) > 1:
            alone = [build_all([network]) for network in networks]
            return [answer for one in alone for answer in one or [0]]
        if registry.is_own(MODELS, networks[0]["name"]):
            return ["ends the process that builds it"]
        return []
    return answers


def fail(
    source: YamlSource,
    variant: ResolvedVariant,
    network: JsonObject,
    answer: int | str,
) -> NoReturn:
    """Raise the message about one network."""
    size = network["arguments"].get("image_size")
    hint = "; `resize` scales images" if registry.library(network["name"]) else ""
    reason = (
        f"cannot be used for images of {size} pixels: {answer}{hint}"
        if isinstance(answer, str)
        else f"has {answer:,} parameters; at most {MOST_PARAMETERS:,} are allowed"
    )
    table = "search" if variant.kind == "point" else f"{variant.kind}s"
    source.fail(
        f"{variant.name}: {network['name']} {reason}",
        (table, variant.name, "model"),
        ("defaults", "model"),
    )
