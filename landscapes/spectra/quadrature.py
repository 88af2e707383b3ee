"""Quadrature rules of a matrix's spectral measures: nodes, weights, and what they say of functions of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...ground.errors import InputError
from .estimates import check_confidence

__all__ = ["Quadrature"]


@dataclass(frozen=True)
class Quadrature:
    """Nodes and weights, one row for each probe; ``sum_i weights_i f(nodes_i) = z^T f(A) z / d``.

    Exact for polynomials ``f`` of degree at most ``2 m - 1``.

    Attributes:
        nodes: Ritz values, shape ``(probes, m)``, float64 on the CPU, increasing. Where the Krylov space of a probe
            closed early the last node is repeated with weight 0. Where ``exact``: all eigenvalues, shape ``(1, d)``.
        weights: at least 0 and of sum 1 in each row, of the same shape.
        dim: ``d``.
        products: number of products with the operator spent.
        exact: whether nodes are all eigenvalues, with weights ``1/d``: nothing is sampled.
        coarser: the rules of ``m/2 ... m-1`` steps from the same probes, which cost no product: their distance tells
            the error; empty where nothing is known of it.
        lower: for an operator without negative eigenvalues, the Gauss-Radau rule with a node at 0: together with the
            Gauss rule it encloses ``z^T f(A) z`` for ``f`` whose derivatives alternate in sign.
    """

    nodes: Tensor
    weights: Tensor
    dim: int
    products: int
    exact: bool = False
    coarser: "tuple[Quadrature, ...]" = ()
    lower: "Quadrature | None" = None

    def __repr__(self) -> str:
        low, high = self.nodes.min().item(), self.nodes.max().item()
        probes, steps = self.nodes.shape
        how = "all eigenvalues" if self.exact else f"{probes} probes of {steps} steps"
        return f"Quadrature by {how}, d = {self.dim}, nodes in [{low:.6g}, {high:.6g}], {self.products} products"

    def to_dict(self) -> dict[str, Any]:
        """Nodes, weights and what they cost, as JSON; not the rules that tell the error."""
        return {
            "nodes": self.nodes.tolist(),
            "weights": self.weights.tolist(),
            "dim": self.dim,
            "products": self.products,
            "exact": self.exact,
        }

    def check_probes(self, confidence: float) -> None:
        """Refuse a rule that gives no interval.

        Raises:
            InputError: fewer than 2 probes, a confidence outside (0, 1), one step, of whose error nothing is known.
        """
        check_confidence(confidence, 2 if self.exact else len(self.nodes))
        if not self.exact and self.nodes.shape[1] == 1 and self.dim > 1:
            raise InputError("a quadrature of one step tells nothing of its error; give steps = 2 or more")

    def averages(self, function: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """``z^T f(A) z / d`` of each probe, and the root of its own estimate of their variance.

        With ``|f(A) z|^2 = z^T f(A)^2 z`` by the same rule, the variance of :func:`half_width` is ``2/d`` times that of
        ``f`` over the weights. ``function`` may give any shape ``(..., m)`` for nodes of shape ``(m,)``: both results
        have shape ``(probes, ...)``.
        """
        means, deviations = [], []
        for nodes, weights in zip(self.nodes, self.weights, strict=True):
            values = function(nodes)
            unit = values.abs().max().item() or 1.0  # squares may leave the range of numbers
            mean = (values / unit) @ weights
            spread = ((values / unit - mean[..., None]).square() @ weights).sqrt()
            means.append(unit * mean)
            deviations.append(0 * mean if self.exact else unit * math.sqrt(2 / self.dim) * spread)
        return torch.stack(means), torch.stack(deviations)

    def error(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """An estimate of the rule's own error of ``averages``, mean over probes.

        ``D`` is the largest ``|I_m - I_n|``, a mean over probes, with ``m/2 <= n < 3m/4``, and ``D'`` with
        ``3m/4 <= n < m``. It is ``max(D, D') min(1, 9 D'^2 / D^2)``: at least the error for convergence like ``1/m``
        (``D`` itself), any faster power of it, and geometric; all of ``D`` where the rules still swing, as at a kink.
        """
        fine, _ = self.averages(function)
        if self.exact or not self.coarser:
            return torch.zeros_like(fine[0])
        moved = torch.stack([(fine - rule.averages(function)[0]).abs().mean(0) for rule in self.coarser])
        early = (len(moved) + 1) // 2
        first, last = moved[:early].amax(0), (moved[early:] if len(moved) > 1 else moved).amax(0)
        ratio = torch.where(first > 0, last / torch.where(first > 0, first, 1.0), torch.inf)
        error: Tensor = torch.maximum(first, last) * (3 * ratio).clamp_max(1).square()
        return error

    def traces(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """One estimate of ``tr f(A)`` for each probe, shape ``(probes,)``; independent of each other.

        Args:
            function: ``f``, entry by entry, on tensors of float64.

        Raises:
            InputError: values of another shape than the nodes, or not finite.

        Example:
            >>> node = Quadrature(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.5, 0.5]]), dim=2, products=2)
            >>> node.traces(torch.square).tolist()
            [10.0]
        """
        return self.dim * (self.weights * self.checked(function)(self.nodes)).sum(-1)

    def checked(self, function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """The function, refused where it does not give a finite number for each node."""

        def careful(nodes: Tensor) -> Tensor:
            values = function(nodes)
            if not isinstance(values, Tensor) or values.shape != nodes.shape:
                found = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
                raise InputError(
                    f"the function gives {found} for nodes of shape {tuple(nodes.shape)}; expected a tensor of that "
                    f"shape, as torch.exp gives"
                )
            wrong = ~torch.isfinite(values)
            if wrong.any():
                lower, upper = self.nodes.min().item(), self.nodes.max().item()
                raise InputError(
                    f"the function gives {values[wrong][0].item()} at {nodes[wrong][0].item():g}; expected finite "
                    f"values on the whole spectrum, here at least [{lower:g}, {upper:g}]: shift or clamp its argument"
                )
            return values

        return careful
