"""What the commands of this package share of rules with memory: statements, epochs, schedules, draws, as text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..ground.console import check_count
from ..ground.errors import InputError
from ..ground.options import Only, only

if TYPE_CHECKING:
    from .rules.recursion import Recursion
    from .rules.rule import Rule
    from .rules.sampling import Sampling
    from .rules.schedules import Schedule

__all__ = [
    "TRAINED_OPTIONS",
    "Batches",
    "Distinct",
    "EpochLaw",
    "EpochSteps",
    "Epochs",
    "InnerSteps",
    "ScheduleFormula",
    "Trained",
    "derivable_names",
    "read_rule",
]

_TRAINED = "What is trained"  # panel of the help


class EpochLaw(StrEnum):
    """How minibatches follow each other."""

    INDEPENDENT = "independent"
    RESHUFFLED = "reshuffled"
    SINGLE_SHUFFLE = "single-shuffle"
    GIVEN_ORDER = "given-order"


Epochs = Annotated[
    EpochLaw | None,
    typer.Option(
        help="How minibatches follow each other: independently; every epoch in a new random order; all epochs in one "
        "random order; all epochs in the order of the family.",
        show_default="independent",
        rich_help_panel=_TRAINED,
    ),
]
Batches = Annotated[
    int | None,
    typer.Option(metavar="N", help="Of epochs: how many minibatches the family has.", rich_help_panel=_TRAINED),
]
EpochSteps = Annotated[
    int | None,
    typer.Option(
        metavar="M",
        help="Of reshuffled epochs: how many minibatches an epoch takes, if not all (drop-last).",
        rich_help_panel=_TRAINED,
    ),
]
ScheduleFormula = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=FORMULA",
        help="A schedule in the statements, such as s='(1 + cos(pi*t/2))/2'; t is the SDE's time.",
        rich_help_panel=_TRAINED,
    ),
]
Distinct = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="The labelled draws of one step are different minibatches of a family of N; else they are independent.",
        rich_help_panel=_TRAINED,
    ),
]
InnerSteps = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help="How many steps of training the statements are, as for a cycle of Lookahead.",
        show_default="1",
        rich_help_panel=_TRAINED,
    ),
]

_STATEMENTS = Only(
    "a RULE of statements, such as 'm = 9/10*m + g; x = x - eta*m'", lambda given: _has_statements(given["rule"])
)
_OF_FAMILY = only("epochs", EpochLaw.RESHUFFLED, EpochLaw.SINGLE_SHUFFLE, EpochLaw.GIVEN_ORDER)
TRAINED_OPTIONS: dict[str, Only] = {
    "batches": _OF_FAMILY,
    "epoch_steps": only("epochs", EpochLaw.RESHUFFLED),
    "schedule": _STATEMENTS,
    "distinct": _STATEMENTS,
    "inner_steps": _STATEMENTS,
}
"""When the options of this module have an effect."""


@dataclass(frozen=True)
class Trained:
    """The options as they were typed; None where one was not given."""

    epochs: EpochLaw | None = None
    batches: int | None = None
    epoch_steps: int | None = None
    schedules: Sequence[str] = ()
    distinct: int | None = None
    inner_steps: int | None = None


def read_rule(text: str, trained: Trained = Trained()) -> "Rule | Recursion":  # frozen
    """A rule or recursion by its name, an expression, or statements; with epochs a rule becomes a recursion.

    Raises:
        InputError: no rule, or options that do not fit it.

    Example:
        >>> read_rule("sgd")
        Rule('sgd', g)
        >>> read_rule("sgd", Trained(epochs=EpochLaw.RESHUFFLED, batches=4))
        Recursion('sgd', x = x - eta*g)
        >>> momentum = read_rule("m = 9/10*m + g; x = x - eta*s*m", Trained(schedules=["s=1/(1 + t)"]))
        >>> momentum.schedules
        {'s': Schedule(formula='1/(1 + t)')}
    """
    from .rules.finding import find_rule  # here: the command starts without the language of rules
    from .rules.language import eta
    from .rules.leaves import POSITION, State
    from .rules.recursion import Recursion
    from .rules.statements import is_statements

    schedules, sampling = _schedules(trained.schedules), _sampling(trained)
    found = find_rule(text, schedules)
    if isinstance(found, Recursion):
        if schedules and not is_statements(text):
            found = replace(found, schedules={**found.schedules, **schedules})
    elif sampling is None:
        return found
    else:
        found = Recursion(
            found.name,
            [(POSITION, State(POSITION) - eta * found.step)],
            summary=found.summary,
            smoothness=found.smoothness,
        )
    changed: dict[str, Any] = {"sampling": sampling, "distinct": trained.distinct, "inner_steps": trained.inner_steps}
    given = {name: value for name, value in changed.items() if value is not None}
    return replace(found, **given) if given else found


def derivable_names() -> list[str]:
    """Names of the known rules, and of those with memory, for whom asks for help.

    Example:
        >>> derivable_names()[:3]
        ['sgd', 'usam', 'sam']
    """
    from .rules.known_recursions import RECURSIONS
    from .rules.rule import RULES

    return [*RULES, *RECURSIONS]


def _has_statements(text: str | None) -> bool:
    if text is None:  # of a training run
        return False
    from .rules.known_recursions import RECURSIONS
    from .rules.statements import is_statements

    return is_statements(text) or text in RECURSIONS


def _schedules(given: Sequence[str]) -> "dict[str, Schedule]":
    from .rules.leaves import Scheduled
    from .rules.schedules import Schedule

    found: dict[str, Schedule] = {}
    for text in given:
        name, equals, formula = (part.strip() for part in text.partition("="))
        if not (name and equals and formula):
            raise InputError(f"--schedule '{text}' is not NAME=FORMULA; write e.g. --schedule s='(1 + cos(pi*t))/2'")
        if name in found:
            raise InputError(f"--schedule {text}: {name} has a formula already; give each schedule one")
        Scheduled(name)  # whose name is checked
        found[name] = Schedule(formula)
    return found


def _sampling(trained: Trained) -> "Sampling | None":
    from .rules.sampling import GivenOrder, Independent, Reshuffled, SingleShuffle

    if trained.epochs is None:
        return None
    if trained.epochs is EpochLaw.INDEPENDENT:
        return Independent()
    if trained.batches is None:
        raise InputError(f"--epochs {trained.epochs} needs the number of minibatches in the family; give --batches")
    check_count("--batches", trained.batches)
    if trained.epochs is EpochLaw.RESHUFFLED:
        return Reshuffled(trained.batches, trained.epoch_steps)
    return (SingleShuffle if trained.epochs is EpochLaw.SINGLE_SHUFFLE else GivenOrder)(trained.batches)
