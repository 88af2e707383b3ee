"""A function of one small vector, as straight-line code in its components: one compiled kernel moves many paths."""
