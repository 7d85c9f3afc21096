"""The scales of a study: full, laptop (its own reductions) and smoke (seconds)."""

from collections.abc import Callable

from labmill.core.errors import suggest
from labmill.core.trees import Settings, merge
from labmill.study.yaml_source import YamlSource

SCALES = ("full", "laptop", "smoke")

# Every study, reduced to seconds: few images, one short pass, one seed.
SMOKE: Settings = {
    "data": {"limit": 200, "test_limit": 100},
    "defaults": {"training": {"epochs": 1}},
    "measure": {"batches": [1], "repeats": 3},
}
ANALYSES = {
    "examine": {"images": 2, "distance_images": 20, "probe_images": 100},
    "represent": {"images": 50, "queries": 3, "neighbours": 4},
    "edits": {"trials": 1, "epochs": 1, "confirm": 1},
}


def at_scale(data: Settings, scale: str) -> Settings:
    """Return the study's mapping with the overlays of a scale merged over it."""
    if scale == "full":
        return data
    own = data.get(scale) or {}
    overlay = merge(merge(SMOKE, smoke_cuts(data)), own) if scale == "smoke" else own
    return merge(data, overlay) if isinstance(own, dict) else data


def check_overlay(source: YamlSource, scale: str) -> None:
    """Check that an overlay changes what the study defines and adds no name."""
    source.overlay = scale
    overlay = source.data.get(scale)
    for table in ("variants", "pretexts", "search", "pruning"):
        changed = overlay.get(table) if isinstance(overlay, dict) else None
        defined = source.data.get(table) or {}
        if not (isinstance(changed, dict) and isinstance(defined, dict)):
            continue
        for name in changed:
            if name not in defined:
                hint = suggest(name, defined)
                source.fail(
                    f"the study defines no such name; {hint}", (scale, table, name)
                )


def smoke_cuts(data: Settings) -> Settings:
    """Return the reductions that depend on the study: of its lists and numbers."""
    seeds = data.get("seeds")
    cuts: Settings = {
        "seeds": seeds[:1] if isinstance(seeds, list) else [0],
        **{name: cut for name, cut in ANALYSES.items() if data.get(name)},
    }
    if isinstance(data.get("defaults"), dict):
        cuts["defaults"] = {"training": shortened(data["defaults"])}
    tables: dict[str, Callable[[Settings], Settings]] = {
        "variants": lambda entry: {"training": shortened(entry)},
        "pretexts": lambda entry: {"training": shortened(entry)},
        "pruning": lambda entry: {"steps": 2, "finetune": {"epochs": 1}},
        "search": search_cut,
    }
    for table, cut in tables.items():
        entries = data.get(table)
        if isinstance(entries, dict):
            cuts[table] = {
                name: cut(entry) | ({"seeds": [0]} if "seeds" in entry else {})
                for name, entry in entries.items()
                if isinstance(entry, dict)
            }
    return cuts


def shortened(entry: Settings) -> Settings:
    """Return one epoch without warm-up, where an entry sets how long it trains."""
    training = entry.get("training")
    if not isinstance(training, dict):
        return {}
    cut: Settings = {"epochs": 1} if "epochs" in training else {}
    if isinstance(training.get("until"), dict):
        cut["until"] = {"max_epochs": 1}
    if isinstance(training.get("schedule"), dict):
        cut["schedule"] = {"warmup_epochs": 0}
    return cut


def search_cut(entry: Settings) -> Settings:
    """Return two values of the first setting and one of every other.

    Of a budget in runs as many as that takes; `halving` has two rounds.
    """
    matrix = entry.get("matrix")
    cut: Settings = {"training": shortened(entry), "seeds": [0]}
    if isinstance(budget := entry.get("budget"), dict) and "runs" in budget:
        cut["budget"] = {"runs": 2}
    if entry.get("method") == "halving":
        cut["training"] |= {"epochs": 2, "evaluate_every": 1}
        cut["factor"] = 2
    if isinstance(matrix, dict):
        cut["matrix"] = {
            key: values[: 2 if index == 0 else 1]
            for index, (key, values) in enumerate(matrix.items())
            if isinstance(values, list)
        }
    return cut
