"""Functions of a user at one flat point, tried out where paths start."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ....ground.errors import InputError
from ..user_functions import call_with_copies, explained
from .state import Start

__all__ = ["TriedFunctions"]

_PROBES = 5
_SPREAD = 0.1  # of the probes about the start, relative to 1 + |x|


class TriedFunctions:
    """What problems of all kinds have in common: points to try functions at, and what is refused there.

    Args:
        start: where paths begin.
        t0: time of the start.
        numbers: the shape of the numbers that functions are given besides; empty: none.

    Attributes:
        dtype: of the numbers.
        device: where they are.
        probes: times and points near the start, the same in every run.
    """

    probes: list[tuple[Tensor, Tensor]]

    def __init__(self, start: Start, t0: float, numbers: str = "") -> None:
        self._start, self._t0 = start, t0
        self._takes = (
            f"a time without a shape{',' if numbers else ' and'} one point of shape ({start.dim - start.memory},)"
        )
        self._takes += f" and numbers {numbers}" if numbers else ""
        self._alone = "t, x and z alone" if numbers else "t and x alone"
        self.dtype, self.device = start.points.dtype, start.points.device

    def time(self, t: float) -> Tensor:
        """A time as the functions are given it."""
        return torch.tensor(t, dtype=self.dtype, device=self.device)

    def _flat(self, name: str, found: Any, shape: tuple[int, ...]) -> Tensor:
        """A function's result as one tensor; blocks that are not there have none of it."""
        if not self._start.blocks:
            return found  # type: ignore[no-any-return]
        if not isinstance(found, Mapping) or not found or not found.keys() <= dict(self._start.blocks).keys():
            names = list(found) if isinstance(found, Mapping) else type(found).__name__
            raise InputError(
                f"with a start of blocks {', '.join(dict(self._start.blocks))}, functions return a dictionary of them; "
                f"found {names}"
            )
        sizes, widths = dict(self._start.blocks), set()
        for block, part in found.items():
            fits = isinstance(part, Tensor) and part.ndim == len(shape) and part.shape[0] == sizes[block]
            if not fits:
                kind = f"is of shape {tuple(part.shape)}" if isinstance(part, Tensor) else f"is {type(part).__name__}"
                expected = f"({sizes[block]}{',' if len(shape) == 1 else ', m'})"
                raise InputError(f"block '{block}' of the {name} {kind} at one point; expected shape {expected}")
            widths.add(part.shape[1:])
        if len(widths) > 1:
            raise InputError(f"blocks of the {name} have {sorted(w[0] for w in widths)} columns; give all the same m")
        like = next(iter(found.values()))
        return torch.cat([found.get(block, like.new_zeros(size, *like.shape[1:])) for block, size in sizes.items()])

    def _tried(self, name: str, *given: Tensor, where: str = "near the start") -> Tensor:
        """A value at a point, refused if it is none, or the arguments were written into."""
        with explained(f"the {name} fails {where}", f"it is called with {self._takes}"):
            found, changed = call_with_copies(getattr(self, name), *given)
        if not isinstance(found, Tensor):
            raise InputError(f"the {name} gives {type(found).__name__}; expected a tensor")
        if found.layout is not torch.strided:
            raise InputError(f"the {name} gives a tensor stored as {found.layout}; expected a dense one: .to_dense()")
        if changed:
            raise InputError(f"the {name} changes the point that it is given; compute with a copy: x.clone()")
        return found.detach()

    def _expect(self, name: str, found: Tensor, shape: tuple[int, ...], where: str) -> None:
        if tuple(found.shape) != shape:
            raise InputError(f"the {name} gives shape {tuple(found.shape)} at one point; expected {shape}")
        if found.dtype != self.dtype or found.device != self.device:
            raise InputError(
                f"the {name} gives {found.dtype} on {found.device} for a start of {self.dtype} on {self.device}; make "
                "its constants with dtype=x.dtype and device=x.device"
            )
        if not bool(found.isfinite().all()):
            raise InputError(f"the {name} is not finite {where}: {found.tolist()}; start somewhere else")

    def _refuse_chance(self, name: str, *given: Tensor) -> None:
        """A function has one value."""
        once, again = self._tried(name, *given), self._tried(name, *given)
        if not torch.equal(once.nan_to_num(), again.nan_to_num()):
            raise InputError(f"the {name} gives other numbers when it is asked again; it may depend on {self._alone}")

    def _near(self, horizon: float) -> list[tuple[Tensor, Tensor]]:
        """Times and points to try functions at, the same in every run."""
        generator = torch.Generator(device="cpu").manual_seed(0)
        x, *others = self._start.rows().values()
        result = []
        for i in range(_PROBES):
            offset = torch.randn(len(x), generator=generator, dtype=torch.float64, device="cpu").to(x)
            scaled = _SPREAD * i * offset
            result.append((self.time(self._t0 + horizon * i / _PROBES), x + (1 + x.abs()) * scaled / _PROBES))
        return result + [(self.time(self._t0), other) for other in others]
