"""Optional analyses of one trained network per variant (first seed, before pruning).

Each kind is a section of the study with `variants`, a rule, and files next to the model.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Analysis:
    """One kind of analysis."""

    module: str  # where the rule's function is
    libraries: tuple[str, ...]  # installed libraries that decide its numbers
    files: dict[str, str]  # name in the index → file; the first one stands for the job
    settings: tuple[str, ...]  # the settings of the run that it reads


ANALYSES = {
    "examine": Analysis(
        "analysis.attention",
        ("torch", "numpy"),
        {"examine": "examine.json", "examine_arrays": "examine.npz"},
        ("normalisation",),
    ),
    "represent": Analysis(
        "analysis.features",
        ("torch", "numpy"),
        {"represent": "represent.json", "represent_arrays": "represent.npz"},
        ("normalisation", "task"),
    ),
    "influence": Analysis(
        "pruning.influence",
        ("torch", "torch-pruning", "numpy"),
        {"influence": "influence.json"},
        ("run",),
    ),
    "formulate": Analysis(
        "analysis.matmul_timing",
        ("torch", "numpy"),
        {"formulate": "formulate.json"},
        ("run",),
    ),
}
