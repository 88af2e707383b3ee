"""A problem at one flat point, its functions checked where paths start."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...ground.errors import InputError
from .calculus import load_forward_rules
from .problem import SDEProblem
from .state import Start

__all__ = ["PointProblem"]

_PROBES = 5
_SPREAD = 0.1  # of the probes about the start, relative to 1 + |x|


class PointProblem:
    """Drift and diffusion at one point of shape ``(d,)``, whatever the form in which they were given.

    Args:
        problem: as it was given.
        start: where paths begin.
        horizon: how long they last: functions are tried out at times within.

    Attributes:
        noise_dim: ``m``.

    Raises:
        InputError: shapes, types or devices that do not fit; functions that fail, are not finite at the start, change
            their argument, depend on chance, or mix the points of a batch; noise of another kind than declared.
    """

    def __init__(self, problem: SDEProblem, start: Start, horizon: float) -> None:
        self.problem, self._start = problem, start
        x = start.first
        self.dtype, self.device = x.dtype, x.device
        b = self._tried("drift", self.time(problem.t0), x)
        self._expect("drift", b, (start.dim,))
        self.noise_dim = 0
        if problem.diffusion is not None:
            g = self._tried("diffusion", self.time(problem.t0), x)
            if g.ndim != 2:
                raise InputError(
                    f"the diffusion gives shape {tuple(g.shape)} at one point; expected ({start.dim}, m): write noise "
                    "of one Brownian motion as a column, g[:, None], and diagonal noise as torch.diag(g)"
                )
            self._expect("diffusion", g, (start.dim, g.shape[1]))
            self.noise_dim = g.shape[1]
        self.probes = self._near(horizon)
        self._check_noise()

    def time(self, t: float) -> Tensor:
        """A time as the functions are given it."""
        return torch.tensor(t, dtype=self.dtype, device=self.device)

    def drift(self, t: Tensor, x: Tensor) -> Tensor:
        """``b(t, x)``, shape ``(d,)``."""
        return self._flat(self._call(self.problem.drift, t, x), (self._start.dim,))

    def diffusion(self, t: Tensor, x: Tensor) -> Tensor:
        """``G(t, x)``, shape ``(d, m)``."""
        if self.problem.diffusion is None:
            return x.new_zeros(self._start.dim, 0)
        return self._flat(self._call(self.problem.diffusion, t, x), (self._start.dim, -1))

    def _call(self, function: Any, t: Tensor, x: Tensor) -> Any:
        if not self.problem.batched:
            return function(t, self._start.structured(x))
        return _first_row(function(t, self._start.structured(x[None])))

    def _flat(self, found: Any, shape: tuple[int, ...]) -> Tensor:
        """A function's result as one tensor; blocks that are not there have none of it."""
        if not self._start.blocks:
            return found  # type: ignore[no-any-return]
        if not isinstance(found, Mapping) or not found or not found.keys() <= dict(self._start.blocks).keys():
            names = list(found) if isinstance(found, Mapping) else type(found).__name__
            raise InputError(
                f"with a start of blocks {', '.join(dict(self._start.blocks))}, functions return a dictionary of them; "
                f"found {names}"
            )
        width = [next(iter(found.values())).shape[-1]] if len(shape) == 2 else []
        like = next(iter(found.values()))
        return torch.cat([found.get(name, like.new_zeros(size, *width)) for name, size in self._start.blocks])

    def _tried(self, name: str, t: Tensor, x: Tensor) -> Tensor:
        function, given = getattr(self, name), x.clone()
        try:
            found = function(t, given)
        except InputError:
            raise
        except Exception as error:
            why = str(error).splitlines()[0] if str(error) else "no reason given"
            raise InputError(
                f"the {name} fails at the start ({type(error).__name__}: {why}); it is called with a time without a "
                f"shape and one point of shape ({self._start.dim},)"
            ) from error
        if not isinstance(found, Tensor):
            raise InputError(f"the {name} gives {type(found).__name__}; expected a tensor")
        if not torch.equal(given, x):
            raise InputError(f"the {name} changes the point that it is given; compute with a copy: x.clone()")
        return found.detach()

    def _expect(self, name: str, found: Tensor, shape: tuple[int, ...]) -> None:
        if tuple(found.shape) != shape:
            raise InputError(f"the {name} gives shape {tuple(found.shape)} at one point; expected {shape}")
        if found.dtype != self.dtype or found.device != self.device:
            raise InputError(
                f"the {name} gives {found.dtype} on {found.device} for a start of {self.dtype} on {self.device}; make "
                "its constants with dtype=x.dtype and device=x.device"
            )
        if not bool(found.isfinite().all()):
            raise InputError(f"the {name} is not finite at the start: {found.tolist()}; start somewhere else")

    def _near(self, horizon: float) -> list[tuple[Tensor, Tensor]]:
        """Times and points to try functions at, the same in every run."""
        generator = torch.Generator().manual_seed(0)
        x = self._start.first
        result = []
        for i in range(_PROBES):
            offset = _SPREAD * i * torch.randn(len(x), generator=generator, dtype=torch.float64).to(x)
            result.append((self.time(self.problem.t0 + horizon * i / _PROBES), x + (1 + x.abs()) * offset / _PROBES))
        return result

    def _check_noise(self) -> None:
        """Refuse another kind of noise than declared, a function of chance, and a batch whose points are mixed."""
        kind, d, m = self.problem.noise, self._start.dim, self.noise_dim
        if (kind == "scalar" and m > 1) or (kind == "diagonal" and m not in (0, d)):
            wanted = "1 column" if kind == "scalar" else f"{d} columns"
            raise InputError(f"the noise is declared {kind}, which has {wanted}; the diffusion has {m}")
        for t, x in self.probes:
            for name in ("drift", "diffusion"):
                once, again = self._tried(name, t, x), self._tried(name, t, x)
                if not torch.equal(once.nan_to_num(), again.nan_to_num()):
                    raise InputError(
                        f"the {name} gives other numbers when it is asked again; it may depend on t and x alone"
                    )
        if self.problem.batched:
            self._check_rows()
        if m and kind in ("additive", "diagonal", "commuting"):
            for t, x in self.probes:
                self._check_kind(t, x)

    def _check_rows(self) -> None:
        points = torch.stack([x for _, x in self.probes])
        t = self.probes[0][0]
        for name in ("drift", "diffusion")[: 2 if self.noise_dim else 1]:
            function, one = getattr(self.problem, name), getattr(self, name)
            together = function(t, self._start.structured(points))
            alone = torch.stack([one(t, x).detach() for x in points])
            rows = torch.stack([self._flat(_row(together, i), tuple(alone.shape[1:])) for i in range(len(points))])
            scale = float(alone.nan_to_num(0, 0, 0).abs().max())
            if rows.shape != alone.shape or not torch.allclose(rows, alone, rtol=0, atol=1e-4 * scale, equal_nan=True):
                raise InputError(f"the {name} gives a point another value alone than in a batch; each row is its own")

    def _check_kind(self, t: Tensor, x: Tensor) -> None:
        g = self._tried("diffusion", t, x)
        load_forward_rules()
        slopes: Tensor = torch.func.jacfwd(lambda y: self.diffusion(t, y))(x).detach()  # (i, j, l): d_l G_ij
        size = 1e-4 * float(slopes.abs().max() + g.abs().max())
        kind, every = self.problem.noise, torch.arange(len(x), device=x.device)
        if kind == "additive":
            excess, why = slopes, "the diffusion depends on x"
        elif kind == "diagonal":
            off = g - torch.diag(g.diagonal())
            other = slopes.clone()
            other[every, every, every] = 0
            excess, why = (
                torch.cat([off.flatten(), other.flatten()]),
                "an entry off the diagonal, or another x_i, counts",
            )
        else:
            products = torch.einsum("lj,ikl->ijk", g, slopes)
            excess, why = products - products.mT, "sum_l G_lj d_l G_ik is not symmetric in j and k"
            size *= float(g.abs().max())
        if float(excess.abs().max()) > size:
            raise InputError(f"the noise is declared {kind}, but {why} near the start; declare it general")


def _first_row(found: Any) -> Any:
    return _row(found, 0)


def _row(found: Any, i: int) -> Any:
    return {name: each[i] for name, each in found.items()} if isinstance(found, Mapping) else found[i]
