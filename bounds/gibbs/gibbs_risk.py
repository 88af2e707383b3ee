"""The empirical risk of a randomised network, by Monte Carlo with a confidence."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import torch
from torch import Generator, Tensor

from ...ground.errors import InputError
from ..concentration.kl import kl_inverse
from ..rounding.intervals import intervals, upper_end
from ..rounding.real import real_number
from .estimate import GibbsEstimate
from .risk_losses import GibbsLoss, logit_tolerance
from .stochastic_network import StochasticNetwork

__all__ = ["gibbs_risk"]

_EXAMPLES, _DRAWS = 256, 16
"""Of one call to a network with fresh weights; constants, as they order the random numbers: same seed, same result."""


@dataclass
class _Sum:
    """Losses of one kind added up, exactly or with the error they may have."""

    loss: GibbsLoss
    parts: list[float] = field(default_factory=list)
    slack: Fraction = Fraction(0)

    def add(self, losses: Tensor) -> None:
        if losses.is_floating_point():  # n numbers, none negative, in any order: relative error n 2^-53
            self.slack = max(self.slack, Fraction(losses.numel() + 2, 2**52))
        self.parts.append(float(losses.sum()))  # of truth values exact

    def mean(self, count: int) -> Fraction:
        return min(Fraction(1), Fraction(math.fsum(self.parts)) * (1 + self.slack) / count)


def gibbs_risk(
    network: StochasticNetwork,
    inputs: Tensor,
    targets: Tensor,
    losses: Sequence[GibbsLoss],
    *,
    draws: int,
    generator: Generator,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[GibbsEstimate, ...]:
    """``1/n sum_i E_{w ~ Q} loss(w, z_i)``: average over draws, and an upper value that holds with confidence.

    ``upper = kl^-1(mean, ln(1/delta) / N)``, ``N`` the number of independent losses.

    **Proof.** Given the sample, let ``X_1, ..., X_N`` in [0, 1] be independent, not necessarily of one law, with means
    ``p_k`` whose average ``p`` is the Gibbs risk. For ``t <= 0``, as ``e^{tx} <= 1 - x + x e^t`` (convexity in ``x``;
    Maurer 2004) and ``ln(1 - q + q e^t)`` is concave in ``q``,
    ``E exp(t sum X_k) <= prod (1 - p_k + p_k e^t) <= (1 - p + p e^t)^N``. Chernoff's bound with the best ``t`` gives
    ``P(mean <= q) <= exp(-N kl(q || p))`` for ``q <= p``. Since ``kl(. || p)`` falls on ``[0, p]``,
    ``p > kl^-1(mean, ln(1/delta)/N)`` implies that the mean is at most the ``q < p`` with
    ``kl(q || p) = ln(1/delta)/N``, which has probability at most ``delta``.

    With fresh weights for every (draw, example), ``X_k`` are all losses, and ``N = n draws``. Where a draw of the
    weights serves all examples, ``X_k`` are the draws' average losses, and ``N = draws``: losses of one draw are not
    independent.
    A network that says its weights are fresh is asked for scores of repeated examples, which must differ.

    Losses are rounded up for scores that are off by ``tolerance`` (``logit_tolerance``), the sum and the inverse
    are rounded up. Ties and scores that are not numbers are errors. Several losses are estimated from the same draws,
    each with its own ``delta``; their upper values hold together with the sum of these.

    The draws must be new: an upper value is a certificate if neither network nor ``draws`` were chosen by looking at
    draws of the same generator. One seed gives one result on one device (up to the summation order of matrix products).

    Args:
        network: on the device of the inputs.
        inputs: the sample, ``(n, ...)``.
        targets: classes, ``(n,)``, int64.
        losses: ``ZeroOneRisk(delta)``, ``CrossEntropyRisk(delta)``, or both.
        draws: of the weights, per example.
        generator: on the device of the inputs.
        progress: called with the number of (draw, example) pairs done, and of all.

    Raises:
        InputError: shapes that do not fit, targets that are no classes, no loss or two of one name, a network whose
            weights are not as fresh as it says, scores of another shape or in half precision, two devices.

    Reference:
        Langford & Caruana 2002 (the sampled Gibbs risk); Maurer 2004.

    Example:
        >>> import torch
        >>> from eigensam.bounds import FrozenBackbone, IsotropicPosterior, ZeroOneRisk
        >>> x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
        >>> network = FrozenBackbone(IsotropicPosterior(torch.tensor([1.0, 0.0, -1.0, 0.0]), 0.1), 2, 2, bias=False)
        >>> targets = (x[:, 0] < 0).long()
        >>> generator = torch.Generator().manual_seed(0)
        >>> (risk,) = gibbs_risk(network, x, targets, [ZeroOneRisk(0.01)], draws=100, generator=generator)
        >>> risk.independent, 0 < risk.mean < risk.upper < 0.05
        (10000, True)
    """
    if inputs.device != targets.device or inputs.device.type != generator.device.type:
        raise InputError(
            f"inputs are on {inputs.device}, targets on {targets.device}, the generator on {generator.device}: "
            f"need one device for all"
        )
    examples = _check(network, inputs, targets, losses, draws)
    sums = [_Sum(loss) for loss in losses]
    tolerance, done, total = 0.0, 0, examples * draws
    if network.fresh_per_example:
        _check_fresh(network, inputs)
    rows, columns = (_EXAMPLES, _DRAWS) if network.fresh_per_example else (examples, 1)
    with torch.no_grad():
        for start in range(0, examples, rows):
            here = slice(start, start + rows)
            for first in range(0, draws, columns):
                count = min(columns, draws - first)
                scores = _scores(network, inputs[here], count, generator)
                tolerance = logit_tolerance(scores.dtype)
                flat, classes = scores.flatten(0, 1).double(), targets[here].repeat(count)
                for each in sums:
                    each.add(each.loss.upper(flat, classes, tolerance))
                done += len(flat)
                progress(done, total)
    independent = total if network.fresh_per_example else draws
    return tuple(_estimate(each, examples, draws, independent, tolerance) for each in sums)


def _estimate(each: _Sum, examples: int, draws: int, independent: int, tolerance: float) -> GibbsEstimate:
    mean, delta = each.mean(examples * draws), each.loss.delta
    iv = intervals()
    exponent = upper_end(-iv.log(iv.real(delta)) / independent)
    return GibbsEstimate(
        loss=each.loss.name,
        mean=real_number("mean", mean, "up"),
        upper=kl_inverse(mean, exponent),
        delta=delta,
        examples=examples,
        draws=draws,
        independent=independent,
        tolerance=tolerance,
    )


def _scores(network: StochasticNetwork, inputs: Tensor, draws: int, generator: Generator) -> Tensor:
    scores = network.logits(inputs, draws, generator)
    expected = (draws, len(inputs), network.classes)
    if scores.shape != expected:
        raise InputError(
            f"the network gave scores of shape {tuple(scores.shape)}, need (draws, batch, classes) {expected}"
        )
    return scores


def _check(network: StochasticNetwork, inputs: Tensor, targets: Tensor, losses: Sequence[GibbsLoss], draws: int) -> int:
    if network.classes < 2:
        raise InputError(f"a network with {network.classes} class cannot err; need at least 2")
    if targets.shape != (len(inputs),) or targets.dtype != torch.int64 or len(inputs) == 0:
        raise InputError(
            f"targets of shape {tuple(targets.shape)} and type {targets.dtype} for {len(inputs)} inputs: "
            f"need one int64 class for each, and at least one"
        )
    if not (int(targets.min()) >= 0 and int(targets.max()) < network.classes):
        raise InputError(
            f"targets between {int(targets.min())} and {int(targets.max())} are not classes 0 to {network.classes - 1}"
        )
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise InputError(f"draws = {draws} is no number of draws; give a whole number of at least 1")
    names = [loss.name for loss in losses]
    if not names or len(set(names)) < len(names):
        raise InputError(f"losses {names}: need at least one, each of another name, as each spends its own delta")
    return len(targets)


def _check_fresh(network: StochasticNetwork, inputs: Tensor) -> None:
    """Scores of one example, twice in a batch, are the same only if both share weights (or there is no noise)."""
    twice = inputs[:8].repeat_interleave(2, 0)
    with torch.no_grad():
        scores = _scores(network, twice, 1, Generator(inputs.device).manual_seed(0))[0]
    apart = (scores[::2] - scores[1::2]).abs().amax(1)
    rounding = logit_tolerance(scores.dtype) * scores[::2].abs().amax(1)  # of rows of one product, which may differ
    if not bool((apart > rounding).all()):
        raise InputError(
            "the network says that every example has fresh weights, but repeated examples have the same scores, up to "
            "rounding: its weights are shared (set fresh_per_example = False, which counts draws only), or their noise "
            "is too small for floats"
        )
