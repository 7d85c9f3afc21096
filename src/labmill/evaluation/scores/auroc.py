"""Area under the ROC curve of each class against the others, averaged over classes."""

import numpy as np
from scipy.special import softmax
from scipy.stats import rankdata

TITLE = "AUROC"
UNIT = ""
BETTER = "higher"


def metric(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return it; a class without images, or with every image, is left out."""
    shares, found = softmax(logits, axis=1), []
    for index in range(logits.shape[1]):
        positive = labels == index
        count, others = int(positive.sum()), int((~positive).sum())
        if count and others:
            ranks = rankdata(shares[:, index])[positive].sum()
            found.append((ranks - count * (count + 1) / 2) / (count * others))
    return float(np.mean(found)) if found else float("nan")
