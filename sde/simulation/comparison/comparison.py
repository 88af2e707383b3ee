"""A rule and the processes that claim to describe it, along the same noise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....ground.errors import InputError
from ....ground.pictures import picture_path, write_picture
from .checks import check_about, check_others, check_states
from .energy_distance import EnergyDistance, energy_distance, halves
from .path_series import Array, PathSeries
from .record import comparison_record
from .weak_distance import Contrast, WeakDistance, contrast, weak_distance
from .words import Pair, distance_table, distance_words, pair_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Comparison"]


@dataclass(frozen=True, repr=False)
class Comparison:
    """A rule and the SDEs and flows that claim to describe it. All numbers are estimates.

    Attributes:
        rule: the discrete algorithm.
        others: SDEs and flows: same times, observables and number of paths; path ``i`` has the noise of the rule's path
            ``i``, and both start at one point. One path, as of a flow, stands for all.
        about: JSON-ready settings (eta, rho, seed, steps, sampling, ...).
        states: by name of the process, shape ``(paths, K, d)`` at ``state_times``, only for ``d <= 3``; else empty.
        state_times: shape ``(K,)``.
        rounding: of values, relative to the observable's size: what differs by less is not told apart. Thousands of
            steps in double precision stay below 1e-12, in single precision below 1e-6.
        trajectories: by name, of the first paths, shape ``(k, L, d)`` at all looks: for a portrait; may be empty.
        shifted: whether processes start apart on purpose, as an SDE of momentum does, see :func:`.shifted_start`.

    Raises:
        InputError: what cannot be compared: other times, observables, numbers of paths, two processes of one name,
            or paths that do not start together.

    Example:
        >>> noise = np.random.default_rng(0).standard_normal((20, 1)) * np.array([0.0, 0.01, 0.02])
        >>> t = np.array([0.0, 0.1, 0.2])
        >>> def series(name, slope):
        ...     return PathSeries(name, t, {"loss": 1.0 - slope * t + noise})
        >>> sam = PathSeries("sam", t, {"loss": 1.0 - 1.1 * t - noise})
        >>> found = Comparison(sam, [series("drift order 2", 2.0), series("drift order 3", 1.2)])
        >>> found.closest()
        'drift order 3'
    """

    rule: PathSeries
    others: Sequence[PathSeries]
    about: Mapping[str, Any] = field(default_factory=dict)
    states: Mapping[str, Array] = field(default_factory=dict)
    state_times: Array = field(default_factory=lambda: np.empty(0))
    trajectories: Mapping[str, Array] = field(default_factory=dict)
    rounding: float = 1e-12
    shifted: bool = False

    def __post_init__(self) -> None:
        check_others(self.rule, self.others, together=not self.shifted)
        check_about(self.about)
        object.__setattr__(self, "others", tuple(self.others))
        states, times = check_states([self.rule, *self.others], self.states, self.state_times)
        object.__setattr__(self, "states", states)
        object.__setattr__(self, "state_times", times)

    def __repr__(self) -> str:
        return f"Comparison of {self.rule.paths} paths. {self.words()}"

    @property
    def observables(self) -> tuple[str, ...]:
        """Names, in the order of the rule's."""
        return tuple(self.rule.values)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the processes beside the rule."""
        return tuple(each.name for each in self.others)

    def differences(self, process: str, observable: str) -> Array:
        """``phi(X_i(t)) - phi(x_i(t))``, shape ``(paths, L)``.

        Raises:
            InputError: a name that is not here.
        """
        if process not in self.names:
            raise InputError(f"no process '{process}' beside {self.rule.name}; choose one of: {', '.join(self.names)}")
        if observable not in self.observables:
            raise InputError(f"'{observable}' was not observed; choose one of: {', '.join(self.observables)}")
        found: Array = self.others[self.names.index(process)].values[observable] - self.rule.values[observable]
        return found

    def distances(self, confidence: float = 0.95) -> dict[str, dict[str, WeakDistance]]:
        """By process, then by observable: the weak distance to the rule with its interval, with room for rounding."""
        return {
            name: {each: self._distance(name, each, confidence) for each in self.observables} for name in self.names
        }

    def contrast(
        self, a: str, b: str, observable: str | None = None, confidence: float = 0.95, factor: float = 1.0
    ) -> Contrast:
        """``factor e_a^2 - e_b^2`` with its interval: below 0 where process a is closer to the rule.

        The interval has room for rounding, so that two ways to compute one process are not told apart.

        Args:
            a: a process.
            b: another one.
            observable: None: the first.
            confidence: of this interval alone.
            factor: 4: whether a is at most half as far as b.

        Raises:
            InputError: a name that is not here.
        """
        observable = self.observables[0] if observable is None else observable
        ours, theirs = self.differences(a, observable), self.differences(b, observable)
        found = contrast(ours, theirs, self.rule.times, confidence, factor)
        if found.low is None or found.high is None:
            return found
        rounding = self.rounding * float(np.abs(self.rule.values[observable]).max())
        most = [float(np.abs(each.mean(0)).max()) + rounding for each in (ours, theirs)]
        reach = 2 * rounding * (factor * most[0] + most[1])
        return replace(found, low=found.low - reach, high=found.high + reach)

    def closest(self, observable: str | None = None, confidence: float = 0.95) -> str | None:
        """The process that is closer to the rule than each other one, beyond chance; None: not resolved.

        Args:
            observable: None: the first.
            confidence: of each contrast alone.

        Raises:
            InputError: a name that is not here.
        """
        observable = self.observables[0] if observable is None else observable
        times = self.rule.times
        squared = {name: weak_distance(self.differences(name, observable), times).squared for name in self.names}
        least = min(squared, key=squared.__getitem__)
        others = (name for name in self.names if name != least)
        closer = all(self.contrast(least, name, observable, confidence).sign < 0 for name in others)
        return least if closer else None

    def energy_distances(self, confidence: float = 0.95) -> dict[str, list[EnergyDistance]]:
        """By process, at each of ``state_times``; under the rule's name the floor: between two halves of its paths.

        Empty without states, or with fewer than four paths.
        """
        if self.rule.name not in self.states or self.rule.paths < 4:
            return {}
        rule = self.states[self.rule.name]
        first, second = halves(rule)
        pairs = {self.rule.name: (first, second)} | {n: (rule, self.states[n]) for n in self.names if n in self.states}
        return {
            name: [energy_distance(x[:, k], y[:, k], confidence) for k in range(len(self.state_times))]
            for name, (x, y) in pairs.items()
        }

    def words(
        self, a: str | None = None, b: str | None = None, observable: str | None = None, confidence: float = 0.95
    ) -> str:
        """One sentence: which of two processes is closer to the rule, by how much, and in how many observables.

        Args:
            a: a process; None: the one that is closest in most observables.
            b: another one; None: the next.
            observable: to give numbers of; None: the first.
            confidence: of each interval alone.

        Raises:
            InputError: a name that is not here.
        """
        observable = self.observables[0] if observable is None else observable
        found = self.distances(confidence)
        free = [name for name in self._ranked(found) if name not in (a, b)]
        if a is None and free:
            a = free.pop(0)
        if b is None and free:
            b = free.pop(0)
        if a is None or b is None:  # there is one process
            self.differences(self.names[0], observable)  # says which names there are
            return distance_words(self.rule.name, self.names[0], observable, found[self.names[0]][observable])
        for name in (a, b):
            self.differences(name, observable)
        pairs = {each: self._pair(found[a][each], found[b][each], (a, b), each) for each in self.observables}
        return pair_words(self.rule.name, (a, b), observable, pairs)

    def table(self, confidence: float = 0.95) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of text: a row for each observable and process."""
        closest = {each: self.closest(each, confidence) if len(self.others) > 1 else None for each in self.observables}
        return distance_table(self.distances(confidence), closest, confidence)

    def to_dict(self, confidence: float = 0.95) -> dict[str, Any]:
        """A JSON-ready dictionary: settings, means with bands, distances, contrasts, energy distances."""
        found = self.distances(confidence)
        contrasts = [
            (a, b, each, self._pair(found[a][each], found[b][each], (a, b), each))
            for k, a in enumerate(self.names)
            for b in self.names[k + 1 :]
            for each in self.observables
        ]
        processes = [self.rule, *self.others]
        return comparison_record(self.about, processes, found, contrasts, confidence) | {
            "words": self.words(confidence=confidence),
            "state_times": self.state_times.tolist(),
            "energy_distances": {
                name: [vars(each) for each in looks] for name, looks in self.energy_distances(confidence).items()
            },
        }

    def plot(self, file: Path | str | None = None, confidence: float = 0.95) -> "Figure":
        """Draw each observable: means with bands over paths, and below the difference of means with its interval.

        Args:
            file: to write, by its ending: .svg, .pdf or .png; a name without ending: all three. None: none.
            confidence: of the intervals.

        Raises:
            InputError: another ending.
        """
        from .bands_picture import draw_bands  # here: whoever draws nothing loads no matplotlib

        path = None if file is None else picture_path(file)
        figure = draw_bands(self.rule, self.others, self.distances(confidence), confidence)
        if path is not None:
            write_picture(figure, path)
        return figure

    def plot_portrait(self, file: Path | str | None, loss: Callable[[Array], Array]) -> "Figure":
        """Draw paths in the plane on level lines of a loss, each process in a panel of its own.

        Args:
            file: as of :meth:`plot`.
            loss: of points, shape ``(n, 2)``, gives shape ``(n,)``.

        Raises:
            InputError: another ending, or states that are not kept, or not in two dimensions.
        """
        from .phase_portrait import draw_portrait

        path = None if file is None else picture_path(file)
        names = [name for name in (self.rule.name, *self.names) if name in self.states]
        times, paths = (self.rule.times, self.trajectories) if self.trajectories else (self.state_times, self.states)
        ends = {name: self.states[name][:, -1] for name in names}
        figure = draw_portrait({name: paths[name] for name in names}, ends, times, loss)
        if path is not None:
            write_picture(figure, path)
        return figure

    def _distance(self, name: str, observable: str, confidence: float) -> WeakDistance:
        found = weak_distance(self.differences(name, observable), self.rule.times, confidence)
        if found.low is None or found.high is None:
            return found
        rounding = self.rounding * float(np.abs(self.rule.values[observable]).max())
        return replace(found, low=max(0.0, found.low - rounding), high=found.high + rounding)

    def _ranked(self, distances: Mapping[str, Mapping[str, WeakDistance]]) -> list[str]:
        """Processes by their mean rank over the observables, closest first; chance is not weighed."""
        squared = np.array([[distances[name][each].squared for each in self.observables] for name in self.names])
        ranks = squared.argsort(0).argsort(0).mean(1)
        return [self.names[k] for k in np.argsort(ranks, kind="stable")]

    def _pair(self, a: WeakDistance, b: WeakDistance, names: tuple[str, str], observable: str) -> Pair:
        """The process that is closer is the one that may be at most half as far."""
        found = self.contrast(*names, observable, a.confidence)
        near, far = names if found.sign < 0 else names[::-1]
        half = found.sign != 0 and self.contrast(near, far, observable, a.confidence, 4.0).sign < 0
        return Pair(a, b, found, half)
