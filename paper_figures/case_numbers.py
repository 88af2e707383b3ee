"""What the paths of one case say: which SDE is closer to SAM, and whether that could be seen at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..sde.simulation.comparison.comparison import Comparison

__all__ = ["EXACT", "RATIO", "SECOND", "SIGNAL", "THIRD", "TIME", "CaseNumbers"]

SECOND, THIRD, EXACT = "drift order 2", "drift order 3", "exact drift"

RATIO = 0.35
"""Ours: the series in rho is trusted where its third term is at most so large beside the second one."""

SIGNAL = 2.0
"""Ours: the smallest ``S = |third term| sqrt(steps seeds) / noise``: what order 2 leaves out over noise."""

TIME = 4.0
"""Ours: the shortest time ``eta n`` in which drifts that differ a little lead to other places."""


@dataclass(frozen=True)
class CaseNumbers:
    """One case of a comparison, from its stored numbers alone.

    Attributes:
        name: of the case.
        rho: perturbation radius.
        warm_up: steps of SGD before.
        comparison: paths of SAM and of its SDEs.
        ratio: size of the third term over that of the second, at the start.
        largest_ratio: along SAM's paths, means over seeds.
        signal: ``S`` at the start.
        time: ``eta n``.
        noise: root mean square of the minibatches' increments around their mean, at the start.
    """

    name: str
    rho: float
    warm_up: int
    comparison: "Comparison"
    ratio: float
    largest_ratio: float
    signal: float
    time: float
    noise: float

    @classmethod
    def of(cls, case: Mapping[str, Any], network: Mapping[str, Any]) -> "CaseNumbers":
        """From what JSON holds."""
        import numpy as np

        from ..sde.simulation.comparison.comparison import Comparison
        from ..sde.simulation.comparison.path_series import PathSeries

        rule, *others = (PathSeries(name, case["times"], values) for name, values in case["values"].items())
        second, third, noise = (np.mean(case["terms"][each], 0) for each in ("second term", "third term", "noise"))
        count = network["steps"] * network["seeds"]
        return cls(
            case["name"],
            case["rho"],
            case["warm_up"],
            Comparison(rule, others),
            float(third[0] / second[0]),
            float((third / second).max()),
            float(third[0] * count**0.5 / noise[0]),
            network["steps"] * network["eta"],
            float(noise[0]),
        )

    @property
    def panels(self) -> Sequence[str]:
        """Names of the observables."""
        return self.comparison.observables

    def compared(self, near: str, far: str, factor: float = 1.0) -> list[str]:
        """Panels on which one process is clearly closer to SAM than another, or ``sqrt(factor)`` times closer."""
        return [each for each in self.panels if self.comparison.contrast(near, far, each, factor=factor).sign < 0]

    @property
    def closer(self) -> list[str]:
        """Panels on which the third order is clearly closer than the second."""
        return self.compared(THIRD, SECOND)

    @property
    def farther(self) -> list[str]:
        """Panels on which it is clearly farther."""
        return self.compared(SECOND, THIRD)

    @property
    def half(self) -> list[str]:
        """Panels on which its distance is at most half of the second's, clearly."""
        return self.compared(THIRD, SECOND, 4.0)

    @property
    def unmet(self) -> list[str]:
        """What of the criterion does not hold, with its numbers; nothing if a difference should be seen."""
        rules = (
            (self.ratio <= RATIO, f"t3/t2 = {self.ratio:.2f} above {RATIO:g}"),
            (self.signal >= SIGNAL, f"S = {self.signal:.2g} below {SIGNAL:g}"),
            (self.time >= TIME, f"ηn = {self.time:.3g} below {TIME:g}"),
        )
        return [text for holds, text in rules if not holds]

    @property
    def start(self) -> str:
        """Where paths begin."""
        return f"after {self.warm_up} steps of SGD" if self.warm_up else "from initialization"

    @property
    def criterion(self) -> str:
        """The criterion's numbers, and whether it holds."""
        held = "holds" if not self.unmet else "fails"
        return (
            f"t3/t2 = {self.ratio:.2f} (≤ {self.largest_ratio:.2f} on the way), S = {self.signal:.2g}, "
            f"ηn = {self.time:.3g}: {held}"
        )

    def distance(self, process: str, panel: str) -> str:
        """The distance with its interval, or the upper end alone where 0 is in it."""
        from ..sde.simulation.comparison.weak_distance import weak_distance

        found = weak_distance(self.comparison.differences(process, panel), self.comparison.rule.times)
        if found.low is not None and not found.resolved:
            return f"at most {found.high:.1e}"
        ends = "" if found.low is None else f" [{found.low:.1e}, {found.high:.1e}]"
        return f"{found.value:.1e}{ends}"
