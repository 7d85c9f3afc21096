"""Losses of logits (n, classes) and labels (n,): one file each; the folder is the registry.

A file with `MIXED_LABELS = True` also takes shares of classes, float32 (n, classes), as
mixup makes them.
"""
