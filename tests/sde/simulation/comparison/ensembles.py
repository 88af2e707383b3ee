"""Paired differences with a known mean, made of normal noise."""

import numpy as np

LOOKS = 12
TIMES = np.arange(LOOKS + 1.0)


def noise(rng, n, kind):
    """Shape ``(n, LOOKS + 1)``: 0 at the start; the mean square over time has expectation 1."""
    t = TIMES[1:] / LOOKS
    if kind == "one direction":
        found = rng.standard_normal((n, 1)) * (t / t.mean()) ** 0.5
    elif kind == "walk":
        found = rng.standard_normal((n, LOOKS)).cumsum(1) / (LOOKS * t.mean()) ** 0.5
    elif kind == "stationary":  # autoregression of first order
        found = rng.standard_normal((n, LOOKS))
        for k in range(1, LOOKS):
            found[:, k] = 0.7 * found[:, k - 1] + (1 - 0.7**2) ** 0.5 * found[:, k]
    else:
        found = rng.standard_normal((n, LOOKS))
    return np.concatenate([np.zeros((n, 1)), found], 1)


def mean(e, shape="ramp"):
    """Shape ``(LOOKS + 1,)``, root mean square over time ``e``."""
    t = TIMES[1:] / LOOKS
    found = {"ramp": t, "flat": np.ones(LOOKS), "alternating": (-1.0) ** np.arange(LOOKS)}[shape]
    return np.concatenate([[0.0], e * found / (found**2).mean() ** 0.5])
