"""The top eigenvector of the loss that a training loop's closure returns, estimated between two of its steps."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ..ground.errors import InputError
from ..landscapes.curvature.closure_hessian import ClosureCheck, ClosureHessian
from ..landscapes.derivatives.one_function import OneFunction
from ..landscapes.derivatives.plain_evaluation import without_autocast
from ..landscapes.spectra.eigenpairs import start_vector
from ..landscapes.spectra.lengths import length_of
from ..landscapes.spectra.operators import FunctionOperator, NotFiniteProductError, SymmetricOperator
from ..landscapes.spectra.power_iteration import power_iterates
from ..landscapes.spectra.short_lanczos import short_lanczos
from .data_parallel import (
    OTHER_FAILED,
    WorkersMean,
    find_replicas,
    from_first,
    some_have_left,
    without_averaging,
    workers_agree,
)
from .passes import Closure, NotFiniteError

__all__ = ["Eigensolver", "EigenvectorEstimate", "estimate", "hessian_of", "refreshing"]

Eigensolver = Literal["lanczos", "power"]


@dataclass(frozen=True)
class EigenvectorEstimate:
    """An estimate.

    Attributes:
        vector: unit, flat.
        value: its Rayleigh quotient; for ``power`` that of the vector before the last product.
        residual: ``|H v - value v|`` of the same vector.
    """

    vector: Tensor
    value: float
    residual: float


def estimate(
    operator: SymmetricOperator,
    solver: Eigensolver,
    products: int,
    start: Tensor | None,
    seed: int,
    group: Any = None,
) -> EigenvectorEstimate:
    """The top eigenvector by a fixed number of products.

    Args:
        operator: the Hessian.
        solver: ``lanczos`` for the largest eigenvalue, ``power`` for the one of largest magnitude.
        products: to spend.
        start: first vector; None draws one.
        seed: of what is drawn.
        group: of workers that share it: all begin with the first one's vector, and have its result bit for bit.
    """
    if group is None:
        return _estimated(operator, solver, products, start, seed)
    found = _estimated(operator, solver, products, from_first(start_vector(operator, start, seed), group), seed)
    numbers = from_first(found.vector.new_tensor([found.value, found.residual], dtype=torch.float64), group).tolist()
    return EigenvectorEstimate(from_first(found.vector.contiguous(), group), *numbers)


def _estimated(
    operator: SymmetricOperator, solver: Eigensolver, products: int, start: Tensor | None, seed: int
) -> EigenvectorEstimate:
    if solver == "lanczos":
        pairs = short_lanczos(operator, products, start=start, seed=seed)
        return EigenvectorEstimate(pairs.vectors[0], float(pairs.values[0]), float(pairs.residuals[0]))
    steps = zip(range(products), power_iterates(operator, start_vector(operator, start, seed)), strict=False)
    for _, (v, hv) in steps:  # noqa: B007 (the last ones count)
        pass
    value, norm = float(v @ hv), length_of(hv)
    # Algorithm 1 keeps the vector after the last product; the value belongs to the one before.
    return EigenvectorEstimate(hv / norm if norm > 0 else v, value, float(length_of(hv - value * v)))


@contextmanager
def refreshing(parameters: Sequence[Tensor]) -> Iterator[list[Any]]:
    """Evaluations inside are no training steps: gradients stay, compiled code runs uncompiled, workers do not wait.

    Yields:
        The ``DistributedDataParallel`` modules around the parameters.

    Raises:
        NotFiniteError: a Hessian product inside is not finite.
    """
    gradients = [p.grad for p in parameters]
    with ExitStack() as stack:
        stack.enter_context(without_autocast(parameters[0].device))
        if "torch._dynamo" in sys.modules:  # compiled code can be differentiated once only
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        replicas = find_replicas(parameters)
        stack.enter_context(without_averaging(replicas))
        try:
            yield replicas
        except NotFiniteProductError as error:
            raise NotFiniteError(f"{error}; the step is not taken and nothing has been changed") from None
        finally:
            for p, g in zip(parameters, gradients, strict=True):
                p.grad = g


def hessian_of(
    closures: Sequence[Closure],
    parameters: Sequence[Tensor],
    function: OneFunction,
    check: ClosureCheck,
    replicas: Sequence[Any],
) -> SymmetricOperator:
    """The Hessian of the mean of the closures' losses by these parameters; of all workers', where there are replicas.

    Raises:
        InputError: parameters that cannot be differentiated by twice, a closure that calls ``backward``.
    """
    if any(p.is_complex() for p in parameters):
        raise InputError(
            "the Hessian by complex parameters is not one; use a method without second derivatives, such as SAM"
        )
    if any(hasattr(p, "device_mesh") for p in parameters):
        raise InputError(
            "a model that is sharded (FSDP2) cannot be differentiated twice, so it has no Hessian; use SAM, or "
            "DistributedDataParallel"
        )

    def loss() -> Tensor:
        with function.again():  # one function: the same dropout masks whenever it is evaluated
            return torch.stack([_loss(closure, parameters) for closure in closures]).mean()

    if not replicas:
        return ClosureHessian(loss, parameters, check)
    if some_have_left(replicas[0]):
        raise InputError(
            "inside of model.join() workers that have run out of minibatches take no part in estimating a common "
            "eigenvector; give all as many minibatches, or each its own eigenvector with synchronised=False"
        )
    group, error, own = replicas[0].process_group, None, None
    try:
        own = ClosureHessian(loss, parameters, check)
    except Exception as found:
        error = found
    workers_agree([group], error, parameters[0].device, OTHER_FAILED)
    assert own is not None
    return WorkersMean(own, group)


def negative(operator: SymmetricOperator) -> SymmetricOperator:
    """Of a loss that is maximised."""
    return FunctionOperator(lambda v: -(operator @ v), operator.dim, operator.dtype, operator.device)


def _loss(closure: Callable[[], Any], parameters: Sequence[Tensor]) -> Tensor:
    for p in parameters:
        p.grad = None
    torch.clear_autocast_cache()
    loss = closure()
    if any(p.grad is not None for p in parameters):
        raise InputError(
            "this method differentiates the loss twice, so its closure must not call backward, after which the graph "
            "is gone; let it return the loss alone (or give Eigen-SAM another one with curvature=closure)"
        )
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
        raise InputError("the closure must return the minibatch loss, a scalar tensor with a gradient")
    if not math.isfinite(value := loss.item()):
        raise NotFiniteError(
            f"a loss of {value} is not finite and has no Hessian; nothing has been changed: lower the learning rate or "
            "rho, or let such steps be left out with nonfinite='skip'"
        )
    return loss.reshape(())
