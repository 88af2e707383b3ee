"""Schedules of the learning rate in a run: one file each. Importing them loads no torch."""
