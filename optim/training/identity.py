"""What a run depends on besides its settings."""

from typing import Any

import torch
from torch import nn

from ...ground.fingerprints import fingerprint
from ...ground.identities import code_identity
from ...landscapes.runs.data_digests import data_digest
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.registries import DATA, MODELS, OWN
from .settings import TrainSettings

__all__ = ["network_fingerprint", "run_identity"]

_TRAINS = f"{__package__}.train"


def run_identity(
    data: DataSet,
    device: torch.device | str,
    settings: TrainSettings | None = None,
    model: nn.Module | None = None,
) -> dict[str, str]:
    """What a run depends on besides its settings: examples, device, threads, code, libraries; to the last bit.

    Args:
        data: that it trains on.
        device: where.
        settings: whose optimizer, base, schedule, network or data may be another package's, whose code counts then.
        model: one's own: its structure, first parameters and code count.

    Example:
        >>> from eigensam.landscapes import load_data
        >>> sorted(run_identity(load_data("digits"), "cpu"))[:3]
        ['code of eigensam', 'device', 'examples']
    """
    device = torch.device(device)
    entries, own = _entries(settings), {}
    if model is not None:
        kinds = {type(each) for each in model.modules()}
        entries += [kind for kind in kinds if kind.__module__.partition(".")[0] != "torch"]
        own["network"] = network_fingerprint(model)
    return {
        **own,
        "examples": data_digest(data),
        "device": str(device),
        "threads": str(torch.get_num_threads()) if device.type == "cpu" else "any",
        **code_identity(_TRAINS, *entries),
    }


def network_fingerprint(model: nn.Module) -> str:
    """Of a network's structure and parameters."""
    return fingerprint(repr(model), dict(model.state_dict()))


def _entries(settings: TrainSettings | None) -> list[Any]:
    """What has a name in a registry."""
    if settings is None:
        return []
    model = [] if settings.model == OWN else [MODELS[settings.model]]
    groups = [settings.method, settings.base_optimizer, settings.rate]
    return [*groups, *model, *([] if settings.data == OWN else [DATA[settings.data]])]
