"""Snakemake's logger plugin `labmill`: a study while it runs (`--logger labmill`).

Snakemake finds it by the name of this package. What is shown is in `labmill.watch`.
"""

from labmill.watch.handler import LogHandler

__all__ = ["LogHandler"]
