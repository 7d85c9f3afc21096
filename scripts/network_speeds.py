"""Measure the networks of our studies, for the first plan on another machine.

`python scripts/network_speeds.py` writes src/labmill/cluster/network_speeds.json: what
each network counts, and the processor's seconds per image. Networks that the file has are
not measured again, and a stopped call continues.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from statistics import median

from labmill.cluster.cost_estimate import TRAINING, network
from labmill.cluster.network_speed import (
    ELSEWHERE,
    Known,
    Network,
    NetworkCache,
    Speed,
)
from labmill.core.paths import CHECKOUT
from labmill.plan.plan import Plan
from labmill.plan.search_rounds import upper_bound
from labmill.study.scales import SCALES


def main() -> None:
    """Measure what is not known yet, and write the file."""
    cache, networks = NetworkCache(), list(our_networks())
    cache.left = float("inf")
    cache.count(networks)
    known = cache.delivered.speeds
    cache.measure([one for one in networks if one.speed_key() not in known], "cpu")
    delivered(cache, networks).write(ELSEWHERE)


def our_networks() -> Iterator[Network]:
    """Yield the network of each training of our studies at each scale."""
    cores = os.cpu_count() or 1
    for path in sorted((CHECKOUT / "studies").glob("*.yaml")):
        for scale in SCALES:
            plan = Plan(path, scale)
            for job in plan.jobs(upper_bound(plan)):
                if job.rule in TRAINING and (found := network(plan, job, cores)):
                    yield found


def delivered(cache: NetworkCache, networks: Iterable[Network]) -> Known:
    """Return what the file holds: keys without code, seconds of one core."""
    found, rates = Known(), defaultdict(list)
    for one in networks:
        counted, speed = cache.known_count(one), cache.speed(one, "cpu")
        if counted:
            found.counts[one.key()] = counted
        if counted and speed:
            training, forward = (
                rounded(seconds * one.threads)
                for seconds in (speed[0].training, speed[0].forward)
            )
            found.speeds[one.speed_key()] = Speed(training, forward)
            rates[one.name].append(3 * counted[0] / training)
    found.counts = dict(sorted(found.counts.items()))
    found.speeds = dict(sorted(found.speeds.items()))
    found.rates = {name: rounded(median(rates[name])) for name in sorted(rates)}
    return found


def rounded(seconds: float) -> float:
    """Return a number with three digits."""
    return float(f"{seconds:.3g}")


if __name__ == "__main__":
    main()
