"""The comparison that ``eigensam simulate --drift-orders`` is asked for: landscape, SDEs, start, run."""

from fractions import Fraction

import torch

from ....ground.errors import InputError
from ....landscapes.networks.network import NetworkLandscape
from ...derivation.derived_sde import SDE, derive, truncate
from ...rules.bindings import Values
from ...rules.rule import Rule
from ..command_settings import SimulateSettings
from ..derived_ensemble import read_start
from ..horizons import whole_steps
from ..networks.network_observables import NetworkObservables
from ..simulate import Engine
from ..simulated_landscape import SimulatedLandscape
from .command_settings import ComparisonOptions
from .compare import compare
from .compare_settings import CompareSettings
from .comparison import Comparison

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


def chosen_sdes(rule: Rule, orders: list[int], weak_order: int | None, exponent: Fraction) -> dict[str, SDE]:
    """Truncations by drift order, and the SDE of a weak order where one is asked for, by name.

    Example:
        >>> from eigensam.sde import find_rule
        >>> list(chosen_sdes(find_rule("sam"), [1, 3], 2, Fraction(2, 3)))
        ['drift order 1', 'drift order 3', 'weak order 2']
    """
    sdes = {f"drift order {order}": truncate(rule, exponent, order) for order in orders}
    if weak_order is not None:
        sdes[f"weak order {weak_order}"] = derive(rule, weak_order, exponent)
    return sdes


def run_comparison(
    rule: Rule,
    sdes: dict[str, SDE],
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
    steps = settings.steps or whole_steps(settings.horizon, settings.eta, dt_name="eta")
    chosen = CompareSettings(
        eta=settings.eta,
        rho=settings.rho,
        steps=steps,
        paths=settings.number(network=isinstance(where.landscape, NetworkLandscape)),
        seed=settings.seed,
        sampling=options.sampling,
        scheme=settings.scheme,
        substeps=whole_steps(settings.eta, settings.step_length, horizon_name="eta"),
        every=settings.every or None,
        exact_drift=options.exact_drift,
        flows=options.flows,
        eigenvector=options.eigenvector,
        power_iterations=options.power_iterations,
    )
    f = where.landscape
    if not isinstance(f, NetworkLandscape):
        f = f.to(getattr(torch, settings.dtype), device)
        return compare(rule, sdes, f, read_start(settings.start, f), chosen, values=values, engine=engine)
    names = [name.strip() for name in options.observables.split(",")] if options.observables else None
    test = None if where.data is None else (where.data.test_inputs.to(f.dtype), where.data.test_targets)
    observe = NetworkObservables(f, names, test=test)
    return compare(rule, sdes, f, f.point(), chosen, values=values, observables=observe, engine=engine)
