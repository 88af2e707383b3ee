"""What a run depends on besides its settings."""

from typing import Any

import torch
from torch import nn

from ...ground.fingerprints import fingerprint
from ...ground.identities import code_identity
from ...landscapes.networks.modes import kept_modes
from ...landscapes.runs.data_digests import data_digest
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.registries import DATA, MODELS, OWN
from .first_network import check_pretrained
from .settings import TrainSettings

__all__ = ["network_fingerprint", "run_identity"]

_TRAINS = f"{__package__}.train"


def run_identity(
    data: DataSet,
    device: torch.device | str,
    settings: TrainSettings | None = None,
    model: nn.Module | None = None,
    *,
    examples: str = "",
) -> dict[str, str]:
    """What a run depends on besides its settings: examples, device, threads, code, libraries; to the last bit.

    Args:
        data: that it trains on.
        device: where.
        settings: whose optimizer, base, schedule, network or data may be another package's, whose code counts then.
        model: one's own: its structure, first parameters and code count.
        examples: :func:`data_digest` of ``data``, by who has it already: of large data it takes a second.

    Raises:
        InputError: pretrained weights that are missing, or other ones than the published.

    Example:
        >>> from eigensam.landscapes import load_data
        >>> sorted(run_identity(load_data("digits"), "cpu"))[:3]
        ['code of eigensam', 'device', 'examples']
    """
    device = torch.device(device)
    entries, own = _entries(settings), {}
    if model is not None:
        # Of a script that trains its own network only the network's code counts: else the script could ask for nothing
        # more, such as more epochs, without being another one.
        entries += [kind for kind in _kinds(model) if kind.__module__.partition(".")[0] not in ("torch", "__main__")]
        own["network"] = network_fingerprint(model)
    if settings is not None and settings.pretrained:
        own["pretrained weights"] = check_pretrained(settings)
    return {
        **own,
        "examples": examples or data_digest(data),
        "device": str(device),
        "threads": str(torch.get_num_threads()) if device.type == "cpu" else "any",
        "processor": _processor(device),
        **code_identity(_TRAINS, *entries),
    }


def network_fingerprint(model: nn.Module) -> str:
    """Of a network: structure, attributes such as an activation, what is trained, parameters and buffers; not its mode.

    Example:
        >>> a, b = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> _ = b.load_state_dict(a.state_dict())
        >>> one, same = network_fingerprint(a), network_fingerprint(b.eval())
        >>> _ = b.bias.requires_grad_(False)
        >>> one == same, one == network_fingerprint(b)
        (True, False)
    """
    trained = [(name, p.requires_grad) for name, p in model.named_parameters()]
    with kept_modes(model):
        model.train()
        return fingerprint(model, trained, [kind for kind in _kinds(model) if kind.__module__ == "__main__"])


def _kinds(model: nn.Module) -> list[type[nn.Module]]:
    """The classes of a network's modules, in an order that is the same in every process."""
    return sorted({type(each) for each in model.modules()}, key=lambda kind: (kind.__module__, kind.__qualname__))


def _processor(device: torch.device) -> str:
    """What computes: another kind of processor rounds sums in another way."""
    if device.type == "cpu":
        return torch.backends.cpu.get_cpu_capability()
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{kind}, products in {torch.get_float32_matmul_precision()} precision"


def _entries(settings: TrainSettings | None) -> list[Any]:
    """What has a name in a registry."""
    if settings is None:
        return []
    model = [] if settings.model == OWN else [MODELS[settings.model]]
    groups = [settings.method, settings.base_optimizer, settings.rate]
    return [*groups, *model, *([] if settings.data == OWN else [DATA[settings.data]])]
