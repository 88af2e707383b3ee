"""The network that a training begins with: freshly initialised, or with weights that others have trained."""

from torch import nn

from ...ground.errors import InputError
from ...landscapes.runs.build import build_model
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.pretrained import Statistics, check_weights, load_pretrained
from ...landscapes.runs.pretrained_weights import find_pretrained
from ...landscapes.runs.registries import DATA, OWN
from .settings import TrainSettings

__all__ = ["check_pretrained", "first_network"]


def check_pretrained(settings: TrainSettings, *, download: bool = False) -> str:
    """The SHA-256 of the weights that a training begins with; empty if its network starts anew.

    Args:
        settings: of the run.
        download: fetch the file if it is missing.

    Raises:
        InputError: the file is missing, damaged or another one; data whose standardisation is not known.

    Example:
        >>> check_pretrained(TrainSettings("sam"))
        ''
    """
    if not settings.pretrained:
        return ""
    _statistics(settings)
    return check_weights(find_pretrained(settings.model, settings.pretrained), download=download)


def first_network(settings: TrainSettings, data: DataSet) -> nn.Module:
    """The network that the settings name; seed torch before the call.

    Raises:
        InputError: as :func:`check_pretrained`; weights of another architecture.

    Example:
        >>> from eigensam.landscapes import load_data
        >>> sum(p.numel() for p in first_network(TrainSettings(model="linear"), load_data("digits")).parameters())
        650
    """
    model = build_model(settings.model, data.shape, data.classes)
    if settings.pretrained:
        load_pretrained(model, find_pretrained(settings.model, settings.pretrained), _statistics(settings))
    return model


def _statistics(settings: TrainSettings) -> Statistics | None:
    """What the data were standardised by; None: by what the weights expect, as one's own data have to be."""
    if settings.data == OWN:
        return None
    found = DATA[settings.data].statistics
    if found is None:
        raise InputError(
            f"the data '{settings.data}' do not say how they were standardised, so pretrained weights cannot be fitted "
            "to them; give their source the property 'statistics', or leave --pretrained out"
        )
    return found
