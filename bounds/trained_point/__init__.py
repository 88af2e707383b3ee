"""Theorem 4.1 at a trained point: measured, explained, drawn."""
