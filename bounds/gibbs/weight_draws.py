"""Any network with random weights: one draw serves all examples."""

from typing import final

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from ...ground.errors import InputError
from ...landscapes.derivatives.flat import unflatten
from ..posteriors.posterior import GaussianPosterior
from .examplewise import check_examplewise, evaluation_copy
from .stochastic_network import StochasticNetwork

__all__ = ["WeightDraws"]


@final
class WeightDraws(StochasticNetwork):
    """Draws all trained weights of any network from any posterior; every draw is evaluated on all examples.

    Only draws are independent, so the confidence term falls with their number alone: 1000 draws without an error leave
    0.003 at ``delta = 0.05``. ``FrozenBackbone`` and ``MeanFieldPerceptron`` need far fewer where they apply.

    The network is copied and put in evaluation mode. Buffers, such as batch norm's statistics, stay: they are part of
    the predictor, and must be frozen before the sample of the bound is looked at. The weights are drawn in float64 and
    rounded to the network's precision.

    Args:
        model: maps ``(batch, ...)`` to scores ``(batch, classes)``, each row a function of its example alone.
        posterior: over the parameters that are trained (all, if none is), in the order of ``model.parameters()``.
        inputs: a few examples, to check that.
        batch_size: rows of one evaluation; the result does not depend on it beyond rounding.

    Raises:
        InputError: a posterior of another dimension, random outputs, outputs that depend on the other examples of a
            batch.

    Example:
        >>> from eigensam.bounds import IsotropicPosterior
        >>> network = WeightDraws(nn.Linear(2, 3), IsotropicPosterior(torch.zeros(9), 0.1), torch.ones(4, 2))
        >>> network.logits(torch.ones(5, 2), 4, torch.Generator()).shape
        torch.Size([4, 5, 3])
    """

    fresh_per_example = False

    def __init__(self, model: nn.Module, posterior: GaussianPosterior, inputs: Tensor, batch_size: int = 256) -> None:
        trained = {name for name, each in model.named_parameters() if each.requires_grad}
        self._model = evaluation_copy(model)
        parameters = {name: each for name, each in self._model.named_parameters() if name in trained or not trained}
        self._names = list(parameters)
        self._shapes = [parameter.shape for parameter in parameters.values()]
        self._dtypes = [parameter.dtype for parameter in parameters.values()]
        dim = sum(shape.numel() for shape in self._shapes)
        if posterior.dim != dim:
            raise InputError(f"the posterior has {posterior.dim} parameters, the network {dim} that are trained")
        if batch_size < 1:
            raise InputError(f"batch_size = {batch_size} is no number of rows; give a whole number of at least 1")
        self.posterior = posterior
        self.classes = check_examplewise(self._model, inputs[:16]).shape[1]
        self._batch_size = batch_size

    def logits(self, inputs: Tensor, draws: int, generator: Generator) -> Tensor:
        """See the base class; ``(draws, batch, classes)`` in the network's precision."""
        results = []
        for _ in range(draws):
            weights = unflatten(self.posterior.sample(1, generator)[0], self._shapes)
            named = {n: w.to(t) for n, w, t in zip(self._names, weights, self._dtypes, strict=True)}
            with torch.no_grad():
                parts = [functional_call(self._model, named, (part,)) for part in inputs.split(self._batch_size)]
            results.append(torch.cat(parts))
        return torch.stack(results)
