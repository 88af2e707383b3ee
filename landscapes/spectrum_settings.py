"""What ``eigensam spectrum`` is asked for; no torch is needed to know that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from ..ground.console import check_count
from ..ground.errors import InputError
from ..ground.settings import check_types, setting
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

    top: int = setting(1, "How many eigenvalues.")
    which: str = setting("largest", "Of which end of the spectrum.", choices=lambda: ENDS)
    operator: str = setting("hessian", "Of which matrix.", choices=lambda: OPERATORS)
    density: bool = setting(False, "Estimate the spectral density, the trace and the norm, too, with intervals.")
    probes: int = setting(10, "Random vectors that --density averages over.")
    steps: int = setting(40, "Lanczos steps from each of these vectors.")
    max_products: int = setting(100, "Most matrix-vector products to spend on the eigenvalues.")
    tolerance: float = setting(1e-3, "Relative accuracy of each eigenvalue at which to stop.")
    delta: float = setting(0.05, "Probability that the bound of the whole spectrum fails.")
    batch_size: int = setting(500, "Examples in a pass (memory only); in train mode a rest is left out.")
    batches: int = setting(0, "Use only the first so many minibatches; 0 is all.")
    mode: str = setting(
        "eval", "Whether batch norm uses its running statistics or the minibatch's.", choices=lambda: MODES
    )
    parameters: list[str] | None = setting(  # noqa: RUF009 (a field)
        None, "Only these parameters are coordinates, by name or pattern; may be repeated."
    )
    seed: int = setting(0, "Seed of the random vectors.")
    check: bool = setting(True, "Compare products with differences of gradients before they are trusted.")
    double: bool = setting(False, "Compute in float64; the bound of the spectrum is then a certificate.")

    def __post_init__(self) -> None:
        check_types(self)
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
