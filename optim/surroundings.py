"""What surrounds a step and what its closure does to the optimizer: where no step could be right, words say so."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..ground.errors import InputError

__all__ = ["in_progress", "refuse_nested", "refuse_surroundings", "same_parameters", "watched"]

_in_progress: list[set[int]] = []  # parameters of the steps whose closures run


def refuse_nested(parameters: Sequence[Tensor]) -> None:
    """Refuse to begin a step of parameters that another step has moved, and will put back.

    Raises:
        InputError: the closure of such a step is running.
    """
    if _in_progress and any(not each.isdisjoint(id(p) for p in parameters) for each in _in_progress):
        raise InputError(
            "a step within a step: a closure of the same parameters is running, and what is done to them or to their "
            "optimizer there is lost when they are put back; do it after step(closure)"
        )


@contextmanager
def in_progress(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Inside, :func:`refuse_nested` refuses these parameters."""
    ours = {id(p) for p in parameters}
    _in_progress.append(ours)
    try:
        yield
    finally:
        _in_progress.remove(ours)


def refuse_surroundings(optimizer: Any, parameters: Sequence[Tensor]) -> None:
    """Refuse to begin a step where its passes would not be differentiated, or would not see that parameters move.

    Args:
        optimizer: whose step it is.
        parameters: of its.

    Raises:
        InputError: so it is, or the parameters have no numbers, or are not those of which something is kept.
    """
    if torch.is_inference_mode_enabled():
        raise InputError(
            "nothing can be differentiated inside torch.inference_mode(); take the step outside of it (torch.no_grad() "
            "does no harm)"
        )
    if getattr(sys.modules.get("torch.nn.utils.parametrize"), "_cache_enabled", 0):
        raise InputError(
            "torch.nn.utils.parametrize.cached() is open around the step, so its passes would see the weights of "
            "before the perturbation; open it inside the closure, or around each forward pass"
        )
    if any(p.is_meta for p in parameters):
        raise InputError("some parameters are on the meta device and have no numbers; give the optimizer real ones")
    for name in optimizer.kept_tensors:
        for p in parameters:
            kept = optimizer.state[p].get(name) if p in optimizer.state else None
            if kept is not None and kept.shape != p.shape:
                raise InputError(
                    f"a parameter has shape {tuple(p.shape)}, but what is kept of it ({name}) {tuple(kept.shape)}: it "
                    "was replaced after the optimizer was made; make the optimizer anew"
                )


def same_parameters(before: Sequence[Tensor], now: Sequence[Tensor], when: str) -> None:
    """Refuse a step whose parameters are others than those that it began with.

    Args:
        before: those.
        now: as they are.
        when: they may have changed.

    Raises:
        InputError: they have.
    """
    if len(before) != len(now) or any(p is not q for p, q in zip(before, now, strict=True)):
        raise InputError(
            f"parameters were frozen, unfrozen or added {when}, where a step needs the same ones in all passes; "
            "change requires_grad and the groups between two steps"
        )


def watched(
    closure: Callable[[], Any], parameters: Sequence[Tensor], now: Callable[[], list[Tensor]]
) -> Callable[[], Any]:
    """A closure after which the parameters are asked for again (:func:`same_parameters`).

    Args:
        closure: of a step.
        parameters: of the optimizer, at its beginning.
        now: asks for them.
    """

    def call() -> Any:
        found = closure()
        same_parameters(parameters, now(), "inside the closure")
        return found

    return call
