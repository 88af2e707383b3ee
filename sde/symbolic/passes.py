"""Expressions on any landscape by forward and backward passes: no Hessian and no third derivative is ever formed.

Every vector of an expression is a derivative of the losses contracted with other vectors, computed by nested reverse
passes; equal vectors are computed once, and the vectors of a sum share their last pass. Shapes: a vector that depends
on the minibatch is ``(..., M, d)``, one that does not is ``(..., 1, d)``; scalars have no last axis.
"""

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

import torch
from torch import Tensor

from ...landscapes import InputError, Landscape
from .algebra import Atom, Factors, Sum
from .rules import Rule
from .scopes import nested, opened
from .trees import GAMMA, MEAN, Tree, loss, nodes, rootings

__all__ = ["Passes", "Values", "bind"]

Values = Mapping[str, float | Tensor]
"""Numbers for a rule's parameters, and unit vectors of shape ``(d,)`` for its frozen directions."""

_UNIT = 1e-5  # of a direction's length: float32 rounding for 1e7 parameters is below


def bind(rule: Rule, landscape: Landscape, rho: float, values: Values | None) -> dict[str, float | Tensor]:
    """Check that each symbol of a rule has a value of the right kind, and no other name has one.

    Raises:
        InputError: an unbound or unknown symbol, a number that is not positive, a direction of the wrong shape or length.
    """
    values = dict(values or {})
    for name in rule.parameters:
        value = values.get(name)
        if value is None:
            raise InputError(f"rule '{rule.name}': the symbol {name} is unbound; give values={{'{name}': a number}}")
        if isinstance(value, Tensor) or not 0 < value < float("inf"):
            raise InputError(f"rule '{rule.name}': {name} = {value} is not a positive number")
    for name in rule.directions:
        vector = values.get(name)
        if not isinstance(vector, Tensor):
            raise InputError(
                f"rule '{rule.name}': the direction {name} is unbound; give values={{'{name}': a unit vector of shape "
                f"({landscape.dim},)}}, e.g. a top eigenvector"
            )
        length = float(torch.linalg.vector_norm(vector))
        if vector.shape != (landscape.dim,) or not abs(length - 1) < _UNIT:
            raise InputError(
                f"rule '{rule.name}': the direction {name} has shape {tuple(vector.shape)} and length {length:.6g}; "
                f"expected shape ({landscape.dim},) and length 1"
            )
        values[name] = vector.to(landscape.device, landscape.dtype)
    known = {*rule.parameters, *rule.directions}
    if unknown := sorted(values.keys() - known):
        raise InputError(
            f"rule '{rule.name}' has no symbol {', '.join(unknown)}; it has {', '.join(sorted(known)) or 'none but rho'}"
        )
    return values | {"rho": rho}


class Passes:
    """Evaluates expressions at points of a landscape.

    Args:
        landscape: the family of losses.
        x: points, shape ``(d,)`` or ``(..., 1, d)``.
        values: of every parameter and direction, see :func:`bind`.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde.symbolic.algebra import Sum
        >>> from eigensam.sde.symbolic.passes import Passes
        >>> f = Quadratic([[2.0]], centres=[[0.0], [1.0]])
        >>> hg = Sum.derivative(Sum.derivative())
        >>> Passes(f, torch.ones(1, dtype=torch.float64), {}).vector(hg).tolist()
        [[4.0], [0.0]]
    """

    def __init__(self, landscape: Landscape, x: Tensor, values: Values) -> None:
        self.landscape = landscape
        self.x = x[None] if x.ndim == 1 else x
        self.values = values
        self._vectors: dict[Tree, Tensor] = {}
        self._scalars: dict[Tree, Tensor] = {}

    def vector(self, expression: Sum) -> Tensor:
        """A vector expression, shape ``(..., M, d)``, or ``(..., 1, d)`` where it depends on no single minibatch."""
        terms = [(c, *nested(term)) for term, c in expression.terms.items()]
        result = self._combined((self._product(factors, c), vector) for c, vector, factors in terms if vector)
        return torch.zeros_like(self.x) if result is None else result

    def scalar(self, expression: Sum) -> Tensor:
        """A scalar expression, shape ``(..., M)`` or ``(..., 1)``."""
        total = self.x.new_zeros(self.x.shape[:-1])
        for term, c in expression.terms.items():
            total = total + self._product(nested(term)[1], c)
        return total

    def _combined(self, terms: Iterable[tuple[Tensor, Tree]]) -> Tensor | None:
        """``sum c * tree`` with one last pass for all trees that end in a minibatch's derivative."""
        here: list[tuple[Tensor, list[Tensor]]] = []
        averaged: list[tuple[Tensor, Tree]] = []
        result: Tensor | None = None
        for c, (kind, label, children) in terms:
            closed = c.shape[-1] == 1
            if kind == "e" and closed:
                vector, factors = label
                averaged.append((c * self._product(factors), vector))
            elif kind == "f" and label == MEAN and closed and not _depends(children):
                averaged.append((c, loss(GAMMA, *children)))
            elif kind == "f" and label == GAMMA:
                here.append((c, [self._vector(child) for child in children]))
            else:
                result = _plus(result, c[..., None] * self._vector((kind, label, children)))
        if here:
            result = _plus(result, self.landscape.contracted_gradients(self.x, here))
        if averaged:
            mean = self._combined(averaged)
            assert mean is not None
            result = _plus(result, mean.mean(-2, keepdim=True))
        return result

    def _vector(self, tree: Tree) -> Tensor:
        if tree not in self._vectors:
            self._vectors[tree] = self._computed(tree)
        return self._vectors[tree]

    def _computed(self, tree: Tree) -> Tensor:
        kind, label, children = tree
        if kind == "v":
            vector = self.values[label]
            assert isinstance(vector, Tensor)
            return vector.expand(self.x.shape[:-1] + vector.shape)
        if kind == "f" and label == MEAN and _depends(children):  # the mean Hessian times a minibatch's vector
            arguments = [self._vector(child).unsqueeze(-2) for child in children]
            return self.landscape.contracted_gradient(self.x.unsqueeze(-2), [(1.0, arguments)])
        if kind == "f" and label == MEAN:
            arguments = [self._vector(child) for child in children]
            return self.landscape.contracted_gradient(self.x, [(1.0, arguments)]).unsqueeze(-2)
        one = self.x.new_ones(self.x.shape[:-1])
        result = self._combined([(one, tree)])
        assert result is not None
        return result

    def _product(self, factors: Factors, coefficient: Fraction = Fraction(1)) -> Tensor:
        result = self.x.new_full(self.x.shape[:-1], float(coefficient))
        for atom, e in factors:
            value = self._atom(atom)
            result = result * (value if e == 1 else value ** float(e))
        return result

    def _atom(self, atom: Atom) -> Tensor:
        kind, value = atom
        match kind:
            case "n":
                return self.x.new_tensor([float(value)])
            case "a":
                return self.x.new_tensor([self.values[value]])
            case "t":
                if value not in self._scalars:
                    self._scalars[value] = self._contraction(value)
                return self._scalars[value]
            case "e":
                return self._product(value[1]).mean(-1, keepdim=True)
        total = self.x.new_zeros(self.x.shape[:-1])
        for (_, factors), c in opened(atom):
            total = total + self._product(factors, c)
        return total.sign() if kind == "g" else total

    def _contraction(self, tree: Tree) -> Tensor:
        """``<a, b>`` for the two halves at the edge that cuts the scalar most evenly: the fewest nested passes."""
        kind, label, children = tree
        if not children:
            assert kind == "f"
            values = self.landscape.losses(self.x)
            return values if label == GAMMA else values.mean(-1, keepdim=True)
        halves = [
            (child, (k, s, below[:i] + below[i + 1 :]))
            for k, s, below in rootings(tree)
            for i, child in enumerate(below)
        ]
        a, b = min(halves, key=lambda pair: max(_size(pair[0]), _size(pair[1])))
        return (self._vector(a) * self._vector(b)).sum(-1)


_size: Callable[[Tree], int] = lambda tree: sum(1 for _ in nodes(tree))  # noqa: E731


def _depends(children: tuple[Tree, ...]) -> bool:
    """Whether vectors depend on the minibatch of the step."""
    return any(node[:2] == ("f", GAMMA) for child in children for node in nodes(child))


def _plus(a: Tensor | None, b: Tensor) -> Tensor:
    return b if a is None else a + b
