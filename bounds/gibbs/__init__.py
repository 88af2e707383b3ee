"""The empirical risk of a randomised predictor, by Monte Carlo with a confidence."""
