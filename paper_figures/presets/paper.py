"""The networks and data of the paper, over five seeds of ours; wants an accelerator."""

from dataclasses import replace
from typing import Any

from ..preset import PRESETS, Preset

__all__ = ["paper"]


@PRESETS.register("paper", order=2)
def paper() -> Preset:
    """Every item, at the paper's settings where it has some."""
    from ...optim.methods.eigen_sam import EigenSAMSettings
    from ...optim.training.settings import TrainSettings
    from ..contests import contest
    from ..followed_trainings import FollowedTrainings
    from ..items.ablations import Ablations
    from ..items.batch_size import BatchSize, batch_size_sweep
    from ..items.bound_terms import BoundTerms
    from ..items.certificates_along import CertificatesAlong
    from ..items.critical_point import CriticalPoint
    from ..items.eigen_sam_controls import EigenSAMControls
    from ..items.eigenvalue_table import EigenvalueTable
    from ..items.eigenvector_decay import EigenvectorDecay
    from ..items.figure1 import Figure1
    from ..items.figure2 import Figure2
    from ..items.figure3 import Figure3
    from ..items.figure4 import Figure4, sensitivity_sweep
    from ..items.figure5 import Figure5, gradient_norm_sweep
    from ..items.iterations_table import IterationsTable, iterations_sweep
    from ..items.k_table import KTable, k_sweep
    from ..items.label_noise import LabelNoise, label_noise_sweep
    from ..items.minima import Minima
    from ..items.order_table import OrderTable
    from ..items.power_convergence import PowerConvergence
    from ..items.power_example import PowerExample
    from ..items.relatives import Relatives, relatives_sweep
    from ..items.sharp_valley import SharpValley
    from ..items.spectral_posterior import SpectralPosterior
    from ..items.table1 import Table1
    from ..items.table2 import Table2
    from ..items.trained_sde import TrainedSDE
    from ..items.weak_order import WeakOrder
    from ..measurements.minima import MinimumSize
    from ..measurements.network_comparison import Network
    from ..sweep_grid import three_optimizers
    from ..trainings import Trainings

    def trained(model: str, data: str, **others: Any) -> TrainSettings:
        """The paper's: 200 epochs of 256 examples, 0.1 with a cosine; SVHN 0.01; digits of houses are not flipped."""
        svhn = data == "svhn"
        lr, augment = (0.01, False) if svhn else (0.1, True)
        found = TrainSettings(data=data, model=model, epochs=200, batch_size=256, lr=lr, augment=augment)
        return replace(found, **{"spectrum_every": 200, **others})

    def tuned(data: str) -> TrainSettings:
        """Ours: the paper does not state how it fine-tunes."""
        found = trained("vit-b-16", data, epochs=10, batch_size=128, lr=0.01, precision="bfloat16", spectrum_every=10)
        return replace(found, pretrained="imagenet")

    eigen = EigenSAMSettings(solver="power", guard=0.0)  # Algorithm 1
    grid = [(model, data) for model in Table1.models for data in Table1.data]
    contests = {cell: contest(trained(*cell)) for cell in grid}
    along = Trainings(trained("cnn6", "cifar10", spectrum_every=5), seeds=(0, 1, 2, 3, 4))
    resnet, resnet10 = trained("resnet18", "cifar100"), trained("resnet18", "cifar10")

    def followed(*models: str) -> FollowedTrainings:
        settings = trained(models[0], "cifar100", optimizer=eigen, spectrum_every=0)
        return FollowedTrainings(settings, models, examples=5000)

    full: Any = {"minibatches": 10, "batch_size": 500, "steps": 150, "seeds": 10, "looks": 25}
    perceptron = Network("mnist", hidden=(128,), scale=0.3, test=10_000, **full)
    convolutions = Network("cifar10", channels=(16,), hidden=(), pool=2, scale=0.4, test=10_000, **full)
    items = {
        "weak_order": WeakOrder(),
        "figure1": Figure1(along),
        "bound_terms": BoundTerms(along),
        "trained_sde": TrainedSDE(),
        "order_table": OrderTable(),
        "ablations": Ablations(),
        "critical_point": CriticalPoint(),
        "sharp_valley": SharpValley(),
        "figure2": Figure2(perceptron),
        "figure3": Figure3(convolutions),
        "figure4": Figure4(
            sensitivity_sweep(replace(resnet, optimizer=eigen), (0.05, 0.1, 0.2, 0.4), (0.05, 0.2, 0.4))
        ),
        "figure5": Figure5(gradient_norm_sweep(resnet10)),
        "eigen_sam_controls": EigenSAMControls(),
        "table1": Table1(tuple(contests.values())),
        "eigenvalue_table": EigenvalueTable(tuple(c for (_, data), c in contests.items() if data.startswith("cifar"))),
        "table2": Table2(tuple(contest(tuned(data)) for data in Table2.data)),
        "k_table": KTable(k_sweep(resnet, (100, 200, 300, 400, 500, 600, 700, 800, 900, 1000))),
        "iterations_table": IterationsTable(iterations_sweep(resnet, ps=(1, 5, 20), ks=(100, 1000))),
        "power_convergence": PowerConvergence(followed("resnet18")),
        "eigenvector_decay": EigenvectorDecay(followed("resnet18", "resnet50", "wrn28-10")),
        "power_example": PowerExample(),
        "minima": Minima(along, MinimumSize(examples=10_000, chunk=1000, points=31), snapshot_every=10),
        "batch_size": BatchSize(batch_size_sweep(resnet10, (64, 256, 1024, 4096), equal="epochs")),
        "label_noise": LabelNoise(label_noise_sweep(resnet10, methods=three_optimizers(100))),
        "relatives": Relatives(relatives_sweep(resnet, refresh_every=100)),
        "certificates_along": CertificatesAlong(),
        "spectral_posterior": SpectralPosterior(),
    }
    return Preset("paper", items)
