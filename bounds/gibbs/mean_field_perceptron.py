"""A perceptron all of whose weights are random, fresh for every example."""

from typing import final

import torch
from torch import Generator, Tensor, nn

from ...ground.errors import InputError
from ..posteriors.independent_posterior import IndependentPosterior
from ..posteriors.posterior import GaussianPosterior
from .local_reparameterisation import local_reparameterisation, perceptron_layers
from .stochastic_network import StochasticNetwork

__all__ = ["MeanFieldPerceptron"]


@final
class MeanFieldPerceptron(StochasticNetwork):
    """``nn.Sequential`` of ``nn.Flatten``, ``nn.Linear`` and activations, with independent weights: exact, in float64.

    Args:
        model: gives layers and shapes; its own weights are not used.
        posterior: isotropic, diagonal or layerwise, over all parameters in the order of ``model.parameters()``.

    Raises:
        InputError: other modules, a posterior with correlations or of another dimension.

    Example:
        >>> from eigensam.bounds import IsotropicPosterior
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))
        >>> network = MeanFieldPerceptron(model, IsotropicPosterior(torch.zeros(17), 0.1))
        >>> network.logits(torch.ones(5, 2), 4, torch.Generator()).shape
        torch.Size([4, 5, 2])
    """

    fresh_per_example = True

    def __init__(self, model: nn.Module, posterior: GaussianPosterior) -> None:
        self._layers = perceptron_layers(model)
        if not isinstance(posterior, IndependentPosterior):
            raise InputError(
                f"{type(posterior).__name__} has correlated weights, which cannot be drawn layer by layer; "
                f"use FreshWeights"
            )
        dim = sum(parameter.numel() for parameter in model.parameters())
        if posterior.dim != dim:
            raise InputError(f"the posterior has {posterior.dim} parameters, the network {dim}")
        self.posterior = posterior
        self.classes = next(layer.out_features for layer in reversed(self._layers) if isinstance(layer, nn.Linear))

    def logits(self, inputs: Tensor, draws: int, generator: Generator) -> Tensor:
        """See the base class; ``(draws, batch, classes)``, float64."""
        q = self.posterior
        return local_reparameterisation(self._layers, q.mean, q.sigmas, inputs.to(torch.float64), draws, generator)
