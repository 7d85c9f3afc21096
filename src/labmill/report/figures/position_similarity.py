"""How alike the positions are that the networks add to their patches."""

import numpy as np
from matplotlib.figure import Figure

from labmill.report import style
from labmill.report.examined import examined
from labmill.report.results import Results

CAPTION = (
    "Cosine similarity between the position embeddings of all patches, row by row: "
    "blocks along the diagonal are rows of the image. Networks that add the same table "
    "share a panel."
)
ALT = "Matrices of similarity between patch positions, one per kind of position."


def draw(results: Results) -> Figure | None:
    """One matrix per distinct table of positions."""
    tables: list[tuple[str, np.ndarray]] = []
    for found in examined(results):
        table = found.arrays.get("positions")
        known = [t for _, t in tables]
        if table is not None and not any(np.array_equal(table, t) for t in known):
            tables.append((found.heading, table))
    if not tables:
        return None
    drawn, panels = style.grid(len(tables), columns=4, height=1.75)
    for axes, (heading, table) in zip(panels, tables, strict=True):
        image = axes.imshow(similarity(table), cmap="RdBu_r", vmin=-1, vmax=1)
        axes.set_title(heading, fontsize=8)
        axes.grid(visible=False)
        axes.set_xlabel("Patch")
        axes.set_ylabel("Patch")
        axes.tick_params(labelbottom=True, labelleft=True)
    drawn.colorbar(image, ax=panels, label="Cosine similarity", shrink=0.8)
    return drawn


def similarity(table: np.ndarray) -> np.ndarray:
    """Cosine similarity of all rows of a table (patches, dim)."""
    length = np.linalg.norm(table, axis=1, keepdims=True)
    unit = table / np.maximum(length, 1e-12)
    return unit @ unit.T
