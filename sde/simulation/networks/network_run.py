"""Move a process on a network landscape, look at it from time to time, and keep what is there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....ground.errors import InputError
from .path_store import PathStore
from .processes import FieldProcess, Process
from .step_noise import StepNoise

__all__ = ["Moved", "Observe", "check_finite", "move"]

Array = NDArray[np.float64]

_CHECKS = 4  # ours: looks at which the integrator's step is compared with two of half its length


class Observe(Protocol):
    """Observables of points of shape ``(P, d)``, each of shape ``(P,)``, by name."""

    names: tuple[str, ...]

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Values at points."""


@dataclass(frozen=True)
class Moved:
    """What was seen of a process.

    Attributes:
        values: by observable, shape ``(paths, looks)``.
        final: where the paths ended, shape ``(paths, d)``.
        integrator: an estimate of the integrator's own error at the end, relative to the way that the first path went;
            None for the rule, which is not integrated.
        residual: relative residual of the last eigenvector estimates, mean over paths and Hessians; None without any.
    """

    values: dict[str, Array]
    final: Tensor
    integrator: float | None
    residual: float | None


def move(
    process: Process,
    name: str,
    x0: Tensor,
    looks: Sequence[int],
    noise: StepNoise,
    observe: Observe,
    store: PathStore | None = None,
    progress: Callable[[int], None] = lambda steps: None,
) -> Moved:
    """Move paths to the last look.

    Args:
        process: what moves them.
        name: in messages.
        x0: where they start, shape ``(P, d)``.
        looks: numbers of steps after which they are looked at, increasing, from 0.
        noise: the normal numbers of each step.
        observe: what is looked at.
        store: where it goes on from, and what is complete is written to.
        progress: called with the number of steps that are done.

    Raises:
        InputError: paths or observables that leave the finite numbers; the state of another run.
    """
    state: Mapping[str, Tensor] = process.start(x0)
    seen = {each: torch.zeros(len(looks), len(x0), dtype=torch.float64) for each in observe.names}
    errors = torch.zeros(len(looks), dtype=torch.float64)
    checks = {int(k) for k in np.linspace(0, len(looks) - 1, _CHECKS).round()}

    def look(step: int) -> None:
        place, points = looks.index(step), process.points(state)
        check_finite(points, name, step)
        try:
            values = observe(points)
        except InputError as error:  # of a path that has diverged, perhaps
            raise InputError(f"'{name}' at step {step}: {error}") from error
        for key, each in values.items():
            seen[key][place] = each.detach().cpu().double()
        if place in checks and isinstance(process, FieldProcess):
            first = {key: each[:1] for key, each in state.items()}
            errors[place] = float(process.step_error(first, step)[0])

    first_point = process.points(state)[0] if isinstance(process, FieldProcess) else None
    like = _kept(state, seen, errors)
    found, begin = None if store is None else store.read(looks[-1], like), 0
    if found is None:
        look(0)
    else:
        begin, tensors = found
        state = {key: tensors[f"state.{key}"].to(x0.device) for key in state}
        seen = {key: tensors[f"seen.{key}"] for key in seen}
        errors = tensors["errors"]
        progress(begin)
    for step in range(begin + 1, looks[-1] + 1):
        state = process.advance(state, step - 1, noise.draw(step - 1))
        if step in looks:
            look(step)
        if store is not None:
            store.write(step, _kept(state, seen, errors), now=step == looks[-1])
        progress(step)
    final = process.points(state)
    integrator = None
    if first_point is not None:
        way = float(torch.linalg.vector_norm((final[0] - first_point).double()))
        mean = float(errors[sorted(checks)].mean())
        integrator = mean * looks[-1] * noise.substeps / way if way else 0.0
    residual = float(state["residual"].mean()) if "residual" in state else None
    return Moved({key: each.T.contiguous().numpy() for key, each in seen.items()}, final, integrator, residual)


def _kept(state: Mapping[str, Tensor], seen: Mapping[str, Tensor], errors: Tensor) -> dict[str, Tensor]:
    kept = {f"state.{key}": each for key, each in state.items()}
    return kept | {f"seen.{key}": each for key, each in seen.items()} | {"errors": errors}


def check_finite(x: Tensor, name: str, step: int) -> None:
    """Refuse paths that have left the finite numbers.

    Raises:
        InputError: which, of which process, and when.
    """
    lost = ~x.isfinite().all(1)
    if bool(lost.any()):
        raise InputError(
            f"{int(lost.sum())} of {len(x)} paths of '{name}' have left the finite numbers by step {step}, the first "
            f"of them path {int(lost.nonzero()[0])}; take a smaller eta or rho, or more substeps"
        )
