"""Theorem 4.1 of the paper, term by term, and its terms at a trained point."""
