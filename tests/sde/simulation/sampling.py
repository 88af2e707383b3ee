"""What random numbers of a step must be, as tests that wrong ones fail; and some that are wrong on purpose."""

from dataclasses import dataclass

import torch
from scipy.stats import kstest

from eigensam.sde.simulation.kernels.draws import Draw, Draws, key_of

MOMENTS = {"normal": (0, 1, 0, 3, 0, 15), "three-point": (0, 1, 0, 3, 0, 9), "two-point": (0, 1, 0, 1, 0, 1)}
TWELFTH = {"normal": (1, 3, 15, 105, 945, 10395), "three-point": (1, 3, 9, 27, 81, 243), "two-point": (1,) * 6}
"""Moments of even order up to 12, which are the variances of sample moments."""

PATHS = 2**17
BOUND = 5.0  # standard deviations: one comparison fails by accident once in 1.7e6, and a file has about 2000


def drawn(draws, seed=0, group=0, first=0, paths=PATHS):
    """All increments of a group, shape ``(numbers, paths)``; then all signs."""
    path = torch.arange(first, first + paths)
    steps = draws.group(key_of(seed, path.device), path, torch.tensor(group))
    increments = [z for step in steps for z in step.increments]
    return torch.stack([*increments, *(s for step in steps for s in step.signs)]).double()


def worst_moment(values, law):
    """Standard deviations by which a sample moment of order 1 to 6 is off its law's, at most."""
    worst, count = 0.0, values.numel()
    for k, (moment, square) in enumerate(zip(MOMENTS[law], TWELFTH[law], strict=True), 1):
        excess, variance = abs(float((values**k).mean()) - moment), square - moment**2
        worst = max(worst, excess * (count / variance) ** 0.5 if variance else excess * 1e12)
    return worst


def correlations(rows):
    """Standard deviations by which independent numbers and their squares correlate, for all pairs of rows."""
    rows = rows[:, : 2**15]
    powers = torch.stack([rows, rows**2], 1)
    centred = powers - powers.mean(-1, keepdim=True)
    size = centred.std(-1, keepdim=True)
    unit = torch.where(size > 1e-6, centred / size, 0 * size)  # squares of coins do not vary
    found = torch.einsum("ian,jbn->ijab", unit, unit) / rows.shape[1] ** 0.5
    return found.abs().amax((-2, -1))


def worst_correlation(a, b):
    return float(correlations(torch.stack([a, b]))[0, 1])


def faults(draws):
    """What is wrong with the numbers: none of it with right ones."""
    m = draws.noise_dim
    values = drawn(draws)
    increments, signs = values.split([draws.group_steps * m, draws.group_steps * draws.signs])
    found = {
        "moments": worst_moment(increments, draws.increments),
        "signs": worst_moment(signs, "two-point") if len(signs) else 0.0,
        "numbers of a group": float(correlations(values).fill_diagonal_(0).max()),
        "paths": worst_correlation(values[0, 1:], values[0, :-1]),
        "distant paths": worst_correlation(values[0], drawn(draws, first=2**32)[0]),
        "groups": float(correlations(torch.cat([values, drawn(draws, group=1)]))[: len(values), len(values) :].max()),
        "seeds": worst_correlation(values[0], drawn(draws, seed=1)[0]),
        "distant seeds": worst_correlation(values[0], drawn(draws, seed=2**32)[0]),
    }
    if draws.increments == "normal":
        found["law"] = 0.0 if kstest(increments.flatten()[: 2**18].numpy(), "norm").pvalue > 1e-6 else 10.0
    return {name for name, excess in found.items() if excess > BOUND}


@dataclass(frozen=True)
class WithoutStep(Draws):
    """The counter leaves the step out."""

    def group(self, key, path, group):
        return super().group(key, path, 0 * group)


@dataclass(frozen=True)
class WithoutPath(Draws):
    """The counter has only every other path."""

    def group(self, key, path, group):
        return super().group(key, path // 2, group)


@dataclass(frozen=True)
class WithoutHighWords(Draws):
    """Paths and seeds are cut to 32 bits."""

    def group(self, key, path, group):
        return super().group(key * torch.tensor([1, 0]), path % 2**32, group)


@dataclass(frozen=True)
class WithoutBlock(Draws):
    """All blocks are the first: two increments of a group are one number."""

    def _words(self, key, path, group, first, end):
        words = super()._words(key, path, group, 0, 1)
        return tuple(each.expand(end - first, -1) for each in words)


@dataclass(frozen=True)
class Biased(Draws):
    """The variance is 1 % too large."""

    def group(self, key, path, group):
        steps = super().group(key, path, group)
        return [Draw([1.01**0.5 * z for z in step.increments], step.signs) for step in steps]


@dataclass(frozen=True)
class CoarseSquare(Draws):
    """A first uniform number of 8 bits instead of 32: moments of low order are right, tails are missing."""

    def _uniform(self, words):
        return super()._uniform([word & ~((1 << 24) - 1) for word in words])


WRONG = {
    "without the step": (WithoutStep, {"groups"}),
    "without the path": (WithoutPath, {"paths"}),
    "without the high words": (WithoutHighWords, {"distant paths", "distant seeds"}),
    "without the block": (WithoutBlock, {"numbers of a group"}),
    "biased": (Biased, {"moments"}),
}
