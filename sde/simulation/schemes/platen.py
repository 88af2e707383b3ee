"""Platen's explicit scheme of weak order 2 for noise of any kind, without derivatives."""

from itertools import combinations
from types import MappingProxyType
from typing import final

from torch import Tensor

from ..scheme import SCHEMES, PointFunctions, Scheme

__all__ = ["Platen"]


@final
class Platen(Scheme):
    """Drift by the trapezoidal rule, noise by differences along its own columns ``c_r = sqrt(h) G_r(t, x)``.

    With ``y = x + h b``, column ``j`` of ``G`` at ``(t+h, y +- c_j)`` called ``R_j``, at ``(t, x +- c_r)`` called
    ``U_jr``, and ``V_jr = -V_rj = +- h`` of random sign,

        x + h/2 (b(t, x) + b(t+h, y + G dw))
          + 1/4 sum_j [(R_j^+ + R_j^- + 2 G_j) dw_j + (R_j^+ - R_j^-) (dw_j^2 - h) / sqrt(h)]
          + 1/4 sum_{r != j} [(U_jr^+ + U_jr^- - 2 G_j) dw_j + (U_jr^+ - U_jr^-) (dw_j dw_r + V_rj) / sqrt(h)].

    Time is a further coordinate whose drift is 1.
    """

    calculus = "ito"
    increments = "three-point"
    signs = True
    weak_order = MappingProxyType({"additive": 2, "scalar": 2, "diagonal": 2, "commuting": 2, "general": 2})
    source = "Kloeden and Platen 1992, (15.1.3)"

    def step(self, sde: PointFunctions, t: Tensor, x: Tensor, h: float, dw: Tensor, signs: Tensor) -> Tensor:
        """The drift twice, each column of the diffusion ``2 m + 1`` times."""
        root, drift, diffusion = h**0.5, sde.drift(t, x), sde.diffusion(t, x)
        columns, dws = diffusion.unbind(1), dw.unbind()
        end = x + h * drift
        area = dict(zip(combinations(range(len(dws)), 2), (h * signs).unbind(), strict=True))
        area |= {(j, r): -value for (r, j), value in area.items()}
        result = x + h / 2 * (drift + sde.drift(t + h, end + diffusion @ dw))
        for r, column in enumerate(columns):
            c = root * column
            up, down = sde.diffusion(t + h, end + c)[:, r], sde.diffusion(t + h, end - c)[:, r]
            result = result + ((up + down + 2 * column) * dws[r] + (up - down) * (dws[r] ** 2 - h) / root) / 4
            above, below = sde.diffusion(t, x + c).unbind(1), sde.diffusion(t, x - c).unbind(1)
            for j in set(range(len(dws))) - {r}:
                bend, slope = above[j] + below[j] - 2 * columns[j], (above[j] - below[j]) / root
                result = result + (bend * dws[j] + slope * (dws[j] * dws[r] + area[r, j])) / 4
        return result


SCHEMES.register("platen", order=5)(Platen())
