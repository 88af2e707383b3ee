"""Rows on ``f_D(x) <= E f_D(x+e)``: a mean over draws and held-out examples, with an interval."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .subject import Subject
from .verdict import FAILS, HOLDS, THEOREM_4_1, UNDECIDED, CheckedAssumption, Verdict

__all__ = ["Rise", "noise_rows", "rise_interval"]


@dataclass(frozen=True)
class Rise:
    """``E f_D(x+e) - f_D(x)``, estimated.

    Attributes:
        value: mean over draws and examples.
        lower: end of the interval.
        upper: likewise.
        over_draws: half of the interval that the draws of ``e`` are given.
        over_examples: and that the examples are given.
    """

    value: float
    lower: float
    upper: float
    over_draws: float
    over_examples: float

    @property
    def verdict(self) -> Verdict:
        """What the interval says."""
        return HOLDS if self.lower >= 0 else FAILS if self.upper < 0 else UNDECIDED


def rise_interval(differences: Tensor, delta: float) -> Rise:
    """An interval for a mean over two independent samples that are crossed.

    Row ``j`` belongs to draw ``e_j``, column ``i`` to example ``i``, which is the same in all rows. Given the examples,
    the row means are independent draws: Student's interval at ``delta/2``. Given the draws, so are the column means,
    whose spread contains that of the draws, too: another one at ``delta/2``. The half-widths are added, which is more
    than their root of squares.

    Args:
        differences: ``f_i(x + e_j) - f_i(x)``, shape ``(draws, examples)``.
        delta: probability that the interval misses, up to Student's approximation.

    Example:
        >>> found = rise_interval(torch.tensor([[1.0, 3.0], [2.0, 4.0]]), 0.5)
        >>> found.value, round(found.over_draws, 4), round(found.over_examples, 4)
        (2.5, 1.2071, 2.4142)
    """
    from scipy.stats import t as student  # here: it takes half a second to load

    values = differences.double().cpu()
    draws, examples = values.shape
    mean = float(values.mean())
    halves = []
    for means, count in ((values.mean(1), draws), (values.mean(0), examples)):
        error = float(means.std()) / math.sqrt(count)
        halves.append(float(student.ppf(1 - delta / 4, count - 1)) * error)
    width = sum(halves)
    return Rise(mean, mean - width, mean + width, *halves)


def noise_rows(subject: Subject) -> list[CheckedAssumption]:
    """One row for each standard deviation, on held-out examples, of the bounded cross-entropy."""
    settings = subject.settings
    inputs, targets = subject.held_out_part
    landscape, x = subject.landscape, subject.x
    generator = torch.Generator().manual_seed(settings.seed + 3)
    sigmas = settings.sigma_values
    if len(targets) < 2:
        return []

    def losses(point: Tensor) -> Tensor:
        pieces = zip(inputs.split(settings.batch_size), targets.split(settings.batch_size), strict=True)
        with torch.no_grad():
            return torch.cat([subject.bounded_loss.per_example(landscape.outputs(point, a), y) for a, y in pieces])

    subject.progress("held-out loss at x")
    here = losses(x)
    moved: dict[float, list[Tensor]] = {sigma: [] for sigma in sigmas}
    for k in range(settings.draws):
        subject.progress(f"held-out loss around x, draw {k + 1} of {settings.draws}")
        noise = torch.randn(subject.dim, generator=generator).to(x)  # the same for each sigma and all examples
        for sigma in sigmas:  # e and -e have one law, and their mean is free of the odd terms, which are the largest
            moved[sigma].append((losses(x + sigma * noise) + losses(x - sigma * noise)) / 2 - here)
    return [_row(subject, sigma, torch.stack(moved[sigma]), float(here.mean())) for sigma in sigmas]


def _row(subject: Subject, sigma: float, differences: Tensor, here: float) -> CheckedAssumption:
    settings = subject.settings
    count = len(settings.sigma_values)
    finite = bool(torch.isfinite(differences).all())
    rise = rise_interval(differences, settings.delta / count) if finite else Rise(*[math.nan] * 5)
    numbers: dict[str, Any] = {
        "sigma": sigma,
        "loss_at_x": here,
        "rise": rise.value if finite else None,
        "lower": rise.lower if finite else None,
        "upper": rise.upper if finite else None,
        "over_draws": rise.over_draws if finite else None,
        "over_examples": rise.over_examples if finite else None,
        "draws": settings.draws,
        "examples": differences.shape[1],
        "delta": settings.delta,
        "sigmas": count,
    }
    return CheckedAssumption(
        f"f_D(x) <= E f_D(x+e), sigma = {sigma:g}",
        (THEOREM_4_1,),
        rise.verdict if finite else UNDECIDED,
        "interval",
        "On {examples} held-out examples (bounded cross-entropy {loss_at_x} at x) the mean rises by {rise}, interval "
        "[{lower}, {upper}] over {draws} common pairs of draws e, -e and the examples, at confidence 1 - {delta} for "
        "all {sigmas} sigmas.",
        numbers,
        "Luo et al. 2024, Theorem 4.1, as Foret et al. 2021 assume it",
    )
