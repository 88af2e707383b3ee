"""The one way to differentiate a network more than once: routes in order of cost, each checked before it is trusted."""

import copy
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.func import vmap

from ...ground.errors import InputError
from ..derivatives.flat import unflatten
from ..derivatives.plain_evaluation import differentiable
from ..derivatives.reverse_products import check_dependence, linearised_gradient
from ..derivatives.smooth_norms import SmoothNorms
from ..landscape import Terms
from .batch_rows import count_rows
from .difference_route import DifferenceRoute
from .network_function import Batch, NetworkFunction
from .pair_routes import StackedBatches, pair_losses, take_pair_route
from .route_check import RouteCheck
from .route_comparison import UnsteadyLossError, WrongDerivativeError
from .routes import first_line, is_expansion, is_out_of_memory, is_refusal, order_of, take_route

__all__ = ["NetworkDerivatives", "NotDifferentiableError", "Route"]

Route = Literal["auto", "taylor", "reverse", "func", "difference"]

# Below this many parameters times examples a Hessian product is all overhead, of which two reverse passes have less.
_SMALL = 5_000_000


_NOT_YET = "not checked yet"


class NotDifferentiableError(InputError):
    """A network that no route can differentiate as often as asked."""


class NetworkDerivatives:
    """``sum_t c_t grad^{k+1} f(x)[a_1, ..., a_k, .]`` of one batch's loss.

    - ``taylor``: one forward Taylor pass and one backward pass, for expansions along one direction up to second order
      (``g + c_1 H u + c_2 T[u, u]``), where every function of the network has a rule;
    - ``reverse``: nested reverse passes, for anything that torch can differentiate often enough;
    - ``func``: nested forward passes over one reverse pass of ``torch.func``, where nested reverse passes are refused;
    - ``difference``: differences of the derivative one order below, in float64 where the network can be computed so;
    - ``auto``: the first of these that works; a refusal is remembered.

    Kernels of one's own, compiled code and some of torch's functions have second derivatives that are wrong without a
    word. So each route is compared with differences the first time it is taken (:class:`RouteCheck`); one that is wrong
    is refused like one that does not go through.

    Args:
        network: the network and its loss.
        route: one of these words.
        check: whether routes are compared with differences.

    Attributes:
        used: for each order of derivative asked for so far (0 is the gradient), the route taken, and why if it was not
            the first choice.
        difference_error: by how much differences at two step sizes have disagreed at most, relative.

    Example:
        Torch differentiates this backward pass as if ``s`` did not depend on ``x``:

        >>> import torch
        >>> class Swish(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         s = torch.sigmoid(x)
        ...         ctx.save_for_backward(x, s)
        ...         return x * s
        ...
        ...     @staticmethod
        ...     def backward(ctx, grad):
        ...         x, s = ctx.saved_tensors
        ...         return grad * (s + x * s * (1 - s))
        >>> x = torch.tensor([1.0], dtype=torch.float64)
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> network = NetworkFunction(model, lambda outputs, targets: Swish.apply(outputs).mean())
        >>> derivatives = NetworkDerivatives(network)
        >>> hessian = derivatives.contracted_gradient(x, [(1.0, (x,))], (x[:, None], x[:, None]))
        >>> round(hessian.item(), 6)  # s (1 - s) (2 + x (1 - 2 s))
        0.302366
        >>> derivatives.used[1].split(" by ")[0]
        'difference (refused: reverse:'
    """

    def __init__(self, network: NetworkFunction, route: Route = "auto", *, check: bool = True) -> None:
        if route not in get_args(Route):
            raise InputError(f"unknown route '{route}'; choose one of: {', '.join(get_args(Route))}")
        self.network, self.route = network, route
        self.used: dict[int, str] = {}
        self._check = RouteCheck(network, enabled=check)
        self._difference = DifferenceRoute(network, self._check)
        self._refused: dict[tuple[str, int], str] = {}
        self._last: dict[str, str] = {}  # what was refused in the last attempt

    @property
    def difference_error(self) -> float:
        """See above."""
        return self._difference.error

    def on(self, network: NetworkFunction, route: Route = "auto", *, check: bool = True) -> "NetworkDerivatives":
        """The same for a snapshot of the network; what either has found out, both know."""
        twin = copy.copy(self)
        twin.network, twin.route, twin.used = network, route, {}
        twin._check = self._check.on(network, enabled=check)
        twin._difference = DifferenceRoute(network, twin._check)
        return twin

    def how_checked(self, order: int) -> str:
        """Whether and how derivatives of that order, by the route taken to them, were checked, in words."""
        if not self._check.enabled:
            return "not checked: switched off"
        route = self.used.get(order, "reverse" if self.route == "auto" else self.route).split()[0]
        if route == "difference":
            return (
                f"differences at two step sizes agree to {self.difference_error:.1g}"
                if order in self.used
                else _NOT_YET
            )
        return self._check.found.get((route, order), _NOT_YET)

    def contracted_gradient(self, x: Tensor, terms: Terms, batch: Batch, out: Tensor | None = None) -> Tensor:
        """At ``x`` of shape ``(d,)``; coefficients are numbers or tensors with one element.

        Args:
            x: where.
            terms: coefficients and directions.
            batch: one batch.
            out: where to write the result, ``(d,)``; default: a new vector.

        Raises:
            NotDifferentiableError: no route goes through and is right.
            UnsteadyLossError: the loss is not a function of the parameters.
            InputError: the loss is not a scalar, or does not depend on the parameters.
        """
        x, terms = x.detach(), _constant(terms)
        order = order_of(terms)
        routes: dict[str, Callable[[], Tensor]] = {
            name: lambda name=name: self._take(name, x, terms, batch, out)  # type: ignore[misc]
            for name in self._names(order, terms, batch)
        }
        found = self._first(routes, order, lambda name: self._check.admit(name, order, x, batch), x, batch)
        if isinstance(found, Tensor):
            return found
        raise NotDifferentiableError(
            f"the loss has no derivative of order {order + 1} that torch can compute ({self._reasons(order, routes)}); "
            "use functions that are differentiable often enough"
        ) from found

    def contracted_gradients(self, x: Tensor, terms: Terms, batches: Sequence[Batch]) -> Tensor:
        """Of several pairs of a point and a batch in one pass, ``(N, d)``.

        By ``vmap-taylor`` or ``vmap``, which are the routes ``taylor`` and ``reverse`` inside ``torch.func.vmap``; one
        pair at a time where neither goes through and is right.

        Args:
            x: points, ``(N, d)``.
            terms: coefficients are numbers or of shape ``(N,)``, directions ``(N, d)``.
            batches: ``N`` of them; those that are one object are known to be equal.
        """
        order = order_of(terms)
        stacked: list[StackedBatches] = []  # once for both routes

        def take(name: str) -> Tensor:
            if not stacked:
                stacked.append(StackedBatches.of(batches))
            return take_pair_route(name, self.network, x, terms, stacked[0])

        names = ["vmap"] if self.route in ("auto", "reverse") or not order else []
        if self.route in ("auto", "taylor") and 1 <= order <= 2 and is_expansion(terms):
            names.insert(0, "vmap-taylor")
        if self.route in ("func", "difference"):
            names = []
        routes = {name: functools.partial(take, name) for name in names}
        point = x[0].detach()
        found = self._first(
            routes, order, lambda name: self._check.admit_pairs(name, order, point, batches), point, batches[0]
        )
        if isinstance(found, Tensor):
            return found
        refused = self._reasons(order, routes)

        def term(c: float | Tensor, given: Sequence[Tensor], i: int) -> tuple[float | Tensor, list[Tensor]]:
            return c[i] if isinstance(c, Tensor) else c, [rows[id(a)][i] for a in given]

        # A direction that occurs twice stays one tensor.
        rows = {id(a): a.unbind() for _, given in terms for a in given}
        singles = [[term(c, given, i) for c, given in terms] for i in range(len(x))]
        result = torch.stack(
            [self.contracted_gradient(p, t, batch) for p, t, batch in zip(x, singles, batches, strict=True)]
        )
        if refused:
            self.used[order] += f" one pair at a time (refused: {refused})"
        return result

    def losses(self, x: Tensor, batches: Sequence[Batch]) -> Tensor:
        """Of several pairs, ``(N,)`` at ``(N, d)``, in one pass where that is the same; differentiable in ``x``."""
        if ("losses", 0) not in self._refused:
            try:
                stacked = StackedBatches.of(batches)
                losses = pair_losses(self.network, x, stacked)
                self._check.admit_losses(losses, x, batches)
                return losses
            except Exception as error:
                if not self.is_limit(error, x[0].detach(), batches[:1]):
                    raise
                self._refused["losses", 0] = first_line(error)
        return torch.stack([self._loss(p, batch) for p, batch in zip(x, batches, strict=True)])

    def linearised(self, x: Tensor, batch: Batch) -> Callable[[Tensor], Tensor]:
        """Hessian products of one batch as a function that may be called several times and owns its graph.

        Raises:
            NotDifferentiableError: a gradient whose derivative is wrong; RuntimeError where torch refuses it.
        """
        network = self.network
        try:
            self._check.admit("reverse", 1, x, batch)
        except WrongDerivativeError as error:
            raise NotDifferentiableError(f"a graph that is kept does not cover this network: {error}") from error
        leaves = [part.detach().requires_grad_() for part in unflatten(x, network.shapes)]
        with differentiable(network.device), SmoothNorms(2):
            loss = network.loss(leaves, batch)
            check_dependence(loss, network.names)
            return linearised_gradient(loss, leaves)

    def linearised_points(self, x: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
        """Losses ``(B,)``, gradients ``(B, d)`` and Hessian products of one batch at several points ``(B, d)`` at once.

        The products are a function ``(B, d) -> (B, d)`` as of :meth:`linearised`.

        Raises:
            WrongDerivativeError: a gradient whose derivative is wrong; and whatever ``torch.func.vmap`` raises where it
                cannot map the network: see :meth:`is_limit`.
        """
        network = self.network
        self._check.admit("vmap", 1, x[0], batch)
        points = x.detach().requires_grad_()
        with differentiable(network.device), SmoothNorms(2):
            losses = vmap(lambda p: network.loss(unflatten(p, network.shapes), batch))(points)
            check_dependence(losses, network.names)
            (gradients,) = torch.autograd.grad(losses.sum(), points, create_graph=True)

        def product(v: Tensor) -> Tensor:
            if not gradients.requires_grad:  # linear in the parameters
                return torch.zeros_like(v)
            with differentiable(network.device):
                (rows,) = torch.autograd.grad(gradients, points, v, retain_graph=True, materialize_grads=True)
            return rows

        return losses.detach(), gradients.detach(), product

    def is_limit(self, error: Exception, x: Tensor, batches: Iterable[Batch]) -> bool:
        """Whether an error is one of the route, and not of the network or the machine.

        A route may fail in many ways; where the plain gradient of the first batch fails as well, the network is to
        blame.
        """
        if isinstance(error, UnsteadyLossError) or is_out_of_memory(error):
            return False
        if isinstance(error, WrongDerivativeError | NotDifferentiableError) or is_refusal(error):
            return True
        try:
            for batch in batches:
                take_route("reverse", self.network, x, [(1.0, ())], batch)
                return True
        except Exception:
            return False
        return False

    def _first(
        self,
        routes: Mapping[str, Callable[[], Tensor]],
        order: int,
        admit: Callable[[str], None],
        x: Tensor,
        batch: Batch,
    ) -> Tensor | Exception | None:
        """What the first route gives that goes through and is right; else why the last one did not."""
        refused: dict[str, str] = {}
        firm: set[str] = set()  # what is not only so at this point
        result: Tensor | None = None
        problem: Exception | None = None
        for name, take in routes.items():
            if (name, order) in self._refused:
                continue
            try:
                admit(name)
                result = take()
                self.used[order] = name
                break
            except Exception as error:
                if not (order or name.startswith("vmap") or is_refusal(error)) or not self.is_limit(error, x, [batch]):
                    raise
                if name == self.route:
                    raise NotDifferentiableError(
                        f"route '{name}' does not cover this network: {first_line(error)}; use route 'auto'"
                    ) from error
                problem, refused[name] = error, first_line(error)
                if is_refusal(error) or (name, order) in self._check.wrong:
                    firm.add(name)
        # What another route was needed for is remembered, and what will not change.
        self._refused |= {(n, order): why for n, why in refused.items() if result is not None or n in firm}
        self._last = refused
        if result is None:
            return problem
        if reasons := self._reasons(order, routes):
            self.used[order] += f" (refused: {reasons})"
        return result

    def _names(self, order: int, terms: Terms, batch: Batch) -> list[str]:
        if self.route in ("taylor", "difference") and not order:
            return ["reverse"]
        if self.route != "auto":
            return [self.route]
        names = ["reverse", "func", *(["difference"] if order else [])]
        small = order == 1 and self.network.dim * (count_rows(batch) or 1) < _SMALL
        if 1 <= order <= 2 and is_expansion(terms):
            names.insert(2 if small else 0, "taylor")
        return names

    def _reasons(self, order: int, routes: Mapping[str, Any]) -> str:
        known = {n: why for (n, o), why in self._refused.items() if o == order} | self._last
        return "; ".join(f"{n}: {why}" for n, why in known.items() if n in routes)

    def _loss(self, x: Tensor, batch: Batch) -> Tensor:
        return self.network.loss(unflatten(x, self.network.shapes), batch)

    def _take(self, name: str, x: Tensor, terms: Terms, batch: Batch, out: Tensor | None) -> Tensor:
        if name == "difference":
            result = self._difference.take(x, terms, batch)
            return result if out is None else out.copy_(result)
        return take_route(name, self.network, x, terms, batch, out)


def _constant(terms: Terms) -> Terms:
    """Coefficients as scalars, and no gradient through them; a direction that occurs twice stays one tensor."""
    directions = {id(a): a.detach() for _, given in terms for a in given}
    return [
        (c.detach().reshape(()) if isinstance(c, Tensor) else c, [directions[id(a)] for a in given])
        for c, given in terms
    ]
