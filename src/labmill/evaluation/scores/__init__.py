"""Further metrics of stored predictions: one file each; the folder is the registry.

A file has `TITLE` ("top-5 accuracy"), `UNIT` ("%" for a share of 1, else ""), `BETTER`
("higher" or "lower") and `metric(logits, labels)`: one number of float64 logits
(n, classes) and int64 labels (n,), or NaN where it is not defined.
"""
