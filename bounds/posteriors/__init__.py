"""Gaussian distributions over parameters, and their divergence, rounded outward."""
