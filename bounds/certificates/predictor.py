"""What is random in a network: its last layer on a frozen backbone, or all layers of a perceptron."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from typing import final

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ..gibbs.fresh_weights import FreshWeights
from ..gibbs.frozen_backbone import FrozenBackbone
from ..gibbs.last_layer import split_last_layer
from ..gibbs.local_reparameterisation import local_reparameterisation, perceptron_layers
from ..gibbs.mean_field_perceptron import MeanFieldPerceptron
from ..gibbs.stochastic_network import StochasticNetwork
from ..posteriors.independent_posterior import IndependentPosterior
from ..posteriors.posterior import GaussianPosterior

__all__ = ["LastLayerPredictor", "PerceptronPredictor", "Predictor", "make_predictor"]

_ROWS = 1000  # of a pass through the backbone


class Predictor(ABC):
    """The random parameters as one vector, and the network that they make.

    Attributes:
        mean: the parameters of the network that it was made of, ``(d,)``, float64.
        sizes: of the blocks that a layerwise posterior tells apart.
        layers: of the random part, for :func:`local_reparameterisation`.
        part: the random part as a module of its own, float64; its parameters have the order of ``mean``, not its value.
        drawn_weights: random numbers of one prediction where weights are correlated, so that they must be drawn; 0
            where scores are.
    """

    mean: Tensor
    sizes: list[int]
    layers: Sequence[nn.Module]
    part: nn.Module
    drawn_weights: int

    @abstractmethod
    def inputs(self, images: Tensor) -> Tensor:
        """What the random part is given."""

    @abstractmethod
    def network(self, posterior: GaussianPosterior) -> StochasticNetwork:
        """The network with weights of a posterior, exact, with fresh weights for every example."""

    def scores(self, mean: Tensor, sigmas: Tensor, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Differentiable scores of one draw for each example, ``(batch, classes)``, to train a posterior with."""
        return local_reparameterisation(self.layers, mean, sigmas, inputs, 1, generator)[0]

    def centre(self, inputs: Tensor) -> Tensor:
        """Scores of the network at the mean, ``(batch, classes)``, float64."""
        parts = []
        for part in inputs.split(_ROWS):
            zero = torch.zeros(1, dtype=torch.float64, device=part.device)
            generator = torch.Generator(part.device)
            parts.append(local_reparameterisation(self.layers, self.mean, zero, part.double(), 1, generator)[0])
        return torch.cat(parts)


@final
class LastLayerPredictor(Predictor):
    """The last linear layer is random, whatever lies below it is frozen.

    Args:
        model: any network that ends with a linear layer, which is verified.
        images: a few inputs, to verify it with.

    Raises:
        InputError: it does not end so.
    """

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        self._last = split_last_layer(model, images)
        classes, features = self._last.weight.shape
        head = nn.Linear(features, classes, bias=self._last.bias is not None, device=images.device)
        self._shape = classes, features
        self.layers = [head]
        self.part = deepcopy(head).double()
        self.drawn_weights = 0
        self.mean = self._last.flat.double()
        self.sizes = [p.numel() for p in head.parameters()]

    def inputs(self, images: Tensor) -> Tensor:
        """Features."""
        return torch.cat([self._last.features(part) for part in images.split(_ROWS)])

    def network(self, posterior: GaussianPosterior) -> StochasticNetwork:
        """Scores are Gaussian given the features."""
        classes, features = self._shape
        return FrozenBackbone(posterior, classes, features, bias=self._last.bias is not None)


@final
class PerceptronPredictor(Predictor):
    """All layers of a perceptron are random.

    Args:
        model: ``nn.Sequential`` of linear layers and elementwise activations.
        images: a few inputs, to try it with.

    Raises:
        InputError: another network.
    """

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        self._images = images.double()
        self.part = deepcopy(model).double()
        self.layers = perceptron_layers(model)
        parameters = list(model.parameters())
        self.mean = torch.cat([p.detach().double().flatten() for p in parameters])
        self.drawn_weights = len(self.mean)
        self.sizes = [p.numel() for p in parameters]

    def inputs(self, images: Tensor) -> Tensor:
        """The images, in float64."""
        return images.double()

    def network(self, posterior: GaussianPosterior) -> StochasticNetwork:
        """Layer by layer, by local reparameterisation; of correlated weights each is drawn."""
        if isinstance(posterior, IndependentPosterior):
            return MeanFieldPerceptron(self.part, posterior)
        return FreshWeights(self.part, posterior, self._images)


def make_predictor(model: nn.Module, layers: str, images: Tensor) -> Predictor:
    """The predictor of ``--layers``.

    Args:
        model: in evaluation mode.
        layers: ``last`` or ``all``.
        images: a few inputs.

    Raises:
        InputError: a network for which the scores are not known exactly.
    """
    if layers == "last":
        return LastLayerPredictor(model, images)
    try:
        return PerceptronPredictor(model, images)
    except InputError as error:
        raise InputError(f"--layers all is for perceptrons: {error}; take --layers last") from None
