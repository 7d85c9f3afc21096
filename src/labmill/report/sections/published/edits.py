"""Edits of an earlier report: their effect there, and on accuracy here."""

from labmill.report.claims.claim import Claim, Statement, claim
from labmill.report.claims.comparison import ACCURACY
from labmill.report.claims.findings import findings, pair_of
from labmill.report.number_format import decimals
from labmill.report.results import StudyResults

EDIT = Statement(
    "Published edit of {before}, {edited}: there {time:fixed.1}\N{NO-BREAK SPACE}% training "
    "time and {accuracy:signed.2} of test accuracy (one run each); here {estimate:signed} "
    "({ends:interval}, {n:seeds})."
)
SECONDS = "train_seconds"


def published_edit_claims(results: StudyResults) -> list[Claim]:
    """Return what an earlier report's edits changed there, and in accuracy here."""
    published = results.study["published"] or {"edits": {}}
    claims = []
    for edited, before in published["edits"].items():
        there = [published["variants"].get(name, {}) for name in (edited, before)]
        id = f"published:{edited}:edit"
        outcome = findings(results).outcome(pair_of(results, id, (edited, before)))
        if not outcome or not all({ACCURACY, SECONDS} <= {*one} for one in there):
            continue
        after, unedited = there
        one, test = outcome.comparison, outcome.test
        claims.append(
            claim(
                EDIT,
                one.id,
                outcome.inputs(),
                about=edited,
                n=test.n,
                estimate=test.estimate,
                ends=(test.low, test.high),
                digits=decimals(results.test_images(edited), test.n),
                before=one.second,
                edited=one.first,
                time=100 * (after[SECONDS] / unedited[SECONDS] - 1),
                accuracy=after[ACCURACY] - unedited[ACCURACY],
            )
        )
    return claims
