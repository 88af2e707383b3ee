"""Expressions of expanded rules: trees, terms, sums, series in rho, and how they print."""
