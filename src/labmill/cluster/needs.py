"""What a job of each rule needs, as the `resources:` in workflow/rules say.

Read from the rules' text: a price and a preflight want it without starting Snakemake.
"""

import re
from functools import cache
from pathlib import Path

RULES = Path(__file__).parents[3] / "workflow/rules"
HEADER = re.compile(
    r"^(?:rule|checkpoint) (\w+):$|^use rule (\w+) as (\w+) with:$", re.M
)
RESOURCES = re.compile(r"^    resources:\n((?: {8}\w+=\d+,\n)+)", re.M)


@cache
def needs() -> dict[str, dict[str, int]]:
    """Of every rule: mem_mb, runtime (minutes), and where it asks for more than one
    core or for a GPU, cpus_per_task and gpu. Of a job's first attempt."""
    found: dict[str, dict[str, int]] = {}
    for path in sorted(RULES.glob("*.smk")):
        # Text before the first rule, then for each rule three names and its body.
        _, *parts = HEADER.split(path.read_text(encoding="utf-8"))
        for name, parent, child, body in zip(*[iter(parts)] * 4, strict=True):
            block = RESOURCES.search(body)
            own = re.findall(r"(\w+)=(\d+)", block[1]) if block else ()
            amounts = {key: int(value) for key, value in own}
            found[name or child] = found.get(parent, {}) | amounts
    return found


def on_gpu(rule: str) -> bool:
    """Whether jobs of a rule hold a GPU."""
    return bool(needs()[rule].get("gpu"))
