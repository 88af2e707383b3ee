"""A problem at one flat point, its functions checked where paths start."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ....ground.errors import InputError
from ..user_functions import close, explained
from .calculus import load_forward_rules
from .problem import SDEProblem
from .state import Start
from .tried_functions import TriedFunctions

__all__ = ["PointProblem"]

_LOOSE = 1e-4  # ours: relative error of what a check compares


class PointProblem(TriedFunctions):
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
        super().__init__(start, problem.t0)
        self.problem, self.noise_dim = problem, 0
        for path, x in start.rows().items():
            where = f"at the start of path {path}" if path else "at the start"
            self._expect("drift", self._tried("drift", self.time(problem.t0), x, where=where), (start.dim,), where)
            if problem.diffusion is not None:
                g = self._tried("diffusion", self.time(problem.t0), x, where=where)
                if g.ndim != 2:
                    raise InputError(
                        f"the diffusion gives shape {tuple(g.shape)} at one point; expected ({start.dim}, m): write "
                        "noise of one Brownian motion as a column, g[:, None], and diagonal noise as torch.diag(g)"
                    )
                self.noise_dim = g.shape[1] if path == 0 else self.noise_dim
                self._expect("diffusion", g, (start.dim, self.noise_dim), where)
        self.probes = self._near(horizon)
        self._check_noise()

    def drift(self, t: Tensor, x: Tensor) -> Tensor:
        """``b(t, x)``, shape ``(d,)``."""
        return self._flat("drift", self._call(self.problem.drift, t, x), (self._start.dim,))

    def diffusion(self, t: Tensor, x: Tensor) -> Tensor:
        """``G(t, x)``, shape ``(d, m)``."""
        if self.problem.diffusion is None:
            return x.new_zeros(self._start.dim, 0)
        return self._flat("diffusion", self._call(self.problem.diffusion, t, x), (self._start.dim, -1))

    @property
    def functions(self) -> list[Any]:
        """As they were given."""
        return [self.problem.drift, self.problem.diffusion]

    def values(self) -> list[Tensor]:
        """Of the functions near the start."""
        return [function(t, x) for t, x in self.probes for function in (self.drift, self.diffusion)]

    def _call(self, function: Any, t: Tensor, x: Tensor) -> Any:
        if not self.problem.batched:
            return function(t, self._start.structured(x))
        return _first_row(function(t, self._start.structured(x[None])))

    def _check_noise(self) -> None:
        """Refuse another kind of noise than declared, a function of chance, and a batch whose points are mixed."""
        kind, d, m = self.problem.noise, self._start.dim, self.noise_dim
        if (kind == "scalar" and m > 1) or (kind == "diagonal" and m not in (0, d)):
            wanted = "1 column" if kind == "scalar" else f"{d} columns"
            raise InputError(f"the noise is declared {kind}, which has {wanted}; the diffusion has {m}")
        for t, x in self.probes:
            for name in ("drift", "diffusion"):
                self._refuse_chance(name, t, x)
        if self.problem.batched:
            self._check_rows()
        if m and kind in ("additive", "diagonal", "commuting"):
            for t, x in self.probes:
                self._check_kind(t, x)

    def _check_rows(self) -> None:
        points = torch.stack([x for _, x in self.probes])
        t, n = self.probes[0][0], len(self.probes)
        for name in ("drift", "diffusion")[: 2 if self.noise_dim else 1]:
            alone = torch.stack([self._tried(name, t, x) for x in points])
            with explained(f"the {name} fails for {n} points", "a batched problem takes any number of them"):
                together = getattr(self.problem, name)(t, self._start.structured(points))
                parts = together.values() if isinstance(together, Mapping) else [together]
                for part in parts:
                    if len(part) != n:
                        raise InputError(
                            f"the {name} gives shape {tuple(part.shape)} for {n} points; expected a row for each"
                        )
                rows = torch.stack(
                    [self._flat(name, _row(together, i), tuple(alone.shape[1:])) for i in range(n)]
                ).detach()
            scale = alone.nan_to_num(0, 0, 0).abs().amax(0)
            if rows.shape != alone.shape or not close(rows, alone, _LOOSE * scale + _rounding(alone)):
                raise InputError(f"the {name} gives a point another value alone than in a batch; each row is its own")

    def _check_kind(self, t: Tensor, x: Tensor) -> None:
        """Each row of ``G`` is looked at by itself: a component of small noise beside one of large noise."""
        g = self._tried("diffusion", t, x)
        load_forward_rules()
        repair = "write it in torch operations that have derivatives, or declare the noise general"
        with explained("the diffusion has no derivative near the start", repair):
            slopes: Tensor = torch.func.jacfwd(lambda y: self.diffusion(t, y))(x).detach()  # (i, j, l): d_l G_ij
        kind, every = self.problem.noise, torch.arange(len(x), device=x.device)
        entries = g.abs() + slopes.abs().amax(2)
        size = entries.amax(1)  # (i)
        if kind == "additive":
            excess, why = slopes, "the diffusion depends on x"
        elif kind == "diagonal":
            other = slopes.clone()
            other[every, every, every] = 0
            off = g - torch.diag(g.diagonal())
            excess, why = torch.cat([off[..., None], other], 2), "an entry off the diagonal, or another x_i, counts"
        else:
            products = torch.einsum("lj,ikl->ijk", g, slopes)
            excess, why = products - products.mT, "sum_l G_lj d_l G_ik is not symmetric in j and k"
            size = torch.einsum("j,ik->ijk", g.abs().amax(0), entries)
            size = size + size.mT
        size = size.reshape(*size.shape, *[1] * (excess.ndim - size.ndim))
        if bool((excess.abs() > _LOOSE * size + _rounding(size)).any()):
            raise InputError(f"the noise is declared {kind}, but {why} near the start; declare it general")


def _rounding(values: Tensor) -> float:
    """Of entries that cancel beside large ones."""
    return 10 * torch.finfo(values.dtype).eps * float(values.nan_to_num(0, 0, 0).abs().max())


def _first_row(found: Any) -> Any:
    return _row(found, 0)


def _row(found: Any, i: int) -> Any:
    return {name: each[i] for name, each in found.items()} if isinstance(found, Mapping) else found[i]
