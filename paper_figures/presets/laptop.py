"""Hours on two cores: MNIST, Fashion-MNIST and a part of CIFAR-10, networks that such a machine can train."""

from dataclasses import replace

from ..preset import PRESETS, Preset

__all__ = ["laptop"]

_SUBSET = 10_000  # training examples of each data set


@PRESETS.register("laptop", order=1.5)
def laptop() -> Preset:
    """Every item: the paper's with reduced networks and data, the others at their own size."""
    from ...optim.methods.eigen_sam import EigenSAMSettings
    from ...optim.training.settings import TrainSettings
    from ..contests import contest
    from ..followed_trainings import FollowedTrainings
    from ..items.ablations import Ablations
    from ..items.batch_size import BatchSize
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
    from ..measurements.control_plan import QUICK
    from ..trainings import Trainings

    mnist = TrainSettings(data="mnist", model="mlp", subset=_SUBSET, epochs=10, batch_size=128, spectrum_every=10)
    fashion = replace(mnist, data="fashion-mnist", model="cnn4")
    cifar = replace(mnist, data="cifar10", model="cnn4", epochs=15, spectrum_every=15)
    eigen = EigenSAMSettings(refresh_every=20, solver="power", guard=0.0)  # the paper's Algorithm 1, for shorter runs
    methods = (*Trainings.quick().optimizers[:2], eigen)
    followed = replace(fashion, optimizer=EigenSAMSettings(solver="power", guard=0.0), epochs=8, spectrum_every=0)
    along = Trainings(replace(cifar, spectrum_every=3), seeds=(0, 1, 2, 3, 4), optimizers=methods)
    contests = tuple(contest(each, refresh_every=20) for each in (mnist, fashion, cifar))
    items = {
        "weak_order": WeakOrder(),
        "figure1": Figure1(along),
        "bound_terms": BoundTerms(),
        "certificates_along": CertificatesAlong(),
        "trained_sde": TrainedSDE(),
        "order_table": OrderTable(),
        "ablations": Ablations(),
        "critical_point": CriticalPoint(),
        "sharp_valley": SharpValley(),
        "figure2": Figure2(),
        "figure3": Figure3(),
        "figure4": Figure4(sensitivity_sweep(replace(mnist, optimizer=eigen), (0.05, 0.1, 0.2, 0.4), (0.05, 0.2))),
        "figure5": Figure5(gradient_norm_sweep(fashion)),
        "eigen_sam_controls": EigenSAMControls(QUICK, alphas=(1.0,), refreshes=(1, 20), accurate=(20,)),
        "table1": Table1(contests),
        "eigenvalue_table": EigenvalueTable(contests),
        "table2": Table2(),
        "k_table": KTable(k_sweep(fashion, (5, 20, 100, 390))),
        "iterations_table": IterationsTable(iterations_sweep(mnist, ps=(1, 5, 20), ks=(20, 100))),
        "power_convergence": PowerConvergence(FollowedTrainings(followed, ("cnn2",), examples=1000)),
        "eigenvector_decay": EigenvectorDecay(FollowedTrainings(followed, ("cnn2", "cnn4"), examples=1000)),
        "power_example": PowerExample(),
        "minima": Minima(),
        "batch_size": BatchSize(),
        "label_noise": LabelNoise(label_noise_sweep(mnist)),
        "relatives": Relatives(relatives_sweep(mnist, refresh_every=20)),
        "spectral_posterior": SpectralPosterior(),
    }
    return Preset("laptop", items)
