"""One file per preset: which items, at which size."""
