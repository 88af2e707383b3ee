"""The comparison that ``eigensam simulate --drift-orders`` is asked for: landscape, SDEs, start, run."""

from collections.abc import Mapping
from fractions import Fraction

import torch

from ....ground.errors import InputError
from ....landscapes.networks.network import NetworkLandscape
from ...derivation.derived_sde import derive, truncate
from ...rules.bindings import Values
from ...rules.recursion import Recursion
from ...rules.rule import Rule
from ..command_settings import SimulateSettings
from ..derived_ensemble import read_start
from ..horizons import whole_steps
from ..networks.network_observables import NetworkObservables
from ..problems.recursion_chain import effective_rate
from ..simulate import Engine
from ..simulated_landscape import SimulatedLandscape
from .command_settings import ComparisonOptions
from .compare import compare
from .compare_settings import CompareSettings
from .comparison import Comparison
from .given_sdes import Control, GivenSDE

__all__ = ["chosen_sdes", "read_orders", "run_comparison"]

_MOST_ORDER = 12


def read_orders(text: str) -> list[int]:
    """Drift orders as text, such as "1,2,3".

    Raises:
        InputError: something that is no number from 1 to 12, or the same one twice.

    Example:
        >>> read_orders("1,3")
        [1, 3]
    """
    parts = [part.strip() for part in text.split(",")]
    orders = [int(part) for part in parts if part.isdecimal() and 1 <= int(part) <= _MOST_ORDER]
    if len(orders) != len(parts) or len(set(orders)) < len(orders):
        raise InputError(f"--drift-orders {text}: give different numbers from 1 to {_MOST_ORDER}, such as 1,2,3")
    return orders


def chosen_sdes(
    rule: Rule | Recursion,
    orders: list[int],
    weak_order: int | None,
    exponent: Fraction,
    control: Rule | Recursion | None = None,
) -> dict[str, GivenSDE]:
    """Truncations by drift order, and the SDE of a weak order where one is asked for, by name.

    Args:
        rule: what is compared.
        orders: of the drift.
        weak_order: of one more; None: of none.
        exponent: of the radius.
        control: a rule whose last SDE of these is run beside at the same effective rate; None: none.

    Example:
        >>> from eigensam.sde import find_rule
        >>> list(chosen_sdes(find_rule("sam"), [1, 3], 2, Fraction(2, 3)))
        ['drift order 1', 'drift order 3', 'weak order 2']
    """
    sdes: dict[str, GivenSDE] = {f"drift order {order}": truncate(rule, exponent, order) for order in orders}
    if weak_order is not None:
        sdes[f"weak order {weak_order}"] = derive(rule, weak_order, exponent)
    if control is not None:
        last = truncate(control, exponent, orders[-1]) if weak_order is None else derive(control, weak_order, exponent)
        sdes[f"{control.name}, {list(sdes)[-1]}"] = Control(last)
    return sdes


def run_comparison(
    rule: Rule | Recursion,
    sdes: Mapping[str, GivenSDE],
    where: SimulatedLandscape,
    settings: SimulateSettings,
    options: ComparisonOptions,
    *,
    values: Values,
    device: torch.device | str = "cpu",
    engine: Engine,
) -> Comparison:
    """Compare as the command's options say.

    Args:
        rule: the update rule.
        sdes: by name.
        where: the landscape.
        settings: of the ensembles.
        options: of the comparison.
        values: of the rule's other symbols.
        device: where paths are moved.
        engine: backend, checkpoint, progress.

    Raises:
        InputError: a step that does not divide the rule's, and errors of :func:`compare`.
    """
    rate, name, inner = settings.eta, "eta", 1
    if isinstance(rule, Recursion):
        rate, name, inner = float(effective_rate(rule)) * settings.eta, "the effective rate", rule.inner_steps
    steps = settings.steps or whole_steps(settings.horizon, rate * inner, dt_name=name)
    chosen = CompareSettings(
        eta=settings.eta,
        rho=settings.rho,
        steps=steps,
        paths=settings.number(network=isinstance(where.landscape, NetworkLandscape)),
        seed=settings.seed,
        sampling=options.sampling,
        scheme=settings.scheme,
        substeps=whole_steps(rate, settings.dt or rate, horizon_name=name),
        every=settings.every or None,
        exact_drift=options.exact_drift,
        flows=options.flows,
        eigenvector=options.eigenvector,
        power_iterations=options.power_iterations,
        observed=options.observed,
    )
    f = where.landscape
    if not isinstance(f, NetworkLandscape):
        f = f.to(getattr(torch, settings.dtype), device)
        return compare(rule, sdes, f, read_start(settings.start, f), chosen, values=values, engine=engine)
    names = [name.strip() for name in options.observables.split(",")] if options.observables else None
    test = None if where.data is None else (where.data.test_inputs.to(f.dtype), where.data.test_targets)
    observe = NetworkObservables(f, names, test=test)
    return compare(rule, sdes, f, f.point(), chosen, values=values, observables=observe, engine=engine)
