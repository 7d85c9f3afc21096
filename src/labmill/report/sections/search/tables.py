"""A search's points: the first by accuracy, time and operations, and published ones."""

from labmill.core.records import Settings
from labmill.report.number_format import DASH, duration, percent, short
from labmill.report.results import StudyResults
from labmill.report.sections.search.claims import stopped_points
from labmill.report.sections.search.points import points_of, ranks, words
from labmill.report.table import Table
from labmill.report.text import listed, number_of, setting

# Points of a search that its table shows by each rank.
TOP = 5


def ranking(results: StudyResults, search: str) -> Table:
    """Return a search's first points by accuracy, time and operations, and the published ones."""
    chosen = results.searches[search]
    found = points_of(chosen)
    places = ranks(found)
    theirs = published_points(results, search)
    told = {tuple(own.items()): text for text, own in theirs.items()}
    known = [written(point.settings) for point in found]
    first = {i for rank in places.values() for i, n in enumerate(rank) if n <= TOP}
    first |= {0} | {i for i, own in enumerate(known) if tuple(own.items()) in told}
    targets = any(point.reached is not None for point in found)
    rows = [
        [
            *(rank[i] for rank in places.values()),
            *known[i].values(),
            percent(found[i].validation_accuracy),
            duration(found[i].seconds),
            short(found[i].operations),
            *([setting(found[i].reached)] if targets else []),
            *([told.get(tuple(known[i].items()), DASH)] if theirs else []),
        ]
        for i in sorted(first, key=places["validation_accuracy"].__getitem__)
    ]
    rows += [
        [*3 * [DASH], *own.values(), *(3 + targets) * [DASH], text]
        for text, own in theirs.items()
        if own not in known
    ]
    columns = [
        *("By accuracy", "By time", "By operations"),
        *map(words, known[0]),
        *("Validation accuracy", "Training time", "Training operations"),
        *(["Target reached"] if targets else []),
        *(["Published: test accuracy, time"] if theirs else []),
    ]
    caption = (
        f"Search {search}: of {number_of(len(chosen.ranking), 'point')} the first "
        f"{min(TOP, len(found))} by validation accuracy, by training time and by training "
        "operations; ties share a rank. Seconds contain what else ran on the machine."
    )
    return Table(columns, rows, caption, "r" * len(columns))


def rounds(results: StudyResults, search: str) -> Table:
    """Return what each round of a search trained, and what it stopped."""
    chosen = results.searches[search]
    points = {point.point: point for point in chosen.ranking}
    paused = {name for name, point in points.items() if point.status == "paused"}
    rows = []
    for number, made in enumerate(chosen.rounds, 1):
        following = chosen.rounds[number] if number < len(chosen.rounds) else None
        accuracies = [
            accuracy
            for name in made.points
            if (accuracy := points[name].validation_accuracy) is not None
        ]
        rows.append(
            [
                number,
                len(made.points),
                made.end,
                percent(max(accuracies, default=None)),
                len(stopped_points(made, following, paused)),
                listed(
                    settings_in_words(points[name].settings) for name in made.points
                ),
            ]
        )
    columns = ["Round", "Points", "To epoch", "First in the end", "Stopped", "Settings"]
    caption = (
        f"Search {search}, round by round. First in the end: the largest validation "
        "accuracy that points of the round reached, in this round or a later one. Stopped: "
        "points that did not continue."
    )
    return Table(columns, rows, caption, "rrrrrl")


def importance(results: StudyResults, search: str) -> Table:
    """Return the share of the variance that each setting explains."""
    chosen = results.searches[search]
    rows = [[words(key), percent(share)] for key, share in chosen.importance.items()]
    caption = (
        f"Search {search}: share of the variance of validation accuracy between tried "
        "points that a setting explains on its own (fANOVA: marginal means of a random "
        "forest). The rest are interactions and chance; points were not drawn evenly."
    )
    return Table(["Setting", "Share of variance"], rows, caption)


def settings_in_words(settings: Settings) -> str:
    """Return a point's values: `16, 0.01`."""
    return "/".join(setting(value) for value in settings.values())


def written(settings: Settings) -> dict[str, str]:
    """Return settings as text, in the order of their names."""
    return {key: setting(settings[key]) for key in sorted(settings)}


def published_points(results: StudyResults, search: str) -> dict[str, dict[str, str]]:
    """Return what an earlier report said of its points → their settings."""
    published = results.study["published"] or {"searches": {}}
    return {
        f"{percent(p['accuracy'], 2)}, {duration(p['seconds'])}": written(p["settings"])
        for p in published["searches"].get(search, ())
    }
