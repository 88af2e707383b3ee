"""The network and data of the paper's Figure 1, over five seeds of ours; wants an accelerator."""

from ..preset import PRESETS, Preset

__all__ = ["paper"]


@PRESETS.register("paper", order=2)
def paper() -> Preset:
    """CIFAR-10, 200 epochs; spectral posteriors on digits."""
    from ...optim.settings import TrainSettings
    from ..items.bound_terms import BoundTerms
    from ..items.figure1 import Figure1
    from ..items.spectral_posterior import SpectralPosterior
    from ..items.weak_order import WeakOrder
    from ..trainings import Trainings

    settings = TrainSettings(data="cifar10", model="cnn6", epochs=200, batch_size=256, augment=True, spectrum_every=5)
    trainings = Trainings(settings, seeds=(0, 1, 2, 3, 4))
    items = {
        "weak_order": WeakOrder(),
        "figure1": Figure1(trainings),
        "bound_terms": BoundTerms(trainings),
        "spectral_posterior": SpectralPosterior(),
    }
    return Preset("paper", items)
