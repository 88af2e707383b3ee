"""The forms of Theorem 4.1: how the curvature enters, and what bounds Taylor's remainder."""

from dataclasses import dataclass
from typing import Literal

from ...ground.errors import InputError
from .bound import Curvature
from .remainders import REMAINDERS

__all__ = ["Form", "available_forms"]

CURVATURES = {
    "eigenvalue": "d σ² λ₁ / 2",
    "trace": "σ² tr H / 2",
    "effective dimension": "(σ² (tr H - Σ λᵢ) + Σ σᵢ² λᵢ) / 2",
}


@dataclass(frozen=True)
class Form:
    """One of them.

    Attributes:
        curvature: ``eigenvalue`` for ``d sigma^2 lambda_1 / 2``, the paper's; ``trace`` for ``sigma^2 tr H / 2``, which
            the former is an upper bound of; ``effective dimension`` for a posterior that is narrower along the top
            eigenvectors, ``(sigma^2 (tr H - sum lambda_i) + sum sigma_i^2 lambda_i) / 2``.
        remainder: name of its constant: ``K_4``, ``K_3``, the paper's ``C``, or ``M_4``, which is no bound: the mean
            fourth derivative along Gaussian directions, at the point alone.

    Example:
        >>> str(Form("trace", "K_4"))
        'trace, K_4'
    """

    curvature: Literal["eigenvalue", "trace", "effective dimension"] = "eigenvalue"
    remainder: str = "K_4"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("curvature", self.curvature, CURVATURES),
            ("remainder", self.remainder, REMAINDERS),
        ):
            if value not in known:
                raise InputError(f"unknown {name} '{value}' of a form; choose one of: {', '.join(known)}")

    def __str__(self) -> str:
        return f"{self.curvature}, {self.remainder}"

    @property
    def sampled(self) -> bool:
        """Whether it has the derivative at one point, so that it is an estimate, whatever its numbers are."""
        return REMAINDERS[self.remainder].sampled

    def check(self, curvature: Curvature) -> None:
        """Refuse a curvature that lacks what the form needs, or says that it proves what nothing does.

        Raises:
            InputError: what is missing, or claimed.
        """
        if self.sampled and curvature.kind == "certificate":
            raise InputError(
                f"the form '{self}' has the fourth derivative at one point, which bounds nothing elsewhere: it is an "
                "estimate, whatever its numbers are; say kind='estimate'"
            )
        if self.sampled and self.curvature == "effective dimension":
            raise InputError(f"the form '{self}' has no sampled term: M_4 is of the same sigma in all directions")
        needed = {"eigenvalue": [], "trace": ["trace"], "effective dimension": ["trace", "eigenvalues"]}
        for name in (REMAINDERS[self.remainder].constant, *needed[self.curvature]):
            if getattr(curvature, name) is None:
                raise InputError(
                    f"the form '{self}' needs {name}, which was not given; measure it or choose another form"
                )


def chosen_forms(curvature: Curvature, form: Form | None) -> list[Form]:
    """The one that was asked for; else those with the paper's curvature term whose remainder is a bound.

    Raises:
        InputError: a number that is missing, or one that proves nothing and is called a certificate.
    """
    forms = [each for each in available_forms(curvature) if each.curvature == "eigenvalue" and not each.sampled]
    if form is not None:
        form.check(curvature)
        forms = [form]
    if not forms:
        raise InputError("no bound on a higher derivative was given; give fourth_derivative or hessian_lipschitz")
    return forms


def available_forms(curvature: Curvature) -> list[Form]:
    """Those that a curvature has the numbers for, the paper's curvature term first.

    Example:
        >>> [str(form) for form in available_forms(Curvature(0.1, hessian_lipschitz=1.0, trace=0.5))]
        ['eigenvalue, K_3', 'trace, K_3']
    """
    known = [name for name, each in REMAINDERS.items() if getattr(curvature, each.constant) is not None]
    forms = [Form("eigenvalue", name) for name in known]
    if curvature.trace is not None:
        forms += [Form("trace", name) for name in known]
        if curvature.eigenvalues is not None:
            forms += [Form("effective dimension", name) for name in known if not REMAINDERS[name].sampled]
    return forms
