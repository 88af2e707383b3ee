"""Update rules (theory, section 1), each a few lines of the language."""

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral

from ...ground.errors import InputError
from .language import alpha, direction, eta, grad, hvp, inner, mean, norm, rho, sign, unit
from .latex_styles import RULE_LATEX
from .nodes import Direction, Parameter, Vector
from .traversal import walk, written_size

_LARGEST, _DEEPEST = 500_000, 100
"""Ours: what is printed has all parts; SAM with ten ascent steps has about 210 000, 50 deep."""

__all__ = ["RULES", "Rule", "multi_step_sam"]


@dataclass(frozen=True, repr=False)
class Rule:
    """An update rule ``x+ = x - eta * step``.

    Args:
        name: what the command line calls it.
        step: what is subtracted, times the learning rate: a vector expression of :mod:`.language`.
        summary: where it comes from.
        smoothness: how many continuous derivatives the minibatch losses have; None for as many as needed. A
            derivation that needs more is refused.

    Raises:
        InputError: the step is not a vector, or contains ``eta``.

    Example:
        A rule of one's own is one line:

        >>> from eigensam.sde import Rule
        >>> from eigensam.sde.rules import grad, norm, rho
        >>> g = grad()
        >>> print(Rule("half-sam", grad(rho * g / (2 * norm(g)))))
        half-sam: grad(rho*g/norm(g)/2)
    """

    name: str
    step: Vector
    summary: str = ""
    smoothness: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"the rule's name {self.name!r} is not a text")
        if not isinstance(self.step, Vector):
            raise InputError(
                f"rule '{self.name}': the step {self.step} is not a vector; write e.g. grad(rho * unit(g))"
            )
        size, depth = written_size(self.step)
        if size > _LARGEST or depth > _DEEPEST:
            raise InputError(
                f"rule '{self.name[:80]}': written out, the step has {size:.6g} parts, {depth} deep; at most "
                f"{_LARGEST} parts, {_DEEPEST} deep, are derived; simplify it"
            )
        if eta in walk(self.step):
            raise InputError(
                f"rule '{self.name}' contains eta: it moves to x - eta * step, and inside the gradient's argument "
                "the learning rate would be a radius; write that radius as rho, and tie it to eta by the exponent in "
                "rho = c eta^beta"
            )
        if clash := {*self.parameters, "rho", "eta"} & set(self.directions):
            raise InputError(
                f"rule '{self.name}': {', '.join(sorted(clash))} names both a number and a direction; rename "
                "the direction"
            )
        if self.smoothness is not None and not (isinstance(self.smoothness, Integral) and self.smoothness >= 1):
            raise InputError(f"rule '{self.name}': smoothness {self.smoothness}; a gradient step needs at least 1")

    def __str__(self) -> str:
        return f"{self.name}: {self.step}"

    def __repr__(self) -> str:
        return f"Rule({self.name!r}, {self.step})"

    def _repr_latex_(self) -> str:
        return rf"$x^+ = x - \eta\left({self.step.written(RULE_LATEX)}\right)$"

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters other than ``rho``, sorted."""
        return sorted({n.name for n in walk(self.step) if isinstance(n, Parameter)} - {"rho"})

    @property
    def directions(self) -> list[str]:
        """Names of the frozen directions, sorted."""
        return sorted({n.name for n in walk(self.step) if isinstance(n, Direction)})

    @property
    def perturbed(self) -> bool:
        """Whether the rule contains ``rho`` at all."""
        return rho in walk(self.step)


def multi_step_sam(steps: int) -> Rule:
    """SAM with ``n`` ascent steps of length ``rho/n``, each along the normalised gradient where it starts.

    Source: Foret et al. 2021, appendix; Kim et al. 2023, "Exploring the effect of multi-step ascent".
    """
    if not isinstance(steps, Integral) or steps < 1:
        raise InputError(f"{steps} ascent steps; give at least 1")
    shift = rho / steps * unit(grad())
    for _ in range(steps - 1):
        shift = shift + rho / steps * unit(grad(shift))
    return Rule(f"sam-{steps}-step", grad(shift), f"{steps} ascent steps of length rho/{steps}")


def _library() -> Iterator[Rule]:
    g, v = grad(), direction("v")
    yield Rule("sgd", g, "stochastic gradient descent")
    yield Rule("usam", grad(rho * g), "unnormalised SAM, Andriushchenko & Flammarion 2022")
    yield Rule("sam", grad(rho * g / norm(g)), "Foret et al. 2021")
    yield Rule("dnsam", grad(rho * g / norm(mean(g))), "normalised by the mean gradient, Compagnoni et al. 2023")
    yield Rule("reverse-sam", grad(-rho * g / norm(g)), "SAM that descends first (the paper, appendix)")
    across = v - inner(v, g) / norm(g) ** 2 * g
    yield Rule(
        "eigen-sam", grad(rho * (unit(g) + alpha * sign(inner(g, v)) * across)), "the paper, equation 8; v frozen"
    )
    yield multi_step_sam(2)
    yield multi_step_sam(3)
    yield Rule("egr", g + rho * hvp(unit(g)), "explicit regularization by rho E|g| (the paper, Figure 5)")
    u = rho * unit(g)
    curvature = grad(u) + grad(-u) - 2 * g
    summary = "SAM plus alpha times a second difference of the gradient along g, in the style of Wu et al. 2024"
    yield Rule("cr-sam", grad(u) + alpha * curvature, summary)


RULES: dict[str, Rule] = {rule.name: rule for rule in _library()}
