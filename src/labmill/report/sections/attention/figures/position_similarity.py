"""How alike the positions are that the networks add to their patches."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.results import StudyResults
from labmill.report.sections.attention.examined import examined

CAPTION = (
    "Cosine similarity between the position embeddings of all patches, row by row: "
    "blocks along the diagonal are rows of the image. Networks that add the same table "
    "share a panel."
)
ALT = "Matrices of similarity between patch positions, one per kind of position."


def draw(results: StudyResults) -> Figure | None:
    """Draw one matrix per distinct table of positions."""
    tables: list[tuple[str, np.ndarray]] = []
    for found in examined(results):
        table = found.arrays.get("positions")
        if table is not None and not any(np.array_equal(table, t) for _, t in tables):
            tables.append((found.label, table))
    if not tables:
        return None
    drawn, panels = style.grid(len(tables), columns=4, height=1.75)
    for axes, (label, table) in zip(panels, tables, strict=True):
        image = axes.imshow(similarity(table), cmap="RdBu_r", vmin=-1, vmax=1)
        axes.set_title(style.label(label, 21, lines=2), fontsize=8)
        axes.grid(visible=False)
        axes.set_xlabel("Patch")
        axes.set_ylabel("Patch")
    drawn.colorbar(image, ax=panels, label="Cosine similarity", shrink=0.8)
    return drawn


def similarity(table: np.ndarray) -> np.ndarray:
    """Return the cosine similarity of all rows of a table (patches, dim)."""
    unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    return unit @ unit.T
