"""What the variants share and where they differ."""

from labmill.core.trees import Settings
from labmill.report.number_format import DASH
from labmill.report.results import StudyResults
from labmill.report.runs import choice_of, settings_of
from labmill.report.table import Table
from labmill.report.text import setting, spaced
from labmill.training.records import ModelDescription

# Facts of the data, not settings.
GIVEN = ("num_classes", "in_channels", "image_size")


# Settings that do nothing unless another one has one of these values.
NEEDS = {
    "momentum": ("optimizer", ("sgd", "muon")),
    "nesterov": ("optimizer", ("sgd",)),
    "betas": ("optimizer", ("adam", "adamw", "muon", "adamax", "nadam", "radam")),
    "schedule.final": ("schedule.kind", ("cosine", "cosine_restarts", "one_cycle")),
    "schedule.restart_epochs": ("schedule.kind", ("cosine_restarts",)),
    "schedule.restart_factor": ("schedule.kind", ("cosine_restarts",)),
    "schedule.gamma": ("schedule.kind", ("step",)),
    "schedule.step_epochs": ("schedule.kind", ("step",)),
}
# Settings that do nothing with this value.
IDLE = {"accumulate": 1}
OFF: tuple[object, ...] = (None, False, 0, [])
Recipes = dict[str, Settings]


def recipes(results: StudyResults) -> Recipes:
    """Return variant → dotted setting → value, as its first run was trained.

    Without settings that have no effect with these others.
    """
    found = {}
    for variant, label in results.variants.items():
        for run in results.stages(variant):
            if description := run.read(ModelDescription):
                choice = choice_of(run.record, results.folder)
                trained = settings_of(description.model_dump(), choice)
                settings = {"model": trained.pop("model.name")}
                settings |= {key.split(".", 1)[1]: v for key, v in trained.items()}
                found[label] = {
                    key: value
                    for key, value in settings.items()
                    if key not in GIVEN and effective(key, settings)
                }
                break
    return found


def effective(key: str, settings: Settings) -> bool:
    """Return True if one of these settings has an effect with the others."""
    if key in IDLE and settings[key] == IDLE[key]:
        return False
    other, values = NEEDS.get(key, ("", ()))
    return not other or settings.get(other) in values


def differing(known: Recipes) -> list[str]:
    """Return the settings that are not the same for all variants that have them.

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
    """Return True if only some variants of a kind of network have the setting."""
    kinds: dict[str, set[bool]] = {}
    for settings in known.values():
        kinds.setdefault(settings["model"], set()).add(key in settings)
    return any(len(having) > 1 for having in kinds.values())


def shared(known: Recipes) -> Settings:
    """Return the settings that all variants have, with the same value."""
    varied = differing(known)
    first = next(iter(known.values()), {})
    return {
        key: value
        for key, value in first.items()
        if key not in varied and all(key in settings for settings in known.values())
    }


def firsts(known: Recipes) -> Recipes:
    """Return network → the settings of its first variant."""
    found: Recipes = {}
    for settings in known.values():
        found.setdefault(settings["model"], settings)
    return found


def words(key: str) -> str:
    """Return a dotted setting in words."""
    return spaced(key.replace(".", ": "))


def variants(results: StudyResults) -> Table | None:
    """Return a line per variant: its settings that differ from those of most variants."""
    known = recipes(results)
    keys = differing(known)
    if not keys:
        return None
    most = {key: usual([one.get(key) for one in known.values()]) for key in keys}
    rows = [
        [label, told({k: one.get(k) for k in keys if one.get(k) != most[k]})]
        for label, one in known.items()
    ]
    return Table(
        ["Variant", "Differs in"],
        [
            ["most variants", told({k: v for k, v in most.items() if v is not None})],
            *rows,
        ],
        "Settings that most variants have, and what differs.",
        "ll",
    )


def usual(values: list[object]) -> object:
    """Return the most frequent value, the first where several are."""
    return max(values, key=values.count)


def told(settings: Settings) -> str:
    """Return settings in one line."""
    return (
        "; ".join(f"{words(k)} {spaced(setting(v))}" for k, v in settings.items())
        or DASH
    )


def networks(results: StudyResults) -> Table | None:
    """Return the settings of one kind of network, the same for all its variants."""
    known = recipes(results)
    done = {*differing(known), *shared(known)}
    rows = [
        [model, words(key), spaced(setting(value))]
        for model, settings in firsts(known).items()
        for key, value in settings.items()
        if key not in done and value not in OFF and not uneven(known, key)
    ]
    caption = (
        "Settings that only one kind of network has; those switched off are left out."
    )
    return Table(["Network", "Setting", "Value"], rows, caption, "lll")


def hyperparameters(results: StudyResults) -> str:
    """Return the settings that all variants share, without those switched off."""
    known = recipes(results)
    common = {k: v for k, v in shared(known).items() if v not in OFF}
    if not common:
        return ""
    whose = "All variants share" if len(known) > 1 else "The network has"
    return f"{whose} {told(common)}. What is switched off is in the appendix."
