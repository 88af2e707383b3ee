"""The generated torch code of an SDE as a function: what :mod:`.torch_code` writes, compiled."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from torch import Tensor

from ..rules.bindings import Values
from .derived_sde import SDE
from .torch_code import torch_code

if TYPE_CHECKING:
    from ...landscapes.landscape import Landscape

__all__ = ["GeneratedFunction", "compile_torch_code"]

GeneratedFunction = Callable[["Landscape", Tensor, float, Values], tuple[Tensor, Tensor, Tensor]]
"""(landscape, points ``(..., 1, d)``, rho, values) to increments of the drift, correction, increments of the noise."""


@lru_cache(maxsize=256)
def compile_torch_code(sde: SDE) -> GeneratedFunction:
    """Compile the function that :func:`.torch_code.torch_code` is the source of, once for each SDE."""
    namespace: dict[str, GeneratedFunction] = {}
    # Safe: every name in the source is made there or was checked to be an identifier.
    exec(compile(torch_code(sde), f"<SDE of {sde.rule.name}>", "exec"), namespace)
    return namespace["coefficients"]
