"""Random arguments of bounds by the largest loss in a ball."""

import random

import mpmath

COMMON = {"rho": 0.5, "squared_norm": 1.0, "dim": 30, "examples": 10_000}


def cases(count, seed):
    """Dimensions to 10^8, samples to 10^6, norms from 0, radii from 1e-3."""
    rng = random.Random(seed)
    for _ in range(count):
        loss_bound = rng.choice([1.0, 4.6, 0.1])
        yield {
            "perturbed_loss": loss_bound * rng.choice([0.0, 1.0, rng.random(), 10 ** rng.uniform(-4, -1)]),
            "rho": 10 ** rng.uniform(-3, 2),
            "squared_norm": rng.choice([0.0, 10 ** rng.uniform(-8, 4)]),
            "dim": int(10 ** rng.choice([rng.uniform(0, 3), rng.uniform(0, 8)])),
            "examples": int(10 ** rng.uniform(0.91, 6)),
            "delta": rng.choice([0.05, 0.5, 1e-9]),
            "loss_bound": loss_bound,
        }


def kl(q, p):
    """Binary relative entropy in mpmath's precision, for ``p`` inside (0, 1)."""
    first = q * mpmath.log(q / p) if q else 0
    return first + ((1 - q) * mpmath.log((1 - q) / (1 - p)) if q < 1 else 0)
