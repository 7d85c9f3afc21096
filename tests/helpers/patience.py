"""Limits of time: one on an idle machine, four times that where tests share theirs."""

import os

# `make testslow` sets 1: what it times is a promise of docs/reliability.md.
SLOW = int(os.environ.get("SLOW", "4"))
