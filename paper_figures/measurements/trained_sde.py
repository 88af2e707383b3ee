"""The SDE of a training with everything on, and what each part of it is for: slopes on a quadratic, unsampled."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...landscapes.landscape import Landscape
    from ...sde.derivation.derived_sde import SDE

__all__ = ["WHOLE", "measure_trained_sde", "variants"]

WHOLE = "whole SDE"

_TRAINED = "m = 9/10*m + grad(rho*g) + 1/100*x; x = x - eta*s*m"
_WITHOUT_MEMORY = "x = x - eta*s*(grad(rho*g) + 1/100*x)"
_BATCHES = 3
_ETAS = tuple(1 / (_BATCHES * 2.0**k) for k in range(8, 13))


def variants() -> "dict[str, SDE]":
    """The SDE of unnormalised SAM with momentum 0.9, decay, a cosine schedule and reshuffled epochs, and wrong ones."""
    from ...sde.derivation.derived_sde import derive
    from ...sde.rules.recursion import Recursion
    from ...sde.rules.sampling import Independent, Reshuffled, Sampling
    from ...sde.rules.schedules import cosine
    from ...sde.rules.statements import parse_statements

    def of(text: str, sampling: Sampling) -> "SDE":
        statements = parse_statements(text, ["s"])
        return derive(Recursion("trained", statements, sampling, {"s": cosine(2)}), 2, 1)

    whole = of(_TRAINED, Reshuffled(_BATCHES))
    independent, plain = of(_TRAINED, Independent()), of(_WITHOUT_MEMORY, Independent())
    no_memory = of(_WITHOUT_MEMORY, Reshuffled(_BATCHES))
    still = {k: _without_slopes(b) for k, b in whole.correction.items()}
    return {
        WHOLE: whole,
        "without memory and epochs (SAM's SDE)": replace(
            whole, correction=plain.correction, covariance=plain.covariance
        ),
        "without memory": replace(whole, correction=no_memory.correction),
        "without epochs": replace(whole, correction=independent.correction, covariance=independent.covariance),
        "with the noise of independent minibatches": replace(whole, covariance=independent.covariance),
        "without $ds/dt$": replace(whole, correction=still),
    }


def _without_slopes(vector: Any) -> Any:
    """Less the terms with a derivative of a schedule."""
    from ...sde.algebra.sums import Sum
    from ...sde.algebra.terms import PARAMETER

    kept = {
        (tree, factors): c
        for (tree, factors), c in vector.terms.items()
        if not any(atom[0] == PARAMETER and atom[1].endswith("'") for atom, _ in factors)
    }
    return Sum(kept)


def _landscape() -> "Landscape":
    from ...landscapes.analytic.quadratic import Quadratic

    hessians = [[[2.0, 0.3], [0.3, 1.0]], [[1.0, -0.2], [-0.2, 0.5]], [[0.5, 0.1], [0.1, 1.8]]]
    return Quadratic(hessians, centres=[[1.0, 0.5], [-0.5, 0.2], [0.3, -1.0]])


def measure_trained_sde(progress: Callable[[int, int], None]) -> list[dict[str, Any]]:
    """Weak errors and slopes of each variant, with the order that it should have.

    All are measured as if they had order 2, from the shifted start and in the slow variable, so that a variant lacks
    its one term alone.
    """
    from ...sde.weak_order.moments import verify_moments
    from ...sde.weak_order.plans import MomentsPlan

    found = variants()
    results = []
    for label, sde in found.items():
        order = 2.0 if label == WHOLE else 1.0
        measured = verify_moments(sde, _landscape(), etas=_ETAS, plan=MomentsPlan(expected=2.0))
        results.append({"label": label, "order": order, **measured.to_dict()})
        progress(len(results), len(found))
    return results
