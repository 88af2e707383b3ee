"""What is observed of an ensemble, and the statistics of it, cell by cell.

An engine uses it so::

    recorder = Recorder(observables, times, x0)         # refuses bad functions and options before any path is computed
    tree = MergeTree()                                  # or MergeTree.from_arrays(stored, CellStatistics.from_arrays)
    for cell in cells:                                  # in any order, in any process
        values = {name: empty(n, len(times), p) for name, p in recorder.sizes.items()}
        for k, states in enumerate(...):                # at recorded times, shape (n, d)
            for name, found in recorder.observe(states).items():
                values[name][:, k] = found
        tree.add(cell, recorder.of_cell(values))
    statistics = tree.result()                          # statistics["x"].moments.mean, ...

Statistics take finite numbers only: an engine refuses paths that explode before their values come here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ....ground.errors import InputError
from ..given_numbers import finite_number
from ..problems.state import spread_rows
from ..user_functions import call_with_copies, close, explained
from .observed import CellStatistics, ObservedStatistics
from .statistic import columns

__all__ = ["Observable", "Recorder", "coordinates"]

_MORE = 3  # probes than dimensions, so that a mean over paths has another shape than one over coordinates
_ROUNDING = 3e-4  # of the largest value: half of single precision's digits; among so few, the others' influence is more
_BATCH = 512  # ours: states of a call of a user's function
_SPREAD = 0.1  # of the probes about the start, relative to 1 + |x|


def coordinates(states: Tensor) -> Tensor:
    """The state itself."""
    return states


@dataclass(frozen=True)
class Observable:
    """What a user asks to be observed. Mean, covariance and moments are always kept.

    Args:
        name: of its statistics.
        function: states, shape ``(n, d)``, to values, shape ``(n, p)`` or ``(n,)``; each path's value is its own. Truth
            values count as 0 and 1, so that the mean of ``lambda x: x[:, 0] > 1`` is a probability.
        alpha: relative error of quantiles, from 1e-4 to 0.5; none are kept without.
        edges: of a histogram, shape ``(bins + 1,)`` for all components or ``(p, bins + 1)``.

    Raises:
        InputError: a name that is empty or holds ``/``, a function that cannot be called, an ``alpha`` that is no
            number.

    Example:
        >>> radius = Observable("radius", lambda x: x.norm(dim=1), alpha=0.01, edges=[0, 1, 2])
        >>> radius.observe(torch.tensor([[3.0, 4.0]])).tolist()
        [[5.0]]
    """

    name: str = "x"
    function: Callable[[Tensor], Tensor] = coordinates
    alpha: float | None = None
    edges: ArrayLike | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or "/" in self.name:
            raise InputError(f"an observable is named {self.name!r}; give a text that is not empty and has no '/'")
        if not callable(self.function):
            raise InputError(
                f"the function of '{self.name}' is of type {type(self.function).__name__}; give a function of states"
            )
        if self.alpha is not None:
            alpha = finite_number(f"observable '{self.name}': alpha", self.alpha, "a relative error, such as 0.01")
            object.__setattr__(self, "alpha", alpha)

    def observe(self, states: Tensor) -> Tensor:
        """Values at states of shape ``(n, d)``: shape ``(n, p)``, of the states' type.

        Raises:
            InputError: a function that fails or writes into the states, values that are no real tensor, or of another
                shape.
        """
        with explained(
            f"the observable '{self.name}' fails for states of shape {tuple(states.shape)}",
            "it is called with any number of states, one in a row",
        ):
            found, changed = call_with_copies(self.function, states)
        if changed:
            raise InputError(
                f"the observable '{self.name}' changes the states that it is given; compute with a copy: x.clone()"
            )
        if not isinstance(found, Tensor) or found.is_complex():
            kind = str(found.dtype) if isinstance(found, Tensor) else type(found).__name__
            raise InputError(f"the observable '{self.name}' gives {kind}; expected a tensor of real numbers")
        values = found[:, None] if found.ndim == 1 else found
        n = len(states)
        if values.ndim != 2 or len(values) != n or values.shape[1] == 0:
            raise InputError(
                f"the observable '{self.name}' gives shape {tuple(found.shape)} for states of shape "
                f"{tuple(states.shape)}; expected ({n},) or ({n}, p): the first axis counts paths"
            )
        return values.detach().to(states.dtype)

    def checked_size(self, probes: Tensor) -> int:
        """How many components it has, when it does with states, shape ``(n, d)``, what an observable may do.

        Raises:
            InputError: a value of a path that depends on the other paths or on chance, a number of components that
                does, and errors of :meth:`observe`.
        """
        together = self.observe(probes)
        alone = [self.observe(probes[i : i + 1]) for i in range(len(probes))]
        sizes = sorted({each.shape[1] for each in (together, *alone)})
        if len(sizes) > 1:
            raise InputError(f"the observable '{self.name}' has {sizes} components; expected one number for all states")
        scale = together.nan_to_num(0, 0, 0).abs().amax(0)
        if not close(torch.cat(alone), together, _ROUNDING * scale):
            raise InputError(
                f"the observable '{self.name}' gives a path another value alone than among others; let each row of the "
                "result depend on the same row of the states, and on no chance"
            )
        return sizes[0]


class Recorder:
    """Observables at some times, checked; of values it makes statistics.

    Args:
        observables: with different names.
        times: at which they are observed.
        start: where paths begin, shape ``(d,)`` or ``(n, d)``. Functions are tried out near some that lie apart.

    Attributes:
        sizes: components ``p`` by name.
        events: names of those whose values are truth values.
        lanes: for the same bits, whatever the others are, a state is observed among a multiple of so many.

    Raises:
        InputError: no observable, no time, two of one name, and errors of observables and of their options.

    Example:
        >>> recorder = Recorder([Observable(), Observable("high", lambda x: x[:, 0] > 1)], [0.0, 0.5], torch.zeros(2))
        >>> recorder.sizes
        {'x': 2, 'high': 1}
        >>> at = [recorder.observe(torch.tensor([[0.0, 1.0], [2.0, 3.0]]) + t) for t in (0.0, 0.5)]
        >>> values = {name: torch.stack([each[name] for each in at], 1) for name in recorder.sizes}
        >>> recorder.of_cell(values)["x"].moments.mean.tolist()
        [[1.0, 2.0], [1.5, 2.5]]
    """

    def __init__(self, observables: Sequence[Observable], times: Sequence[float], start: Tensor) -> None:
        names = [each.name for each in observables]
        if not names or len(set(names)) < len(names):
            raise InputError(f"observables are named {names}; give at least one, and each a name of its own")
        if not len(times):
            raise InputError("there is no time to observe at; give at least one")
        self.observables = tuple(observables)
        self.times = tuple(times)
        self.lanes = 1 if all(each.function is coordinates for each in observables) else _BATCH
        probes = _probes(start)
        self.sizes = {each.name: each.checked_size(probes) for each in observables}
        self.events = frozenset(each.name for each in observables if each.function(probes.clone()).dtype == torch.bool)
        self.of_cell({name: np.zeros((1, len(times), size)) for name, size in self.sizes.items()})

    @property
    def bytes_of_path(self) -> int:
        """Of its values at all times, in double precision."""
        return 8 * len(self.times) * sum(self.sizes.values())

    def observe(self, states: Tensor) -> dict[str, Tensor]:
        """Values of all observables at states of shape ``(n, d)``: shape ``(n, p)``, by name.

        Functions are called with a fixed number of states: in products of matrices, rounding depends on it.

        Raises:
            InputError: errors of :meth:`Observable.observe`, and another number of components than before.
        """
        batches = [states] if self.lanes == 1 else [each.contiguous() for each in states.split(self.lanes)]
        found = {each.name: torch.cat([each.observe(batch) for batch in batches]) for each in self.observables}
        for name, values in found.items():
            if values.shape[1] != self.sizes[name]:
                raise InputError(
                    f"the observable '{name}' has {values.shape[1]} components now and had {self.sizes[name]} before; "
                    "expected one number for all states"
                )
        return found

    def of_cell(self, values: Mapping[str, Tensor | ArrayLike], first: int = 0) -> CellStatistics:
        """Statistics of the paths of a cell.

        Args:
            values: by name, shape ``(n, times, p)``. Without a copy where memory has the paths next to each other.
            first: number of the first path, for the message.

        Raises:
            InputError: values of another shape or that are not finite, with the observable, path and time.
        """
        result = {}
        for each in self.observables:
            found = values[each.name]
            array = found.detach().cpu().numpy() if isinstance(found, Tensor) else np.asarray(found)
            expected = (len(self.times), self.sizes[each.name])
            if array.shape[1:] != expected:
                raise InputError(
                    f"values of '{each.name}' have shape {array.shape}; expected (paths, {expected[0]}, {expected[1]})"
                )
            try:
                ready = np.moveaxis(columns(array), -1, 0)
                result[each.name] = ObservedStatistics.of(ready, each.alpha, each.edges)
            except InputError as error:
                self._refuse_gaps(each.name, array, first)
                raise InputError(f"the observable '{each.name}': {error}") from None
        return CellStatistics(result)

    def _refuse_gaps(self, name: str, array: NDArray[Any], first: int) -> None:
        gaps = np.argwhere(~np.isfinite(array))
        if len(gaps):
            path, time, component = map(int, gaps[0])
            raise InputError(
                f"the observable '{name}' of path {first + path} at t = {self.times[time]:g} is "
                f"{array[path, time, component]} (component {component}): the observable is not finite there, though "
                "the path may be; give it a value wherever paths come to"
            )


def _probes(start: Tensor) -> Tensor:
    """Different states near starts that lie apart, shape ``(n, d)``, the same in every run."""
    rows = start.reshape(-1, start.shape[-1])
    chosen = rows[spread_rows(start)]
    count, d = max(len(chosen), start.shape[-1] + _MORE), start.shape[-1]
    centres = chosen[torch.arange(count, device=start.device) % len(chosen)]
    generator = torch.Generator(device="cpu").manual_seed(0)
    uniform = 2 * torch.rand(count, d, generator=generator, dtype=torch.float64, device="cpu") - 1
    return centres + _SPREAD * (1 + centres.abs()) * uniform.to(start)
