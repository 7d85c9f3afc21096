"""docs/statistics.md, written from the simulation of `error_rates.py`."""

import platform
from collections.abc import Sequence
from pathlib import Path

from error_rows import Alternative, Rates, stress
from error_studies import ImageCoverage, SingleValues, Verdicts

METHOD = Path(__file__).with_name("statistics_method.md")
PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"
# Before each part of the page that another benchmark writes.
MARK = "<!-- part: {} -->"


def page(
    equal: Sequence[Rates],
    power: Sequence[Rates],
    tried: Sequence[Alternative],
    verdicts: Sequence[Verdicts],
    images: Sequence[ImageCoverage],
    singles: Sequence[SingleValues],
    *,
    seconds: float,
) -> str:
    """Return the page: the method from `statistics_method.md`, then all tables."""
    repeats = equal[0].repeats
    error = (0.05 * 0.95 / repeats) ** 0.5 * 100
    run = (
        f"Command: `python benchmarks/error_rates.py` ({seconds:.0f} s on one core of "
        f"{processor()}). {repeats:,} repetitions per row; the Monte Carlo standard "
        f"error of 5 % is {error:.1f} points, of 50 % "
        f"{50 / repeats**0.5:.1f} points. All numbers are percentages."
    )
    parts = [
        METHOD.read_text(encoding="utf-8").rstrip(),
        "## Simulated error rates",
        run,
        _summary(equal, power),
        "### Family error and coverage",
        "All true means are equal; the layout gives each variant's standard deviation "
        "in points. Family error: the chance of any false alarm among all pairs, "
        "nominal 5 %. Coverage: 95 % intervals of one pair alone, worst pair of the "
        "layout (the smallest of up to 153 simulated numbers, so somewhat pessimistic).",
        *(_equal_table(equal, n) for n in sorted({r.n for r in equal})),
        "### Power",
        "How often one pair with a true difference is shown, all pairs corrected.",
        *(_power_table(power, n) for n in sorted({r.n for r in power})),
        "### What was tried",
        "Worst family error over 14 hard layouts, and power for: five variants of equal "
        "scatter; the same with a seed effect of 0.5 sd, of 2 sd; the 11.4-point lead "
        "of dynamic_cnn; two of nine variants scatter ten times more; one of nine scatters "
        "fifty times less.",
        _tried_table(tried),
        "### Verdicts",
        "Five variants of equal scatter, margin 1 point; the pair differs by the gap.",
        _verdict_table(verdicts),
        "### New test images",
        "Coverage of the true difference over all seeds and images; two variants, 300 "
        "repetitions (standard error 1.3 points).",
        _image_table(images),
        "### One published run",
        "False alarms if the published run and ours have the same distribution.",
        _single_table(singles),
    ]
    return "\n\n".join([*parts, other_parts().rstrip()]).rstrip() + "\n"


def replace_part(name: str, text: str) -> None:
    """Replace one part of the page that another benchmark writes, or append it."""
    page, mark = PAGE.read_text(encoding="utf-8"), MARK.format(name)
    before, _, after = page.partition(mark)
    rest = after.partition(MARK.partition("{")[0])
    parts = [before.rstrip(), f"{mark}\n{text.strip()}", "".join(rest[1:]).strip()]
    PAGE.write_text("\n\n".join(filter(None, parts)) + "\n", encoding="utf-8")


def other_parts() -> str:
    """Return the parts of the page that other benchmarks wrote."""
    return "".join(
        PAGE.read_text(encoding="utf-8").partition(MARK.partition("{")[0])[1:]
    )


def processor() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _summary(equal: Sequence[Rates], power: Sequence[Rates]) -> str:
    head = [
        "seeds",
        "worst family error",
        "in layout",
        "Tukey's worst",
        "worst coverage",
        "power, equal scatter ×5: ratio to Tukey's",
        "11.4-point lead",
        "Tukey",
    ]
    rows = []
    for n in sorted({r.n for r in equal}):
        rates = [r for r in equal if r.n == n and not stress(r.layout)]
        worst = max(rates, key=lambda r: r.percent["labmill"])
        tukey = max(r.percent["Tukey"] for r in rates)
        covered = min(r.coverage["labmill"] for r in rates)
        found = {r.layout.name: r.percent for r in power if r.n == n}
        five = next(v for k, v in found.items() if k.startswith("1 ×5"))
        lead = next(v for k, v in found.items() if k.startswith("dynamic_cnn"))
        rows.append(
            [
                str(n),
                f"{worst.percent['labmill']:.1f}",
                worst.layout.name,
                f"{tukey:.1f}",
                f"{covered:.1f}",
                f"{five['labmill'] / five['Tukey']:.2f}",
                f"{lead['labmill']:.0f}",
                f"{lead['Tukey']:.0f}",
            ]
        )
    note = (
        "In short, without the layouts that break the model on purpose (exponential "
        "scatter of one variant, dead runs):"
    )
    return note + "\n\n" + table(head, rows)


def _equal_table(equal: Sequence[Rates], n: int) -> str:
    rates = [r for r in equal if r.n == n]
    methods = list(rates[0].percent)
    covered = list(rates[0].coverage)
    head = [f"{n} seeds: layout", *methods, *(f"coverage, {m}" for m in covered)]
    rows = [
        [
            r.layout.name,
            *(f"{r.percent[m]:.1f}" for m in methods),
            *(f"{r.coverage[m]:.1f}" for m in covered),
        ]
        for r in rates
    ]
    return table([h.replace("Welch, Holm", "Welch + Holm") for h in head], rows)


def _power_table(power: Sequence[Rates], n: int) -> str:
    rates = [r for r in power if r.n == n]
    methods = list(rates[0].percent)
    rows = [[r.layout.name, *(f"{r.percent[m]:.0f}" for m in methods)] for r in rates]
    return table([f"{n} seeds: layout", *methods], rows)


def _tried_table(tried: Sequence[Alternative]) -> str:
    seeds = list(tried[0].worst)
    head = ["rule"]
    for n in seeds:
        head += [
            f"{n} seeds: worst family error",
            "in layout",
            "power: equal / seed .5 / seed 2 / lead / outliers / constant",
        ]
    rows = []
    for one in tried:
        row = [one.name]
        for n in seeds:
            power = " / ".join(f"{p:.0f}" for p in one.power[n])
            row += [f"{one.worst[n]:.1f}", one.worst_layout[n], power]
        rows.append(row)
    return table(head, rows)


def _verdict_table(verdicts: Sequence[Verdicts]) -> str:
    head = ["seeds", "sd", "gap", *verdicts[0].percent, "median seeds to decide"]
    rows = [
        [
            str(v.n),
            f"{v.sd}",
            f"{v.gap}",
            *(f"{p:.0f}" for p in v.percent.values()),
            "–"
            if v.needed is None
            else ("> 1000" if v.needed > 1000 else f"{v.needed:.0f}"),
        ]
        for v in verdicts
    ]
    return table(head, rows)


def _image_table(images: Sequence[ImageCoverage]) -> str:
    head = [
        "case",
        "seeds",
        "images",
        "interval from seeds",
        "seeds and images",
        "ratio of lengths",
    ]
    rows = [
        [
            i.case,
            str(i.n),
            str(i.images),
            f"{i.these:.0f}",
            f"{i.new:.0f}",
            f"{i.width:.2f}",
        ]
        for i in images
    ]
    return table(head, rows)


def _single_table(singles: Sequence[SingleValues]) -> str:
    head = ["runs", "published value as a constant", "as one run"]
    rows = [[str(s.n), f"{s.constant:.1f}", f"{s.one_run:.1f}"] for s in singles]
    return table(head, rows)
