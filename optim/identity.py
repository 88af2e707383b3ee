"""What a run depends on besides its settings."""

import torch

from ..ground.identities import code_identity
from ..landscapes.runs.data_digests import data_digest
from ..landscapes.runs.data_set import DataSet
from ..landscapes.runs.registries import DATA, MODELS
from .settings import TrainSettings

__all__ = ["run_identity"]

_TRAINS = f"{__package__}.training"


def run_identity(data: DataSet, device: torch.device | str, settings: TrainSettings | None = None) -> dict[str, str]:
    """What a run depends on besides its settings: examples, device, threads, code, libraries; to the last bit.

    Args:
        data: that it trains on.
        device: where.
        settings: whose optimizer, base, schedule, network or data may be another package's, whose code counts then.

    Example:
        >>> from eigensam.landscapes import load_data
        >>> sorted(run_identity(load_data("digits"), "cpu"))[:3]
        ['code of eigensam', 'device', 'examples']
    """
    device = torch.device(device)
    groups = [] if settings is None else [settings.method, settings.base_optimizer, settings.rate]
    entries = [] if settings is None else [*groups, MODELS[settings.model], DATA[settings.data]]
    return {
        "examples": data_digest(data),
        "device": str(device),
        "threads": str(torch.get_num_threads()) if device.type == "cpu" else "any",
        **code_identity(_TRAINS, *entries),
    }
