"""The divergence of Gaussians with many digits."""

import mpmath


def independent_truth(mean, sigmas, prior_mean, variances):
    """Sum over coordinates of floats, exact up to 100 digits."""
    with mpmath.workdps(100):
        total = mpmath.mpf(0)
        for m, s, m0, p in zip(mean, sigmas, prior_mean, variances, strict=True):
            ratio = mpmath.mpf(s) ** 2 / mpmath.mpf(p)
            total += ratio - 1 - mpmath.log(ratio) + (mpmath.mpf(m) - mpmath.mpf(m0)) ** 2 / mpmath.mpf(p)
        return total / 2


def dense_truth(mean, matrix, prior_mean, variances):
    """``KL(N(mean, A A^T) || N(prior_mean, diag(variances)))`` for a dense mpmath matrix ``A``, 60 digits."""
    with mpmath.workdps(60):
        d = matrix.rows
        total = -mpmath.mpf(d) - 2 * mpmath.log(abs(mpmath.det(matrix)))
        for j in range(d):
            p = mpmath.mpf(variances[j])
            total += sum(matrix[j, c] ** 2 for c in range(d)) / p + mpmath.log(p)
            total += (mpmath.mpf(mean[j]) - mpmath.mpf(prior_mean[j])) ** 2 / p
        return total / 2
