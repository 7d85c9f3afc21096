"""What searches chose, for the first page."""

from collections.abc import Iterator

from labmill.report.answer import Answer
from labmill.report.number_format import percent
from labmill.report.results import StudyResults
from labmill.report.sections.search.points import words
from labmill.report.text import listed, plain, setting, spaced

# More searches than this share one row.
MOST = 2


def answers(results: StudyResults) -> Iterator[Answer]:
    """Yield one answer for each search; one for all where there are many."""
    searches = results.searches
    if len(searches) > MOST:
        found = [
            accuracy
            for chosen in searches.values()
            if (accuracy := chosen.ranking[0].validation_accuracy) is not None
        ]
        yield Answer(
            "search",
            f"What did the {len(searches)} searches choose?",
            "one setting each",
            f"{percent(min(found, default=None))} to "
            f"{percent(max(found, default=None))} validation accuracy",
            "section-search",
        )
        return
    for name, chosen in searches.items():
        yield Answer(
            name,
            f"What did the {plain(spaced(name))} search choose?",
            listed(
                f"{plain(words(key))} {plain(spaced(setting(value)))}"
                for key, value in chosen.ranking[0].settings.items()
            ),
            f"{percent(chosen.ranking[0].validation_accuracy)} validation accuracy",
            "section-search",
        )
