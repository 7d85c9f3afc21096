"""Small simulations for `error_rates.py`: verdicts, new images, single values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from labmill.stats.contrasts import compare
from labmill.stats.images import ImageError, image_error
from labmill.stats.layout import Contrast, Layout, pair
from labmill.stats.margins import Verdict
from labmill.stats.runs import against_published

Correct = dict[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Verdicts:
    """How often one pair of five variants gets each verdict.

    Attributes:
        n: number of seeds.
        sd: standard deviation of each variant, in points.
        gap: true difference of the pair, in points; the margin is 1 point.
        percent: verdict → percentage.
        needed: median of `seeds_to_decide` where undecided, None if mostly unknown.
    """

    n: int
    sd: float
    gap: float
    percent: dict[Verdict, float]
    needed: float | None


def verdict_rates(repeats: int) -> list[Verdicts]:
    """Simulate verdicts of five variants of equal scatter, all pairs corrected."""
    generator, found = np.random.default_rng(7), []
    for n in (3, 5, 10):
        for sd, gap in ((0.3, 0.0), (0.3, 1.0), (0.3, 2.0), (1.0, 0.0), (1.0, 3.0)):
            counts, needed = dict.fromkeys(Verdict, 0), []
            for _ in range(repeats):
                values = generator.standard_normal((5, n)) * sd
                values[0] += gap
                family = compare(Layout.of_rows(values.tolist()), margin=1.0)
                result = family.results[0]
                counts[result.verdict] += 1
                if result.verdict is Verdict.UNDECIDED:
                    needed.append(result.seeds_to_decide or np.inf)
            median = float(np.median(needed)) if needed else None
            percent = {v: 100 * c / repeats for v, c in counts.items()}
            found.append(Verdicts(n, sd, gap, percent, median))
    return found


@dataclass(frozen=True)
class ImageCoverage:
    """Coverage in percent of the true difference on all images of a kind."""

    n: int
    images: int
    case: str
    these: float
    new: float
    width: float


def image_coverage(repeats: int) -> list[ImageCoverage]:
    """Simulate two variants over seeds and images, both drawn again."""
    generator, found = np.random.default_rng(8), []
    for case, seed_sd in (("seeds matter little", 0.1), ("seeds matter much", 0.5)):
        for n in (3, 5):
            for images in (200, 1000):
                inside_these, inside_new, width = 0, 0, []
                for _ in range(repeats):
                    correct = _correct(generator, n, images, seed_sd)
                    values = {
                        v: dict(enumerate(x.mean(axis=1).tolist()))
                        for v, x in correct.items()
                    }
                    layout, one = Layout(values), [pair("a", "b")]

                    def errors(
                        contrast: Contrast, correct: Correct = correct
                    ) -> ImageError:
                        return image_error(contrast.weights, correct)

                    these = compare(layout, one).results[0]
                    new = compare(layout, one, images=errors).results[0]
                    truth = _truth(seed_sd)
                    assert these.low is not None and these.high is not None
                    assert new.low is not None and new.high is not None
                    inside_these += these.low <= truth <= these.high
                    inside_new += new.low <= truth <= new.high
                    width.append((new.high - new.low) / (these.high - these.low))
                found.append(
                    ImageCoverage(
                        n,
                        images,
                        case,
                        100 * inside_these / repeats,
                        100 * inside_new / repeats,
                        float(np.median(width)),
                    )
                )
    return found


# Probit model: ability + seed + image + image × variant + image × seed.
ABILITY = {"a": 1.5, "b": 1.3}
IMAGE, VARIANT, RUN = 1.0, 0.5, 0.5


def _correct(
    generator: np.random.Generator, n: int, images: int, seed_sd: float
) -> Correct:
    difficulty = generator.standard_normal(images) * IMAGE
    found = {}
    for variant, ability in ABILITY.items():
        own = generator.standard_normal(images) * VARIANT
        run = generator.standard_normal((n, images)) * RUN
        seed = generator.standard_normal((n, 1)) * seed_sd
        found[variant] = ability + seed + difficulty + own + run > 0
    return found


def _truth(seed_sd: float) -> float:
    scale = (seed_sd**2 + IMAGE**2 + VARIANT**2 + RUN**2) ** 0.5
    a, b = (float(stats.norm.cdf(x / scale)) for x in ABILITY.values())
    return a - b


@dataclass(frozen=True)
class SingleValues:
    """False alarms in percent against one published run of the same kind."""

    n: int
    constant: float
    one_run: float


def single_values(repeats: int) -> list[SingleValues]:
    """Simulate n runs and one published run of the same distribution."""
    generator, found = np.random.default_rng(9), []
    for n in (3, 5, 10):
        runs = generator.standard_normal((repeats, n))
        other = generator.standard_normal(repeats)
        distance = np.abs(runs.mean(1) - other) / runs.std(1, ddof=1)
        critical = stats.t.ppf(0.975, n - 1)
        one = against_published(runs[0].tolist(), float(other[0]))
        assert one.p is not None
        assert (one.p < 0.05) == (distance[0] > critical * (1 + 1 / n) ** 0.5)
        found.append(
            SingleValues(
                n,
                100 * float((distance > critical / n**0.5).mean()),
                100 * float((distance > critical * (1 + 1 / n) ** 0.5).mean()),
            )
        )
    return found
