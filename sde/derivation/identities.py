"""Identities behind the drifts, as theorems that the engine proves.

Each theorem is two expressions and the assumptions under which they are equal; :attr:`Theorem.holds` computes both and
compares canonical forms. Nothing is looked up: change one coefficient and it is false.
"""

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from ...ground.errors import InputError
from ..algebra.printing import show
from ..algebra.sums import Sum
from ..algebra.trees import GAMMA, Tree, attach, direction, loss, scalar
from ..rules.plain_styles import UNICODE
from ..rules.rule import Rule
from .equations import expression_texts
from .expansion import expand

__all__ = ["Alignment", "Theorem", "alignment_of", "eigenvalue_gradient_identity", "norm_gradients"]

_HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Theorem:
    """``left = right`` under assumptions.

    Attributes:
        statement: in words and symbols.
        left: an exact expression.
        right: another.
        assumptions: what was used to rewrite them.
    """

    statement: str
    left: Sum
    right: Sum
    assumptions: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether both sides have the same canonical form."""
        return self.left == self.right

    def __str__(self) -> str:
        given = f", given {'; '.join(self.assumptions)}" if self.assumptions else ""
        return f"{self.statement} ({'holds' if self.holds else 'does not hold'}{given})"

    def to_dict(self) -> dict[str, Any]:
        """Both sides as text and LaTeX, for JSON."""
        return {
            "statement": self.statement,
            "left": expression_texts(self.left),
            "right": expression_texts(self.right),
            "assumptions": list(self.assumptions),
            "holds": self.holds,
        }


def norm_gradients() -> list[Theorem]:
    """The second-order drifts of SAM and USAM are gradients, that of DNSAM up to a factor (Compagnoni et al. 2023).

    Example:
        >>> for theorem in norm_gradients():
        ...     print(theorem.holds, theorem.statement)
        True E[Hg/|g|] = grad E|g|
        True E[Hg] = 1/2 grad E|g|^2
        True E[Hg]/|Df| = 1/(2|Df|) grad E|g|^2
    """
    g = Sum.derivative()
    norm, mean = g.inner(g).power(_HALF), g.mean()
    mean_norm = mean.inner(mean).power(_HALF)
    return [
        Theorem(
            "E[Hg/|g|] = grad E|g|", (Sum.derivative(g) * norm.power(-1)).mean(), norm.mean().gradient(), ("g != 0",)
        ),
        Theorem("E[Hg] = 1/2 grad E|g|^2", Sum.derivative(g).mean(), g.inner(g).mean().gradient() * _HALF),
        Theorem(
            "E[Hg]/|Df| = 1/(2|Df|) grad E|g|^2",
            Sum.derivative(g).mean() * mean_norm.power(-1),
            g.inner(g).mean().gradient() * mean_norm.power(-1) * _HALF,
            ("Df != 0",),
        ),
    ]


def eigenvalue_gradient_identity() -> Theorem:
    """``T[v, v] = grad lambda`` for a simple eigenpair ``H v = lambda v``, ``|v| = 1``, by perturbation theory.

    Along a direction ``a``, with ``w = Dv[a]`` (it exists since ``lambda`` is simple):
    ``D lambda[a] = D(<v, Hv>)[a] = T[v, v, a] + 2 <Hv, w>``, and ``<Hv, w> = lambda <v, w> = lambda/2 D|v|^2[a] = 0``.

    Example:
        >>> theorem = eigenvalue_gradient_identity()
        >>> theorem.holds, theorem.assumptions
        (True, ('Hv = lambda v', '|v| = 1 along x', 'lambda is simple, so that v is differentiable'))
    """
    v, w, a = Sum.direction("v"), Sum.direction("w"), Sum.direction("a")
    hessian_form = Sum.derivative(v).inner(v)
    # v moves with x: the product rule adds one term for each of its two places.
    moved = hessian_form.along(a) + Sum.derivative(w).inner(v) + Sum.derivative(v).inner(w)
    eigenvalue = Sum.parameter("lambda")
    vw = scalar(attach(direction("v"), direction("w")))
    hvw = scalar(attach(loss(GAMMA, direction("v")), direction("w")))

    def assumed(tree: Tree) -> Sum | None:
        if tree == hvw:  # <Hv, w> = lambda <v, w>
            return eigenvalue * v.inner(w)
        return None

    def unit_length(tree: Tree) -> Sum | None:
        return Sum() if tree == vw else None  # 0 = 1/2 D|v|^2 = <v, w>

    return Theorem(
        "D lambda[a] = T[v,v,a], that is grad lambda = T[v,v]",
        moved.replaced(assumed).replaced(unit_length),
        Sum.derivative(v, v).inner(a),
        ("Hv = lambda v", "|v| = 1 along x", "lambda is simple, so that v is differentiable"),
    )


@dataclass(frozen=True)
class Alignment:
    """How a rule's third-order drift ``-(rho^2/2) T[u, u]`` splits along a unit eigenvector ``v``.

    With ``u = <u, v> v + u_perp``, ``T[u, u] = <u, v>^2 T[v, v] + 2 <u, v> T[v, u_perp] + T[u_perp, u_perp]``, and
    ``T[v, v] = grad lambda`` (full batch). If every ``lambda_i`` is simple, ``T[u_perp, u_perp]`` is
    ``sum_{i >= 2} u_i^2 grad lambda_i + sum_{i != j, both >= 2} u_i u_j T[v_i, v_j]``.

    Attributes:
        perturbation: ``u``.
        along: ``<u, v>``.
        share: ``<u, v>^2``, the multiple of ``(rho^2/2) grad lambda`` that the rule descends.
        mixed: ``2 <u, v> T[v, u_perp]``.
        rest: ``T[u_perp, u_perp]``.
        total: ``T[u, u]``, as the engine expands the rule.
    """

    perturbation: Sum
    along: Sum
    share: Sum
    mixed: Sum
    rest: Sum
    total: Sum

    @property
    def holds(self) -> bool:
        """Whether the three parts add up to the third-order term of the rule's expansion, exactly."""
        v = Sum.direction("v")
        return Sum.derivative(v, v) * self.share + self.mixed + self.rest == self.total

    def __str__(self) -> str:
        u, share = show(self.perturbation, UNICODE), show(self.share, UNICODE)
        return f"T[u,u] has ⟨u,v⟩² T[v,v] with u = {u}, ⟨u,v⟩² = {share}"

    def to_dict(self) -> dict[str, Any]:
        """Every part as text and LaTeX, for JSON."""
        parts = {each.name: expression_texts(getattr(self, each.name)) for each in fields(self)}
        return {**parts, "holds": self.holds}


def alignment_of(rule: Rule) -> Alignment:
    """Decompose a rule's third-order drift along the top eigenvector ``v``.

    ``T[v, v] = grad lambda`` holds for an eigenvector of the same loss. So the split speaks of the top eigenvalue with
    one minibatch (full batch); with several, the drift has ``E[<u, v>^2 T[v, v]]``, and though ``E T[v, v]`` is
    ``grad lambda`` for an eigenvector of the mean Hessian, the expectation of the product is not the product.

    Raises:
        InputError: the third-order term is not ``T[u, u]`` with the ``u`` of the second-order term ``H u``, as with
            several ascent steps.

    Example:
        SAM descends ``<g,v>^2/|g|^2`` times ``(rho^2/2) grad lambda``; how much more Eigen-SAM does is one
        expression, with ``a = <g,v>/|g|`` and ``s = sign<g,v>``: ``2 alpha s a (1 - a^2) + alpha^2 (1 - a^2)^2``.

        >>> from eigensam.sde import find_rule
        >>> sam, eigen_sam = alignment_of(find_rule("sam")), alignment_of(find_rule("eigen-sam"))
        >>> sam.share
        <g,v>^2/|g|^2
        >>> eigen_sam.along
        <g,v>/|g| + alpha sign(<g,v>) - alpha sign(<g,v>) <g,v>^2/|g|^2
        >>> sam.holds, eigen_sam.holds
        (True, True)
    """
    expansion = expand(rule, 2)
    u = _perturbation(expansion[1])
    if not u or Sum.derivative(u) != -expansion[1] or Sum.derivative(u, u) * _HALF != -expansion[2]:
        raise InputError(
            f"the third-order drift of rule '{rule.name}' is not T[u,u]/2 of one perturbation u, so it has no such "
            "split; use a rule of the form grad(rho * u)"
        )
    v = Sum.direction("v")
    along = u.inner(v)
    across = u - v * along
    return Alignment(
        perturbation=u,
        along=along,
        share=along * along,
        mixed=Sum.derivative(v, across) * along * 2,
        rest=Sum.derivative(across, across),
        total=expansion[2] * -2,
    )


def _perturbation(first: Sum) -> Sum:
    """``u``, read off the first-order term ``-H u``."""
    return Sum({(v[2][0], factors): -c for (v, factors), c in first.terms.items() if v and len(v[2]) == 1})
