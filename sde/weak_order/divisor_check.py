"""What a rule divides by, takes a root or a sign of: there its increments are smooth only away from zero."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.landscape import Landscape
from ..rules.bindings import Values, bind
from ..rules.exact_steps import evaluate
from ..rules.nodes import Expression, Norm, Power, Sign
from ..rules.recursion import Recursion
from ..rules.rule import Rule
from ..rules.traversal import walk
from ..simulation.problems.coefficients import exact_increments

__all__ = ["Divisor", "check_divisors", "divisor_values", "divisors", "needed_away_from_zero"]

_ZERO = 1e-9  # of the largest value: closer to zero than any grid or path can resolve


@dataclass(frozen=True)
class Divisor:
    """A scalar that must not vanish.

    Attributes:
        name: its expression.
        smallest: its smallest absolute value at the points, over minibatches.
        largest: its largest absolute value there.
        changes_sign: whether it has both signs: then it vanishes in between.
        change: the largest relative change in one step of the rule from these points; the expansion in ``eta`` assumes
            that it is small compared with 1.
    """

    name: str
    smallest: float
    largest: float
    changes_sign: bool
    change: float

    def __str__(self) -> str:
        sign = "changes sign" if self.changes_sign else f"between {self.smallest:.3g} and {self.largest:.3g} in size"
        return f"{self.name}: {sign}, changes by {self.change:.3g} times itself in one step"

    def to_dict(self) -> dict[str, str | float | bool]:
        """A JSON-ready dictionary."""
        return asdict(self)

    @property
    def vanishes(self) -> bool:
        """Whether it is zero at or between the points."""
        return self.changes_sign or not self.smallest > _ZERO * self.largest


def divisors(
    rule: Rule, landscape: Landscape, x: Tensor, rho: float, eta: float, values: Values | None = None
) -> list[Divisor]:
    """The assumption check: how far the rule stays from what it divides by at points of shape ``(..., 1, d)``.

    Example:
        At distance 0.1 from the minimum of ``x^2`` a step of 0.2 changes ``|g|`` by 40 %:

        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import divisors, find_rule
        >>> f = Quadratic([[2.0]], centres=[[0.0]])
        >>> (found,) = divisors(find_rule("dnsam"), f, torch.full((1, 1), 0.1, dtype=torch.float64), 0.0, 0.2)
        >>> found.name, found.smallest, round(found.change, 3)
        ('norm(E[g])', 0.2, 0.4)
    """
    here = divisor_values(rule, landscape, x, rho, values)
    if not here:
        return []
    moved = (x + eta * exact_increments(landscape, rule, x, rho, values)).flatten(0, -2)[:, None]
    there = divisor_values(rule, landscape, moved, rho, values)
    result = []
    for name, value in here.items():
        after = there[name].reshape(*value.shape, landscape.size)
        size = value.abs()
        change = ((after - value[..., None, :]).abs() / size[..., None, :]).nan_to_num(nan=torch.inf).max()
        result.append(
            Divisor(name, float(size.min()), float(size.max()), bool(value.min() < 0 < value.max()), float(change))
        )
    return result


def divisor_values(
    rule: Rule, landscape: Landscape, x: Tensor, rho: float, values: Values | None = None
) -> dict[str, Tensor]:
    """By name, for every minibatch: shape ``(..., M)`` at points of shape ``(..., 1, d)``."""
    bound = bind(rule, landscape, rho, values)
    return {
        name: evaluate(what, landscape, x, bound).expand(*x.shape[:-2], landscape.size)
        for name, what in needed_away_from_zero(rule.step).items()
    }


def needed_away_from_zero(direction: Expression) -> dict[str, Expression]:
    """Norms, bases of powers that are not whole and positive, arguments of signs; an even power of a norm is smooth."""
    nodes = walk(direction)
    smooth = {id(n.base) for n in nodes if isinstance(n, Power) and n.exponent > 0 and n.exponent % 2 == 0}
    result: dict[str, Expression] = {}
    for node in reversed(nodes):  # what is inside first
        match node:
            case Sign(scalar):
                result[str(scalar)] = scalar
            case Power(base, exponent) if exponent < 0 or exponent.denominator > 1:
                result[str(base)] = base
            case Norm() if id(node) not in smooth:
                result[str(node)] = node
    return result


def check_divisors(found: list[Divisor], rule: Rule | Recursion) -> None:
    """Refuse points where one vanishes.

    Raises:
        InputError: the name and the value.
    """
    for divisor in found:
        if divisor.vanishes:
            how = "changes sign" if divisor.changes_sign else f"falls to {divisor.smallest:.3g}"
            raise InputError(
                f"rule '{rule.name}' needs {divisor.name} away from 0, which {how} among the points of this landscape; "
                "give one whose tilts exceed the ripples, or verify at points away from critical ones with one-step"
            )
