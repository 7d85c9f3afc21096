"""Which claims the Summary and the page of all studies show."""

from typing import Any

from labmill.report.claims.template import Kind
from labmill.report.headlines import headlines


def claim(kind: Kind, about: str | None, verdict: str | None = None) -> dict[str, Any]:
    """A claim as far as headlines look at it."""
    return {"kind": str(kind), "about": about, "verdict": verdict}


OPEN = "no difference shown"
BEST = claim(Kind.BEST, None, OPEN)
LOST = claim(Kind.END, "cnn")
WELL = claim(Kind.END, None)
DETAIL = claim(Kind.DETAIL, None, "higher")


def test_all_answers_where_there_is_room():
    search, question = claim(Kind.SEARCH, "grid"), claim(Kind.QUESTION, "q", OPEN)
    assert headlines([WELL, search, DETAIL, question, BEST], 8) == (
        [BEST, question, search, WELL],
        0,
    )


def test_one_answer_to_each_and_shown_ones_before_open_ones():
    questions = [claim(Kind.QUESTION, f"q{i}", OPEN) for i in range(9)]
    second = claim(Kind.QUESTION, "q0", OPEN)
    shown = claim(Kind.QUESTION, "q8", "lower")
    search, loop = claim(Kind.SEARCH, "grid"), claim(Kind.LOOP, "prune:cnn")
    given = [BEST, *questions[:1], second, *questions[1:], shown, loop, search, LOST]
    told, more = headlines(given, 8)
    assert told == [BEST, *questions[:3], shown, loop, search, LOST]
    assert more == len(given) - 8


def test_lost_runs_are_told_but_do_not_fill_the_list():
    lost = [claim(Kind.END, f"v{i}") for i in range(20)]
    shown = [claim(Kind.QUESTION, f"q{i}", "higher") for i in range(9)]
    told, more = headlines([BEST, *shown, *lost], 8)
    assert told == [BEST, *shown[:5], *lost[:2]] and more == 22
    assert headlines([BEST, *shown, *lost], 3)[0] == [BEST, shown[0], lost[0]]


def test_that_all_went_well_is_told_last():
    shown = [claim(Kind.QUESTION, f"q{i}", "higher") for i in range(9)]
    assert WELL not in headlines([BEST, *shown, WELL], 8)[0]


def test_claims_of_older_results_are_no_headlines():
    assert headlines([{"id": "best", "verdict": "higher"}], 8) == ([], 0)
