"""What ``eigensam spectrum`` is asked for; no torch is needed to know that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from ..ground.console import check_count
from ..ground.errors import InputError
from .spectra.ends import End

__all__ = ["ENDS", "MODES", "OPERATORS", "SpectrumSettings"]

OPERATORS: Mapping[str, str] = {
    "hessian": "Hessian",
    "gauss-newton": "Gauss-Newton matrix",
    "fisher": "Empirical Fisher matrix",
}
"""Of which matrices there is a spectrum, and what they are called in text."""

ENDS: Sequence[str] = get_args(End)
MODES = ("train", "eval")


@dataclass(frozen=True, kw_only=True)
class SpectrumSettings:
    """Which eigenvalues of which matrix, on which examples, and how accurately.

    Args:
        top: how many eigenvalues.
        which: of which end.
        operator: of which matrix.
        density: whether the spectral density, trace and norm are estimated, too.
        probes: random vectors of the density.
        steps: Lanczos steps for each of them.
        max_products: most matrix-vector products for the eigenvalues.
        tolerance: relative accuracy of each eigenvalue at which to stop.
        delta: probability that the bound of the spectrum fails.
        batch_size: examples in a pass; in train mode a rest is left out.
        batches: how many minibatches to use; 0 is all.
        mode: of batch norm.
        parameters: names or patterns of the parameters that are coordinates; None is all.
        seed: of the random vectors.
        check: whether products are compared with differences of gradients first.
        double: whether to compute in float64.

    Raises:
        InputError: a number out of its range, an unknown name.

    Example:
        >>> SpectrumSettings(which="middle")
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: unknown end 'middle'; choose one of: largest, smallest, both
    """

    top: int = 1
    which: str = "largest"
    operator: str = "hessian"
    density: bool = False
    probes: int = 10
    steps: int = 40
    max_products: int = 100
    tolerance: float = 1e-3
    delta: float = 0.05
    batch_size: int = 500
    batches: int = 0
    mode: str = "eval"
    parameters: Sequence[str] | None = None
    seed: int = 0
    check: bool = True
    double: bool = False

    def __post_init__(self) -> None:
        check_count("--batches", self.batches, low=0)
        check_count("--batch-size", self.batch_size)
        check_count("--max-products", self.max_products)
        check_count("--top", self.top)
        if not 0 < self.tolerance < 1:
            raise InputError(f"--tolerance {self.tolerance} is no relative accuracy between 0 and 1; give e.g. 1e-3")
        check_count("--seed", self.seed, low=0)
        check_count("--probes", self.probes, low=2)
        check_count("--steps", self.steps)
        _check_name("operator", self.operator, list(OPERATORS))
        _check_name("mode", self.mode, MODES)
        if not 0 < self.delta < 1:
            raise InputError(f"delta = {self.delta} is not a probability between 0 and 1; give e.g. 0.05")
        _check_name("end", self.which, ENDS)


def _check_name(kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise InputError(f"unknown {kind} '{name}'; choose one of: {', '.join(known)}")
