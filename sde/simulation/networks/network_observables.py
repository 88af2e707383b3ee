"""What is seen of a network along its paths: losses, accuracies, norms, the top of the Hessian's spectrum."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ....landscapes.networks.network import NetworkLandscape
from ....landscapes.spectra.batched_lanczos import TopPairs, batched_lanczos
from .evaluation import Evaluation, check_classes
from .mean_loss import MEMORY, MeanLoss

__all__ = ["FIGURE_TWO", "OBSERVABLES", "NetworkObservables", "Perturbations"]

OBSERVABLES = {
    "train loss": "mean loss of the landscape's own examples",
    "train accuracy": "share of them whose largest output is their class",
    "test loss": "mean loss of other examples",
    "test accuracy": "share of these whose largest output is their class",
    "parameter norm": "|x|",
    "gradient norm": "|grad f(x)| of the mean loss",
    "lambda_1": "the largest algebraic eigenvalue of the mean loss's Hessian",
    "gap": "lambda_1 - lambda_2",
    "alignment": "E_m |<u_m/|u_m|, v_1>|",
    "eigenvalue share": "share of E_m <u_m, v_1>^2 grad lambda_1 in the third-order term E_m T_m[u_m, u_m]",
}
"""What can be observed, and what it is."""

FIGURE_TWO = ("train loss", "test loss", "test accuracy", "parameter norm", "gradient norm", "lambda_1")
"""The panels of the paper's Figure 2."""

Perturbations = Callable[[Tensor, Tensor], Tensor]
"""Maps points ``(P, d)`` and their minibatches' gradients ``(P, M, d)`` to the rule's perturbations ``u_m``, of the
gradients' shape."""

_CURVATURE = {"lambda_1", "gap", "alignment", "eigenvalue share"}
_PERTURBED = {"alignment", "eigenvalue share"}


class NetworkObservables:
    """Numbers seen of many paths at a time; each is a float64 tensor of shape ``(P,)`` on the CPU.

    ``f = E f_m`` is the mean loss. ``v_1`` is the unit eigenvector of ``lambda_1``: where the gap is of the size of the
    tolerance it is any vector of the eigenspace, and so are alignment and eigenvalue share, which is

        ``E_m <u_m, v_1>^2 <T[v_1, v_1], t> / |t|^2``,  ``t = E_m T_m[u_m, u_m]``, ``T[v_1, v_1] = grad lambda_1``

    (:func:`decompose_drift`; the radius of the perturbation cancels). Nothing is remembered from one call to the next:
    the same points give the same bits, after a pause, too. Which points are asked for together changes rounding only.

    Eigenvalues are found by :func:`batched_lanczos` from a random vector that is the same in each call. One that has
    not converged is an error.

    Args:
        landscape: a network; of another landscape there are neither accuracies nor test data.
        names: some of :data:`OBSERVABLES`. Default: :data:`FIGURE_TWO`, without what is of test data where there are
            none, and without accuracies where outputs or targets are no classes.
        test: inputs and targets as those of training. A network that normalises by statistics of its batch sees all of
            them as one batch.
        perturbation: the rule's ``u_m``; default SAM's ``g_m / |g_m|``.
        tolerance: of ``lambda_1``, relative; and of the gap, relative to ``lambda_1`` (ours: 1e-3, below what the
            choice of data changes).
        max_products: most Hessian products for an eigenvalue (ours: 200; a digits network needs about 15).
        memory: bytes that the graphs of one pass may hold.

    Attributes:
        names: in the order of the results.

    Raises:
        InputError: unknown names, test data that do not fit or are missing, accuracies of what is not classified, a
            loss that cannot be differentiated as often as the names ask for.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Valley
        >>> observables = NetworkObservables(Valley(flat=1.0, sharp=5.0), ["train loss", "lambda_1"])
        >>> found = observables(torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64))
        >>> {name: [round(value, 4) for value in values.tolist()] for name, values in found.items()}
        {'train loss': [0.0, 0.0], 'lambda_1': [1.0, 2.5739]}

    Reference:
        Luo et al., Explicit Eigenvalue Regularization Improves Sharpness-Aware Minimization, NeurIPS 2024, Figure 2.
    """

    def __init__(
        self,
        landscape: Landscape,
        names: Sequence[str] | None = None,
        *,
        test: tuple[Tensor, Tensor] | None = None,
        perturbation: Perturbations | None = None,
        tolerance: float = 1e-3,
        max_products: int = 200,
        memory: int = MEMORY,
    ) -> None:
        self.landscape, self._mean = landscape, MeanLoss(landscape, memory=memory)
        chosen = self._default(test) if names is None else tuple(names)
        _check_names(chosen)
        if not 0 < tolerance < 1:
            raise InputError(f"tolerance = {tolerance} is no relative accuracy between 0 and 1; give e.g. 1e-3")
        if max_products < 1 or memory < 1:
            raise InputError(f"max_products = {max_products}, memory = {memory}; both must be at least 1")
        self.names, self.tolerance, self.max_products = chosen, tolerance, max_products
        self._perturbation, self._wanted = perturbation, set(chosen)
        if "gap" in self._wanted and landscape.dim < 2:
            raise InputError("a gap needs two eigenvalues; the landscape has one parameter")
        of_test = self._wanted & {"test loss", "test accuracy"}
        if of_test and test is None:
            raise InputError(f"found no test data for {', '.join(sorted(of_test))}; give test=(inputs, targets)")
        self._train = self._test = None
        if isinstance(landscape, NetworkLandscape):
            if self._wanted & {"train loss", "train accuracy"}:
                self._train = Evaluation.of_training(self._mean, classes="train accuracy" in self._wanted)
            if of_test and test is not None:
                classes = "test accuracy" in self._wanted
                self._test = Evaluation.of_test(self._mean, test, rows=self._mean.rows, classes=classes)
            self._check_derivatives(landscape)
        elif test is not None or "train accuracy" in self._wanted:
            raise InputError(
                f"a {type(landscape).__name__} is no network: it has neither accuracies nor test data; leave them out"
            )

    def _default(self, test: tuple[Tensor, Tensor] | None) -> tuple[str, ...]:
        left = set(FIGURE_TWO)
        if test is None:
            left -= {"test loss", "test accuracy"}
        elif isinstance(self.landscape, NetworkLandscape):
            try:
                check_classes(self.landscape, self.landscape.batches[0])
            except InputError:
                left -= {"test accuracy"}
        return tuple(name for name in FIGURE_TWO if name in left)

    def _check_derivatives(self, landscape: NetworkLandscape) -> None:
        """One evaluation of each kind at the module's own parameters, before any work is done."""
        x = landscape.point()[None]
        if self._wanted & _CURVATURE:
            at = self._mean.linearised(x)
            at.product(at.gradients)
        elif "gradient norm" in self._wanted:
            self._mean.gradients(x)
        if "eigenvalue share" in self._wanted:
            landscape.minibatch_taylor_gradient(x[0], x[0], (0.0, 0.0, 1.0), 0)

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """At points ``(P, d)``, each seen by itself.

        Raises:
            InputError: points of another shape or that are not finite, a number that is not finite, an eigenvalue that
                has not converged; with the path's place among the points.
        """
        f = self.landscape
        if x.ndim != 2 or x.shape[1] != f.dim or not len(x):
            raise InputError(f"the paths' points have shape {tuple(x.shape)}; expected (paths, {f.dim})")
        finite = torch.isfinite(x).all(1)
        if not bool(finite.all()):
            raise InputError(f"the point of path {int((~finite).nonzero()[0, 0])} is not finite: NaN or infinity")
        x = x.detach()
        norms = torch.linalg.vector_norm(x.double(), dim=1).cpu()
        points = x.to(f.device, f.dtype)
        found = [self._part(points[part], part.start) for part in self._mean.parts(len(x))]
        result = {name: torch.cat([each[name] for each in found]) for name in found[0]} if found[0] else {}
        result["parameter norm"] = norms
        return {name: result[name] for name in self.names}

    def _part(self, x: Tensor, first: int) -> dict[str, Tensor]:
        """Of points that pass together."""
        wanted, found = self._wanted, dict[str, Tensor]()
        if wanted & _CURVATURE:
            at = self._mean.linearised(x)
            found["train loss"], gradients = at.losses, at.gradients
            _check_finite(found, first, x)  # else eigenvalues of a path that has diverged
            found |= self._curvature(x, first, at.product, at.accuracy)
        elif "gradient norm" in wanted:
            gradients = self._mean.gradients(x)
        if "gradient norm" in wanted:
            found["gradient norm"] = torch.linalg.vector_norm(gradients, dim=1, dtype=torch.float64)
        if "train accuracy" in wanted or ("train loss" in wanted and "train loss" not in found):
            found |= self._evaluated(self._train, x, "train")
        if self._test is not None:
            found |= self._evaluated(self._test, x, "test")
        _check_finite(found, first, x)
        return {name: values.double().cpu() for name, values in found.items()}

    def _evaluated(self, examples: Evaluation | None, x: Tensor, which: str) -> dict[str, Tensor]:
        if examples is None:
            with torch.no_grad():
                return {f"{which} loss": self.landscape.loss(x[:, None])}
        losses, accuracies = examples(x)
        found = {f"{which} loss": losses}  # also where it is not wanted: classes of outputs that are NaN are none
        return found | ({f"{which} accuracy": accuracies} if examples.classes else {})

    def _curvature(
        self, x: Tensor, first: int, product: Callable[[Tensor], Tensor], accuracy: float
    ) -> dict[str, Tensor]:
        top = self._top(x, first, product, accuracy, None)
        found, v = {"lambda_1": top.values}, top.vectors
        if "gap" in self._wanted:
            second = self._top(x, first, product, accuracy, top)
            found["gap"] = (top.values - second.values).abs()
            # Of two within the tolerance either may be found first.
            found["lambda_1"] = torch.maximum(top.values, second.values)
        if self._wanted & _PERTURBED:
            found |= self._perturbed(x, v)
        return found

    def _top(
        self,
        x: Tensor,
        first: int,
        product: Callable[[Tensor], Tensor],
        accuracy: float,
        outside: TopPairs | None,
    ) -> TopPairs:
        pairs = batched_lanczos(
            product,
            x,
            max_products=self.max_products,
            tolerance=self.tolerance,
            accuracy=accuracy,
            outside=outside,
        )
        if not bool(pairs.converged.all()):
            p = int((~pairs.converged).nonzero()[0, 0])
            raise InputError(
                f"{'lambda_1' if outside is None else 'lambda_2'} of path {first + p} has not converged after "
                f"{int(pairs.products[p])} products: {float(pairs.values[p]):.6g} with a residual of "
                f"{float(pairs.residuals[p]):.2g}; allow more than max_products = {self.max_products}, or a larger "
                f"tolerance than {self.tolerance:g}"
            )
        return pairs

    def _perturbed(self, x: Tensor, v: Tensor) -> dict[str, Tensor]:
        found = dict[str, Tensor]()
        g = self.landscape.gradients(x[:, None])
        if self._perturbation is None:
            norm = torch.linalg.vector_norm(g, dim=-1, keepdim=True)
            u = g / torch.where(norm > 0, norm, 1.0)
        else:
            u = self._perturbation(x, g)
            if u.shape != g.shape:
                raise InputError(
                    f"perturbations have shape {tuple(u.shape)}; expected that of the gradients, {tuple(g.shape)}"
                )
        along = torch.einsum("pmd,pd->pm", u.double(), v.double())
        if "alignment" in self._wanted:
            found["alignment"] = (along.abs() / torch.linalg.vector_norm(u.double(), dim=-1)).mean(1)
        if "eigenvalue share" in self._wanted:
            third = self.landscape.third_product(x[:, None], u).double()
            slope = self._mean.landscape.third_product(x[:, None], v[:, None]).double()
            found["eigenvalue share"] = along.square().mean(1) * (slope * third).sum(1) / third.square().sum(1)
        return found


def _check_names(names: tuple[str, ...]) -> None:
    unknown = [name for name in names if name not in OBSERVABLES]
    if unknown or not names:
        said = f"unknown observable '{unknown[0]}'" if unknown else "found no observable"
        raise InputError(f"{said}; choose some of: {', '.join(OBSERVABLES)}")
    if len(set(names)) < len(names):
        raise InputError(f"the observables {', '.join(names)} name one twice")


def _check_finite(found: dict[str, Tensor], first: int, x: Tensor) -> None:
    """Refuse numbers that are none, of paths that count from ``first``."""
    for name, values in found.items():
        wrong = (~torch.isfinite(values)).nonzero()
        if len(wrong):
            p = int(wrong[0, 0])
            raise InputError(
                f"'{name}' of path {first + p} is {float(values[p])}, where |x| = {float(x[p].double().norm()):.4g}: "
                f"{_why(name)}"
            )


def _why(name: str) -> str:
    if name == "alignment":
        return "a perturbation is 0 there, or not finite; leave the alignment out of the names"
    if name == "eigenvalue share":
        return "the third-order term is 0 there, or not finite; leave the share out of the names"
    return "the path has left the region where the loss is a number; take a smaller step size"
