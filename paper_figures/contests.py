"""What the paper's optimizers choose from in a contest."""

from dataclasses import replace

from ..optim.methods.eigen_sam import EigenSAMSettings
from ..optim.methods.sam import SAMSettings
from ..optim.methods.sgd import SGDSettings
from ..optim.training.settings import TrainSettings
from .contest import Competitor, Contest

__all__ = ["contest", "digits_contests"]


def contest(settings: TrainSettings, *, refresh_every: int = 100, seeds: tuple[int, ...] = (0, 1, 2, 3, 4)) -> Contest:
    """SGD, SAM and Eigen-SAM with three choices each.

    The paper tunes Eigen-SAM's alpha over 0.05, 0.1 and 0.2 on a tenth of the training set. A reviewer asked whether
    the others were tuned as well; here SGD chooses among three learning rates, SAM among three radii (ours), and
    Eigen-SAM, with SAM's chosen radius ("all else shared"), among the paper's three weights, each on the same tenth.

    Args:
        settings: shared by all; SAM and Eigen-SAM keep its learning rate.
        refresh_every: steps between Eigen-SAM's estimates.
        seeds: of the runs that are compared.

    Example:
        >>> [(each.name, len(each.choices)) for each in contest(TrainSettings()).competitors]
        [('SGD', 3), ('SAM', 3), ('Eigen-SAM', 3)]
    """
    lr = settings.lr
    eigen = EigenSAMSettings(refresh_every=refresh_every, solver="power", guard=0.0)  # Algorithm 1
    competitors = (
        Competitor("SGD", tuple((SGDSettings(), factor * lr) for factor in (0.5, 1.0, 2.0))),
        Competitor("SAM", tuple((SAMSettings(rho=rho), lr) for rho in (0.05, 0.1, 0.2))),
        Competitor("Eigen-SAM", tuple((replace(eigen, alpha=alpha), lr) for alpha in (0.05, 0.1, 0.2)), "SAM"),
    )
    return Contest(settings, competitors, seeds)


def digits_contests() -> tuple[Contest, ...]:
    """A cell that takes a minute on two cores."""
    return (contest(TrainSettings(data="digits", model="mlp", epochs=30, spectrum_every=30), refresh_every=10),)
