"""The mistakes that the best network was most sure of."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.data.figures.samples import framed
from labmill.report.sections.predictions.explorer import shown

CAPTION = (
    "The test images that the network got wrong with the highest confidence: what it is "
    "→ what it was taken for, and how sure the network was."
)
ALT = (
    "A grid of misclassified test images with true class, predicted class, confidence."
)
MOST, COLUMNS = 16, 8


def draw(results: StudyResults) -> Figure | None:
    """Draw up to sixteen images."""
    found = shown(results)
    if found is None:
        return None
    wrong = np.flatnonzero(found.predicted != found.labels)
    wrong = wrong[np.argsort(-found.confidence[wrong], kind="stable")][:MOST]
    if not len(wrong):
        return None
    columns = round(COLUMNS * style.narrow())
    rows = -(-len(wrong) // columns)
    drawn = style.figure(1.28 * rows)
    panels = drawn.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.axis("off")
    for axes, i in zip(panels, wrong, strict=False):
        axes.imshow(framed(results.pool[found.indices[i]]), interpolation="none")
        true, taken = (results.answers[k[i]] for k in (found.labels, found.predicted))
        names = [style.label(name, 10) for name in (true, taken)]
        between = " → " if sum(map(len, names)) < 8 else " →\n"
        text = f"{between.join(names)}\n{found.confidence[i]:.0%}"
        axes.set_title(text, fontsize=8, pad=2)
    return drawn
