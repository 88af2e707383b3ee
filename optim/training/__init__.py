"""A training run: its settings, its loop, what it leaves, and how it goes on after anything."""
