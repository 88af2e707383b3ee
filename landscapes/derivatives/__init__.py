"""Differentiation that is checked: differences, comparisons, smooth norms, and Taylor passes below."""
