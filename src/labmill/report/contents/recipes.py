"""What the variants share and where they differ."""

from typing import Any

from labmill.report.read import choice_of, settings_of
from labmill.report.results import Results
from labmill.report.tables import Table
from labmill.report.text import setting

# Facts of the data, not settings.
GIVEN = ("num_classes", "in_channels", "image_size")
# Settings that do nothing unless another one has one of these values.
NEEDS = {
    "momentum": ("optimizer", ("sgd", "muon")),
    "nesterov": ("optimizer", ("sgd",)),
    "betas": ("optimizer", ("adam", "adamw", "muon")),
    "schedule.final": ("schedule.kind", ("cosine", "one_cycle")),
    "schedule.gamma": ("schedule.kind", ("step",)),
    "schedule.step_epochs": ("schedule.kind", ("step",)),
}
OFF = (None, False, 0, [])

Recipes = dict[str, dict[str, Any]]


def recipes(results: Results) -> Recipes:
    """Variant → dotted setting → value, as its first run was trained.

    Without settings that have no effect beside the others.
    """
    found = {}
    for variant, label in results.variants.items():
        for record in results.stages(variant):
            if description := results.open(record, "description"):
                choice = choice_of(record, results.place)
                trained = settings_of(description, choice)
                settings = {"model": trained.pop("model.name")}
                settings |= {key.split(".", 1)[1]: v for key, v in trained.items()}
                found[label] = {
                    key: value
                    for key, value in settings.items()
                    if key not in GIVEN and effective(key, settings)
                }
                break
    return found


def effective(key: str, settings: dict[str, Any]) -> bool:
    """Whether a setting does anything beside the others."""
    other, values = NEEDS.get(key, ("", ()))
    return not other or settings.get(other) in values


def differing(known: Recipes) -> list[str]:
    """The settings that are not the same for all variants that have them.

    And those that only some variants of one kind of network have.
    """
    keys = dict.fromkeys(key for settings in known.values() for key in settings)
    found = []
    for key in keys:
        values = [settings[key] for settings in known.values() if key in settings]
        some = uneven(known, key) and any(value not in OFF for value in values)
        if some or len(set(map(setting, values))) > 1:
            found.append(key)
    return found


def uneven(known: Recipes, key: str) -> bool:
    """Whether some variants of a kind of network have the setting, and some have not."""
    kinds: dict[str, set[bool]] = {}
    for settings in known.values():
        kinds.setdefault(settings["model"], set()).add(key in settings)
    return any(len(having) > 1 for having in kinds.values())


def shared(known: Recipes) -> dict[str, Any]:
    """The settings that all variants have, with the same value."""
    varied = differing(known)
    first = next(iter(known.values()), {})
    return {
        key: value
        for key, value in first.items()
        if key not in varied and all(key in settings for settings in known.values())
    }


def variants(results: Results) -> Table | None:
    """What differs between the variants."""
    known = recipes(results)
    keys = differing(known)
    if not keys:
        return None
    rows = [
        [label, *(setting(settings.get(key)) for key in keys)]
        for label, settings in known.items()
    ]
    return Table(
        ["Variant", *map(words, keys)],
        rows,
        "What differs between the variants; a dash: it has no such setting.",
        "l" * (len(keys) + 1),
    )


def networks(results: Results) -> Table | None:
    """What only some variants have, the same for all of them: a kind of network's own."""
    known = recipes(results)
    done = {*differing(known), *shared(known)}
    rows = [
        [model, words(key), setting(value)]
        for model, settings in firsts(known).items()
        for key, value in settings.items()
        if key not in done and value not in OFF and not uneven(known, key)
    ]
    caption = (
        "Settings that only one kind of network has; those switched off are left out."
    )
    return Table(["Network", "Setting", "Value"], rows, caption, "lll")


def firsts(known: Recipes) -> Recipes:
    """Network → the settings of its first variant."""
    found: Recipes = {}
    for settings in known.values():
        found.setdefault(settings["model"], settings)
    return found


def hyperparameters(results: Results) -> Table | None:
    """What all variants share, without what is switched off."""
    known = recipes(results)
    rows = [
        [words(key), setting(value)]
        for key, value in shared(known).items()
        if value not in OFF
    ]
    whose = "that all variants share" if len(known) > 1 else "of the network"
    caption = f"Settings {whose}; those switched off are in the appendix."
    return Table(["Setting", "Value"], rows, caption, "ll")


def settings(results: Results) -> Table | None:
    """Every setting that all variants share."""
    known = recipes(results)
    rows = [[words(key), setting(value)] for key, value in shared(known).items()]
    whose = "that variants share" if len(known) > 1 else "of the network"
    return Table(["Setting", "Value"], rows, f"All settings {whose}.", "ll")


def words(key: str) -> str:
    """A dotted setting as a reader sees it."""
    return key.replace(".", ": ").replace("_", " ")
