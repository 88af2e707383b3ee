"""Any network with random weights, drawn anew for every example."""

from typing import final

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap

from ...ground.errors import InputError
from ..posteriors.posterior import GaussianPosterior
from .examplewise import check_examplewise, evaluation_copy
from .stochastic_network import StochasticNetwork

__all__ = ["MOST_NUMBERS", "FreshWeights"]

MOST_NUMBERS = 2**37
"""Ours: random numbers of one certificate, ``d`` for each prediction; at 10 ns each, about half an hour on one core."""

_NUMBERS = 2**21
"""Of one pass; a constant, as it orders the random numbers: same seed, same result."""

_AGREE = 1e-3
"""Ours: relative difference between mapped and plain scores, far above rounding and far below another function."""


@final
class FreshWeights(StochasticNetwork):
    """Draws all weights of any network, from any posterior, independently for every (draw, example).

    Exact for every architecture that ``torch.func.vmap`` maps, and for posteriors with correlations, whose layers
    cannot be drawn one by one. All losses are independent, so that the confidence term falls with their number; the
    price are ``d`` normal numbers for each prediction. For independent weights of a perceptron
    ``MeanFieldPerceptron`` has the same law at a fraction of the cost; where only the last layer is random,
    ``FrozenBackbone`` has.

    The network is copied and put in evaluation mode; its buffers stay, as in ``WeightDraws``. Weights are drawn in
    float64 and rounded to the network's precision. Scores with weights mapped over are compared once with plain ones.

    Args:
        model: maps ``(batch, ...)`` to scores ``(batch, classes)``, each row a function of its example alone.
        posterior: over all parameters, in the order of ``model.parameters()``.
        inputs: a few examples, to check that.

    Raises:
        InputError: a posterior of another dimension, random outputs, outputs that depend on the other examples of a
            batch, a network that vmap does not map.

    Example:
        >>> from eigensam.bounds import IsotropicPosterior
        >>> network = FreshWeights(nn.Linear(2, 3), IsotropicPosterior(torch.zeros(9), 0.1), torch.ones(4, 2))
        >>> scores = network.logits(torch.ones(5, 2), 4, torch.Generator())
        >>> scores.shape, len(scores.flatten(0, 1).unique(dim=0))  # equal inputs, other weights
        (torch.Size([4, 5, 3]), 20)
    """

    fresh_per_example = True

    def __init__(self, model: nn.Module, posterior: GaussianPosterior, inputs: Tensor) -> None:
        self._model = evaluation_copy(model)
        parameters = dict(self._model.named_parameters())
        self._names = list(parameters)
        self._shapes = [parameter.shape for parameter in parameters.values()]
        self._dtypes = [parameter.dtype for parameter in parameters.values()]
        dim = sum(shape.numel() for shape in self._shapes)
        if posterior.dim != dim:
            raise InputError(f"the posterior has {posterior.dim} parameters, the network {dim}")
        self.posterior = posterior
        self.classes = check_examplewise(self._model, inputs[:16]).shape[1]
        self._check(inputs[:2])

    def logits(self, inputs: Tensor, draws: int, generator: Generator) -> Tensor:
        """See the base class; ``(draws, batch, classes)`` in the network's precision.

        Raises:
            InputError: more than ``MOST_NUMBERS`` random numbers in one call.
        """
        count, dim = draws * len(inputs), self.posterior.dim
        if count * dim > MOST_NUMBERS:
            raise InputError(
                f"{count} predictions with {dim} fresh weights each are {count * dim:.2g} random numbers, more than "
                f"{MOST_NUMBERS:.2g}; take fewer draws, WeightDraws, or a last layer alone that is random"
            )
        size = max(1, _NUMBERS // dim)
        rows = torch.arange(count, device=inputs.device) % len(inputs)
        parts = [self._mapped(self.posterior.sample(len(r), generator), inputs[r]) for r in rows.split(size)]
        return torch.cat(parts).view(draws, len(inputs), self.classes)

    def _named(self, weights: Tensor) -> dict[str, Tensor]:
        """Parameters of one row ``(d,)``, or of all rows ``(count, d)``."""
        rows = weights[None] if weights.ndim == 1 else weights
        sizes = [shape.numel() for shape in self._shapes]
        parts = zip(self._names, rows.split(sizes, 1), self._shapes, self._dtypes, strict=True)
        found = {name: part.reshape(-1, *shape).to(dtype) for name, part, shape, dtype in parts}
        return {name: part[0] for name, part in found.items()} if weights.ndim == 1 else found

    def _mapped(self, weights: Tensor, inputs: Tensor) -> Tensor:
        """Scores of each row of inputs with its own row of weights."""

        def one(named: dict[str, Tensor], example: Tensor) -> Tensor:
            scores: Tensor = functional_call(self._model, named, (example[None],))
            return scores[0]

        with torch.no_grad():
            found: Tensor = vmap(one)(self._named(weights), inputs)
        return found

    def _check(self, inputs: Tensor) -> None:
        """Compare with one network after the other; a module may do anything, so vmap may be wrong, or fail."""
        generator = Generator(inputs.device).manual_seed(0)
        weights = self.posterior.sample(len(inputs), generator)
        try:
            found = self._mapped(weights, inputs)
        except Exception as error:  # whatever a module of others raises
            raise InputError(
                f"torch.func.vmap does not map this network over its weights ({type(error).__name__}: "
                f"{str(error).splitlines()[0] if str(error) else ''}); take WeightDraws"
            ) from error
        with torch.no_grad():
            plain = torch.cat(
                [
                    functional_call(self._model, self._named(row), (each[None],))
                    for row, each in zip(weights, inputs, strict=True)
                ]
            )
        if not bool(((found - plain).abs() <= _AGREE * plain.abs().max()).all()):
            raise InputError("scores under torch.func.vmap are not those of the network itself; take WeightDraws")
