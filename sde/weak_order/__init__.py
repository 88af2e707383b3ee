"""A claim of weak order, four ways to measure it, and a verdict."""
