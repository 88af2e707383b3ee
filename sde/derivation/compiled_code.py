"""The generated torch code of an SDE as a function: what :mod:`.torch_code` writes, compiled."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..rules.bindings import Values
from .derived_sde import SDE
from .torch_code import corrector_code, ordered_code, torch_code

if TYPE_CHECKING:
    from ...landscapes.landscape import Landscape

__all__ = ["GeneratedFunction", "OrderedFunction", "compile_ordered_code", "compile_torch_code"]

OrderedFunction = Callable[["Landscape", Tensor, float, Values], Tensor]
"""The same to what a given order adds, for each minibatch."""

GeneratedFunction = Callable[["Landscape", Tensor, float, Values], tuple[Tensor, Tensor, Tensor]]
"""(landscape, points ``(..., 1, d)``, rho, values) to increments of the drift, correction, increments of the noise."""


@lru_cache(maxsize=256)
def compile_torch_code(sde: SDE) -> GeneratedFunction:
    """Compile the function that :func:`.torch_code.torch_code` is the source of, once for each SDE."""
    function: GeneratedFunction = _compiled(torch_code(sde), sde, "coefficients")
    return function


@lru_cache(maxsize=256)
def compile_ordered_code(sde: SDE) -> OrderedFunction:
    """Compile the function that :func:`.torch_code.ordered_code` is the source of, once for each SDE."""
    function: OrderedFunction = _compiled(ordered_code(sde), sde, "ordered")
    return function


@lru_cache(maxsize=256)
def compile_corrector_code(sde: SDE, count: int) -> Callable[["Landscape", Tensor, float, Values], Tensor]:
    """Compile the function that :func:`.torch_code.corrector_code` is the source of, once for each SDE."""
    source = corrector_code(sde, count)
    function: Callable[[Landscape, Tensor, float, Values], Tensor] = _compiled(source, sde, "corrector")
    return function


def _compiled(source: str, sde: SDE, name: str) -> Any:
    namespace: dict[str, Any] = {}
    # Safe: every name in the source is made there or was checked to be an identifier.
    exec(compile(source, f"<SDE of {sde.rule.name}>", "exec"), namespace)
    return namespace[name]
