"""Compare the archives of a class with each other: networks, predictions, texts.

Equal settings, seed, code and data give equal bits, so honest twins are expected to be
equal. What is not expected: equal or nearly equal networks behind different settings, and
long texts that are nearly the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from itertools import combinations

import numpy as np

from labmill.archive.records import Opened, read_arrays

SKETCH = 64  # random projections of the test logits
# Logits with 1 % of noise give .99995; the most alike of 302 pairs of honest networks of
# different settings or seeds gave .982.
NEARLY_EQUAL = 0.9995
SHORTEST_TEXT = 150  # characters; shorter ones are equal by chance
LIKE_TEXT = 0.8


@dataclass(frozen=True)
class NetworkPrint:
    """What two archives' networks are compared by.

    Attributes:
        sketch: the test logits, projected on random directions and scaled to length 1.
    """

    run: str  # variant, seed, stage
    job: str  # fingerprint of settings, seed, code and data
    weights: str | None  # SHA-256, None where the archive does not say
    sketch: np.ndarray


@dataclass(frozen=True)
class Fingerprints:
    """What one archive is compared by: its networks and the author's texts."""

    networks: Sequence[NetworkPrint] = ()
    texts: Sequence[str] = ()


@dataclass(frozen=True)
class Likeness:
    """What two archives share.

    Attributes:
        first, second: their names.
        twins: networks that are equal and of one job, as honest twins are.
        copies: networks that are equal or nearly so although their jobs differ.
    """

    first: str
    second: str
    twins: Sequence[str] = ()
    copies: Sequence[str] = ()
    texts: float = 0.0  # how alike the most alike long texts are, 0 to 1

    def __str__(self) -> str:
        said = []
        if self.copies:
            said.append(
                f"equal networks of different settings: {', '.join(self.copies)}"
            )
        if self.texts >= LIKE_TEXT:
            said.append(f"a text is {100 * self.texts:.0f} % the same")
        if self.twins:
            said.append(
                f"{len(self.twins)} equal networks of equal settings, seed and code, as "
                "expected"
            )
        return f"{self.first} and {self.second}: {'; '.join(said)}"

    @property
    def unexpected(self) -> bool:
        """Return True if honest work does not explain it."""
        return bool(self.copies) or self.texts >= LIKE_TEXT


def fingerprints(opened: Opened, weights: Mapping[str, str]) -> Fingerprints:
    """Return what an archive is compared by.

    Args:
        opened: its results.
        weights: SHA-256 of weights by name, from archive.json.
    """
    networks = []
    for run in opened.index["runs"]:
        path, described = (
            opened.file(run, "predictions"),
            opened.read(run, "description"),
        )
        if path is None or described is None:
            continue
        networks.append(
            NetworkPrint(
                run="{variant}:{seed}:{stage}".format(**run),
                job=described["provenance"]["fingerprint"],
                weights=weights.get(run["files"]["model"]),
                sketch=sketch(read_arrays(path)["test_logits"]),
            )
        )
    study = opened.index["provenance"]["settings"]["study"]
    return Fingerprints(networks, list(long_texts(study.get("report"))))


def sketch(logits: np.ndarray) -> np.ndarray:
    """Return logits (N, classes) as a unit vector of SKETCH random projections."""
    centred = (logits - logits.mean(axis=1, keepdims=True)).ravel().astype(np.float64)
    found = directions(centred.size) @ centred
    return found / (np.linalg.norm(found) or 1.0)


@cache
def directions(size: int) -> np.ndarray:
    """Return random directions, equal for all archives with that many logits."""
    return np.random.default_rng(size).standard_normal((SKETCH, size), dtype=np.float32)


def long_texts(value: object) -> list[str]:
    """Return every long text in a study's settings of its report."""
    if isinstance(value, str):
        return [value] if len(value) >= SHORTEST_TEXT else []
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for one in value for text in long_texts(one)]
    return []


def likenesses(archives: dict[str, Fingerprints]) -> list[Likeness]:
    """Return every pair of archives that share something; the unexpected first."""
    found = [
        likeness(first, archives[first], second, archives[second])
        for first, second in combinations(archives, 2)
    ]
    shared = [one for one in found if one.twins or one.unexpected]
    return sorted(shared, key=lambda one: not one.unexpected)


def likeness(first: str, one: Fingerprints, second: str, two: Fingerprints) -> Likeness:
    """Return what two archives share."""
    theirs = {network.job: network for network in two.networks}
    twins = [
        mine.run
        for mine in one.networks
        if mine.job in theirs
        and mine.weights is not None
        and mine.weights == theirs[mine.job].weights
    ]
    # A network whose job the other archive has too is explained by that.
    ours = {network.job for network in one.networks}
    own = [mine for mine in one.networks if mine.job not in theirs]
    others = [other for other in two.networks if other.job not in ours]
    copies = [
        f"{mine.run} = {other.run}"
        for mine in own
        for other, like in zip(others, sketches(others) @ mine.sketch, strict=True)
        if like > NEARLY_EQUAL or None is not mine.weights == other.weights
    ]
    texts = max(
        (alike(mine, theirs) for mine in one.texts for theirs in two.texts), default=0.0
    )
    return Likeness(first, second, twins, copies, texts)


def sketches(networks: Sequence[NetworkPrint]) -> np.ndarray:
    """Return the sketches of networks as rows."""
    return np.array([one.sketch for one in networks]).reshape(-1, SKETCH)


def alike(one: str, two: str) -> float:
    """Return which share of two texts is the same, 0 to 1."""
    words = SequenceMatcher(None, one.split(), two.split(), autojunk=False)
    # The upper bound is quick: most pairs of a class end here.
    return words.ratio() if words.quick_ratio() >= LIKE_TEXT else 0.0
