"""A rule beside the processes that claim to describe it, and how far apart they are."""
