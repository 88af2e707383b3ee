"""Rules with memory, several draws, schedules, and a law of the minibatches: what is actually trained."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any

from ...ground.errors import InputError
from .language import eta, rho
from .latex_styles import RULE_LATEX
from .leaves import POSITION, Scheduled, State
from .nodes import Derivative, Direction, Expression, Loss, Parameter, Vector
from .sampling import Independent, Sampling
from .schedules import Schedule
from .substitution import substituted
from .traversal import walk, written_size

__all__ = ["Recursion"]

_LARGEST, _DEEPEST = 500_000, 100
"""As of rules without memory."""

_DEEPEST_STEP = 200
"""Ours: of all statements put into each other; an expansion goes down one part at a time."""

_PRINTED = {
    "epsilon": "the effective rate",
    "chi": "the corrector",
    "lagged": "a sum over other minibatches",
    "t": "time",
}
"""Names that an SDE's equations have taken."""


@dataclass(frozen=True, repr=False, eq=False)
class Recursion:
    """One step as statements, each of which sees what those before it have done.

    A name that is read before it is given a value is a block of the state, kept from step to step; it starts at 0. The
    position ``x`` is always one. Gradients are taken at the position as it is when their statement is reached.

    Args:
        name: what it is called.
        statements: (name, vector expression of :mod:`.language`) in order; ``x`` must be among the names.
        sampling: the law of the minibatches.
        schedules: name to :class:`.schedules.Schedule`.
        distinct: whether minibatches with different labels within one step are different ones of the family, whose
            size it is; None: they are independent.
        inner_steps: how many steps of training one step of the recursion is, as for Lookahead's cycle.
        summary: where it comes from.
        smoothness: how many continuous derivatives the losses have; None for as many as needed.

    Raises:
        InputError: a state that no statement gives a value; a position that does not move; a schedule or a draw that
            is never used; an expression that is too large.

    Example:
        >>> from eigensam.sde.rules.language import eta, grad, rho, state, unit
        >>> x, m = state("x"), state("m")
        >>> print(Recursion("momentum", [("m", 9 * m / 10 + grad(rho * unit(grad()))), ("x", x - eta * m)]))
        momentum: m = 9*m/10 + grad(rho*g/norm(g)); x = x - eta*m
    """

    name: str
    statements: Sequence[tuple[str, Vector]]
    sampling: Sampling = field(default_factory=Independent)
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    distinct: int | None = None
    inner_steps: int = 1
    summary: str = ""
    smoothness: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "statements", self._pairs())
        self._check_settings()
        for name, value in self.statements:
            State(name)  # whose name is checked
            if not isinstance(value, Vector):
                raise InputError(f"recursion '{self.name}': {name} = {value} is not a vector; write e.g. m = g")
        if POSITION not in dict(self.statements):
            raise InputError(f"recursion '{self.name}': no statement moves x; write e.g. x = x - eta*m")
        given = {name for name, _ in self.statements}
        if lost := sorted(self._read_first - given):
            raise InputError(
                f"recursion '{self.name}': the state {', '.join(lost)} is read but no statement gives it a value; "
                f"write e.g. {lost[0]} = 9/10*{lost[0]} + g"
            )
        self._check_sizes()
        self._check_names()
        self._check_draws()

    def _pairs(self) -> tuple[tuple[str, Any], ...]:
        if not isinstance(self.name, str):
            raise InputError(f"the recursion's name is {self.name!r}; give a text")
        try:
            return tuple((str(name), value) for name, value in self.statements)
        except (TypeError, ValueError):
            raise InputError(
                f"recursion '{self.name}': its statements are {str(self.statements)[:80]!r}; give pairs such as "
                "('x', state('x') - eta*grad()), or parse_statements('x = x - eta*g')"
            ) from None

    def _check_settings(self) -> None:
        if not isinstance(self.sampling, Sampling) or type(self.sampling) is Sampling:
            raise InputError(
                f"recursion '{self.name}': its sampling is {self.sampling!r}; give e.g. Independent() or Reshuffled(4)"
            )
        if not isinstance(self.schedules, Mapping):
            raise InputError(
                f"recursion '{self.name}': schedules are {self.schedules!r}; give {{'s': Schedule('...')}}"
            )
        for name, value in self.schedules.items():
            Scheduled(name)  # whose name is checked
            if not isinstance(value, Schedule):
                raise InputError(
                    f"recursion '{self.name}': the schedule {name} is {value!r}; give its formula in t, such as "
                    "Schedule('(1 + cos(pi*t))/2')"
                )
        for word, count, least in (
            ("inner steps", self.inner_steps, 1),
            ("minibatches for distinct draws", self.distinct, 2),
            ("continuous derivatives", self.smoothness, 1),
        ):
            whole = isinstance(count, Integral) and not isinstance(count, bool)
            if count is not None and not (whole and count >= least):
                raise InputError(f"recursion '{self.name}': {count!r} {word}; give a whole number, at least {least}")

    def _check_sizes(self) -> None:
        for _, value in self.statements:
            size, depth = written_size(value)
            if size > _LARGEST or depth > _DEEPEST:
                raise InputError(
                    f"recursion '{self.name}': a statement has {size:.6g} parts, {depth} deep; simplify it"
                )
        deepest = max(written_size(value)[1] for value in self.new_values.values())
        if deepest > _DEEPEST_STEP:
            raise InputError(
                f"recursion '{self.name}': its {len(self.statements)} statements, put into each other, are {deepest} "
                f"parts deep; at most {_DEEPEST_STEP} are expanded, write fewer"
            )

    def _check_draws(self) -> None:
        draws = self.draws
        used = self._drawn(self.new_values.values())
        if lost := [label for label in draws if label not in used]:
            named = [f"the draw '{label}'" if label else "the step's own minibatch" for label in lost]
            raise InputError(
                f"recursion '{self.name}': no block of the state depends on {', '.join(named)}, though a statement has "
                "it; use that, or leave it out"
            )
        if self.distinct is not None and len(draws) < 2:
            raise InputError(f"recursion '{self.name}': distinct draws, but it has one; label several, grad(draw='a')")
        if self.distinct is not None and len(draws) > self.distinct:
            raise InputError(
                f"recursion '{self.name}': {len(draws)} different minibatches of a family of {self.distinct}; draw "
                f"fewer, or give distinct={len(draws)} or more"
            )
        if self.sampling.epoch > 1 and len(draws) > 1:
            raise InputError(
                f"recursion '{self.name}': epochs are of one minibatch a step, and it draws {len(draws)}; draw "
                "independently, or write the minibatches of an epoch as distinct draws"
            )

    @staticmethod
    def _drawn(values: Iterable[Vector]) -> set[str]:
        return {node.draw for value in values for node in walk(value) if isinstance(node, Derivative | Loss)}

    def _check_names(self) -> None:
        found = {node.name for node in self._nodes if isinstance(node, Scheduled)}
        if unused := sorted(self.schedules.keys() - found):
            raise InputError(f"recursion '{self.name}': the schedule {', '.join(unused)} is never used; leave it out")
        if missing := sorted(found - self.schedules.keys()):
            raise InputError(
                f"recursion '{self.name}': the schedule {', '.join(missing)} has no formula; give schedules="
                f"{{'{missing[0]}': Schedule('(1 + cos(pi*t))/2')}}"
            )
        needed = {n.name for value in self.new_values.values() for n in walk(value) if isinstance(n, Scheduled)}
        if unused := sorted(found - needed):
            raise InputError(
                f"recursion '{self.name}': no block of the state depends on the schedule {', '.join(unused)}; leave "
                "its statement out"
            )
        numbers = {*self.parameters, "rho", "eta", *found}
        taken = [*self.directions, *given_names(self.statements)]
        for name in sorted({*numbers, *taken} & _PRINTED.keys()):
            raise InputError(
                f"recursion '{self.name}': the name '{name}' is {_PRINTED[name]} in what is printed of its SDE; choose "
                f"another, e.g. 'my_{name}'"
            )
        both = [*numbers, *taken]
        if clash := sorted({name for name in both if both.count(name) > 1}):
            raise InputError(f"recursion '{self.name}': {', '.join(clash)} names two things; rename one")

    def __str__(self) -> str:
        return f"{self.name}: {self.step}"

    def __repr__(self) -> str:
        return f"Recursion({self.name!r}, {self.step})"

    def _repr_latex_(self) -> str:
        lines = [rf"{name} \leftarrow {value.written(RULE_LATEX)}" for name, value in self.statements]
        return "$" + r",\quad ".join(lines) + "$"

    @property
    def step(self) -> str:
        """The statements as text, which :func:`.statements.parse_statements` reads back."""
        return "; ".join(f"{name} = {value}" for name, value in self.statements)

    @cached_property
    def _nodes(self) -> list[Expression]:
        return [node for _, value in self.statements for node in walk(value)]

    @cached_property
    def _read_first(self) -> set[str]:
        seen: set[str] = set()
        read: set[str] = set()
        for name, value in self.statements:
            read |= {node.name for node in walk(value) if isinstance(node, State)} - seen
            seen.add(name)
        return read

    @property
    def blocks(self) -> list[str]:
        """Names of the blocks of the state: ``x`` first, then in the order in which they are given values."""
        memory = [name for name, _ in self.statements if name in self._read_first and name != POSITION]
        return [POSITION, *dict.fromkeys(memory)]

    @cached_property
    def new_values(self) -> dict[str, Vector]:
        """Every block after one step, in the blocks before it."""
        values: dict[str, Vector] = {POSITION: State(POSITION)}
        for name, value in self.statements:
            values[name] = substituted(value, values)
        return {block: values[block] for block in self.blocks}

    @property
    def draws(self) -> list[str]:
        """Labels of the minibatches of one step; the step's own, without a label, is ``''``."""
        return sorted(self._drawn(value for _, value in self.statements))

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters other than ``rho`` and ``eta``, sorted."""
        return sorted({n.name for n in self._nodes if isinstance(n, Parameter)} - {"rho", "eta"})

    @property
    def directions(self) -> list[str]:
        """Names of the frozen directions, sorted."""
        return sorted({n.name for n in self._nodes if isinstance(n, Direction)})

    @property
    def perturbed(self) -> bool:
        """Whether ``rho`` occurs at all."""
        return rho in self._nodes

    @property
    def rated(self) -> bool:
        """Whether ``eta`` occurs: without it nothing is small."""
        return eta in self._nodes


def given_names(statements: Sequence[tuple[str, Any]]) -> list[str]:
    """Names that statements give values, each once."""
    return list(dict.fromkeys(name for name, _ in statements))
