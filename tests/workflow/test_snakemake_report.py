"""Snakemake's own report shows what the study made, in categories."""

import re

from helpers.workflow_run import Mill


def test_report_tables_and_figures_stand_in_categories(finished: Mill):
    done = finished.run("results/tiny/report.html", "--report", "own.html")
    assert done.returncode == 0, done.stdout
    page = (finished.directory / "own.html").read_text(encoding="utf-8")
    shown = dict(re.findall(r'"(results/tiny/[^"]+)": \{\s*"name": "([^"]+)"', page))
    figures = sorted((finished.directory / "results/tiny/figures").glob("*.svg"))
    assert {f"results/tiny/figures/{path.name}" for path in figures} <= set(shown)
    for name in ("report.html", "report.pdf", "runs.csv"):
        assert f"results/tiny/{name}" in shown
    categories = page.partition("var categories = ")[2].partition(";\n")[0]
    for word in ("tiny", "Report", "Tables", "Figures"):
        assert f'"{word}"' in categories, word
