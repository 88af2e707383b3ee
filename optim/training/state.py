"""A training state as a safetensors file: tensors, everything else as JSON in its header, a digest. No pickle."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from ...ground.errors import InputError
from ...ground.fingerprints import fingerprint
from ...ground.records import write_atomically

__all__ = ["load_state", "save_state"]

_KEY, _DIGEST = "eigensam-state/2", "sha256"


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(value, dict):  # as pairs, so that integer keys stay integers
        return {"dict": [[key, _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {"list" if isinstance(value, list) else "tuple": [_pack(item, tensors) for item in value]}
    return value


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _unpack(item, tensors) for key, item in content}
    items = [_unpack(item, tensors) for item in content]
    return items if kind == "list" else tuple(items)


def save_state(path: Path, state: Any) -> None:
    """Write nested dicts, lists, numbers, strings and tensors atomically.

    Example:
        >>> import pathlib, tempfile, torch
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "state.safetensors"
        >>> save_state(path, {"epoch": 3, "momentum": {0: torch.ones(2)}})
        >>> load_state(path)
        {'epoch': 3, 'momentum': {0: tensor([1., 1.])}}
    """
    tensors: dict[str, Tensor] = {}
    skeleton = _pack(state, tensors)
    tensors.setdefault("t0", torch.zeros(0))  # safetensors keeps no header without a tensor
    header = json.dumps(skeleton)
    write_atomically(path, save(tensors, metadata={_KEY: header, _DIGEST: fingerprint(header, tensors)}))


def load_state(path: Path) -> Any:
    """Read what :func:`save_state` wrote.

    Raises:
        InputError: the file is missing, damaged, or of another kind.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            header = metadata[_KEY]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        if metadata[_DIGEST] != fingerprint(header, tensors):
            raise ValueError("its content is not what was written")
        return _unpack(json.loads(header), tensors)
    except Exception as error:  # a header edited by hand can be wrong in any way
        raise InputError(f"{path} is not a usable training state ({error}); train anew elsewhere") from None
