"""Further metrics of stored predictions: one file each; the folder is the registry.

A file has `TITLE` ("top-5 accuracy"), `UNIT` ("%" for a share of 1, else ""), `BETTER`
("higher" or "lower") and `metric(logits, labels)`: one number of float64 logits
(n, classes) and int64 labels (n,), or NaN where it is not defined.
"""

import numpy as np

from labmill.core import registry
from labmill.core.errors import LabmillError, shown
from labmill.core.project import own_errors


def further_score(name: str, logits: np.ndarray, labels: np.ndarray) -> float:
    """Return a registered metric.

    Raises:
        LabmillError: it is no number, or the user's own code raises.
    """
    function = registry.load_entry("metrics", name)
    with own_errors():
        value = function(logits.astype(np.float64), labels.astype(np.int64))
    if not isinstance(value, int | float | np.integer | np.floating):
        where = registry.place("metrics", name)
        raise LabmillError(f"{where}: found {shown(value)}; expected one number")
    return float(value)
