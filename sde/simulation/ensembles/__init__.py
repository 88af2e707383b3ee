"""Chunks, cells and processes: paths in parts, and what is kept of them in memory and on disk."""
