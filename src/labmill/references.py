"""What one section of a study says of another: each function yields what is wrong.

A mistake is (key path, message). Only the study and literal constants are asked, so that
all of this is said before anything runs.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from labmill import registry
from labmill.check import fail
from labmill.columns import HISTORY, figures, is_fraction
from labmill.errors import suggest
from labmill.reading import Path_, Source
from labmill.sections import SECTIONS
from labmill.study import Study

Mistakes = Iterator[tuple[Path_, str]]


def check_references(study: Study, source: Source) -> None:
    """Raise LabmillError for the first mistake; later checks rely on earlier ones."""
    for check in (
        names,
        settings,
        begins,
        ranks,
        comparisons,
        labels,
        published,
        figure_names,
        sections,
        numbers_in_text,
    ):
        for at, message in check(study):
            fail(source, message, at)


def names(study: Study) -> Mistakes:
    """Every name that is used is defined, once."""
    variants, pretexts = set(study.variants), set(study.pretexts)
    for name in sorted(variants & pretexts):
        yield ("pretexts", name), "a variant has that name too"
    for at, name, what, defined in mentions(study):
        if name not in defined:
            yield at, f"no {what} {name!r}; {suggest(name, defined)}"


def mentions(study: Study) -> Iterator[tuple[Path_, str, str, set[str]]]:
    """Every use of a name: key path, name, what it names, what is defined."""
    variants, pretexts = set(study.variants), set(study.pretexts)
    lists: dict[Path_, Any] = {("run",): study.run or ()}
    for name, loop in study.pruning.items():
        lists["pruning", name, "variants"] = loop.variants
    for name, question in study.compare.items():
        for level, members in question.levels.items():
            lists["compare", name, "levels", level] = members
    for part in ("edits", "examine", "influence", "formulate", "lessons"):
        section = getattr(study, part)
        lists[part, "variants"] = section.variants if section else ()
    for at, listed in lists.items():
        for index, name in enumerate(listed):
            yield (*at, index), name, "variant", variants
    for name, variant in study.variants.items():
        at = ("variants", name)
        if variant.start:
            begun = variant.start.pretext
            yield (*at, "start", "pretext"), begun, "pretext", pretexts
        if variant.chosen:
            begun = variant.chosen.search
            yield (*at, "chosen", "search"), begun, "search stage", set(study.search)
    for name, search in study.search.items():
        yield ("search", name, "variant"), search.variant, "variant", variants
    if study.lessons:
        at = ("lessons", "reference")
        yield at, study.lessons.reference, "variant", variants
    for index, name in enumerate(study.represent.variants if study.represent else ()):
        at = ("represent", "variants", index)
        yield at, name, "variant or pretext", variants | pretexts
    if study.published:
        for table in ("variants", "confusions"):
            for name in getattr(study.published, table):
                yield ("published", table, name), name, "variant", variants
        for name in study.published.searches:
            yield (
                ("published", "searches", name),
                name,
                "search stage",
                set(study.search),
            )
        for table in ("history", "notes"):
            for name in getattr(study.published, table):
                at = ("published", table, name)
                yield at, name, "variant or pretext", variants | pretexts
        for edited, before in study.published.edits.items():
            for name in (edited, before):
                yield ("published", "edits", edited), name, "variant", variants


def settings(study: Study) -> Mistakes:
    """What a search varies is written as a dotted setting."""
    for name, search in study.search.items():
        for key in search.matrix:
            if key.split(".")[0] not in ("model", "training") or "." not in key:
                yield (
                    ("search", name, "matrix", key),
                    f"found {key!r}; a setting is written model.<argument> or "
                    "training.<option>",
                )


def begins(study: Study) -> Mistakes:
    """No variant begins from a search that, in the end, begins from itself."""
    for name in study.variants:
        chain = [name]
        while chosen := study.variants[chain[-1]].chosen:
            chain += [chosen.search, study.search[chosen.search].variant]
            if chain[-1] in chain[:-1]:
                yield (
                    ("variants", name, "chosen", "search"),
                    f"begins from itself: {' → '.join(chain)}; a search varies a "
                    "variant that was there before",
                )
                return


def ranks(study: Study) -> Mistakes:
    """A variant takes a point that its search has."""
    for name, variant in study.variants.items():
        if variant.chosen:
            search = study.search[variant.chosen.search]
            points = prod(map(len, search.matrix.values()))
            if variant.chosen.rank > points:
                yield (
                    ("variants", name, "chosen", "rank"),
                    f"found {variant.chosen.rank}; the search "
                    f"{variant.chosen.search} has {points} points",
                )


def comparisons(study: Study) -> Mistakes:
    """A question compares different variants, place by place, by a figure there is."""
    for name, question in study.compare.items():
        at = ("compare", name)
        levels = question.levels
        lengths = {level: len(members) for level, members in levels.items()}
        if len(levels) < 2:
            yield (*at, "levels"), "one level; a comparison needs at least two"
        elif len(set(lengths.values())) > 1:
            yield (
                (*at, "levels"),
                f"levels of different length {lengths}; the n-th variants are compared",
            )
        else:
            places = list(zip(*levels.values(), strict=True))
            if len(set(places)) < len(places):
                yield (*at, "levels"), "the same variants are compared twice"
            for place in places:
                if again := [v for v in place if place.count(v) > 1]:
                    yield (*at, "levels"), f"{again[0]!r} is compared with itself"
        known = figures(study)
        if question.metric not in known:
            yield (
                (*at, "metric"),
                f"no figure {question.metric!r}; {suggest(question.metric, known)}",
            )


def labels(study: Study) -> Mistakes:
    """No two variants look the same in the report."""
    seen: dict[str, str] = {}
    for name, variant in study.variants.items():
        label = variant.label or name
        if label in seen:
            at = ("variants", name, *(["label"] if variant.label else []))
            yield at, f"{seen[label]} is called {label!r} too"
        seen[label] = name


def published(study: Study) -> Mistakes:
    """Published figures have names of ours, and fractions are fractions."""
    if not study.published:
        return
    known = figures(study)
    classes = registry.constant("data", study.data.dataset, "CLASSES")
    for name, found in study.published.variants.items():
        for column, value in found.items():
            at = ("published", "variants", name, column)
            if column == "class_accuracy" and isinstance(value, Mapping):
                for label, share in value.items():
                    if classes and label not in classes:
                        yield (*at, label), f"no class; {suggest(label, classes)}"
                    yield from wrong_fraction(column, share, (*at, label))
            elif column not in known:
                allowed = [*known, "class_accuracy"]
                yield at, f"no figure {column!r}; {suggest(column, allowed)}"
            elif isinstance(value, Mapping):
                yield at, "found a mapping; expected a number"
            else:
                yield from wrong_fraction(column, value, at)
    for name, taken in study.published.confusions.items():
        for label, shares in taken.items():
            for other, share in shares.items():
                at = ("published", "confusions", name, label)
                for one in (label, other):
                    if classes and one not in classes:
                        yield at, f"no class; {suggest(one, classes)}"
                yield from wrong_fraction("class_accuracy", share, (*at, other))
    for name, points in study.published.searches.items():
        varied = study.search[name].matrix
        for index, point in enumerate(points):
            at = ("published", "searches", name, index)
            if set(point.settings) != set(varied):
                found = ", ".join(point.settings)
                yield at, f"found {found}; the search varies {', '.join(varied)}"
            yield from wrong_fraction("accuracy", point.accuracy, at)
    for name, curves in study.published.history.items():
        for column, curve in curves.items():
            at = ("published", "history", name, column)
            # Ours are never tested on the way; validation stands beside theirs.
            allowed = [*HISTORY, "test_accuracy", "test_loss"]
            if column not in allowed:
                yield at, f"no column {column!r}; {suggest(column, allowed)}"
            for epoch, value in curve.items():
                yield from wrong_fraction(column, value, (*at, epoch))


def wrong_fraction(column: str, value: float, at: Path_) -> Mistakes:
    """A percentage where a fraction belongs."""
    if is_fraction(column) and not 0 <= value <= 1:
        yield at, f"found {value}; fractions are written 0 to 1, 97 % as 0.97"


def figure_names(study: Study) -> Mistakes:
    """Figures that are asked for are there."""
    known = registry.names("report/figures")
    for index, name in enumerate(study.figures):
        if name not in known:
            yield ("figures", index), f"no figure {name!r}; {suggest(name, known)}"


def sections(study: Study) -> Mistakes:
    """Sections of the report are labmill's or the author's own, and told apart."""
    own = [name for name in study.report.text if name not in SECTIONS]
    for name in own:
        if near := difflib.get_close_matches(name, SECTIONS, n=1, cutoff=0.8):
            yield (
                ("report", "text", name),
                f"did you mean {near[0]!r}? a section of your own needs a name less "
                f"like it; labmill's are: {', '.join(SECTIONS)}",
            )
    allowed = [*SECTIONS, *own]
    for index, name in enumerate(study.report.sections or ()):
        if name not in allowed:
            yield (
                ("report", "sections", index),
                f"no section {name!r}; {suggest(name, allowed)}",
            )


NUMBER = re.compile(r"""result\(\s*(["'])(.*?)\1\s*,\s*(["'])(.*?)\3\s*\)""")


def numbers_in_text(study: Study) -> Mistakes:
    """`{{ result("variant", "figure") }}` names a variant that runs, and a figure.

    A dotted name is a setting or a class, which only the results can tell.
    """
    run = study.run or tuple(study.variants)
    known = figures(study)
    confirmed = tuple(
        f"{name}_confirmed" for name in (study.edits.variants if study.edits else ())
    )
    for section, text in study.report.text.items():
        at = ("report", "text", section)
        for _, variant, _, column in NUMBER.findall(text):
            if variant not in run and not variant.startswith(confirmed):
                yield at, f"no variant {variant!r} is run; {suggest(variant, run)}"
            if column not in known and "." not in column:
                yield at, f"no figure {column!r}; {suggest(column, known)}"
