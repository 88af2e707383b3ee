"""How states are moved: compiled where that pays, in eager operations elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from types import FunctionType
from typing import Any, Literal

import torch
from torch import Tensor

from ....ground.errors import InputError
from .draws import Draw, Draws
from .kernel import Clock, Kernel
from .step_code import StepCode

__all__ = ["Backend", "Stepper", "Work", "make_stepper", "tried"]

Backend = Literal["auto", "compiled", "eager"]

# Ours, measured on one core of a server, in seconds: they decide between the two for "auto", the same way every time.
_COMPILATION, _COMPILATION_PER_OPERATION = 3.0, 0.008
_EAGER_PER_OPERATION, _EAGER_PER_NUMBER = 4e-6, 1.2e-9
_MOST_OPERATIONS = 900  # of one compiled call, ours: more steps in a call are hardly faster, and longer to compile
_LARGEST_GROUP = 2500  # operations; beyond, a step by itself, which makes the numbers of its group for nothing
_PER_BLOCK = 110  # operations that four random words and their increments take


@dataclass(frozen=True)
class Work:
    """How much there is to do.

    Attributes:
        path_steps: steps of all paths together, in all processes.
        calls: steps of as many chunks as there are where chunks are left to us.
        stride: steps between two looks at the states.
    """

    path_steps: int
    calls: int
    stride: int


@dataclass(frozen=True)
class Stepper:
    """Moves states through steps.

    Attributes:
        kernel: one step, and its random numbers.
        key: of the random numbers.
        groups: groups of steps in one call; 0: a call takes one step.
        compiled: whether calls are.
        why: of the choice, for people.
    """

    kernel: Kernel
    key: Tensor
    groups: int
    compiled: bool
    why: str

    @property
    def name(self) -> str:
        """Of the backend: results of one are the same to the last bit."""
        if self.kernel.compiled_group is not None:
            return "compiled numbers"  # and steps in eager operations
        return "compiled" if self.compiled else "eager"

    def advance(self, step: int, count: int, path: Tensor, states: Tensor) -> Tensor:
        """States after ``count`` steps.

        Args:
            step: number of the first step.
            count: how many.
            path: numbers of the paths, shape ``(n,)``.
            states: shape ``(d, n)``.
        """
        size = self.kernel.draws.group_steps
        end, number = step + count, torch.tensor(step, device=states.device)
        while step < end:
            whole = self.groups > 0 and step % size == 0 and end - step >= size * self.groups
            states = self._function(whole, len(path))(self.key, number, path, states)
            taken = size * self.groups if whole else 1
            step += taken
            number.add_(taken)
        return states

    def _function(self, whole: bool, paths: int) -> Callable[..., Tensor]:
        groups = self.groups if whole else 0
        return _compiled_moves(self.kernel, groups, paths) if self.compiled else _moves(self.kernel, groups)


def make_stepper(code: StepCode, draws: Draws, clock: Clock, key: Tensor, work: Work, backend: Backend) -> Stepper:
    """Choose how states are moved.

    Args:
        code: of a step.
        draws: its random numbers.
        clock: times of steps.
        key: of the random numbers.
        work: how much there is to do.
        backend: "auto" compiles where the run is longer than compilation.
    """
    size = draws.group_steps
    each = max(1, code.operations + _PER_BLOCK * draws.blocks / size)
    once = code.operations + _PER_BLOCK * draws.blocks  # a step by itself makes the numbers of its whole group
    groups = _groups(work.stride // size, each * size)
    if each * size > _LARGEST_GROUP and once < 0.6 * each * size:
        groups = 0
    # Of problem, paths and steps alone: the choice changes bits, and chunks, looks and processes may not.
    compilation = _COMPILATION + _COMPILATION_PER_OPERATION * max(once, _MOST_OPERATIONS)
    eager = each * (work.calls * _EAGER_PER_OPERATION + work.path_steps * _EAGER_PER_NUMBER)
    compiled = backend == "compiled" or (backend == "auto" and eager > compilation)
    kernel = Kernel(code.step, draws, clock)
    if code.why_batched:
        kernel = replace(kernel, compiled_group=_compiled_group(draws)) if compiled else kernel
        return Stepper(kernel, key, groups, False, f"points in batches: {code.why_batched}")
    about = f"eager operations would take about {eager:.2g} s, compilation {compilation:.2g} s"
    return Stepper(kernel, key, groups, compiled, about if backend == "auto" else "as asked")


@torch.no_grad()  # as all later calls, for which it would be compiled once more
def tried(stepper: Stepper, path: Tensor, states: Tensor, backend: Backend) -> Stepper:
    """The stepper, if its first call succeeds; one in eager operations where nothing compiles it.

    Args:
        stepper: from :func:`make_stepper`.
        path: numbers of the paths of a chunk, shape ``(n,)``.
        states: shape ``(d, n)``.
        backend: what was asked for.

    Raises:
        InputError: it does not compile, and that was asked for.
    """
    kernel = stepper.kernel
    if not stepper.compiled and kernel.compiled_group is None:
        return stepper
    from torch._dynamo.exc import TorchDynamoException  # here: it takes a second, and eager runs do without

    try:
        stepper.advance(0, max(1, stepper.groups * kernel.draws.group_steps), path, states)
    except TorchDynamoException as error:
        why = f"nothing compiles it ({str(error).splitlines()[0]})"
        if backend == "compiled":
            raise InputError(f"{why}; install a C++ compiler, or let the backend be auto or eager") from error
        return replace(stepper, kernel=replace(kernel, compiled_group=None), compiled=False, why=why)
    return stepper


def _moves(kernel: Kernel, groups: int) -> Callable[..., Tensor]:
    return kernel.moves(groups) if groups else kernel.moves_once()


@lru_cache(maxsize=256)
def _compiled_moves(kernel: Kernel, groups: int, paths: int) -> Callable[..., Tensor]:
    """Once for each code and number of paths, whatever the seed."""
    result: Callable[..., Tensor] = _compiled(_moves(kernel, groups))
    return result


@lru_cache(maxsize=64)
def _compiled_group(draws: Draws) -> Callable[..., list[Draw]]:
    result: Callable[..., list[Draw]] = _compiled(lambda key, path, group: draws.group(key, path, group))
    return result


def _compiled(function: Any) -> Any:
    """Compiled as a function of its own: else the compiler takes all kernels, whose Python code is one, for variants of
    one function and gives up after a few.
    """
    own = FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    return torch.compile(own, fullgraph=True, dynamic=False)


def _groups(available: int, operations: float) -> int:
    """Groups in one call: as many as the code may hold, best such that calls fit between two looks."""
    if not available:
        return 0
    most = max(1, min(available, int(_MOST_OPERATIONS / operations)))
    divisors = [g for g in range(1, most + 1) if available % g == 0]
    return divisors[-1] if 2 * divisors[-1] >= most else most
