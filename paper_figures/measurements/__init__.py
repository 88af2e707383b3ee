"""What takes minutes to measure and would hide an item's picture: one file per measurement."""
