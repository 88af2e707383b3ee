"""A step, of a scheme or a chain, as a function of components, which is checked to be the step."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.fx import GraphModule

from ....ground.errors import InputError
from ..components.program import NotSplitError
from ..components.split import SplitFunction, split
from ..components.tracing import trace
from .kernel import Step
from .point_step import PointStep

__all__ = ["StepCode", "step_code"]

# Ours: relative error of the code beside the function that it was made of; sums are taken in another order.
_LOOSE = {torch.float32: 2e-4, torch.float64: 1e-9}
_LANES, _BATCH = 32, 512  # ours: of components, two of a processor's vectors; of rows, enough that calls cost little
_MOST_OPERATIONS = 6000  # of split code; compiling more takes longer than most runs


@dataclass(frozen=True)
class StepCode:
    """A step on components.

    Attributes:
        step: as :class:`Kernel` takes it.
        operations: how many of it a path takes; unknown ones count as many.
        source: its code, which says all that it depends on; empty where it is not split.
        lanes: paths that are moved are a multiple of these, so that each is moved by the same instructions whatever
            the others are.
        sees_time: whether it depends on the time, as far as one knows.
        why_batched: what could not be split, so that points are moved in batches; empty if it was.
    """

    step: Step
    operations: int
    source: str = ""
    lanes: int = _LANES
    sees_time: bool = True
    why_batched: str = ""


def step_code(step: PointStep) -> StepCode:
    """Split a step into components, or move batches where that is not possible.

    Raises:
        InputError: a course that depends on numbers, or code that gives other numbers than the function.
    """
    point = step.point
    sizes = (len(point.probes[0][1]), point.noise_dim, step.signs)
    like = (point.time(0.0), *(torch.zeros(size, dtype=point.dtype, device=point.device) for size in sizes))
    graph = trace(step.move, like)
    try:
        code = split(graph, like, ("t", "x", "z", "signs"))
    except NotSplitError as reason:
        found = StepCode(_in_batches(graph, sizes), _MOST_OPERATIONS, lanes=_BATCH, why_batched=str(reason))
    else:
        if code.operations > _MOST_OPERATIONS:
            why = f"{code.operations} operations in components are too many to compile"
            found = StepCode(_in_batches(graph, sizes), _MOST_OPERATIONS, lanes=_BATCH, why_batched=why)
        else:
            sees_time = "t" in code.used
            found = StepCode(_function(code, point.device), code.operations, code.source, sees_time=sees_time)
    try:
        _check(found, step, sizes)
    except RuntimeError as error:
        if not found.why_batched:
            raise
        raise InputError(
            f"{found.why_batched}, and in batches it fails ({str(error).splitlines()[0]}); write {step.made_of} "
            "in torch operations whose course does not depend on numbers: torch.where for a mask, no .item()"
        ) from error
    return found


@lru_cache(maxsize=256)
def _function(code: SplitFunction, device: torch.device) -> Step:
    """One function for one code, by which its compiled kernels are found again."""
    return code.function(device)


def _in_batches(graph: GraphModule, sizes: Sequence[int]) -> Step:
    """A recorded step as a function of components, by ``vmap`` over a fixed number of rows.

    In products of matrices, rounding depends on how many rows there are.
    """
    d, m, _ = sizes

    def batched(t: Tensor, *parts: Tensor) -> Sequence[Tensor]:
        n = parts[0].shape[0]

        def rows(components: Sequence[Tensor]) -> Tensor:
            return torch.stack(tuple(components), 1) if components else parts[0].new_zeros(n, 0)

        x, z, signs = rows(parts[:d]), rows(parts[d : d + m]), rows(parts[d + m :])
        vmapped = torch.func.vmap(graph, in_dims=(None, 0, 0, 0))
        batches = zip(*(each.split(_BATCH) for each in (x, z, signs)), strict=True)
        return torch.cat([vmapped(t, *batch) for batch in batches]).unbind(1)

    return batched


def _check(code: StepCode, step: PointStep, sizes: Sequence[int]) -> None:
    """Compare the code with the function where paths start.

    What was recorded once may depend on more than was seen then: on Python's state, or on numbers that left torch.
    """
    generator = torch.Generator(device="cpu").manual_seed(1)
    for t, x in step.point.probes:
        z = torch.randn(sizes[1], generator=generator, dtype=torch.float64, device="cpu").to(x)
        signs = 2 * torch.randint(0, 2, (sizes[2],), generator=generator, device="cpu").to(x) - 1
        right = step.move(t, x, z, signs).detach()
        with torch.no_grad():
            components = code.step(t, *x[:, None], *z[:, None], *signs[:, None])
        found = torch.stack([y.reshape(-1)[0] for y in components])
        # What has been added to x is compared, by component: beside x itself, drift and small noise are not seen.
        added, wanted = (found - x).nan_to_num(0, 0, 0), (right - x).nan_to_num(0, 0, 0)
        rounding = 8 * torch.finfo(x.dtype).eps * torch.maximum(x.abs(), right.nan_to_num(0, 0, 0).abs())
        close = (added - wanted).abs() <= _LOOSE[x.dtype] * (wanted.abs() + wanted.abs().max() * 1e-3) + rounding
        if not bool(close.all()) or not torch.equal(found.isfinite(), right.isfinite()):
            raise InputError(
                f"recorded, a step gives {found.tolist()} where {step.made_of} give {right.tolist()}; they may depend "
                "on t and x alone, in torch operations: no numpy, no numbers that change outside"
            )
