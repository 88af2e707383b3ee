"""The network and data of the paper's Figure 1, over five seeds of ours; wants an accelerator."""

from typing import Any

from ..preset import PRESETS, Preset

__all__ = ["paper"]


@PRESETS.register("paper", order=2)
def paper() -> Preset:
    """CIFAR-10, 200 epochs; SDEs on MNIST and CIFAR-10; spectral posteriors on digits."""
    from ...optim.training.settings import TrainSettings
    from ..items.bound_terms import BoundTerms
    from ..items.eigen_sam_controls import EigenSAMControls
    from ..items.figure1 import Figure1
    from ..items.figure2 import Figure2
    from ..items.figure3 import Figure3
    from ..items.sharp_valley import SharpValley
    from ..items.spectral_posterior import SpectralPosterior
    from ..items.weak_order import WeakOrder
    from ..measurements.network_comparison import Network
    from ..trainings import Trainings

    settings = TrainSettings(data="cifar10", model="cnn6", epochs=200, batch_size=256, augment=True, spectrum_every=5)
    trainings = Trainings(settings, seeds=(0, 1, 2, 3, 4))
    full: Any = {"minibatches": 10, "batch_size": 500, "steps": 150, "seeds": 10, "looks": 25}
    perceptron = Network("mnist", hidden=(128,), scale=0.3, test=10_000, **full)
    convolutions = Network("cifar10", channels=(16,), hidden=(), pool=2, scale=0.4, test=10_000, **full)
    items = {
        "weak_order": WeakOrder(),
        "figure1": Figure1(trainings),
        "figure2": Figure2(perceptron),
        "figure3": Figure3(convolutions),
        "bound_terms": BoundTerms(trainings),
        "spectral_posterior": SpectralPosterior(),
        "sharp_valley": SharpValley(),
        "eigen_sam_controls": EigenSAMControls(),
    }
    return Preset("paper", items)
