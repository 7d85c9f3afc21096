"""Archives of a class that are more alike than honest work explains."""

import json
from pathlib import Path

import numpy as np

from labmill.archive.grade import Grade, as_csv, as_gradescope, as_html, as_json
from labmill.archive.likeness import (
    Fingerprints,
    NetworkPrint,
    fingerprints,
    likenesses,
    sketch,
)
from labmill.archive.records import open_results
from labmill.archive.verify import Check

DRAW = np.random.default_rng(0)
LOGITS = DRAW.standard_normal((200, 10))
TEXT = (
    "The convolutional network wins because its filters see the same stroke at every "
)
TEXT += (
    "place of the image, which a transformer of this size has to learn from few images."
)


def network(job: str, logits: np.ndarray, weights: str | None = None) -> NetworkPrint:
    return NetworkPrint(f"cnn:{job}:dense", job, weights, sketch(logits))


def test_honest_twins_are_equal_and_expected():
    one = Fingerprints([network("a", LOGITS, "w"), network("b", -LOGITS, "v")])
    (found,) = likenesses({"x.zip": one, "y.zip": one})
    assert len(found.twins) == 2 and not found.unexpected
    assert "as expected" in str(found)


def test_a_copied_network_behind_other_settings_is_found():
    """Copied whole, or with a little noise, which changes its digest."""
    noisy = LOGITS + 0.01 * DRAW.standard_normal(LOGITS.shape)
    one = Fingerprints([network("a", LOGITS, "w")])
    for copy in (network("b", LOGITS, "w"), network("b", noisy, "v")):
        (found,) = likenesses({"x.zip": one, "y.zip": Fingerprints([copy])})
        assert found.unexpected and found.copies == ["cnn:a:dense = cnn:b:dense"]


def test_networks_of_other_settings_are_not_alike():
    """Two networks that agree on most images share nothing here."""
    other = LOGITS + 0.3 * DRAW.standard_normal(LOGITS.shape)
    one = Fingerprints([network("a", LOGITS, "w")])
    assert not likenesses({"x": one, "y": Fingerprints([network("b", other, "v")])})


def test_long_texts_are_compared_word_by_word():
    edited = TEXT.replace("wins", "is better").replace("few", "300")
    one, two = Fingerprints(texts=[TEXT]), Fingerprints(texts=[edited])
    (found,) = likenesses({"x": one, "y": two})
    assert found.unexpected and 0.8 < found.texts < 1
    other = Fingerprints(texts=[" ".join(sorted(TEXT.split())[::-1]) + " not"])
    assert not likenesses({"x": one, "y": other})


def test_every_evaluated_network_of_an_archive_is_compared(results: Path):
    opened = open_results(results)
    found = fingerprints(opened, {})
    evaluated = [r for r in opened.index["runs"] if opened.file(r, "predictions")]
    assert len(found.networks) == len(evaluated) > 3
    assert all(abs(np.linalg.norm(one.sketch) - 1) < 1e-6 for one in found.networks)


def test_tables_of_a_class():
    prints = [Fingerprints([network(job, LOGITS, "w")]) for job in "ab"]
    checks = [Check("seeds", "Three seeds.", ["<b>2</b>"]), Check("files", "Readable.")]
    marks = {"seeds": 3, "files": 2}
    grades = [
        Grade(name, "Exercise", checks=checks, marks=marks, compared_by=one)
        for name, one in zip(("x.zip", "y.zip"), prints, strict=True)
    ]
    grades.append(Grade("z.zip", "Exercise", error="not an archive"))
    page = as_html(grades)
    assert "&lt;b&gt;2&lt;/b&gt;" in page and "<b>2" not in page
    assert page.count("equal networks of different settings") == 1
    rows = as_csv(grades).splitlines()
    assert rows[1].count("equal networks") == 1 and ",2," in rows[1]
    first, _, last = json.loads(as_json(grades))
    assert first["score"] == 2 and first["like"] and last["score"] is None
    result = json.loads(as_gradescope(grades[0]))
    assert result["score"] == 2
    assert [one["score"] for one in result["tests"]] == [0, 2]
    assert [one["max_score"] for one in result["tests"]] == [3, 2]
    assert json.loads(as_gradescope(grades[2]))["output"] == "not an archive"
