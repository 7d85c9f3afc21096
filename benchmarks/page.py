"""The measured parts of docs/performance.md, between markers, and its figure."""

import platform
from pathlib import Path

import torch

from labmill.core.provenance import processor

BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"


def write_page(
    page: Path, results: dict, others: dict, rounds: int, threads: int
) -> None:
    """Replace the measured part of the page; its prose stays."""
    parts = [machine(rounds, threads)]
    for device, found in results.items():
        parts += [f"### Training on {device}", table(found), peak_lines(found["peaks"])]
    parts += [start_lines(others["start"]), warm_line(others["warm"])]
    parts += [planning_table(others["planning"]), saving_table(others["saving"])]
    parts += [growth_lines(others["growth"]), grid_lines(others["grid"])]
    figure = page.with_name("performance.svg")
    draw(figure, results)
    parts.insert(1, f"![Images per second of each loop]({figure.name})")
    replace(page, "bench", "\n\n".join(parts))


def replace(page: Path, name: str, text: str) -> None:
    """Put `text` between the markers of that name."""
    begin, end = BEGIN.format(name), END.format(name)
    content = page.read_text(encoding="utf-8")
    before, _, rest = content.partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def machine(rounds: int, threads: int) -> str:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"`make bench` on {processor()}, {threads} threads, {gpu}; "
        f"torch {torch.__version__}, Python {platform.python_version()}; "
        f"n = {rounds} rounds, the candidates of a row in alternation in one process "
        "after a warm-up. Images per second: median ± half the distance between the "
        "quartiles. Random images; the loop and not the disk is measured."
    )


def table(found: dict) -> str:
    """A row per case."""
    peak = found["peaks"]
    lines = [
        "| network, batch | naive | Lightning | bare step loop | labmill | how | "
        "× naive (aim) | × Lightning | of bare | of peak |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found["rows"]:
        case, rates = row["case"], row["rates"]
        ours = rates["labmill"].median
        kind = "bf16" if row["how"].startswith("bf16") else "fp32"
        ratio = {
            name: f"{ours / rates[name].median:.2f}" if name in rates else "–"
            for name in ("naive", "lightning")
        }
        cells = [
            f"{case.label}, {case.batch}",
            *(
                cell(rates.get(name))
                for name in ("naive", "lightning", "bare", "labmill")
            ),
            row["how"],
            f"{ratio['naive']} ({case.aim})",
            ratio["lightning"],
            f"{ours / rates['bare'].median:.0%}",
            f"{ours * row['flops'] / peak[f'convolution {kind}']:.1%}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    compiled = [
        f"{row['case'].label} {row['compile_seconds']:.0f} s"
        for row in found["rows"]
        if "graph" in row["how"]
    ]
    note = f"\n\nCompiling took: {', '.join(compiled)}." if compiled else ""
    return "\n".join(lines) + note


def cell(rates) -> str:
    return "–" if rates is None else f"{rates.median:.0f} ± {rates.spread:.0%}"


def peak_lines(peaks: dict[str, float]) -> str:
    told = ", ".join(f"{name} {value / 1e9:.0f}" for name, value in peaks.items())
    return f"Peak measured in the same run, GFLOP/s: {told}."


def start_lines(start: dict[str, float]) -> str:
    told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in start.items())
    return f"### Around the steps\n\nFrom the start of a job: {told}."


def warm_line(warm: dict[str, float]) -> str:
    told = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in warm.items())
    return f"Processor time of a job that only imports torch: {told}."


def planning_table(rows: list[dict[str, float]]) -> str:
    lines = ["| jobs | `labmill plan`, s | MB | `snakemake -n`, s | MB |"]
    lines.append("|---|---|---|---|---|")
    for row in rows:
        lines.append(
            f"| {row['jobs']:,} | {row['labmill plan']:.1f} | "
            f"{row['labmill plan, MB']:.0f} | {row['dry run']:.1f} | "
            f"{row['dry run, MB']:.0f} |"
        )
    return "\n".join(lines)


def saving_table(rows: list[dict]) -> str:
    lines = ["| state of | MB | seconds to save | share at one save a minute |"]
    lines.append("|---|---|---|---|")
    for row in rows:
        lines.append(
            f"| {row['label']} | {row['mb']:.1f} | {row['seconds']:.3f} | "
            f"{row['seconds'] / 60:.2%} |"
        )
    return "\n".join(lines)


def growth_lines(growth: dict[str, list[tuple[int, float]]]) -> str:
    parts = []
    for axis, points in growth.items():
        told = ", ".join(f"{number}: {rate:.0f}" for number, rate in points)
        parts.append(f"Images per second of the FMNIST CNN by {axis}: {told}.")
    return "\n\n".join(parts)


def grid_lines(grid: dict[str, float]) -> str:
    runs = 120
    ours = grid["fixed"] + runs * grid["labmill"]
    theirs = runs * grid["naive"]
    return (
        f"A grid of {runs} small runs (digits, 10 epochs, batch 8), extrapolated from "
        f"{grid['points']} through the workflow on two cores and a third of them as "
        f"naive scripts in a shell loop: {ours:.0f} s ({grid['labmill']:.1f} s a run and "
        f"{grid['fixed']:.1f} s for the workflow) against {theirs:.0f} s "
        f"({grid['naive']:.1f} s a run): {theirs / ours:.1f}×."
    )


def draw(path: Path, results: dict) -> None:
    """Images per second as shares of labmill's, a group of bars for each case."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "labmill"
    from matplotlib import pyplot

    names = ("naive", "lightning", "bare", "labmill")
    rows = [row for found in results.values() for row in found["rows"]]
    figure, axes = pyplot.subplots(figsize=(8, 0.9 + 0.55 * len(rows)))
    for place, name in enumerate(names):
        shares = [
            row["rates"][name].median / row["rates"]["labmill"].median
            if name in row["rates"]
            else 0
            for row in rows
        ]
        heights = [number + 0.2 * (place - 1.5) for number in range(len(rows))]
        axes.barh(heights, shares, 0.18, label=name)
    labels = [f"{row['case'].label}, {row['case'].batch}" for row in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("images per second, as a share of labmill's")
    axes.axvline(1, color="black", linewidth=0.6)
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.4, 1.12), frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
