"""What a run depends on besides its settings."""

import torch

from ..ground.source_code import code_fingerprint, library_versions
from ..landscapes.runs.data_digests import data_digest
from ..landscapes.runs.data_set import DataSet

__all__ = ["READABLE", "run_identity"]

READABLE = ("device", "threads", "libraries")
"""Entries whose values tell a person something."""

_TRAINS = f"{__package__}.training"


def run_identity(data: DataSet, device: torch.device | str) -> dict[str, str]:
    """What a run depends on besides its settings: examples, device, threads, code, libraries; to the last bit.

    Example:
        >>> from eigensam.landscapes import load_data
        >>> sorted(run_identity(load_data("digits"), "cpu"))[:3]
        ['code of eigensam', 'device', 'examples']
    """
    device = torch.device(device)
    versions = library_versions(_TRAINS)
    return {
        "examples": data_digest(data),
        "device": str(device),
        "threads": str(torch.get_num_threads()) if device.type == "cpu" else "any",
        "code of eigensam": code_fingerprint(_TRAINS),
        "libraries": ", ".join(f"{name} {number}" for name, number in versions.items()),
    }
