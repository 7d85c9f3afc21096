"""Sections of a report. The folder is the registry: `sections/<topic>/` is one topic.

A topic's folder has, side by side and each only where it needs it:

- `__init__.py` with `HEADING`, the section's heading, and `POSITION`, its place in the
  report;
- `section.md.j2`, the section's template, which sees the folder's `tables`, `sentences`
  and `evidence` as modules of those names;
- `details.md.j2`, what only the appendix of a short report shows; claims that no template
  prints and figures that the study requests by name follow it;
- `answers.py` with `answers(results) -> answers`, rows of the first page;
- `claims.py` with `make_claims(results) -> list of claims`;
- `tables.py`, functions of the results that return a `Table` or None;
- `sentences.py`, functions of the results that return plain facts as text;
- `figures/<name>.py`, the figure `<name>` (see `labmill.report.figures`).
"""
