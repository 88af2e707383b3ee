"""Named tensors in files: safetensors, which cannot execute code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as dump_safetensors
from torch import Tensor

from ..ground.errors import InputError
from ..ground.input_file import read_input
from ..ground.records import write_atomically

__all__ = ["check_storable", "load_tensors", "parse_tensors", "save_tensors"]


def check_storable(tensors: Mapping[str, Any]) -> None:
    """Refuse what :func:`save_tensors` cannot write.

    Raises:
        InputError: it is no tensor, or one of a type or layout that safetensors does not have.

    Example:
        >>> check_storable({"weight": torch.ones(2)})
    """
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise InputError(f"'{name}' of the network's state is a {type(value).__name__}; only tensors can be kept")
        try:
            parse_safetensors(dump_safetensors({name: torch.zeros(1, dtype=value.dtype)}))
        except Exception:  # versions of the library know different types and fail in different ways
            raise InputError(f"'{name}' of the network is of type {value.dtype}, which cannot be kept") from None
        if value.layout != torch.strided:
            raise InputError(f"'{name}' of the network has the layout {value.layout}, which cannot be kept")


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write named tensors atomically; of tied ones, each is written.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp()) / "vector.safetensors"
        >>> save_tensors(path, {"vector": torch.ones(2)})
        >>> load_tensors(path)["vector"].tolist()
        [1.0, 1.0]
    """
    # Tensors that share memory are refused by safetensors.
    found = {name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    write_atomically(path, dump_safetensors(found))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read named tensors.

    Raises:
        InputError: the file is missing, truncated, or not safetensors (a pickle is never opened).
    """
    return parse_tensors(read_input(path), path)


def parse_tensors(content: bytes, path: Path) -> dict[str, Tensor]:
    """The tensors of a file whose content is read already; ``path`` is for the message.

    Raises:
        InputError: as :func:`load_tensors`.
    """
    try:
        return parse_safetensors(content)
    except (SafetensorError, KeyError, ValueError, OverflowError) as error:  # KeyError: a type that torch lacks
        raise InputError(
            f"{path} is not a complete safetensors file ({error}); it is truncated or of another format "
            f"(pickles are refused): train again or restore it from a copy"
        ) from None
