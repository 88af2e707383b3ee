"""Curvature along any training: the ends of the spectrum, alignment, and how fast an eigenvector goes stale."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ...ground.errors import InputError
from ...ground.row_file import Row, RowFile
from ..landscape import Landscape
from ..networks.network import NetworkLandscape
from ..spectra.ends import End
from ..spectra.lanczos_iteration import lanczos
from ..spectra.operators import FunctionOperator
from ..spectra.request import check_request
from .alignments import alignment, mean_alignment
from .batch_sharpness import batch_sharpness
from .drift_decomposition import decompose_drift
from .frozen_vector import FrozenVector
from .landscape_hessian import hessian

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CurvatureRecorder"]


class CurvatureRecorder:
    """Measures the Hessian of a landscape's mean loss at every ``every``-th step of any training loop.

    Each row holds

    - ``step``;
    - ``lambda_1`` ... ``lambda_k`` and ``lambda_1_residual`` ...; ``gap``, ``lambda_1 - lambda_2``, where ``k >= 2``;
      ``lambda_min`` and ``lambda_min_residual`` where ``smallest``;
    - ``converged``, 1 or 0, and ``products``, the Hessian products spent;
    - ``alignment``, the mean of ``|<u/|u|, v_1>|`` over perturbations;
    - of a frozen unit vector ``v_f``: ``frozen_at``, the step it was frozen at; ``frozen_alignment``, ``|<v_f, v_1>|``;
      ``frozen_ratio``, ``v_f^T H v_f / lambda_1``. It is the ``v_1`` of the first measurement until :meth:`freeze`
      is called. Where the gap is small, ``v_1`` turns within its plane while ``frozen_ratio`` stays near 1;
    - with ``sharpness``, ``batch_sharpness``, see :func:`batch_sharpness`;
    - with ``drift``, all of :meth:`DriftDecomposition.to_dict`.

    Every measurement starts from its own random vector, drawn from ``seed + step``: a start at the last eigenvector
    can stay with one that has been overtaken. So a row depends on nothing but its step, its point and ``v_f``.

    Args:
        landscape: whose mean loss is measured.
        every: measure at steps 0, ``every``, 2 ``every``, ...
        k: number of top eigenpairs; the gap needs 2.
        tolerance: relative accuracy of eigenvalues, see :func:`lanczos`; of ``lambda_min`` relative to ``lambda_1``,
            as one Krylov space serves one value of both ends.
        max_products: most products of one measurement, the one of ``v_f`` aside.
        smallest: also measure the smallest eigenvalue.
        drift: also decompose SAM's drift, for ``1 + k`` third products and more of each minibatch.
        rho: perturbation radius of the drift.
        sharpness: also measure the batch sharpness, for one gradient and one product of each minibatch.
        perturbation: the optimizer's ``u`` from a minibatch's gradient, see :func:`minibatch_perturbations` (of
            :class:`SAM`, its ``perturbation``; Eigen-SAM has none before its first step); default along the gradient.
        path: rows are appended to this file as JSON lines, and ``v_f`` is kept beside it in
            ``<stem>.frozen.safetensors``. Rows that are in it already are read, and the recorder goes on after them,
            if they were measured with the same settings (``every`` aside, which no row depends on).
        seed: of start vectors.

    Attributes:
        rows: all rows so far. Steps must rise, but for the first measurement of a new recorder or after
            ``load_state_dict``: a training that goes on from before the last row replaces rows from there, in the file
            too.

    Raises:
        InputError: an argument out of range, a file that is damaged.

    Reference:
        Luo et al., Explicit Eigenvalue Regularization Improves Sharpness-Aware Minimization, NeurIPS 2024: SAM
        regularises ``lambda_1`` in proportion to ``<u, v_1>^2`` (after Theorem 4.2), and Eigen-SAM uses one
        eigenvector for many steps.

    Example:
        Up the wall of a valley, the direction along it becomes the sharp one, and the frozen eigenvector is stale.

        >>> import torch
        >>> from eigensam.landscapes import Valley
        >>> recorder, x = CurvatureRecorder(Valley(flat=1.0, sharp=5.0), every=2), torch.tensor([1.0, 0.0]).double()
        >>> for step in range(3):
        ...     row = recorder.step(step, x - 0.5 * step)
        >>> [(row["step"], round(row["lambda_1"], 3), round(row["frozen_alignment"], 3)) for row in recorder.rows]
        [(0, 2.574, 1.0), (2, 2.0, 0.0)]
    """

    def __init__(
        self,
        landscape: Landscape,
        *,
        every: int = 1,
        k: int = 2,
        tolerance: float = 1e-3,
        max_products: int = 100,
        smallest: bool = True,
        drift: bool = False,
        rho: float | None = None,
        sharpness: bool = False,
        perturbation: Callable[[Tensor], Tensor] | None = None,
        path: Path | str | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(every, int) or every < 1:
            raise InputError(f"every = {every}; expected a whole number, at least 1: measure at each so many steps")
        if not 1 <= k <= landscape.dim:
            raise InputError(f"k = {k} eigenpairs of {landscape.dim} parameters; expected 1 <= k <= {landscape.dim}")
        if drift and (rho is None or not 0 < rho < math.inf):
            raise InputError(f"the drift needs its radius, found rho = {rho}; give the optimizer's rho")
        self.landscape, self.every, self.k, self.seed = landscape, every, k, seed
        self.tolerance, self.max_products, self.smallest = tolerance, max_products, smallest
        self.rho, self.perturbation = rho if drift else None, perturbation
        self.sharpness = sharpness
        # Refused now rather than at the first measurement; the operator is asked for its dimension only.
        check_request(FunctionOperator(lambda v: v, landscape.dim), *self._request(), max_products, tolerance)
        self.rows: list[Row] = []
        self._goes_on = True  # the first measurement may come before rows that a file or a state holds
        self._latest: Tensor | None = None
        self._file = None if path is None else RowFile(Path(path))
        beside = None if path is None else Path(path).with_name(f"{Path(path).stem}.frozen.safetensors")
        self._frozen = FrozenVector(landscape, beside, json.dumps(self._settings()))
        if self._file is not None:
            self.rows = self._file.read()
            if self.rows:
                self._frozen.read()

    def step(self, step: int, x: Tensor | None = None, u: Tensor | None = None) -> Row | None:
        """Measure if it is this step's turn.

        Args:
            step: number of the step, from 0.
            x: where, shape ``(d,)``; default the current parameters of a network landscape's module.
            u: perturbations whose alignment is measured, shape ``(d,)`` or ``(M, d)``; those of shape ``(M, d)`` are
                the drift's, too. Default: ``perturbation`` of the minibatches' gradients.

        Returns:
            The row, or None where it is not the step's turn.

        Raises:
            InputError: a shape that does not fit, a point that is not given or not finite; earlier rows that were
                measured with other settings.
        """
        if not isinstance(step, int) or step < 0:
            raise InputError(f"step = {step!r}; expected a whole number, counted from 0")
        if step % self.every:
            return None
        if x is None:
            if not isinstance(self.landscape, NetworkLandscape):
                raise InputError(f"{type(self.landscape).__name__} has no current parameters; give the point x")
            x = self.landscape.point()
        d = self.landscape.dim
        if x.shape != (d,):
            raise InputError(f"the point has shape {tuple(x.shape)}; expected ({d},)")
        if u is not None and u.shape not in ((d,), (self.landscape.size, d)):
            raise InputError(
                f"perturbations have shape {tuple(u.shape)}; expected ({d},) or ({self.landscape.size}, {d})"
            )
        if self.rows and step <= self.rows[-1]["step"] and not self._goes_on:
            raise InputError(
                f"step {step} comes after step {self.rows[-1]['step']:.0f}; count steps through all epochs (a training "
                "that goes on from an earlier step makes a new recorder on the same file, or calls load_state_dict)"
            )
        x = x.detach().to(self.landscape.device, self.landscape.dtype)
        self._check_settings(self._frozen.found)
        frozen = self._frozen.vector, self._frozen.at
        if self._frozen.at >= step:
            self._frozen.clear()
        try:
            row = self._measured(step, x, None if u is None else u.detach().to(x))
        except BaseException:  # nothing is lost where a measurement fails or is stopped
            self._frozen.restore(*frozen)
            raise
        self._forget_from(step)
        self._goes_on = False
        self.rows.append(row)
        if self._file is not None:
            self._file.append(row)
        return row

    def freeze(self, vector: Tensor | None = None) -> None:
        """From now on follow the decay of ``vector``, shape ``(d,)``; default the ``v_1`` of the latest measurement.

        Raises:
            InputError: nothing was measured yet, a vector of another shape, zero or not finite.
        """
        if vector is None:
            if self._latest is None:
                raise InputError("nothing was measured yet; give a vector or take a step first")
            vector = self._latest
        self._frozen.set(vector, int(self.rows[-1]["step"]) if self.rows else -1)

    def plot(self) -> "Figure":
        """The rows so far: eigenvalues, alignment and the frozen eigenvector's decay, over steps.

        Raises:
            InputError: nothing was measured yet.
        """
        from .recorder_picture import draw_curvature  # here: a training that draws nothing needs no matplotlib

        return draw_curvature(self.rows)

    def state_dict(self) -> dict[str, Any]:
        """All that later rows depend on, to be saved with the training's state: then a resumed one is identical."""
        return {
            "rows": [dict(row) for row in self.rows],
            "latest": self._latest,
            "frozen": self._frozen.vector,
            "frozen_at": self._frozen.at,
            "settings": self._frozen.settings,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of :meth:`state_dict`; rows in the file beyond the state are dropped."""
        if not {"rows", "latest", "frozen", "frozen_at"} <= state.keys():
            raise InputError("this is not a state of a curvature recorder; give what state_dict() returned")
        self._check_settings(state.get("settings"))
        self._frozen.restore(state["frozen"], int(state["frozen_at"]))
        self._latest = None if state["latest"] is None else state["latest"].clone()  # aligned in memory
        self.rows = [dict(row) for row in state["rows"]]
        self._goes_on = True
        if self._file is not None:
            self._file.replace(self.rows)

    def _settings(self) -> dict[str, Any]:
        """What a row depends on besides its step, its point and ``v_f``, as far as it can be known."""
        f = self.landscape
        return {
            "landscape": f"{type(f).__name__}, d = {f.dim}, M = {f.size}, {f.dtype} on {f.device}",
            "k": self.k,
            "tolerance": self.tolerance,
            "max_products": self.max_products,
            "smallest": self.smallest,
            **({"sharpness": True} if self.sharpness else {}),  # files without go on as they were
            "rho": self.rho,
            "perturbation": getattr(self.perturbation, "__qualname__", type(self.perturbation).__name__),
            "seed": self.seed,
        }

    def _check_settings(self, found: str | None) -> None:
        """Rows of other settings may be read, but none of ours are put after them."""
        if found in (None, self._frozen.settings):
            return
        try:
            theirs = dict(json.loads(found or ""))
        except (ValueError, TypeError):
            raise InputError("the rows so far do not say what they were measured with; choose another file") from None
        ours = self._settings()
        different = [
            f"{name} ({theirs.get(name)}, now {ours.get(name)})"
            for name in {**ours, **theirs}
            if theirs.get(name) != ours.get(name)
        ]
        raise InputError(
            f"the rows so far were measured with another {', '.join(different)}; go on with the same, or choose "
            "another file"
        )

    def _request(self) -> tuple[int, End]:
        if self.smallest and 2 * self.k > self.landscape.dim:
            return self.landscape.dim, "largest"
        one_space = self.smallest and (self.k == 1 or self.landscape.dim <= self.max_products)
        return self.k, "both" if one_space else "largest"

    def _measured(self, step: int, x: Tensor, u: Tensor | None) -> Row:
        operator, (count, which) = hessian(self.landscape, x), self._request()
        # Of the other end one value is wanted: k of them, inside a bulk, would cost several times the products.
        apart = self.smallest and which == "largest" and count < self.landscape.dim
        settings: dict[str, Any] = {"tolerance": self.tolerance, "seed": self.seed + step}
        most = max(self.k, self.max_products - 2) if apart else self.max_products
        pairs = lowest = lanczos(operator, count, which=which, max_products=most, **settings)
        products = pairs.products
        if apart:
            left = max(2, self.max_products - products)
            lowest = lanczos(operator, 1, which="both", max_products=left, **settings)
            products += lowest.products
        first = pairs.vectors[0].clone()
        if self._frozen.vector is None:  # on disk before the row that refers to it
            self._frozen.set(first, step)
        frozen = self._frozen.vector
        assert frozen is not None
        row: Row = {"step": step}
        for i in range(self.k):
            row[f"lambda_{i + 1}"] = float(pairs.values[i])
            row[f"lambda_{i + 1}_residual"] = float(pairs.residuals[i])
        if self.k >= 2:
            row["gap"] = row["lambda_1"] - row["lambda_2"]
        if self.smallest:
            place = self.k if which == "both" else -1
            row |= {"lambda_min": float(lowest.values[place]), "lambda_min_residual": float(lowest.residuals[place])}
        row |= {"converged": int(pairs.converged and lowest.converged), "products": products + 1}
        if u is None:
            row["alignment"] = mean_alignment(self.landscape, x, first, self.perturbation)
        else:
            row["alignment"] = float(alignment(u, first).mean())
        curvature = float((operator @ frozen).double() @ frozen.double())
        row["frozen_at"] = self._frozen.at
        row["frozen_alignment"] = float(alignment(frozen, first))
        row["frozen_ratio"] = curvature / row["lambda_1"] if row["lambda_1"] else math.nan
        if self.sharpness:
            row["batch_sharpness"] = batch_sharpness(self.landscape, x)
        if self.rho is not None:
            parts = (pairs.values, pairs.vectors, pairs.residuals)
            values, vectors, residuals = (part[: self.k] for part in parts)
            top = replace(pairs, values=values, vectors=vectors, residuals=residuals)
            every_u = u if u is not None and u.ndim == 2 else self.perturbation
            row |= decompose_drift(self.landscape, x, top, self.rho, perturbation=every_u).to_dict()
        self._latest = first
        return row

    def _forget_from(self, step: int) -> None:
        """Drop rows that this step comes before."""
        kept = [row for row in self.rows if row["step"] < step]
        if len(kept) < len(self.rows):
            self.rows = kept
            if self._file is not None:
                self._file.replace(kept)
