"""The state of an optimizer and its base as one of torch's: tensors per parameter, numbers per group. No copies."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adafactor, Optimizer

from ..ground.errors import InputError

__all__ = ["hooks_held_back", "keep_types", "merge", "split", "whole_groups"]

_OURS = "sharpness_aware"
_PREFIX = f"{_OURS}."


def merge(own: dict[str, Any], base: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    """One state dictionary, whose entries anything that handles torch's can copy, shard or save.

    Args:
        own: state dictionary of the method's own tensors.
        base: that of the base optimizer.
        about: names, settings and numbers; kept in every group.
    """
    state = {i: dict(values) for i, values in base["state"].items()}
    for i, values in own["state"].items():
        if values:
            state.setdefault(i, {}).update({f"{_PREFIX}{name}": value for name, value in values.items()})
    return {**own, "state": state, "param_groups": [{**group, _OURS: dict(about)} for group in own["param_groups"]]}


def split(
    state: Any, about: dict[str, Any], settings: Sequence[str], groups: list[dict[str, Any]], defaults: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Inverse of :func:`merge`: own, base's, and what is said about them; checked before anything is overwritten.

    Args:
        state: dictionary to load.
        about: of the optimizer that loads it.
        settings: entries of ``about`` that have to agree.
        groups: parameter groups that load it.
        defaults: settings of groups that an older release of torch did not write.

    Raises:
        InputError: another kind of state, another method or base, other settings, parameters of other shapes.
    """
    name = about["method"]
    try:
        found_groups, found_state = list(state["param_groups"]), dict(state["state"])
        said = dict(found_groups[0][_OURS])
        if not all(isinstance(each, dict) for each in (*found_groups, *found_state.values())):
            raise TypeError
    except (KeyError, TypeError, ValueError, IndexError):
        raise InputError(f"this is not a state of {name}; give what state_dict() of one returned") from None
    for key in ("method", "base", *settings):
        if said.get(key) != about[key]:
            raise InputError(
                f"the state was saved with {key} = {said.get(key)}, this optimizer has {about[key]}; make it with the "
                "same settings, or start anew"
            )
    if missing := sorted(about.keys() - said.keys()):
        raise InputError(f"the state of {name} lacks {', '.join(missing)}; give what state_dict() returned")
    for key, value in about.items():
        if isinstance(value, int | float) != isinstance(said[key], int | float):
            raise InputError(f"the state of {name} has {key} = {said[key]!r}; it is damaged, load another one")
    ours, theirs = [[len(group["params"]) for group in each] for each in (groups, found_groups)]
    if ours != theirs:
        raise InputError(f"the state has groups of {theirs} parameters, this optimizer of {ours}; make the same groups")
    _check_shapes(found_state, found_groups, groups, about["base"])
    if hasattr(torch.optim, about["base"]):  # others may keep what they like
        _check_entries(found_state, found_groups)
    known = {k: v for k, v in defaults.items() if k != "params"}
    clean = [{**known, **{k: v for k, v in group.items() if k != _OURS}} for group in found_groups]
    own: dict[Any, Any] = {}
    base: dict[Any, Any] = {}
    for i, found in found_state.items():
        # Copies: steps change them in place, and sums of numbers that a file holds unaligned round otherwise.
        values = {k: v.clone() if isinstance(v, Tensor) else v for k, v in found.items()}
        mine = {k.removeprefix(_PREFIX): v for k, v in values.items() if str(k).startswith(_PREFIX)}
        rest = {k: v for k, v in values.items() if not str(k).startswith(_PREFIX)}
        own |= {i: mine} if mine else {}
        base |= {i: rest} if rest else {}
    return {"state": own, "param_groups": clean}, {"state": base, "param_groups": clean}, said


def _check_shapes(state: dict[Any, Any], found: list[dict[str, Any]], groups: list[dict[str, Any]], base: str) -> None:
    for found_group, group in zip(found, groups, strict=True):
        for i, p in zip(found_group["params"], group["params"], strict=True):
            for key, value in state.get(i, {}).items():
                factored = base == Adafactor.__name__ and key in ("row_var", "col_var")
                same_rank = isinstance(value, Tensor) and value.dim() == p.dim() > 0
                if same_rank and not factored and value.shape != p.shape:
                    raise InputError(
                        f"the state has {key} of shape {tuple(value.shape)} for a parameter of {tuple(p.shape)}; it "
                        "belongs to another model"
                    )


def _check_entries(state: dict[Any, Any], found: list[dict[str, Any]]) -> None:
    """Refuse what would stop a later step: of like parameters each has the same entries, of which none is text."""
    for group in found:
        seen: dict[int, dict[str, bool]] = {}
        for i in group["params"]:
            values = {k: v for k, v in state.get(i, {}).items() if not str(k).startswith(_PREFIX)}
            if not values:
                continue  # no step has used it yet
            for key, value in values.items():
                if isinstance(value, str):
                    raise InputError(
                        f"the state has {key} = {value!r} for a parameter; it is damaged, load another one"
                    )
            rank = max((v.dim() for v in values.values() if isinstance(v, Tensor)), default=0)
            entries = {key: value is None for key, value in values.items()}
            if (other := seen.setdefault(rank, entries)) != entries:
                odd = ", ".join(sorted(str(key) for key, _ in other.items() ^ entries.items()))
                raise InputError(
                    f"the state has {odd} for some parameters of a group only; it is damaged, load another"
                )


def keep_types(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Give numbers that an optimizer has loaded the type back that they were saved in.

    Torch casts them to the parameter's: with float64 parameters NAdam, whose products are float32, went on otherwise.

    Args:
        optimizer: that has loaded the state.
        state: that it has loaded.
    """
    for found, group in zip(state["param_groups"], optimizer.param_groups, strict=True):
        for i, p in zip(found["params"], group["params"], strict=True):
            for key, value in state["state"].get(i, {}).items():
                if isinstance(value, Tensor) and value.dim() == 0 < p.dim():
                    optimizer.state[p][key] = optimizer.state[p][key].to(value.dtype)


@contextmanager
def whole_groups() -> Iterator[None]:
    """Inside, torch gathers a state; what is kept of a parameter that no group has any more gets words.

    Raises:
        InputError: there is some.
    """
    try:
        yield
    except KeyError:
        raise InputError(
            "something is kept of a parameter that is in no group any more, so it was replaced there by hand; make the "
            "optimizer anew, or take its entries out of optimizer.state and optimizer.base.state"
        ) from None


@contextmanager
def hooks_held_back(optimizer: Optimizer) -> Iterator[None]:
    """Hooks of states do not see the part of a state that an optimizer keeps itself; they are called with all of it."""
    names = [name for name in vars(optimizer) if name.startswith("_optimizer_") and "state_dict" in name]
    before = {name: getattr(optimizer, name) for name in names}
    try:
        for name in names:
            setattr(optimizer, name, OrderedDict())
        yield
    finally:
        for name, hooks in before.items():
            setattr(optimizer, name, hooks)
