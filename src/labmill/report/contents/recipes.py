"""What the variants share and where they differ."""

from typing import Any

from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import setting

# Facts of the data, not settings.
GIVEN = ("num_classes", "in_channels", "image_size")


def settings_of(results: Results) -> dict[str, dict[str, Any]]:
    """Variant → dotted setting → value, as its first run recorded them."""
    found = {}
    for variant, label in results.variants.items():
        for record in results.stages(variant):
            description = results.open(record, "description")
            if description:
                recipe = description["provenance"]["settings"].get("training", {})
                found[label] = {
                    "model": description["name"],
                    **flat("", description["arguments"]),
                    **flat("", recipe),
                }
                break
    return found


def flat(prefix: str, value: Any) -> dict[str, Any]:
    """Nested mappings as dotted keys."""
    if isinstance(value, dict) and value:
        return {
            key: leaf
            for name, inner in value.items()
            for key, leaf in flat(f"{prefix}.{name}" if prefix else name, inner).items()
        }
    return {prefix: value}


def differing(by_variant: dict[str, dict[str, Any]]) -> list[str]:
    """The settings that are not the same for all."""
    keys = dict.fromkeys(key for known in by_variant.values() for key in known)
    return [
        key
        for key in keys
        if len({setting(known.get(key)) for known in by_variant.values()}) > 1
    ]


def variants(results: Results) -> Table | None:
    """What differs between the variants."""
    by_variant = settings_of(results)
    keys = differing(by_variant)
    if not keys:
        return None
    rows = [
        [label, *(setting(known.get(key)) for key in keys)]
        for label, known in by_variant.items()
    ]
    return Table(
        ["Variant", *(key.replace("_", " ") for key in keys)],
        rows,
        "What differs between the variants; a dash: the network has no such setting.",
        "l" * (len(keys) + 1),
    )


def hyperparameters(results: Results) -> Table | None:
    """What all variants share, without what is switched off."""
    shared = shared_settings(results)
    rows = [
        [key, setting(v)] for key, v in shared.items() if v not in (None, False, 0, [])
    ]
    caption = (
        "Settings that all variants share; those switched off are in the appendix."
    )
    return Table(["Setting", "Value"], rows, caption, "ll")


def settings(results: Results) -> Table | None:
    """Every setting that all variants share."""
    rows = [[key, setting(value)] for key, value in shared_settings(results).items()]
    return Table(["Setting", "Value"], rows, "All settings that variants share.", "ll")


def shared_settings(results: Results) -> dict[str, Any]:
    """Setting in words → value, the same for all variants."""
    by_variant = settings_of(results)
    varied = {*differing(by_variant), *GIVEN}
    first = next(iter(by_variant.values()), {})
    return {k.replace("_", " "): v for k, v in first.items() if k not in varied}
