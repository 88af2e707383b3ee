"""Base optimizers in a run: one file each. Importing them loads no torch."""
