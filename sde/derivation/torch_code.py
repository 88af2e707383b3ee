"""From an SDE to torch code with forward and backward passes only: no Hessian or third derivative is ever formed.

Every vector of an expression is a derivative of the losses contracted with other vectors, computed by nested reverse
passes; equal vectors are computed once, and the vectors of a sum share their last pass. In the generated code a vector
that depends on the minibatch has shape ``(..., M, d)``, one that does not ``(..., 1, d)``; scalars have no last axis.
"""

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ...ground.errors import InputError
from ..algebra.printing import factor, show_vector
from ..algebra.scopes import EXPECTATION, nested, opened
from ..algebra.sums import Sum
from ..algebra.terms import CONTRACTION, NESTED, NUMBER, PARAMETER, SUM, Atom, Factors, Term, bound_samples, samples
from ..algebra.trees import DIRECTION, GAMMA, LOSS, MEAN, STATE, Tree, loss, nodes, rootings
from ..rules.plain_styles import TEXT
from ..rules.recursion import Recursion
from .averaging.recursion_parts import LAGGED, by_block
from .derived_sde import SDE

__all__ = ["corrector_code", "ordered_code", "printed_code", "torch_code"]


def torch_code(sde: SDE) -> str:
    """The source of ``coefficients(f, x, rho, values)`` for any landscape ``f`` and points ``x``, ``(..., 1, d)``.

    It returns the increments whose mean is the drift, the correction ``b_1`` and the increments whose covariance is
    that of the noise; it is the code that :func:`eigensam.sde.drift_and_covariance` runs.

    Example:
        >>> from eigensam.sde import derive, find_rule
        >>> from eigensam.sde.derivation.torch_code import torch_code
        >>> print(torch_code(derive(find_rule("sam"), 1, "1/2")))
        def coefficients(f, x, rho, values):
            g = f.contracted_gradients(x, [(1.0, ())])
            s1 = (g * g).sum(-1)  # |g|^2
            increments = f.contracted_gradients(x, [(-1.0, ()), (-1.0 * rho * s1 ** -0.5, (g,))])
            correction = 0.0 * x
            noise = increments
            return increments, correction, noise
        <BLANKLINE>
    """
    writer = _Writer(sde.blocks)
    writer.assign("increments", sde.increments)
    writer.assign("correction", sde.correction)
    if sde.covariance == sde.increments:
        writer.lines.append("noise = increments")
    else:
        writer.assign("noise", sde.covariance)
    body = "\n    ".join([*writer.lines, "return increments, correction, noise"])
    head = "import torch\n\n\n" if len(sde.blocks) > 1 else ""
    return f"{head}def coefficients(f, x, rho, values):\n    {body}\n"


def printed_code(sde: SDE) -> str:
    """As :func:`torch_code`, with what a recursion's needs besides as comments and as a second function.

    Raises:
        InputError: the law of the minibatches weighs pairs of them, which is more than one function.
    """
    if sde.parts is None or not isinstance(sde.rule, Recursion):
        return torch_code(sde)
    if sde.ordered or (sde.covariance and sde.rule.sampling.noise_matrix() is not None):
        raise InputError(
            f"recursion '{sde.rule.name}': {sde.rule.sampling.words}; what its pairs of minibatches add is not printed "
            "as code: use coefficients(landscape, sde, x, rho), which has it"
        )
    rate = f"{sde.rate} times the learning rate"
    lines = [
        f"# dX = (mean of increments + eps * correction) dt + sqrt(eps) S^(1/2) dW, S = Cov(noise); eps is {rate}."
    ]
    if sde.rule.schedules:
        names = ", ".join(f"{name!r} and {name + chr(39)!r}" for name in sde.rule.schedules)
        lines.append(f"# values has {names} at the time t: the schedule and its derivative.")
    code = torch_code(sde)
    if sde.corrector:
        lines.append(
            "# It starts at x + (learning rate) * corrector(f, x, rho, values), where values has memory by name."
        )
        code += "\n\n" + corrector_code(sde, 1 + max(k for powers in sde.corrector.values() for k in powers))
    return "\n".join([*lines, "", code])


def ordered_code(sde: SDE) -> str:
    """The source of ``ordered(f, x, rho, values)``: what a given order of minibatches adds to ``b_1``, before its mean.

    ``values['lagged']`` has shape ``(..., M, d)``.
    """
    writer = _Writer(sde.blocks)
    writer.assign("ordered", sde.ordered)
    body = "\n    ".join([*writer.lines, "return ordered"])
    return f"def ordered(f, x, rho, values):\n    {body}\n"


def corrector_code(sde: SDE, count: int) -> str:
    """The source of ``corrector(f, x, rho, values)``: ``chi`` of the SDE of a recursion, its first powers of ``rho``.

    ``values`` has the fast blocks of the state by name, shape ``(..., 1, d)``.

    Example:
        >>> from eigensam.sde import derive
        >>> from eigensam.sde.rules.recursion import Recursion
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> momentum = Recursion("momentum", parse_statements("m = 1/2*m + g; x = x - eta*m"))
        >>> print(corrector_code(derive(momentum, 1, 1), 1))
        def corrector(f, x, rho, values):
            m = values['m']
            corrector = f.contracted_gradient(x, [(2.0, ())])[..., None, :] + -1.0 * m
            return corrector
        <BLANKLINE>
    """
    assert sde.parts is not None
    writer = _Writer(sde.blocks)
    writer.lines += [f"{name} = values[{name!r}]" for name in sde.parts.fast]
    writer.assign("corrector", sde.parts.corrector(count))
    body = "\n    ".join([*writer.lines, "return corrector"])
    head = "import torch\n\n\n" if len(sde.blocks) > 1 else ""
    return f"{head}def corrector(f, x, rho, values):\n    {body}\n"


@dataclass(frozen=True)
class _Scalar:
    """A product as code.

    Attributes:
        code: factors joined by ``*``.
        depends: whether it depends on the minibatch: its shape is then ``(..., M)``.
        tensor: False for a plain number.
    """

    code: str
    depends: bool = False
    tensor: bool = False

    def __mul__(self, other: "_Scalar") -> "_Scalar":
        parts = [part.code for part in (self, other) if part.code != "1.0"]
        return _Scalar(" * ".join(parts) or "1.0", self.depends or other.depends, self.tensor or other.tensor)

    def times_vector(self, vector: str) -> str:
        if self.code == "1.0":
            return vector
        return f"({self.code})[..., None] * {vector}" if self.tensor else f"{self.code} * {vector}"


_ONE = _Scalar("1.0")


class _Writer:
    """Writes assignments, each vector and scalar once."""

    def __init__(self, blocks: Sequence[str]) -> None:
        self.lines: list[str] = []
        self._names: dict[tuple[str, Tree], str] = {}
        self._blocks = blocks
        if len(blocks) > 1:
            self.lines.append(f"{', '.join(blocks)} = x.chunk({len(blocks)}, -1)")

    def assign(self, name: str, coefficients: Mapping[int, Sum]) -> None:
        """``name = sum_k c_k rho^k``, the blocks of the state one after the other."""
        if len(self._blocks) == 1:
            self._assign(name, coefficients)
            return
        apart = {k: by_block(coefficient) for k, coefficient in coefficients.items()}
        for block in self._blocks:
            self._assign(f"{name}_{block}", {k: parts[block] for k, parts in apart.items() if block in parts})
        parts = ", ".join(f"{name}_{block}" for block in self._blocks)
        self.lines.append(f"{name} = torch.cat(torch.broadcast_tensors({parts}), -1)")

    def _assign(self, name: str, coefficients: Mapping[int, Sum]) -> None:
        weighted: list[tuple[_Scalar, Tree]] = []
        for power, coefficient in sorted(coefficients.items()):
            for term, c in coefficient.terms.items():
                vector, factors = nested(term)
                assert vector
                if bound_samples((vector, factors)):
                    raise InputError(
                        f"the {name} at rho^{power} holds two minibatches at once, {Sum({term: c})}, for "
                        "which no code is written; take a larger rho exponent or a lower weak order, so that this "
                        "power is not needed"
                    )
                rho: Factors = (((PARAMETER, "rho"), Fraction(power)),) if power else ()
                weighted.append((self._product((*rho, *factors), c), vector))
        self.lines.append(f"{name} = {self._combination(weighted)}")

    def _combination(self, terms: list[tuple[_Scalar, Tree]]) -> str:
        """``sum c * vector`` as code, one call for all vectors that end in a derivative of the minibatch's loss."""
        here: list[str] = []
        averaged: list[tuple[_Scalar, Tree]] = []
        rest: list[str] = []
        # A gradient that is known is computed once more where a call for the same loss is made in any case: there it
        # costs less than reading it, multiplying it and adding it.
        call = any(tree[:2] == (LOSS, GAMMA) and tree[2] and ("v", tree) not in self._names for _, tree in terms)
        for c, tree in terms:
            kind, label, children = tree
            if kind == EXPECTATION:
                self._refuse_lagged(label)
            if kind == EXPECTATION and not c.depends:
                vector, factors = label
                averaged.append((c * self._product(factors), vector))
            elif kind == LOSS and label == MEAN and not c.depends and not _depends(children):
                averaged.append((c, loss(GAMMA, *children)))
            elif kind == LOSS and label == GAMMA and (("v", tree) not in self._names or (call and not children)):
                here.append(f"({c.code}, ({''.join(self.vector(child) + ', ' for child in children).rstrip()}))")
            else:
                rest.append(c.times_vector(self.vector(tree)))
        listed = ", ".join(here) if sum(map(len, here)) < 80 else "\n        " + ",\n        ".join(here) + ",\n    "
        parts = [f"f.contracted_gradients(x, [{listed}])"] if here else []
        if averaged:
            inside = self._combination(averaged)
            # One call, whose mean is one of losses, unless a vector has got a name on the way and stands beside it.
            if all(tree[:2] == (LOSS, GAMMA) and ("v", tree) not in self._names for _, tree in averaged):
                parts.append(f"{inside.replace('contracted_gradients(', 'contracted_gradient(', 1)}[..., None, :]")
            else:
                parts.append(f"({inside}).mean(-2, keepdim=True)")
        return " + ".join([*parts, *rest]) or "0.0 * x"

    @staticmethod
    def _refuse_lagged(term: Term) -> None:
        """An expectation over minibatches within which each would need the sum that belongs to another one."""
        if (term[0] and any(node[:2] == (DIRECTION, LAGGED) for node in nodes(term[0]))) or _lagged(term[1]):
            raise InputError(
                f"what the order of minibatches adds holds {Sum({term: Fraction(1)})}, for which no code is written: "
                "the rule has a mean over minibatches whose derivative is one of a product; take reshuffled epochs, or "
                "leave the mean out"
            )

    def vector(self, tree: Tree) -> str:
        """The name of a vector."""
        kind, label, children = tree
        if kind == DIRECTION:
            return f"values[{label!r}]"
        if kind == STATE:
            return str(label)
        if tree == loss(MEAN):
            return self._named("v", tree, lambda: f"{self.vector(loss(GAMMA))}.mean(-2, keepdim=True)", "Df")
        if kind == LOSS and label == MEAN and _depends(children):  # the mean Hessian times a minibatch's vector
            arguments = ", ".join(f"{self.vector(child)}[..., None, :]" for child in children)
            code = f"f.contracted_gradient(x[..., None, :], [(1.0, ({arguments},))])"
            return self._named("v", tree, lambda: code, show_vector(tree, TEXT))
        return self._named("v", tree, lambda: self._combination([(_ONE, tree)]), show_vector(tree, TEXT))

    def _named(self, prefix: str, tree: Tree, code: Callable[[], str], comment: str) -> str:
        key = (prefix, tree)
        if key not in self._names:
            written = code()
            name = comment if comment == "g" else f"{prefix}{1 + sum(n[0] == prefix for n in self._names.values())}"
            self._names[key] = name
            self.lines.append(f"{name} = {written}" + (f"  # {comment}" if comment != name else ""))
        return self._names[key]

    def _product(self, factors: Iterable[tuple[Atom, Fraction]], c: Fraction = Fraction(1)) -> _Scalar:
        result = _Scalar(_float(c))
        for atom, e in factors:
            base = self._atom(atom)
            exponent = str(e) if e.denominator == 1 else repr(float(e))
            result = result * (base if e == 1 else replace(base, code=f"{base.code} ** {exponent}"))
        return result

    def _atom(self, atom: Atom) -> _Scalar:
        kind, value = atom
        depends = GAMMA in samples(((), ((atom, Fraction(1)),))) or _lagged(((atom, Fraction(1)),))
        if kind == NUMBER:
            return _Scalar(_float(Fraction(value)))
        if kind == PARAMETER:
            return _Scalar("rho" if value == "rho" else f"values[{value!r}]")
        if kind == CONTRACTION:
            text = factor(atom, Fraction(1), TEXT)
            return _Scalar(self._named("s", value, lambda: self._contraction(value), text), depends, True)
        if kind == EXPECTATION:
            self._refuse_lagged(value)
            return _Scalar(f"({self._product(value[1]).code}).mean(-1, keepdim=True)", False, True)
        parts = [self._product(factors, c) for (_, factors), c in opened(atom)]
        total, tensor = " + ".join(part.code for part in parts), any(part.tensor for part in parts)
        if kind == SUM:
            return _Scalar(f"({total})", depends, tensor)
        return _Scalar(f"({total}).sign()" if tensor else f"((({total}) > 0) - (({total}) < 0))", depends, tensor)

    def _contraction(self, tree: Tree) -> str:
        """``<a, b>`` for the two halves at the edge that cuts the scalar most evenly: the fewest nested passes."""
        kind, label, children = tree
        if not children:
            assert kind == LOSS
            return "f.losses(x)" if label == GAMMA else "f.losses(x).mean(-1, keepdim=True)"
        halves = [
            (child, (k, s, below[:i] + below[i + 1 :]))
            for k, s, below in rootings(tree)
            for i, child in enumerate(below)
        ]
        a, b = min(halves, key=lambda pair: max(sum(1 for _ in nodes(half)) for half in pair))
        return f"({self.vector(a)} * {self.vector(b)}).sum(-1)"


def _float(value: Fraction) -> str:
    """A number as code, refused where a float has no such size: 0 or infinity would be another rule."""
    size = abs(value)
    if value and not Fraction(sys.float_info.min) <= size <= Fraction(sys.float_info.max):
        digits = (size.numerator.bit_length() - size.denominator.bit_length()) * math.log10(2)
        raise InputError(
            f"a coefficient of about 1e{digits:+.0f} is not a number that a float can hold; rescale the rule"
        )
    return repr(float(value))


_OF_MINIBATCH = ((LOSS, GAMMA), (DIRECTION, LAGGED))


def _depends(children: tuple[Tree, ...]) -> bool:
    """Whether vectors depend on the minibatch of the step."""
    return any(node[:2] in _OF_MINIBATCH for child in children for node in nodes(child))


def _lagged(factors: Iterable[tuple[Atom, Fraction]]) -> bool:
    """Whether factors hold a sum over other minibatches, which is another one for each minibatch of the step."""
    for (kind, value), _ in factors:
        if kind == CONTRACTION and any(node[:2] == (DIRECTION, LAGGED) for node in nodes(value)):
            return True
        if kind in NESTED and any(_lagged(term[1]) for term, _ in value):
            return True
    return False
