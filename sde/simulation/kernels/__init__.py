"""Many steps of many paths in one call: random numbers, the scheme's step, and how they are run."""
