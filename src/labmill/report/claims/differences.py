"""One comparison as a sentence."""

from labmill.report.claims.claim import Claim, Phrase, Test, TestedStatement, claim
from labmill.report.claims.comparison import Outcome
from labmill.report.number_format import decimals
from labmill.stats.significance import LEAST_SEEDS

DIFFERENCE = TestedStatement(
    higher="{column:Metric}{mean_of} is {estimate:amount} higher with {first} than with "
    "{second} ({ends:interval}{seeds}).",
    lower="{column:Metric}{mean_of} is {estimate:amount} lower with {first} than with "
    "{second} ({ends:interval}{seeds}).",
    equal="{column:Metric}{mean_of} is practically equal with {first} and {second}: "
    "{estimate:signed} ({ends:interval}{seeds}), less than {margin:round_points} apart.",
    undecided="{column:Metric}{mean_of}: whether {first} and {second} differ is undecided "
    "({estimate:signed}; {ends:interval}{seeds}).{decide}",
    untested="{column:Metric}{mean_of}: whether {first} and {second} differ is undecided; "
    "{few}.",
)
FEW = "a verdict needs at least {least:spelled} seeds, and there {verb} {n:spelled}"
NO_SPREAD = "no value varies from seed to seed, so there is no test"
BY_SEED = "; by seed {list:list.9}"
SEEDS = "; {n:seeds}"
DECIDE = " If the difference is as measured, about {n} seeds would decide it."
NEVER = " More seeds alone would hardly decide it."
# Up to so many differences are printed one by one.
FEW_SEEDS = 5


def difference_claim(outcome: Outcome, mean_of: str = "") -> Claim:
    """Return one comparison as a claim; `mean_of`: what its numbers are means of."""
    one, test = outcome.comparison, outcome.test
    images = min((run.cells.get("test_n", 1000) for run in outcome.runs), default=1000)
    return claim(
        DIFFERENCE,
        one.id,
        outcome.inputs(),
        test=test,
        kind=one.kind,
        about=one.about,
        contrast=one.describe(outcome.column),
        column=outcome.column,
        digits=decimals(images, test.n),
        first=one.first,
        second=one.second,
        mean_of=mean_of,
        margin=test.margin,
        seeds=by_seed(test),
        decide=decide(test),
        few=why_untested(test),
    )


def why_untested(test: Test) -> Phrase:
    """Return why there was no test."""
    if test.n >= LEAST_SEEDS:
        return Phrase(NO_SPREAD)
    verb = "is" if test.n == 1 else "are"
    return Phrase(FEW, least=LEAST_SEEDS, verb=verb, n=test.n)


def by_seed(test: Test) -> Phrase:
    """Return the differences of the seeds themselves where they are few."""
    found = list(test.details.differences.values()) if test.details else []
    if not 1 < len(found) == test.n <= FEW_SEEDS:
        return Phrase(SEEDS, n=test.n)
    # What is zero may be a sum of rounding errors.
    exact = [value if abs(value) > 1e-12 else 0.0 for value in found]
    written = [Phrase("{value:change}", value=value) for value in exact]
    return Phrase(BY_SEED, list=written)


def decide(test: Test) -> Phrase | None:
    """Return about how many seeds would decide an undecided comparison."""
    if test.details is None:
        return None
    seeds = test.details.seeds_to_decide
    return Phrase(NEVER) if seeds is None else Phrase(DECIDE, n=rounded(seeds))


def rounded(seeds: int) -> int:
    """Return a number of seeds, rounded up to two digits: it is an estimate."""
    return (
        seeds
        if seeds < 100
        else -(-seeds // 10 ** (len(str(seeds)) - 2)) * 10 ** (len(str(seeds)) - 2)
    )
