"""A bound on the console: every term, and what was measured beside it."""

import math
from collections.abc import Collection, Mapping, Sequence

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
    _numbers(console, found)
    for sentence in found.words:
        console.print(f"- {sentence}", markup=False)
    best = "at the given sigma" if found.measured["sigma_given"] else "each at its best sigma"
    refuted = {row["form"] for row in found.measured["refuted"]}
    console.print("curv., rem., compl.: curvature, remainder, complexity; kl: by kl inverse")
    _by_kind(console, f"every form, {best}", found.forms, refuted)
    _by_kind(console, "bounds of other papers at this point", found.others)
    _by_kind(console, "of the network itself in place of the randomised one", found.for_the_point)
    _worst_cases(console, found.measured["worst_cases"])
    if found.along:
        table = Table("epoch", "sigma", "empirical loss", "curvature", "remainder", "complexity", "sum")
        for row in found.along:
            table.add_row(str(row["epoch"]), *(f"{row[str(column.header)]:.3g}" for column in table.columns[1:]))
        console.print(table)


def _numbers(console: Console, found: MeasuredBound) -> None:
    """What was measured at the point, with what each number is."""
    curvature, test, details = found.measured["curvature"], found.measured["test_set"], found.details
    trace, error = curvature["trace"], test["standard_error"]
    leading = len(curvature["eigenpairs"]["eigenvalues"])
    narrow = [each.details["effective_dimension"] for each in found.forms if "effective_dimension" in each.details]
    spread = "" if error is None else f" +- {error:.2g} by draws"
    table = Table("measured at x", "value", box=None, padding=(0, 2, 0, 0))
    for name, value in (
        ("lambda_1", f"{curvature['lambda_1_ritz']:.4g} (Ritz), at most {curvature['lambda_1_upper']:.4g}"),
        ("tr H", f"{trace['value']:.4g}, interval {trace['lower']:.4g} to {trace['upper']:.4g}"),
        ("K_3, K_4, C", ", ".join(f"{curvature[f'{each}_estimate']:.4g}" for each in ("K_3", "K_4", "C"))),
        ("K_4 at a draw of Q", f"{details['k4_around_x']:.4g}"),
        ("M_4", "" if "M_4" not in details else f"{details['M_4']:.4g}"),
        (f"effective dimension, of {leading}", f"{max(narrow):.3g}" if narrow else ""),
        ("test loss at x, around", f"{test['loss']:.4g}, {test['loss_around']:.4g}{spread}"),
    ):
        if value:
            table.add_row(name, value)
    console.print(table)


def _worst_cases(console: Console, cases: Sequence[Mapping[str, float]]) -> None:
    table = Table("radius", "largest loss found", "first order", "second order", "Gaussian mean")
    for case in cases:
        names = "radius", "value", "first_order", "second_order", "gaussian_mean"
        table.add_row(*("" if case[name] is None else f"{case[name]:.4g}" for name in names))
    console.print(table)


def _by_kind(console: Console, title: str, bounds: Sequence[Bound], refuted: Collection[str] = ()) -> None:
    for kind in ("estimate", "certificate"):
        if some := [each for each in bounds if each.kind == kind]:
            _forms(console, f"{kind.capitalize()}s: {title}", some, refuted)


def _forms(console: Console, title: str, bounds: Sequence[Bound], refuted: Collection[str]) -> None:
    """A row for each; what has no column of its own is added up in one, so that each row adds up."""
    columns = "sigma", "loss", "curv.", "rem.", "compl.", "other", "sum", "kl"  # in 80 characters
    table = Table("form", *columns, title=title, box=None, padding=(0, 1, 0, 0))
    for each in bounds:
        values = {term.name: term.value for term in each.terms}
        loss, *rest = values.items()
        other = [value for name, value in rest if name not in _TERMS]
        numbers = [each.details.get("sigma", math.nan), loss[1], *(values.get(name, math.nan) for name in _TERMS)]
        numbers += [sum(other) if other else math.nan, each.bound, each.bound_kl]
        name = f"{each.form} (refuted)" if each.form in refuted else each.form
        table.add_row(name, *(_short(number) for number in numbers))
    console.print(table)


def _short(number: float) -> str:
    """Two digits, as the columns are narrow; the JSON has all."""
    return "" if math.isnan(number) else f"{number:.2g}"
