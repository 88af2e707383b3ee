"""Eigen-SAM: SAM whose perturbation is turned towards the top eigenvector of the Hessian."""

from collections.abc import Iterable
from typing import Any, Literal, final, get_args

from torch import Tensor
from torch.optim import SGD, Optimizer

from ..ground.errors import InputError
from ..landscapes.curvature.closure_hessian import ClosureCheck, ClosureHessian
from ..landscapes.derivatives.one_function import RandomState, frozen_statistics
from ..landscapes.spectra.eigenpairs import start_vector
from ..landscapes.spectra.lanczos_iteration import lanczos
from ..landscapes.spectra.power_iteration import power_iterates
from .two_pass import Closure, TwoPassOptimizer, unit

__all__ = ["EigenSAM", "Eigensolver", "eigen_perturbation"]

Eigensolver = Literal["power", "lanczos"]


def eigen_perturbation(g: Tensor, v: Tensor, alpha: float, *, normalize: bool = False) -> Tensor:
    """``u = g/|g| + alpha sign<g, v> v_perp``, ``v_perp = v - <v, g/|g|> g/|g|`` (the paper, eq. 8).

    Args:
        g: gradients, shape ``(..., d)``.
        v: unit eigenvector, shape ``(d,)``; its sign does not matter.
        alpha: weight of the eigenvector, at least 0.
        normalize: rescale ``u`` to length 1 (eq. 8 has length ``sqrt(1 + alpha^2 |v_perp|^2)``).

    Returns:
        Shape of ``g``; zero where ``g`` is zero.

    Example:
        >>> import torch
        >>> eigen_perturbation(torch.tensor([2.0, 0.0]), torch.tensor([0.6, -0.8]), 0.5).tolist()
        [1.0, -0.4000000059604645]
    """
    direction = unit(g)
    cosine = (direction * v).sum(-1, keepdim=True)
    u = direction + alpha * cosine.sign() * (v - cosine * direction)
    return unit(u) if normalize else u


@final
class EigenSAM(TwoPassOptimizer):
    """SAM with the perturbation of eq. 8; every ``k`` steps the eigenvector is re-estimated on the minibatch at hand.

    A *refresh* takes place at steps 1, k + 1, 2k + 1, ... and starts from the previous eigenvector; it costs one
    gradient and ``p`` Hessian-vector products (the paper, Algorithms 1 and 2). Under data-parallel training each
    worker refreshes on its own minibatch.

    Args:
        params: parameters or parameter groups, on one device.
        base: optimizer that takes the step; default SGD.
        rho: perturbation radius, positive.
        alpha: weight of the eigenvector, at least 0 (paper: tuned over 0.05, 0.1, 0.2); 0 is SAM.
        refresh_every: ``k >= 1`` (paper: 100).
        iterations: ``p >= 1`` products per refresh (released code: 5).
        solver: ``power`` as in the paper, which finds the eigenvalue of largest magnitude; ``lanczos`` finds the
            largest algebraic one with the same number of products.
        normalize: keep the perturbation's length at ``rho`` (default as in eq. 8: not).
        seed: of the first start vector.
        check: whether the first refresh compares its Hessian products with differences of gradients, see
            :class:`ClosureHessian`; products that are wrong are then taken from differences.
        **base_arguments: for ``base``, e.g. ``lr=0.1, momentum=0.9``.

    Attributes:
        eigenvector: current estimate, flat, shape ``(d,)``; None before the first step.
        eigenvalue: its Rayleigh quotient at the last refresh.
        checked: whether and how the products of refreshes were checked.

    Raises:
        InputError: an argument out of range; a Hessian-vector product that is not finite.

    Example:
        >>> import torch
        >>> from eigensam.optim import EigenSAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 0.1], dtype=torch.float64))
        >>> optimizer = EigenSAM([x], rho=0.1, alpha=0.5, iterations=50, lr=0.01)
        >>> loss = optimizer.step(lambda: 0.5 * (x[0] ** 2 + 9 * x[1] ** 2))
        >>> round(optimizer.eigenvalue, 6)
        9.0
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.05,
        alpha: float = 0.2,
        refresh_every: int = 100,
        iterations: int = 5,
        solver: Eigensolver = "power",
        normalize: bool = False,
        seed: int = 0,
        check: bool = True,
        **base_arguments: Any,
    ) -> None:
        if not 0 <= alpha < float("inf"):
            raise InputError(
                f"alpha = {alpha} is negative or not finite; give alpha >= 0 (the paper tunes 0.05 to 0.2)"
            )
        if refresh_every < 1 or iterations < 1:
            raise InputError(f"refresh_every = {refresh_every}, iterations = {iterations}: both must be at least 1")
        if solver not in get_args(Eigensolver):
            raise InputError(f"unknown solver '{solver}'; choose one of: {', '.join(get_args(Eigensolver))}")
        super().__init__(params, base, rho=rho, **base_arguments)
        self.alpha, self.refresh_every, self.iterations = alpha, refresh_every, iterations
        self.solver, self.normalize, self.seed = solver, normalize, seed
        self._check = ClosureCheck(check)
        self.steps = 0
        self.eigenvector: Tensor | None = None
        self.eigenvalue = float("nan")

    @property
    def checked(self) -> str:
        """See above."""
        return self._check.how

    def perturbation(self, g: Tensor) -> Tensor:
        """Eq. 8 with the current eigenvector, shape ``(..., d)`` to the same shape."""
        if self.eigenvector is None:
            raise InputError("no eigenvector yet; take a step or call refresh(closure) first")
        return eigen_perturbation(g, self.eigenvector, self.alpha, normalize=self.normalize)

    def prepare(self, closure: Closure) -> None:
        """Refresh the eigenvector if this step's turn has come."""
        if self.steps % self.refresh_every == 0:
            self.refresh(closure)

    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One step, see :meth:`TwoPassOptimizer.step`."""
        loss = super().step(closure)
        self.steps += 1  # after the step: one that failed is refreshed again
        return loss

    def refresh(self, closure: Closure) -> None:
        """Re-estimate the eigenvector of the closure's Hessian at the current parameters."""
        random = RandomState(self._parameters()[0].device, everyone=True)

        def again() -> Tensor:
            random.restore()  # one function: the same dropout masks whenever it is evaluated
            return self._evaluate(closure)

        with frozen_statistics():
            operator = ClosureHessian(again, self._parameters(), self._check)
            start = self.eigenvector
            if self.solver == "lanczos":
                pairs = lanczos(
                    operator,
                    max_products=self.iterations,
                    tolerance=1e-12,  # spend the products: an optimizer wants the best vector for its budget
                    start=start,
                    seed=self.seed,
                )
                self.eigenvector, self.eigenvalue = pairs.vectors[0], float(pairs.values[0])
                return
            first = start_vector(operator, start, self.seed)
            steps = zip(range(self.iterations), power_iterates(operator, first), strict=False)
            for _, (v, hv) in steps:  # noqa: B007 (the last ones count)
                pass
        # Algorithm 1 keeps the vector after the last product; the value belongs to the one before.
        self.eigenvalue = float(v @ hv)
        self.eigenvector = unit(hv) if hv.any() else v

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later step depends on: also the eigenvector and the step count."""
        return {
            **super().state_dict(),
            "steps": self.steps,
            "eigenvector": self.eigenvector,
            "eigenvalue": self.eigenvalue,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        vector, dim = state_dict.get("eigenvector"), sum(p.numel() for p in self._parameters())
        if "steps" not in state_dict or (vector is not None and vector.shape != (dim,)):
            raise InputError(f"this is not a state of Eigen-SAM on {dim} parameters; give what state_dict() returned")
        super().load_state_dict(state_dict)
        self.steps = state_dict["steps"]
        like = self._parameters()[0]
        self.eigenvector = None if vector is None else vector.to(like)
        self.eigenvalue = state_dict["eigenvalue"]
