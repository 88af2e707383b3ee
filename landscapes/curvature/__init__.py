"""Hessian, Gauss-Newton, Fisher and covariance of a loss, alignment with their eigenvectors, and one recorder."""
