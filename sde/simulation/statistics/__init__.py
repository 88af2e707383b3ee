"""Statistics of an ensemble that is never in memory: each is made of a few paths, and merged."""
