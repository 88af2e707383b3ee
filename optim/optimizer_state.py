"""The state of an optimizer and its base as one of torch's: tensors per parameter, numbers per group. No copies."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim import Adafactor

from ..ground.errors import InputError

__all__ = ["asks_for_entries", "merge", "split"]

_OURS = "sharpness_aware"
_PREFIX = f"{_OURS}."


def asks_for_entries(groups: Sequence[dict[str, Any]]) -> bool:
    """Whether a step would do nothing: along gradients that are there and are 0, by a learning rate of 0."""
    gradients = [p.grad for group in groups for p in group["params"] if p.requires_grad]
    return all(float(group.get("lr", 1.0)) == 0 for group in groups) and all(
        g is not None and not bool(g.any()) for g in gradients
    )


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
    except (KeyError, TypeError, IndexError):
        raise InputError(f"this is not a state of {name}; give what state_dict() of one returned") from None
    for key in ("method", "base", *settings):
        if said.get(key) != about[key]:
            raise InputError(
                f"the state was saved with {key} = {said.get(key)}, this optimizer has {about[key]}; make it with the "
                "same settings, or start anew"
            )
    if missing := sorted(about.keys() - said.keys()):
        raise InputError(f"the state of {name} lacks {', '.join(missing)}; give what state_dict() returned")
    ours, theirs = [[len(group["params"]) for group in each] for each in (groups, found_groups)]
    if ours != theirs:
        raise InputError(f"the state has groups of {theirs} parameters, this optimizer of {ours}; make the same groups")
    _check_shapes(found_state, found_groups, groups, about["base"])
    known = {k: v for k, v in defaults.items() if k != "params"}
    clean = [{**known, **{k: v for k, v in group.items() if k != _OURS}} for group in found_groups]
    own: dict[Any, Any] = {}
    base: dict[Any, Any] = {}
    for i, values in found_state.items():
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
