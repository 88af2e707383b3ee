"""Bounds of other papers on sharpness, what makes a bound one of the point itself, and the worst case by ascent."""
