"""Check what one section of a study uses from another.

Each function yields mistakes: (key path, message). They need only the study and literal
constants, so that all mistakes are found before anything runs.
"""

import difflib
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from labmill.core import registry
from labmill.core.errors import shown, suggest
from labmill.study.check_constants import wrong_constants
from labmill.study.check_models import DATASETS
from labmill.study.matrix import wrong_keys
from labmill.study.metrics import (
    HISTORY,
    is_fraction,
    metric_names,
    metrics_of,
    untestable,
)
from labmill.study.result_numbers import marked_texts, results_in
from labmill.study.schema import Study
from labmill.study.search_budget import UNITS
from labmill.study.yaml_source import Path_, YamlSource

Mistakes = Iterator[tuple[Path_, str]]


# Folders in results/<study>/ that are not of a variant or search; earlier versions wrote
# mlflow/.
RESERVED = ("figures", "mlflow", "report_latex", "splits")
# A study of more runs would take minutes to plan.
MOST_POINTS, MOST_RUNS = 2_000, 10_000


def check_references(study: Study, source: YamlSource) -> None:
    """Raise LabmillError for the first mistake; later checks rely on earlier ones."""
    for check in (
        wrong_names,
        too_many_runs,
        wrong_splits,
        wrong_settings,
        wrong_budgets,
        circles,
        wrong_ranks,
        wrong_comparisons,
        undecidable,
        equal_labels,
        wrong_published,
        wrong_figures,
        wrong_sections,
        wrong_tasks,
        wrong_results_in_text,
    ):
        for at, message in check(study):
            source.fail(message, at)


def wrong_names(study: Study) -> Mistakes:
    """Check that every name that is used is defined, once, and not reserved."""
    variants, pretexts = set(study.variants), set(study.pretexts)
    for table in ("variants", "pretexts", "search"):
        for name in getattr(study, table):
            if name in RESERVED:
                yield (
                    (table, name),
                    f"found {name!r}; labmill keeps a folder of that name in the "
                    "study's results, so choose another one",
                )
    for name in sorted(variants & pretexts):
        yield ("pretexts", name), "a variant has that name too"
    for at, name, what, defined in mentions(study):
        if name not in defined:
            yield at, f"no {what} {name!r}; {suggest(name, defined)}"


def mentions(study: Study) -> Iterator[tuple[Path_, str, str, set[str]]]:
    """Yield every use of a name: key path, name, what it names, what is defined."""
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
            yield (*at, "chosen", "search"), begun, "search", set(study.search)
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
            at = ("published", "searches", name)
            yield at, name, "search", set(study.search)
        for table in ("history", "notes"):
            for name in getattr(study.published, table):
                at = ("published", table, name)
                yield at, name, "variant or pretext", variants | pretexts
        for edited, before in study.published.edits.items():
            for name in (edited, before):
                yield ("published", "edits", edited), name, "variant", variants


def too_many_runs(study: Study) -> Mistakes:
    """Check that searches and the study have no more runs than can be planned."""
    points = {
        name: prod(map(len, search.matrix.values()))
        for name, search in study.search.items()
    }
    for name, found in points.items():
        if found > MOST_POINTS:
            yield (
                ("search", name, "matrix"),
                f"found {found:,} points; a search has at most {MOST_POINTS:,}",
            )
    runs = sum(len(v.seeds or study.every_seed) for v in study.variants.values())
    runs += sum(points[name] * len(s.seeds) for name, s in study.search.items())
    if runs > MOST_RUNS:
        yield ("variants",), f"found {runs:,} runs; a study has at most {MOST_RUNS:,}"


def wrong_splits(study: Study) -> Mistakes:
    """Check that every seed has its split, and that no run learns from another's test."""
    splits, at = study.data.split_seeds, ("data", "split_seeds")
    if splits is None:
        return
    if len(splits) != len(study.every_seed):
        yield (
            at,
            f"found {len(splits)} splits for {len(study.every_seed)} seeds; every seed has one: "
            "runs that share a split would count as if they had their own",
        )
    for table in ("variants", "pretexts"):
        for name, one in getattr(study, table).items():
            if other := sorted({*(one.seeds or ())} - {*study.every_seed}):
                yield (
                    (table, name, "seeds"),
                    f"found {other[0]}, which has no split; allowed: the study's seeds",
                )
            if (
                table == "pretexts"
                and one.seeds
                and {*one.seeds} != {*study.every_seed}
            ):
                yield (
                    (table, name, "seeds"),
                    "a run would begin from a pretext of another split, which may have "
                    "seen its test images; leave the key out",
                )
    for table in ("search", "edits"):
        if getattr(study, table):
            yield (
                at,
                f"a study with `{table}` has one split: what is chosen on one split may "
                "have seen the test images of another",
            )


def wrong_settings(study: Study) -> Mistakes:
    """Check that a search varies dotted settings, of which none is part of another."""
    for name, search in study.search.items():
        for key in search.matrix:
            for mistake in wrong_keys(key, search.matrix):
                yield ("search", name, "matrix", key), mistake


def wrong_budgets(study: Study) -> Mistakes:
    """Check that a search that does not try all points has a budget and a winner."""
    chosen = {v.chosen.search for v in study.variants.values() if v.chosen}
    for name, search in study.search.items():
        at, runs = ("search", name, "budget"), len(search.seeds)
        if search.method == "grid":
            if search.budget:
                yield at, "a grid trains every point; choose another method"
            continue
        if search.budget is None:
            yield (
                ("search", name, "method"),
                f"{search.method} needs a budget, such as budget: {{runs: {20 * runs}}}; "
                f"its units are {', '.join(UNITS)}",
            )
        elif search.budget.runs is not None and search.budget.runs < runs:
            yield (
                (*at, "runs"),
                f"found {search.budget.runs}; one point takes {runs} runs, one per seed",
            )
        if name not in chosen:
            yield (
                ("search", name),
                f"no variant confirms its choice: add one with chosen: {{search: {name}}} "
                "and seeds that the search does not use",
            )


def circles(study: Study) -> Mistakes:
    """Check that no variant starts from a search that starts from that variant."""
    for name in study.variants:
        chain = [name]
        while chosen := study.variants[chain[-1]].chosen:
            chain += [chosen.search, study.search[chosen.search].variant]
            if chain[-1] in chain[:-1]:
                yield (
                    ("variants", name, "chosen", "search"),
                    f"starts from itself: {' → '.join(chain)}; a search varies a "
                    "variant that does not depend on it",
                )
                return


def wrong_ranks(study: Study) -> Mistakes:
    """Check that a variant takes a point that its search has."""
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


def wrong_comparisons(study: Study) -> Mistakes:
    """Check that a question compares different variants, by a known metric."""
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
            rows = list(zip(*levels.values(), strict=True))
            if len(set(rows)) < len(rows):
                yield (*at, "levels"), "the same variants are compared twice"
            for row in rows:
                if again := [v for v in row if row.count(v) > 1]:
                    yield (*at, "levels"), f"{again[0]!r} is compared with itself"
            members = {level: sorted(found) for level, found in levels.items()}
            (first, reference), *others = members.items()
            for level, found in others:
                if found == reference:
                    message = f"{level} and {first} have the same variants"
                    yield (*at, "levels"), message
        known = metric_names(study)
        for asked in metrics_of(question.metric):
            if asked not in known:
                message = f"no metric {shown(asked)}; {suggest(asked, known)}"
                yield (*at, "metric"), message


def undecidable(study: Study) -> Mistakes:
    """Check that rounds of seeds have something to decide, and that nothing else counts on seeds."""
    if not study.rounds:
        return
    no = "seeds until decided do not work with it; list the study's seeds"
    for part in ("pretexts", "pruning", "edits", "published"):
        if getattr(study, part):
            yield (part,), f"found {part}; {no}"
    if study.data.split_seeds:
        yield ("data", "split_seeds"), f"found a split of each seed; {no}"
    for name, variant in study.variants.items():
        if variant.seeds:
            yield ("variants", name, "seeds"), f"found seeds; {no}"
    asked = [m for q in study.compare.values() for m in metrics_of(q.metric)]
    if asked and all(map(untestable, asked)):
        yield ("seeds",), f"no question to decide: {', '.join(asked)} is not tested"
    elif len(study.run or study.variants) < 2:
        yield ("seeds",), "no question to decide: the study has one variant"


def equal_labels(study: Study) -> Mistakes:
    """Check that no two variants have the same label."""
    seen: dict[str, str] = {}
    for name, variant in study.variants.items():
        label = variant.label or name
        if label in seen:
            at = ("variants", name, *(["label"] if variant.label else []))
            yield at, f"{seen[label]} is called {shown(label)} too"
        seen[label] = name


def wrong_published(study: Study) -> Mistakes:
    """Check that published metrics are known, and fractions are fractions."""
    if not study.published:
        return
    known = metric_names(study)
    classes = registry.constant(DATASETS, study.data.dataset, "CLASSES")
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
                yield at, f"no metric {shown(column)}; {suggest(column, allowed)}"
            elif isinstance(value, Mapping):
                yield at, "found a mapping; expected a number"
            else:
                yield from wrong_fraction(column, value, at)
    for name, taken in study.published.confusions.items():
        for label, shares in taken.items():
            for other, share in shares.items():
                below = ("published", "confusions", name, label)
                for one in (label, other):
                    if classes and one not in classes:
                        yield below, f"no class; {suggest(one, classes)}"
                yield from wrong_fraction("class_accuracy", share, (*below, other))
    for name, points in study.published.searches.items():
        varied = study.search[name].matrix
        for index, point in enumerate(points):
            place = ("published", "searches", name, index)
            if set(point.settings) != set(varied):
                settings = ", ".join(point.settings)
                yield place, f"found {settings}; the search varies {', '.join(varied)}"
            yield from wrong_fraction("accuracy", point.accuracy, place)
    for name, curves in study.published.history.items():
        for column, curve in curves.items():
            at = ("published", "history", name, column)
            # Test metrics by epoch are compared with our validation metrics.
            allowed = [*HISTORY, "test_accuracy", "test_loss"]
            if column not in allowed:
                yield at, f"no column {shown(column)}; {suggest(column, allowed)}"
            for epoch, value in curve.items():
                yield from wrong_fraction(column, value, (*at, epoch))


def wrong_fraction(column: str, value: float, at: Path_) -> Mistakes:
    """Check that no percentage is written where a fraction belongs."""
    if is_fraction(column) and not 0 <= value <= 1:
        yield at, f"found {value}; fractions are written 0 to 1, 97 % as 0.97"


def wrong_figures(study: Study) -> Mistakes:
    """Check that the figures and metrics that the study names exist."""
    asked: dict[Path_, tuple[str, str | None]] = {
        (key, index): (kind, name)
        for key, kind in (("figures", "report/figures"), ("metrics", "metrics"))
        for index, name in enumerate(getattr(study, key))
    }
    asked["report", "hero"] = ("report/figures", study.report.hero)
    for at, (kind, name) in asked.items():
        known = registry.names(kind)
        if name is not None and name not in known:
            what = "metric" if kind == "metrics" else "figure"
            yield at, f"no {what} {shown(name)}; {registry.absence(kind, name)}"
        elif name is not None:
            yield from ((at, mistake) for mistake in wrong_constants(kind, name))


def wrong_tasks(study: Study) -> Mistakes:
    """Check that what answers a task of the assignment is part of the report."""
    sections = [*registry.sections(), *study.report.text]
    known = {*study.compare, *study.search, *study.pruning, *sections}
    for index, task in enumerate(study.report.tasks):
        for place, name in enumerate(task.answers):
            if name not in known:
                yield (
                    ("report", "tasks", index, "answers", place),
                    f"no question, search, prune loop or section {shown(name)}; "
                    f"{suggest(name, known)}",
                )


def wrong_sections(study: Study) -> Mistakes:
    """Check that sections exist, and that the author's own have distinct names."""
    known = registry.sections()
    own = [name for name in study.report.text if name not in known]
    for name in own:
        if near := difflib.get_close_matches(name, known, n=1, cutoff=0.8):
            yield (
                ("report", "text", name),
                f"did you mean {near[0]!r}? a section of your own needs a name less "
                f"like it; labmill's are: {', '.join(known)}",
            )
    allowed = [*known, *own]
    for index, name in enumerate(study.report.sections or ()):
        if name not in allowed:
            yield (
                ("report", "sections", index),
                f"no section {shown(name)}; {suggest(name, allowed)}",
            )


def wrong_results_in_text(study: Study) -> Mistakes:
    """Check that `{{ result("variant", "metric") }}` names a variant that runs.

    A dotted name is a setting or a class, which only the results can tell.
    """
    run = study.run or tuple(study.variants)
    known = metric_names(study)
    confirmed = tuple(
        f"{name}_confirmed" for name in (study.edits.variants if study.edits else ())
    )
    texts = marked_texts(study.model_dump(include={"question", "report"}))
    for name, asked in study.compare.items():
        texts["compare", name, "question"] = asked.question or ""
    for at, text in texts.items():
        try:
            numbers = list(results_in(text))
        except ValueError as error:
            yield at, str(error)
            continue
        for variant, column in numbers:
            if variant not in run and not variant.startswith(confirmed):
                yield at, f"no variant {shown(variant)} is run; {suggest(variant, run)}"
            if column not in known and "." not in column:
                yield at, f"no metric {shown(column)}; {suggest(column, known)}"
