"""Losses in closed form: formulas, quadratics, tori, a valley, and their file format."""
