"""The Hessian of the loss that a closure returns, at the parameters as they are: what a training loop has at hand."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..derivatives.derivative_check import (
    Comparison,
    UnusableError,
    compare_near,
    is_asymmetric,
    percent,
    without_constants,
)
from ..derivatives.differences import difference_accuracy, differenced_product, natural_step
from ..derivatives.double_precision import DoublePrecision
from ..derivatives.flat import flatten, unflatten
from ..derivatives.plain_evaluation import plain_evaluation
from ..derivatives.reverse_products import check_backward, check_dependence, linearised_gradient, reaches
from ..derivatives.smooth_norms import SmoothNorms
from ..networks.route_comparison import NO_HESSIAN, WrongDerivativeError, check_repeats
from ..networks.routes import first_line, is_out_of_memory
from ..spectra.operators import SymmetricOperator

__all__ = ["ClosureCheck", "ClosureHessian"]

_ROUGH = 0.1  # differences at two step sizes that disagree by more are no product


@dataclass
class ClosureCheck:
    """What is known of the derivatives of a training loop's closures, which all call one network.

    Attributes:
        enabled: whether products are compared with differences of gradients, once.
        how: whether and how they were.
        difference: why products are differences of gradients; None where they are not.
        double: whether the closure can be evaluated in float64; None if that is not known.
    """

    enabled: bool = True
    how: str = "not checked yet"
    difference: str | None = None
    double: bool | None = None


class ClosureHessian(SymmetricOperator):
    """``H v`` by differentiating a gradient whose graph is kept, or where that is wrong, by differences of gradients.

    The first one of a training is compared with differences of gradients, as products of networks are
    (:class:`RouteCheck`), in float64 and on all that the closure looks at; only there, so that a gradient that is
    another one in the closure's own precision is not seen. A closure whose functions take the parameters where nobody
    can step in (compiled code, functions of one's own on a parameter itself) is checked in its own precision.

    Args:
        closure: computes and returns the loss, a scalar; the same one whenever it is called at the same parameters.
        parameters: tensors on one device, by which it is differentiated; ``v`` is one vector over all of them.
        check: what is known already, to which is written what is found out; default nothing.

    Raises:
        InputError: no way leads to products to rely on; the closure gives two losses at one point; the loss does not
            depend on the parameters.

    Example:
        >>> import torch
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> operator = ClosureHessian(lambda: (x**3).sum(), [x])
        >>> (operator @ torch.tensor([1.0, 1.0])).tolist(), operator.checked.split(" of ")[1]
        ([6.0, 12.0], 'differences (float64)')
    """

    def __init__(
        self, closure: Callable[[], Tensor], parameters: Sequence[Tensor], check: ClosureCheck | None = None
    ) -> None:
        like = parameters[0]
        super().__init__(sum(p.numel() for p in parameters), like.dtype, like.device)
        self._closure, self._parameters = closure, list(parameters)
        self._check = ClosureCheck() if check is None else check
        self._shapes = [p.shape for p in parameters]
        self._graph: Callable[[Tensor], Tensor] | None = None
        with self._evaluating():
            loss = self._loss()  # what is wrong with the closure itself comes out here, as it is
            if self._check.how == ClosureCheck.how:
                with self._or_difference():
                    self._compare(loss)
                if self._check.difference is not None:
                    self._check_symmetry()
                if self._check.double is False:
                    loss = self._loss()  # parameters that were moved and put back count as changed
            if self._check.difference is None:
                with self._or_difference():
                    self._graph = linearised_gradient(loss, self._parameters)

    @property
    def checked(self) -> str:
        """Whether and how the products were checked."""
        return self._check.how

    @property
    def used(self) -> str:
        """What products are computed by, and why."""
        return "graph" if self._check.difference is None else f"difference ({self._check.difference})"

    def _product(self, v: Tensor) -> Tensor:
        if self._graph is not None:
            with self._or_difference(), torch.enable_grad():
                return self._graph(v)
        if not v.any():
            return torch.zeros_like(v)
        x = self._point()
        wide = v.to(x.dtype)
        step = natural_step(unflatten(x, self._shapes), unflatten(wide, self._shapes))
        with self._evaluating():
            value, error = differenced_product(self._gradient, x, wide, step)
        if error > _ROUGH:
            raise InputError(
                f"no Hessian product of the closure's loss is to be had: {self._check.difference}; and differences of "
                f"gradients at neighbouring step sizes disagree by {percent(error)} ({x.dtype}); use functions that "
                "are differentiable twice"
            )
        self.accuracy = max(self.accuracy, error, difference_accuracy(x.dtype))
        if not self._check.how.startswith("not checked: switched"):
            self._check.how = f"differences at two step sizes agree to {max(error, difference_accuracy(x.dtype)):.1g}"
        return value.to(v)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        # The derivative of weight norm's own derivative is wrong; attention's and checkpointing's as well.
        with plain_evaluation(), SmoothNorms(2), torch.enable_grad():
            yield

    @contextmanager
    def _or_difference(self) -> Iterator[None]:
        """If a graph is refused or wrong, take differences from now on: the loss itself has gone through before."""
        try:
            yield
        except Exception as error:
            if isinstance(error, InputError) or is_out_of_memory(error):
                raise
            self._check.difference, self._graph = first_line(error), None

    def _loss(self) -> Tensor:
        loss = self._closure()
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            raise InputError("the closure must return the loss, a scalar tensor")
        check_dependence(loss, [f"tensor {i}" for i in range(len(self._parameters))])
        return loss.reshape(())

    def _compare(self, loss: Tensor) -> None:
        """Refuse a graph that is cut, or whose products are not what differences of gradients say.

        Raises:
            WrongDerivativeError: it is wrong; RuntimeError where torch refuses it.
        """
        if not self._check.enabled:
            self._check.how = "not checked: switched off"
        weight = torch.ones_like(loss, requires_grad=True)
        check_backward(
            torch.autograd.grad(loss, self._parameters, weight, create_graph=True, allow_unused=True), weight
        )
        if not self._check.enabled:
            return
        x = self._point()
        if x.dtype not in (torch.float32, torch.float64):
            self._check.how = f"not checked: parameters are {x.dtype}"
            return
        try:
            compared = self._compared(x)
        except Exception as error:
            if not self._check.double or not (isinstance(error, UnusableError) or is_out_of_memory(error)):
                raise
            self._check.double = False  # twice the memory is too much, or a copy of the parameters is no parameter
            x = self._point()
            compared = self._compared(x)
        if compared.outcome == "differs":
            raise WrongDerivativeError(
                f"products are by {percent(compared.error)} off differences of gradients at parameter {compared.block}"
            )
        weak = "" if x.dtype == torch.float64 else "weak check: "
        if compared.outcome == "unclear":
            check_repeats(self._gradient(x), self._gradient(x))
            self._check.how = "weak check: differences do not agree among themselves"
        else:
            precision = str(x.dtype).removeprefix("torch.")
            self._check.how = f"{weak}within {compared.error:.1g} of differences ({precision})"

    def _compared(self, x: Tensor) -> Comparison:
        step = float(torch.finfo(x.dtype).eps) ** 0.4
        return compare_near(
            self._curvature,
            lambda p, u: self._gradient(p),
            lambda p, u: without_constants(u, self._gradient(p + step * u), self._gradient(p - step * u)),
            x,
            self._shapes,
            [shape.numel() for shape in self._shapes],
        )[0]

    def _check_symmetry(self) -> None:
        """Refuse to take differences of a gradient that is not that of any function."""
        x = self._point()
        if not self._check.enabled or x.dtype != torch.float64:  # kinks would be taken for asymmetry
            return
        with suppress(UnusableError):
            if is_asymmetric(self._gradient, x, self._shapes):
                raise InputError(NO_HESSIAN)

    def _point(self) -> Tensor:
        """The parameters as one vector, in float64 where the closure can be evaluated so."""
        x = flatten(p.detach() for p in self._parameters)
        if self._check.double is None:
            try:
                with self._evaluating():
                    loss, leaves = self._loss_in_double(x.double())
                    torch.autograd.grad(loss, leaves, materialize_grads=True)
                self._check.double = not reaches(loss, self._parameters)
            except Exception:  # of memory, too
                self._check.double = False
        return x.double() if self._check.double else x

    def _loss_in_double(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        leaves = [part.detach().clone().requires_grad_() for part in unflatten(x, self._shapes)]
        with DoublePrecision({id(p): leaf for p, leaf in zip(self._parameters, leaves, strict=True)}):
            return self._loss(), leaves

    def _gradient(self, x: Tensor) -> Tensor:
        """At any parameters, which take the place of the own ones in float64, or are written into them for a moment."""
        if self._check.double:
            loss, leaves = self._loss_in_double(x)
            return flatten(torch.autograd.grad(loss, leaves, materialize_grads=True))
        with self._moved_to(x):
            return flatten(torch.autograd.grad(self._loss(), self._parameters, materialize_grads=True))

    def _curvature(self, x: Tensor, u: Tensor) -> Tensor:
        """``H u`` at any parameters by a graph."""
        if self._check.double:
            return linearised_gradient(*self._loss_in_double(x))(u)
        with self._moved_to(x):
            return linearised_gradient(self._loss(), self._parameters)(u)

    @contextmanager
    def _moved_to(self, x: Tensor) -> Iterator[None]:
        originals = [p.detach().clone() for p in self._parameters]
        try:
            self._write(unflatten(x, self._shapes))
            yield
        finally:
            self._write(originals)

    @torch.no_grad()
    def _write(self, values: Sequence[Tensor]) -> None:
        for p, value in zip(self._parameters, values, strict=True):
            p.copy_(value)
