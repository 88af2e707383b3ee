"""Whether settings, data and network fit each other, before anything is written."""

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ...landscapes.networks.modes import kept_modes
from ...landscapes.networks.whole_state import whole_state
from ...landscapes.runs.data import check_data
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.registries import OWN
from ...landscapes.tensor_files import check_storable
from .settings import TrainSettings

__all__ = ["check_fits"]


def check_fits(settings: TrainSettings, data: DataSet, model: nn.Module | None) -> None:
    """Refuse what cannot be trained.

    Args:
        settings: of the run.
        data: the whole data set.
        model: one's own network, or None.

    Raises:
        InputError: data that are nonsense or of another name, a network that is missing, or not wanted, or fails on an
            example, gives no scores of the classes, or has a state that no file can hold.
    """
    if not isinstance(data, DataSet):
        raise InputError(f"data is of type {type(data).__name__}; give a DataSet, such as load_data('digits')")
    check_data(data)
    if (settings.model == OWN) != (model is not None):
        found = "none was given" if model is None else "one was given"
        raise InputError(
            f"the settings say model = '{settings.model}', and {found} from Python; a network of your own takes "
            f"model='{OWN}' in the settings and train(..., model=network)"
        )
    if settings.data not in (OWN, data.name):
        raise InputError(f"the settings name data '{settings.data}', but '{data.name}' was given; load the former")
    if settings.augment and not data.augmentable:
        raise InputError(f"crops and flips change the class of {data.name} images; leave --augment out")
    if settings.augment and len(data.shape) != 3:
        raise InputError(
            f"crops and flips are of images (C, H, W), inputs of {data.name} have shape {data.shape}; leave augment out"
        )
    if model is not None:
        _check_model(model, data)
    elif data.train_inputs.dtype != torch.float32:
        raise InputError(
            f"inputs are of type {data.train_inputs.dtype}, the network '{settings.model}' takes torch.float32; "
            "convert them"
        )
    elif torch.get_default_dtype() != torch.float32:
        raise InputError(
            f"torch's default type is {torch.get_default_dtype()} and '{settings.model}' takes torch.float32; "
            "call torch.set_default_dtype(torch.float32)"
        )


def _check_model(model: nn.Module, data: DataSet) -> None:
    if not isinstance(model, nn.Module):
        raise InputError(f"model is of type {type(model).__name__}; give a torch.nn.Module")
    check_storable(whole_state(model))
    types = ", ".join(sorted({str(p.dtype) for p in model.parameters()})) or "none"
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad(), torch.random.fork_rng(), kept_modes(model):
            found = model.eval()(data.train_inputs[:1].to(device))
    except Exception as error:  # of any network
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"the network fails on one example ({reason}); inputs have shape {tuple(data.train_inputs.shape[1:])} and "
            f"type {data.train_inputs.dtype}, its parameters are of type {types}"
        ) from None
    expected = (1, data.classes)
    if not isinstance(found, Tensor) or tuple(found.shape) != expected:
        what = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"type {type(found).__name__}"
        raise InputError(f"the network's output for one example is of {what}; expected scores of shape {expected}")
