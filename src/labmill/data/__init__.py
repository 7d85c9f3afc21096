"""Decoded arrays, splits, augmentation and dataset definitions."""
