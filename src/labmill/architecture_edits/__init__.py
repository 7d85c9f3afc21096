"""Search for small architecture edits that save time."""
