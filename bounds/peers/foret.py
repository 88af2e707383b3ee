"""The bound of the paper that introduced SAM, with every constant of its appendix."""

from typing import Any, SupportsFloat

from ..concentration.kl import kl_inverse
from ..eigenvalue.bound import Bound, Kind, Term
from ..rounding.intervals import intervals, upper_end
from .perturbed_inputs import check_kind, check_perturbed, sentences

__all__ = ["foret_bound"]


def foret_bound(
    perturbed_loss: SupportsFloat,
    *,
    rho: SupportsFloat,
    squared_norm: SupportsFloat,
    dim: int,
    examples: int,
    delta: SupportsFloat = 0.05,
    loss_bound: SupportsFloat = 1.0,
    kind: Kind = "estimate",
) -> Bound:
    """Theorem 2 of Foret et al., as the last line of its proof has it: with probability at least ``1 - delta``

    ``f_D(x) <= max_{|e| <= rho} f_S(x+e) + B sqrt((d ln(1 + |x|^2/rho^2 (1 + sqrt(ln n/d))^2) + 4 ln(n/delta)
    + 8 ln(6n + 3d)) / (n - 1))``

    for all ``x``, for a ``rho`` that was fixed before the sample. The theorem itself writes ``O~(1)`` for the last
    summand under the root. The proof, in our words, with ``sigma = rho / (sqrt(d) + sqrt(ln n))``:

    1. For one prior, ``kl(f_S(Q)/B || f_D(Q)/B) <= (KL + ln(n/delta)) / (n-1)``, ``Q = N(x, sigma^2 I)``; for
       ``n >= 8`` this follows from Maurer's inequality, since ``n >= 2 sqrt(n)``.
    2. Priors ``N(0, c e^{(1-j)/d} I)``, ``c = sigma^2 (1 + e^{4n/d})``, each with ``6 delta/(pi^2 j^2)``. The best one
       has ``KL <= (1 + K)/2``, ``K = d ln(1 + |x|^2/(d sigma^2))``, and ``j <= 1 + d ln(1 + e^{4n/d}) <= 2d + 4n``, so
       its logarithm is at most ``ln(n/delta) + 2 ln(6n + 3d)``. It exists if ``K <= 4n``; else the root exceeds 2.
    3. ``P(|e| > rho) <= 1/sqrt(n)`` (Laurent & Massart 2000), so ``f_S(Q) <= (1 - 1/sqrt(n)) max + B/sqrt(n)``.
    4. Pinsker, and four times what is under the root makes up for ``B/sqrt(n)``.

    What the print has otherwise, none of which changes the last line: it assumes ``f_D(x) <= E f_D(x+e)`` for noise of
    standard deviation ``rho``, but needs it for ``sigma``, as noise of size ``rho`` in each of many coordinates hardly
    ever stays in the ball; the case ``K > 4n`` is set apart with ``rho`` in place of ``sigma``; ``j`` lacks its 1, for
    which there is room; losses in [0, 1] are used, not mentioned; two of the logarithms are counted twice. ``bound_kl``
    is step 1 with steps 2 and 3 put in, before Pinsker; :func:`ball_bound` is what is left of the statement when each
    step is done with care.

    Args:
        perturbed_loss: ``max_{|e| <= rho} f_S(x + e)``, or an upper bound of it, in ``[0, B]``.
        rho: radius.
        squared_norm: ``|x|^2``; the squared distance from a point that is independent of the sample does as well.
        dim: number of parameters ``d`` (the paper's ``k``).
        examples: sample size ``n``, at least 8.
        delta: probability of failure.
        loss_bound: ``B``.
        kind: ``certificate`` only if ``perturbed_loss`` is proved to be at least the maximum. One that was found by
            ascent, as :func:`worst_case_loss` does, is a lower bound of it, which makes this an estimate.

    Raises:
        InputError: an argument out of range.

    Reference:
        Foret, Kleiner, Mobahi and Neyshabur, Sharpness-aware minimization for efficiently improving generalization,
        ICLR 2021, Theorem 2 and its proof (Appendix A.1).

    Example:
        >>> result = foret_bound(0.05, rho=0.5, squared_norm=1.0, dim=20, examples=60_000)
        >>> [(term.name, round(term.value, 4)) for term in result.terms]
        [('perturbed loss', 0.05), ('complexity', 0.0591)]
        >>> result.kind, round(result.bound, 4), round(result.bound_kl, 4)
        ('estimate', 0.1091, 0.0651)
    """
    check_kind(kind)
    given = check_perturbed(perturbed_loss, rho, squared_norm, dim, examples, delta, loss_bound)
    iv, n, d = intervals(), given.examples, given.dim
    b, radius, loss = iv.real(given.loss_bound), iv.real(given.rho), iv.real(given.loss)
    log_n = iv.log(iv.real(n))
    inverse_sigma: Any = (iv.sqrt(iv.real(d)) + iv.sqrt(log_n)) / radius
    ratio = iv.real(given.squared_norm) * inverse_sigma**2 / d
    log_ratio = d * iv.log(1 + ratio)
    confidence, count = log_n - iv.log(iv.real(given.delta)), iv.log(iv.real(6 * n + 3 * d))
    complexity = upper_end(b * iv.sqrt((log_ratio + 4 * confidence + 8 * count) / (n - 1)))
    total = upper_end(loss + iv.real(complexity))

    kl, outside = (1 + log_ratio) / 2, 1 / iv.sqrt(iv.real(n))
    total_kl = given.loss_bound
    if upper_end(log_ratio) <= 4 * n:  # else the union holds no prior for this point
        inside = min(1.0, upper_end((1 - outside) * loss / b + outside))
        total_kl = upper_end(b * kl_inverse(inside, upper_end((kl + confidence + 2 * count) / (n - 1))))
    sigma = upper_end(1 / inverse_sigma)  # up, as it is paid for where the assumption is
    return Bound(
        [Term("perturbed loss", given.loss, kind), Term("complexity", complexity, "certificate")],
        total,
        min(total, total_kl),
        total >= given.loss_bound,
        kind,
        given.delta,
        {
            "sigma": sigma,
            "sigma_of_bound_kl": sigma,
            "kl_nats": upper_end(kl),
            "log_term": upper_end(confidence + 2 * count),
            "outside_probability": upper_end(outside),
            **given.details(),
        },
        sentences(given, sigma, kind, ["rho was fixed before the sample was seen."]),
        "Foret et al. 2021, Thm 2",
    )
