"""What a forward pass may set in a module, so that it can be put back."""

import operator
from collections import OrderedDict
from typing import Any

from torch import nn

__all__ = ["ModuleState", "restore_state", "state_of"]


_OF_EVERY_MODULE = {*nn.Module().__dict__, "_is_hf_initialized"}
_SMALL = 256  # caches are small; vocabularies are not, and nothing is written into them
_PLAIN = (dict, list, OrderedDict)  # what is not plain may forbid to be written
_MISSING = object()
ModuleState = tuple[dict[str, Any], dict[str, Any]]


def state_of(module: nn.Module) -> ModuleState:
    """What a forward pass may set: attributes, buffers, and what its own lists and dicts hold."""
    attributes = dict(module.__dict__)
    containers = {
        key: value.copy()
        for key, value in attributes.items()
        if type(value) in _PLAIN and (key == "_buffers" or (key not in _OF_EVERY_MODULE and len(value) <= _SMALL))
    }
    return attributes, containers


def restore_state(holder: dict[str, Any], state: ModuleState) -> None:
    """Put everything back: a cache that was filled in float64 would break the module."""
    attributes, containers = state
    if len(holder) == len(attributes) and all(map(operator.is_, holder.values(), attributes.values())):
        same = list(holder) == list(attributes)
    else:
        same = False
    if not same:
        _restore_attributes(holder, attributes)
    for key, content in containers.items():
        now = holder[key]
        if _is_same(now, content):
            continue
        if isinstance(now, list):
            now[:] = content
        else:
            now.clear()
            now.update(content)


def _restore_attributes(holder: dict[str, Any], attributes: dict[str, Any]) -> None:
    for key in [key for key in holder if key not in attributes]:
        del holder[key]
    for key, value in attributes.items():
        if holder.get(key, _MISSING) is not value:
            holder[key] = value


def _is_same(now: Any, before: Any) -> bool:
    """Whether two lists or dicts hold the same objects."""
    if isinstance(now, dict):
        return list(now) == list(before) and all(value is before[key] for key, value in now.items())
    return len(now) == len(before) and all(a is b for a, b in zip(now, before, strict=True))
