"""All assumptions for a loss in closed form: constants by interval arithmetic, refutations by points."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy
import torch

from ...ground.errors import InputError
from .example_losses import SIGMA, ExampleLoss, example_loss
from .interval_boxes import Range, boxes, range_of, sharper_range
from .jumps import find_jump
from .table import AssumptionTable
from .verdict import (
    COROLLARY,
    FAILS,
    HOLDS,
    THEOREM_4_1,
    THEOREM_4_2,
    UNDECIDED,
    CheckedAssumption,
    Ground,
    Verdict,
)

__all__ = ["Constants", "certified_constants", "check_example"]

_PIECES = {1: 4096, 2: 96}  # ours: of each side of the box; the constants' last digits depend on it
_INTERVALS = "interval arithmetic over the box: interval_boxes.py"
_SDE = (THEOREM_4_2, COROLLARY)


class Constants:
    """Ends of the constants of an example on a box, by interval arithmetic.

    Attributes:
        loss: no ``|f_m|`` is larger.
        gradient: no ``|grad f_m|`` is.
        gradient_floor: none is smaller.
        hessian: no operator norm of ``grad^2 f_m`` is larger, so that gradients are so Lipschitz on the (convex) box.
        third: likewise of ``grad^3 f_m``, in the Frobenius norm.
        fourth: likewise of ``grad^4 f_m``.
        gap: ``lambda_1 - lambda_2`` of the mean loss is nowhere smaller; infinite for one parameter.

    Infinite upper ends mean that none was found.
    """

    def __init__(self, example: ExampleLoss, domain: Any, pieces: int) -> None:
        symbols = list(domain)
        where = boxes(domain, pieces)

        def ranges(order: int, loss: sympy.Expr) -> dict[tuple[sympy.Symbol, ...], Range]:
            combinations = itertools.combinations_with_replacement(symbols, order)
            return {names: range_of(sympy.diff(loss, *names) if names else loss, where) for names in combinations}

        def largest(order: int) -> float:
            return float(max(_norm(ranges(order, loss), symbols, order, _magnitude).max() for loss in example.losses))

        self.loss, self.gradient, self.third, self.fourth = (largest(order) for order in (0, 1, 3, 4))
        self.hessian = float(max(_row_sums(ranges(2, loss), symbols).max() for loss in example.losses))
        self.gradient_floor = float(
            min(_norm(ranges(1, loss), symbols, 1, _mignitude).min() for loss in example.losses)
        )
        self.gap = math.inf
        if len(symbols) == 2:
            (x, y), second = symbols, ranges(2, example.mean)
            difference = range_of(sympy.diff(example.mean, x, x) - sympy.diff(example.mean, y, y), where)
            mixed = second[(x, y)]
            self.gap = float(np.sqrt(_mignitude(difference) ** 2 + 4 * _mignitude(mixed) ** 2).min()) * (1 - 1e-12)


def _magnitude(ends: Range) -> Any:
    return np.maximum(abs(ends[0]), abs(ends[1]))


def _mignitude(ends: Range) -> Any:
    return np.where((ends[0] <= 0) & (ends[1] >= 0), 0.0, np.minimum(abs(ends[0]), abs(ends[1])))


def _norm(parts: Any, symbols: Sequence[Any], order: int, size: Callable[[Range], Any]) -> Any:
    """The Frobenius norm: each unordered combination counts as often as it can be ordered."""
    total = 0.0
    for names, ends in parts.items():
        count = math.factorial(order) / math.prod(math.factorial(names.count(each)) for each in symbols)
        total = total + count * size(ends) ** 2
    return np.sqrt(total) * (1 + 1e-12 if size is _magnitude else 1 - 1e-12)


def _row_sums(parts: Any, symbols: Sequence[Any]) -> Any:
    """The largest sum of a row's entries, which no eigenvalue of a symmetric matrix exceeds."""
    order = {each: i for i, each in enumerate(symbols)}
    rows = [
        sum(_magnitude(parts[tuple(sorted((one, other), key=order.__getitem__))]) for other in symbols)
        for one in symbols
    ]
    return np.maximum.reduce(rows) * (1 + 1e-12)


def certified_constants(example: ExampleLoss, *, everywhere: bool = False) -> Constants:
    """The constants on the example's domain, or for all parameters.

    Args:
        example: in closed form.
        everywhere: on all of R^d instead; ends may be infinite then.

    Example:
        >>> round(certified_constants(example_loss("tilted-torus")).gradient_floor, 2)  # 0.9 - 0.4 sin 1.2
        0.53
    """
    domain = dict.fromkeys(example.domain, (-math.inf, math.inf)) if everywhere else example.domain
    return Constants(example, domain, _PIECES[len(example.domain)])


def check_example(name: str | ExampleLoss, *, sigma: float = 0.1) -> AssumptionTable:
    """Which assumptions a loss in closed form satisfies on its domain, each with its constant.

    Args:
        name: of an example, or a loss of one's own with one or two parameters.
        sigma: of the noise in ``f_D(x) <= E f_D(x+e)``.

    Raises:
        InputError: an unknown example, a formula that has no range here, a sigma that is not positive.

    Example:
        >>> {row.verdict for row in check_example("stiff-torus").rows}
        {'holds'}
        >>> check_example("wrong-kink").row("continuous third and fourth derivatives").verdict
        'fails'
    """
    example = name if isinstance(name, ExampleLoss) else example_loss(name)
    if not 0 < sigma <= 1e6:
        raise InputError(f"sigma = {sigma} must be positive and at most 1e6; give e.g. 0.1")
    if len(example.domain) not in _PIECES:
        raise InputError(f"the loss has {len(example.domain)} parameters; give one of one or two")
    smooth = not any(loss.has(sympy.Abs, sympy.sign) for loss in example.losses)
    infinite = any(math.isinf(high - low) for low, high in example.domain.values())
    box = certified_constants(example) if smooth else None
    everywhere = certified_constants(example, everywhere=True) if smooth else None
    rows = [
        *_range_rows(example, box, infinite),
        _smooth_row(example, box),
        _growth_row(example),
        *_lipschitz_rows(example, box, everywhere),
        *_floor_rows(example, box),
        _rise_row(example, sigma),
        CheckedAssumption(
            "independent minibatches", (*_SDE, THEOREM_4_1), HOLDS, "proof",
            "By definition: in each step one of {minibatches} losses, each with the same probability.",
            {"minibatches": len(example.losses)}, "the example's definition",
        ),
    ]  # fmt: skip
    return AssumptionTable(f"{example.name}: {example.sentence}", rows, {"example": example.name, "sigma": sigma})


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _ray(example: ExampleLoss, order: int) -> list[float]:
    """The largest derivative of an order at points that go far along each axis, as far as the domain does."""
    found = []
    for k in range(7):
        values = []
        for loss, (symbol, (low, high)) in itertools.product(example.losses, example.domain.items()):
            derivative = sympy.diff(loss, symbol, order) if order else loss
            at = dict.fromkeys(example.domain, 0.0) | {symbol: min(max(2.0**k, low), high)}
            values.append(abs(float(derivative.subs(at).evalf())))
        found.append(max(values))
    return found


def _range_rows(example: ExampleLoss, box: Constants | None, infinite: bool) -> list[CheckedAssumption]:
    bound = None if box is None else _finite(box.loss)
    if bound is None and not infinite:
        bound = _finite(float(max(_magnitude(range_of(f, boxes(example.domain, 64))).max() for f in example.losses)))
    values = _ray(example, 0)
    verdict: Verdict
    ground: Ground
    if bound is not None:
        verdict, ground, reason = HOLDS, "proof", "No loss exceeds {bound} in size on the domain."
    elif not math.isfinite(values[-1]) or values[-1] > 1.5 * values[-2] > 0:
        verdict, ground, reason = (
            FAILS,
            "sampled",
            "Along an axis the loss takes the values {along_ray} at 1, 2, 4, ...",
        )
    else:
        verdict, ground, reason = UNDECIDED, "sampled", "No upper end was found; along an axis {along_ray}."
    ends = [float(end) if math.isfinite(end) else None for side in example.domain.values() for end in side]
    return [
        CheckedAssumption("bounded loss", (THEOREM_4_1,), verdict, ground, reason,
                          {"bound": bound, "along_ray": [_finite(value) for value in values]},
                          "Luo et al. 2024, Appendix A.2; " + _INTERVALS),
        CheckedAssumption("bounded parameter domain", (THEOREM_4_1,), FAILS if infinite else HOLDS, "proof",
                          "The domain is a box with ends {ends} (none: infinite).", {"ends": ends},
                          "Luo et al. 2024, Appendix A.2; the example's definition"),
    ]  # fmt: skip


def _smooth_row(example: ExampleLoss, box: Constants | None) -> CheckedAssumption:
    """By the formulas' parts; where one is not smooth by itself, by finite ends, or by a jump on an axis."""
    numbers: dict[str, Any] = {"fourth": None if box is None else _finite(box.fourth), "jump": None, "order": None}
    verdict: Verdict = HOLDS
    ground: Ground = "proof"
    reason = "The formulas are sums, products and chains of analytic functions."
    if box is None:
        sides = [2.0 if math.isinf(high - low) else high - low for low, high in example.domain.values()]
        axes = torch.diag(torch.tensor(sides, dtype=torch.float64))
        middle = torch.tensor(list(_middle(example).values()), dtype=torch.float64)
        found = [find_jump(example.landscape(), middle - axis / 2, axis[None]) for axis in axes]
        jump = max(found, key=lambda each: (each.found, each.share))
        numbers |= {"jump": jump.change, "order": jump.order}
        verdict, ground = (FAILS if jump.found else UNDECIDED), "sampled"
        reason = (
            "There is an absolute value in the formulas; along an axis derivative {order} changes by {jump} at once."
        )
    elif not _made_of(example, (*_TAME, sympy.exp)) and numbers["fourth"] is None:
        verdict, reason = (
            UNDECIDED,
            "There are quotients in the formulas, and no end of the fourth derivative was found.",
        )
    return CheckedAssumption(
        "continuous third and fourth derivatives", (THEOREM_4_1, *_SDE), verdict, ground, reason, numbers,
        "Luo et al. 2024, Appendices A.1 and A.2",
    )  # fmt: skip


_TAME = (sympy.sin, sympy.cos, sympy.tanh, sympy.erf)
"""Derivatives of all orders are bounded."""


def _made_of(example: ExampleLoss, functions: tuple[Any, ...]) -> bool:
    """Whether there is nothing else in the formulas than these, sums, products and whole powers."""
    atoms = [atom for loss in example.losses for atom in loss.atoms(sympy.Function, sympy.Pow) if atom.free_symbols]
    return all(atom.func in functions or (atom.is_Pow and atom.exp.is_Integer and atom.exp > 0) for atom in atoms)


def _growth_row(example: ExampleLoss) -> CheckedAssumption:
    """Sums, products and chains of polynomials and of functions whose derivatives of all orders are bounded."""
    tame = _made_of(example, _TAME)
    values = [math.log2(b / a) if 0 < a < math.inf and 0 < b < math.inf else math.inf
              for a, b in itertools.pairwise(_ray(example, 0))]  # fmt: skip
    numbers = {"exponents": [_finite(each) for each in values]}
    finite = [each for each in values if math.isfinite(each)]
    verdict: Verdict
    ground: Ground
    if tame:
        verdict, ground = HOLDS, "proof"
        reason = (
            "The formulas are made of sums, products, whole powers and functions whose derivatives of all orders are "
            "bounded; all derivatives of such formulas grow at most like a power."
        )
    elif len(finite) > 1 and finite[-1] > 20 and sorted(finite) == finite:
        verdict, ground, reason = FAILS, "sampled", "Along an axis log2 f(2t)/f(t) is {exponents}, which grows itself."
    else:
        verdict, ground, reason = UNDECIDED, "sampled", "Along an axis log2 f(2t)/f(t) is {exponents}."
    return CheckedAssumption(
        "polynomial growth of loss and derivatives", _SDE, verdict, ground, reason, numbers,
        "Luo et al. 2024, Assumption 1 in Appendix A.1",
    )  # fmt: skip


def _lipschitz_rows(
    example: ExampleLoss, box: Constants | None, everywhere: Constants | None
) -> list[CheckedAssumption]:
    rows = []
    for order, name, key in ((2, "gradient", "hessian"), (3, "Hessian", "third")):
        upper = None if box is None else _finite(getattr(box, key))
        numbers: dict[str, Any] = {
            "upper": upper,
            "everywhere": None if everywhere is None else _finite(getattr(everywhere, key)),
            "along_ray": [_finite(value) for value in _ray(example, order)],
        }
        if order == 3:
            numbers["fourth"] = None if box is None else _finite(box.fourth)
        finite = [each for each in numbers["along_ray"] if each is not None]
        growing = len(finite) > 2 and finite[-1] > 1.5 * finite[-2] > 0
        verdict: Verdict = HOLDS if upper is not None else FAILS if growing or box is None else UNDECIDED
        reason = (
            "The constant is at most {upper} on the domain, {everywhere} for all parameters (none: no end was found)."
            if upper is not None
            else "No constant was found; along an axis the derivative takes the values {along_ray}."
        )
        if order == 3 and upper is not None:
            reason += " The fourth derivative is at most {fourth}."
        statements = _SDE if order == 2 else (THEOREM_4_1, *_SDE)
        rows.append(
            CheckedAssumption(f"{name} Lipschitz in the parameters", statements, verdict,
                              "proof" if upper is not None else "sampled", reason, numbers,
                              "Luo et al. 2024, Assumption 1 in Appendix A.1; " + _INTERVALS)
        )  # fmt: skip
    return rows


def _middle(example: ExampleLoss) -> dict[Any, float]:
    return {
        name: (low + high) / 2 if math.isfinite(high - low) else 0.0 for name, (low, high) in example.domain.items()
    }


def _floor_rows(example: ExampleLoss, box: Constants | None) -> list[CheckedAssumption]:
    """Refuted at the middle of the domain, where the wrong examples have their critical point or equal eigenvalues."""
    symbols, at = list(example.domain), _middle(example)
    floor = 0.0 if box is None else box.gradient_floor
    gap = 0.0 if box is None else box.gap
    here = min(
        math.hypot(*(float(sympy.diff(loss, each).subs(at).evalf()) for each in symbols))
        if box is not None
        else math.inf
        for loss in example.losses
    )
    mean = sympy.hessian(example.mean, symbols).subs(at).evalf() if box is not None else None
    difference = math.inf
    if mean is not None and len(symbols) == 2:
        values = np.linalg.eigvalsh(np.array(mean.tolist(), dtype=float))
        difference = float(values[1] - values[0])
    first: Verdict = HOLDS if floor > 0 else FAILS if here == 0 else UNDECIDED
    second: Verdict = HOLDS if gap > 0 else FAILS if difference == 0 else UNDECIDED
    one = len(symbols) == 1
    return [
        CheckedAssumption(
            "lambda_1 is simple", (COROLLARY,), second if not one else HOLDS, "proof",
            "With one parameter the only eigenvalue is simple." if one
            else "lambda_1 - lambda_2 of the mean loss is at least {gap} on the domain; {middle} at its middle.",
            {"gap": _finite(gap), "middle": _finite(difference)},
            "reviewers of Luo et al. 2024; " + _INTERVALS,
        ),
        CheckedAssumption(
            "gradients bounded away from 0", _SDE, first, "proof",
            "No minibatch's gradient is shorter than {floor} on the domain; {middle} at its middle.",
            {"floor": floor, "middle": _finite(here)},
            "docs/theory.md, sections 3 and 4; " + _INTERVALS,
        ),
    ]  # fmt: skip


def _rise_row(example: ExampleLoss, sigma: float) -> CheckedAssumption:
    rise = sympy.sympify(example.rise).subs(SIGMA, sympy.Rational(str(sigma)))
    where = boxes(example.domain, _PIECES[len(example.domain)])
    finite = all(np.isfinite(ends).all() for side in where.values() for ends in side)
    low, _ = sharper_range(rise, where) if finite else range_of(rise, where)
    smallest = _finite(float(low.min()))
    here = float(rise.subs(_middle(example)).evalf())
    verdict: Verdict = HOLDS if smallest is not None and smallest >= -1e-300 else FAILS if here < 0 else UNDECIDED
    return CheckedAssumption(
        "f_D(x) <= E f_D(x+e)",
        (THEOREM_4_1,),
        verdict,
        "proof",
        "At sigma = {sigma} the mean loss rises by {smallest} at least on the domain, by {middle} at its middle.",
        {"sigma": sigma, "smallest": smallest, "middle": here},
        "Luo et al. 2024, Theorem 4.1; E f(x+e) in closed form, " + _INTERVALS,
    )
