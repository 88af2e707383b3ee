"""One file per figure or table; what it computes with is imported where it measures or draws."""
