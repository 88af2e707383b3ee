"""A bound on the console: every term, and what was measured beside it."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from .eigenvalue.bound import Bound
from .trained_point.measured_bound import MeasuredBound

__all__ = ["print_bound"]

_TERMS = "curvature", "remainder", "complexity"


def print_bound(console: Console, title: str, found: Bound) -> None:
    """Print it.

    Args:
        console: where.
        title: of the bound.
        found: by its family.
    """
    limit = found.details.get("loss_bound", 1.0)
    table = Table("term", "value", "kind", title=f"{title}, delta = {found.delta:g}, loss in [0, {limit:g}]")
    for term in found.terms:
        table.add_row(term.name, f"{term.value:.4g}", term.kind)
    table.add_section()
    table.add_row("sum of the terms", f"{found.bound:.4g}", found.kind)
    table.add_row("before Pinsker (kl inverse)", f"{found.bound_kl:.4g}", found.kind)
    console.print(table)
    state = f"VACUOUS: not below the loss's own upper bound {limit:g}" if found.vacuous else "not vacuous"
    console.print(f"{state}. This number is {'an ' if found.kind == 'estimate' else 'a '}{found.kind}.")
    if isinstance(found, MeasuredBound):
        _measured(console, found)
    console.print("It assumes:")
    for sentence in found.assumptions:
        console.print(f"- {sentence}", markup=False)


def _measured(console: Console, found: MeasuredBound) -> None:
    for sentence in found.words:
        console.print(f"- {sentence}", markup=False)
    for kind in ("estimate", "certificate"):
        forms = [each for each in found.forms if each.kind == kind]
        if forms:
            _forms(console, f"{kind.capitalize()}s: every form, each at its best sigma", forms)
    if found.others:
        _forms(console, "Bounds of other papers at this point", found.others)
    if found.for_the_point:
        _forms(console, "The network itself in place of the randomised one", found.for_the_point)
    _worst_cases(console, found.measured["worst_cases"])
    if found.along:
        table = Table("epoch", "sigma", "empirical loss", "curvature", "remainder", "complexity", "sum")
        for row in found.along:
            table.add_row(str(row["epoch"]), *(f"{row[str(column.header)]:.3g}" for column in table.columns[1:]))
        console.print(table)


def _worst_cases(console: Console, cases: Sequence[Mapping[str, float]]) -> None:
    table = Table("radius", "largest loss found", "first order", "second order", "Gaussian mean")
    for case in cases:
        names = "radius", "value", "first_order", "second_order", "gaussian_mean"
        table.add_row(*("" if case[name] is None else f"{case[name]:.4g}" for name in names))
    console.print(table)


def _forms(console: Console, title: str, bounds: Sequence[Bound]) -> None:
    table = Table("form", "sigma", "loss", *_TERMS, "sum", "kl inv.", title=title, box=None, padding=(0, 1, 0, 0))
    for each in bounds:
        values = {term.name: term.value for term in each.terms}
        loss = next(iter(values.values()))
        numbers = [each.details.get("sigma", math.nan), loss, *(values.get(name, math.nan) for name in _TERMS)]
        table.add_row(each.form, *(_short(number) for number in [*numbers, each.bound, each.bound_kl]))
    console.print(table)


def _short(number: float) -> str:
    """Two digits, as the columns are narrow; the JSON has all."""
    return "" if math.isnan(number) else f"{number:.2g}"
