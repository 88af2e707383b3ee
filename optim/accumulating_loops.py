"""Training loops that accumulate gradients over several calls of a closure, where no step could be right."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..ground.errors import InputError

__all__ = ["refuse_accumulation"]

_REPAIR = "give one closure for each minibatch, step([closure, ...]), in"


def refuse_accumulation(closures: Sequence[Callable[[], Any]]) -> None:
    """Refuse closures that see one minibatch of those whose gradients a known loop adds up.

    Their losses are divided by the number of minibatches, and their gradients reach the first pass only (Lightning), or
    their closures are never called (Accelerate).

    Raises:
        InputError: so it is, with the repair.
    """
    if any(_lightning_accumulates(closure) for closure in closures):
        raise InputError(
            "Lightning accumulates gradients (accumulate_grad_batches > 1), and its closure is of the last minibatch "
            f"alone; {_REPAIR} manual optimization, with accumulate_grad_batches=1"
        )
    if _accelerate_accumulates():
        raise InputError(
            "Accelerate accumulates gradients (gradient_accumulation_steps > 1): it leaves out the steps in between "
            f"with their closures; {_REPAIR} an Accelerator without gradient_accumulation_steps"
        )


def _lightning_accumulates(closure: Callable[[], Any]) -> bool:
    """Whether this is the closure of automatic optimization, bound to a module whose trainer accumulates."""
    bound = getattr(closure, "args", ())
    module = bound[0] if isinstance(bound, tuple) and bound else None
    trainer = getattr(module, "_trainer", None)
    return bool(getattr(module, "automatic_optimization", False)) and _more_than_one(trainer, "accumulate_grad_batches")


def _accelerate_accumulates() -> bool:
    state = sys.modules.get("accelerate.state")
    kind: Any = getattr(state, "GradientState", None)
    # Its objects share one state; none has been made where that is empty.
    return bool(getattr(kind, "_shared_state", None)) and _more_than_one(kind(), "num_steps")


def _more_than_one(holder: Any, name: str) -> bool:
    count = getattr(holder, name, 1)
    return isinstance(count, int) and count > 1
