"""Fourteen problems of the public suites of SDE solvers, with their exact moments and, where there is one, solution.

As collected in the tests of StochasticDiffEq.jl and torchsde, from papers on schemes of weak order 2 and from Kloeden
and Platen 1992. ``test_suite.py`` checks every number.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.linalg import expm
from torch import Tensor

from eigensam.sde.simulation.problems.problem import SDEProblem


@dataclass(frozen=True)
class Expectation:
    """``E phi(X_T)``."""

    name: str
    phi: Callable[[Tensor], Tensor]
    value: float


@dataclass(frozen=True)
class Case:
    """A problem with what is known of it.

    Attributes:
        degree: the steps of schemes map polynomials of this degree to such; 0: they do not.
        chart: to a coordinate in which the state of a scalar nonlinear problem is smooth, back, and an interval of it
            that paths leave with a probability of less than 1e-12.
        solution: ``X(t)`` of ``t`` and ``W(t)``, shapes ``()`` and ``(m,)``.
        timed: the coefficients depend on time.
        twin: one with fewer columns whose moments are the same: the expectation over a step's increments is a sum over
            all of their values.
    """

    sde: SDEProblem
    start: Tensor
    horizon: float
    expectations: tuple[Expectation, ...]
    degree: int = 2
    solution: Callable[[Tensor, Tensor], Tensor] | None = None
    chart: tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], float, float] | None = None
    timed: bool = False
    twin: "Case | None" = field(default=None, repr=False)


def vector(*entries: float) -> Tensor:
    return torch.tensor(entries, dtype=torch.float64)


def matrix(*rows: tuple[float, ...]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def mean(i: int, value: float) -> Expectation:
    return Expectation(f"E x{i + 1}", lambda x: x[i], value)


def product(i: int, j: int, value: float) -> Expectation:
    return Expectation(f"E x{i + 1} x{j + 1}", lambda x: x[i] * x[j], value)


def linear(a: Tensor, b: list[Tensor], noise: str, calculus: str = "ito") -> SDEProblem:
    """``dX = a X dt + sum_j b_j X dW_j``."""
    columns = torch.stack(b)
    return SDEProblem(lambda t, x: a @ x, lambda t, x: (columns @ x).mT, noise, calculus)


def second_moments(a: Tensor, b: list[Tensor], calculus: str, start: Tensor, horizon: float) -> Tensor:
    """``E X X^T`` of a linear problem: ``dM/dt = a M + M a^T + sum_j b_j M b_j^T`` in the calculus of Ito."""
    if calculus == "stratonovich":
        a = a + sum(each @ each for each in b) / 2
    eye = torch.eye(len(a), dtype=a.dtype)
    generator = torch.kron(a, eye) + torch.kron(eye, a) + sum(torch.kron(each, each) for each in b)
    found = expm(horizon * generator.numpy()) @ torch.outer(start, start).flatten().numpy()
    return torch.from_numpy(found).reshape(len(a), len(a))


def powers(solution: Callable[[Tensor, Tensor], Tensor]) -> tuple[Expectation, ...]:
    """``E X_1`` and ``E X_1^2`` of a scalar solution by Gauss-Hermite quadrature over ``W_1``."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    values = solution(torch.ones(()), torch.from_numpy(nodes)).numpy()
    first, second = (float(weights @ values**k / weights.sum()) for k in (1, 2))
    return mean(0, first), product(0, 0, second)


def geometric(rate: float, volatility: float, calculus: str, start: float, value: float, *others: Expectation) -> Case:
    """One-dimensional, over unit time; ``value`` is the mean."""
    drift = rate - volatility**2 / 2 if calculus == "ito" else rate
    a, b = matrix((rate,)), matrix((volatility,))
    return Case(
        linear(a, [b], "scalar", calculus),
        vector(start),
        1.0,
        (mean(0, value), *others),
        solution=lambda t, w: start * (drift * t + volatility * w).exp(),
    )


def copies(count: int) -> Case:
    """L2: independent copies of L1."""
    start = torch.full((count,), 0.5, dtype=torch.float64)
    expectations = (
        mean(0, math.exp(1.01) / 2),
        product(count - 1, count - 1, math.exp(2.7769) / 4),
        product(0, 1, math.exp(2.02) / 4),
    )
    return Case(
        SDEProblem(lambda t, x: 1.01 * x, lambda t, x: (0.87 * x).diag(), "diagonal"),
        start,
        1.0,
        expectations,
        solution=lambda t, w: 0.5 * (0.63155 * t + 0.87 * w).exp(),
        twin=copies(2) if count > 2 else None,
    )


def l4() -> Case:
    start, eye = vector(0.1, 0.1), torch.eye(2, dtype=torch.float64)
    return Case(
        SDEProblem(lambda t, x: 1.5 * x, lambda t, x: (x / 10).diag(), "diagonal"),
        start,
        1.0,
        (mean(0, math.exp(1.5) / 10), product(0, 0, math.exp(3.01) / 100), product(0, 1, math.exp(3) / 100)),
        solution=lambda t, w: 0.1 * ((1.5 - 0.005) * t + 0.1 * (eye @ w)).exp(),
    )


def a1() -> Case:
    variance = 1e-4 * (math.exp(2) - 1) / 2
    return Case(
        SDEProblem(lambda t, x: x, lambda t, x: torch.full_like(x, 0.01)[:, None], "additive"),
        vector(0.1),
        1.0,
        (mean(0, math.e / 10), product(0, 0, math.e**2 / 100 + variance)),
    )


def a2() -> Case:
    a, b = 0.1, 0.05

    def drift(t: Tensor, x: Tensor) -> Tensor:
        return b / (1 + t).sqrt() - x / (2 * (1 + t))

    def diffusion(t: Tensor, x: Tensor) -> Tensor:
        return (a * b / (1 + t).sqrt()).reshape(1, 1) + 0 * x[:, None]

    return Case(
        SDEProblem(drift, diffusion, "additive"),
        vector(1.0),
        1.0,
        (mean(0, 1.05 / 2**0.5), product(0, 0, 1.05**2 / 2 + (a * b) ** 2 / 2)),
        solution=lambda t, w: (1 + b * (t + a * w)) / (1 + t).sqrt(),
        timed=True,
    )


def s1(horizon: float) -> Case:
    def diffusion(t: Tensor, x: Tensor) -> Tensor:
        return (x * x + 1).sqrt()[:, None]

    def phi(x: Tensor) -> Tensor:
        z = x[0].asinh()
        return z**3 - 6 * z**2 + 8 * z

    return Case(
        SDEProblem(lambda t, x: x / 2 + (x * x + 1).sqrt(), diffusion, "scalar"),
        vector(0.0),
        horizon,
        (Expectation("E z^3 - 6 z^2 + 8 z", phi, horizon**3 - 3 * horizon**2 + 2 * horizon),),
        degree=0,
        solution=lambda t, w: (t + w).sinh(),
        chart=(torch.asinh, torch.sinh, -10.0, 12.0),
    )


def n1() -> Case:
    root = 2**0.5
    a = matrix((-273 / 512, 0), (-1 / 160, 785 / 512 - root / 8))
    b = [matrix((1 / 4, 0), ((1 - 2 * root) / 4, 0)), matrix((1 / 16, 0), (1 / 10, 1 / 16))]
    start = vector(1, 1)
    full = second_moments(a, b, "ito", start, 3.0)
    expectations = (product(0, 0, math.exp(-3)), product(0, 1, full[0, 1].item()), product(1, 1, full[1, 1].item()))
    return Case(linear(a, b, "general"), start, 3.0, expectations)


def n2() -> Case:
    """Four columns of fixed direction whose lengths are roots of quadratic polynomials: second moments are closed."""
    a = matrix((243, -54, 23, -65), (54, -243, 65, -23), (5, -61, 324, -72), (61, -5, 72, -324)) / 154
    directions = 1 / matrix((13, 14, 6, 8), (14, 16, 5, 9), (13, 16, 5, 8), (15, 12, 6, 9))
    scale = 1 / vector(9, 8, 12, 14)
    which = matrix((0, 1, 1, 0), (1, 0, 0, 1), (1, 1, 0, 0), (0, 0, 1, 1))
    constants = vector(2 / 23, 1 / 11, 1 / 9, 3 / 29)
    start = vector(1 / 8, 1 / 8, 1, 1 / 8)

    def diffusion(t: Tensor, x: Tensor) -> Tensor:
        return directions * (scale * (which @ (x * x) + constants).sqrt())

    expectations = tuple(mean(i, math.exp(2) * start[i].item()) for i in range(4))
    return Case(SDEProblem(lambda t, x: a @ x, diffusion, "general"), start, 1.0, expectations, degree=1)


def t2(second: float) -> Case:
    """From (0.1, 0.1), as published, paths stay on ``x1 = x2``, where they are ``0.1 exp(W_2)``; from elsewhere not."""
    a = matrix((-5 / 4, 5 / 4), (1 / 4, -1 / 4))
    b = [matrix((3**0.5 / 2, -(3**0.5) / 2), (0, 0)), matrix((1 / 2, 1 / 2), (1, 0))]
    start = vector(0.1, second)
    if second == 0.1:
        expectations = (mean(0, 0.1 * math.exp(0.5)), mean(1, 0.1 * math.exp(0.5)))
        expectations += tuple(product(i, j, math.exp(2) / 100) for i, j in ((0, 0), (0, 1), (1, 1)))
        solution = lambda t, w: 0.1 * w[1].exp().expand(2)  # noqa: E731 (there is none for the other start)
    else:
        full = second_moments(a, b, "stratonovich", start, 1.0)
        expectations = tuple(product(i, j, full[i, j].item()) for i, j in ((0, 0), (0, 1), (1, 1)))
        solution = None
    return Case(linear(a, b, "general", "stratonovich"), start, 1.0, expectations, solution=solution)


def p1() -> Case:
    p, start = 0.1, 1.0

    def solution(t: Tensor, w: Tensor) -> Tensor:
        return (p * w + math.tan(start)).atan()

    def drift(t: Tensor, x: Tensor) -> Tensor:
        return -(p**2) * x.sin() * x.cos() ** 3

    return Case(
        SDEProblem(drift, lambda t, x: (p * x.cos() ** 2)[:, None], "scalar"),
        vector(start),
        1.0,
        powers(solution),
        degree=0,
        solution=solution,
        chart=(lambda x: x, lambda x: x, 0.5, 1.3),
    )


def p2() -> Case:
    start = 0.5

    def solution(t: Tensor, w: Tensor) -> Tensor:
        return ((1 + start) * w.exp() + start - 1) / ((1 + start) * w.exp() + 1 - start)

    return Case(
        SDEProblem(lambda t, x: -x * (1 - x * x) / 4, lambda t, x: ((1 - x * x) / 2)[:, None], "scalar"),
        vector(start),
        1.0,
        powers(solution),
        degree=0,
        solution=solution,
        chart=(lambda x: x, lambda x: x, -1.02, 1.02),
    )


def c1(columns: int, variance: float = 1.0) -> Case:
    """Equal columns; those of a twin are fewer and longer, so that the variance of their sum is the same."""
    ones, eye = torch.ones(4, 4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    a = ones / 20 - (3 / 2 + 1 / 20) * eye
    b = variance**0.5 * (ones / 100 + (1 / 5 - 1 / 100) * eye)
    start = vector(0.3, 0.9, 0.5, 0.7)
    exponent = a - columns * b @ b / 2
    full = second_moments(a, [b] * columns, "ito", start, 1.0)
    average = torch.linalg.matrix_exp(a) @ start
    return Case(
        linear(a, [b] * columns, "commuting"),
        start,
        1.0,
        (mean(0, average[0].item()), product(1, 1, full[1, 1].item()), product(0, 2, full[0, 2].item())),
        solution=lambda t, w: torch.linalg.matrix_exp(exponent * t + b * w.sum()) @ start,
        twin=c1(2, columns / 2) if columns > 2 else None,
    )


SUITE = {
    "L1": geometric(1.01, 0.87, "ito", 0.5, math.exp(1.01) / 2, product(0, 0, math.exp(2.7769) / 4)),
    "L2": copies(8),
    "L3": geometric(1.5, 0.01, "ito", 0.1, math.exp(1.5) / 10),
    "L4": l4(),
    "A1": a1(),
    "A2": a2(),
    "S1": s1(2.0),
    "N1": n1(),
    "N2": n2(),
    "T1": geometric(1.5, 0.1, "stratonovich", 0.1, math.exp(1.505) / 10),
    "T2": t2(0.1),
    "P1": p1(),
    "P2": p2(),
    "C1": c1(10),
}

CASES = {**SUITE, "S1 at 1": s1(1.0), "T2 off its line": t2(0.3)}
"""With two that the public suites leave out."""
