"""A rule beside its SDEs on an analytic landscape: many paths of each, along the same noise."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch
from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ...rules.bindings import Values
from ...rules.leaves import POSITION
from ...rules.recursion import Recursion
from ...rules.rule import Rule
from ..ensembles.looks import Record
from ..problems.chain_problem import ChainProblem
from ..problems.derived_problem import check_type
from ..problems.state import Start, start_of
from ..scheme import SCHEMES
from ..simulate import Engine, simulate
from ..statistics.observables import Observable, Recorder
from .compare_settings import CompareSettings
from .comparison import Comparison
from .ensemble_processes import EnsembleProcess, ensemble_processes
from .given_sdes import GivenSDE, check_sdes
from .path_series import Array, PathSeries

__all__ = ["compared_ensembles", "landscape_observables"]

Observables = Mapping[str, Callable[[Tensor], Tensor]]

_MOST_MEMORY = 2**32  # bytes of a comparison
_MOST_DIM = 3  # of states that are kept, and coordinates that are observed
_DRAWN = 20  # paths that a portrait has room for
_BATCH = 2**14  # ours: states of a call of an observable


def compared_ensembles(
    rule: Rule | Recursion,
    sdes: Mapping[str, GivenSDE],
    landscape: Landscape,
    x0: Tensor | Mapping[str, Tensor],
    settings: CompareSettings,
    *,
    values: Values | None = None,
    observables: Observables | None = None,
    engine: Engine | None = None,
) -> Comparison:
    """Move the discrete rule and the SDEs that claim to describe it by the same noise, path by path.

    Each path of the rule takes the minibatch of the largest of the normal numbers that kick the path of each SDE,
    see :func:`rule_chain`. Every process is moved by :func:`simulate`.

    Args:
        rule: the discrete algorithm, the first process, called by its name. A recursion draws minibatches by its own
            sampling, a step takes the time of its effective rate, and there is no exact drift.
        sdes: of this rule, by the names that they are to have; :class:`.Control` for that of another one.
        landscape: an analytic one.
        x0: start, shape ``(d,)`` or ``(paths, d)``, of the landscape's type; of a recursion also blocks by name. Memory
            that is not given starts at 0, and SDEs where :func:`.shifted_start` says.
        settings: of the comparison.
        values: of the rule's other parameters and directions.
        observables: functions of states, shape ``(n, d)``, to values, shape ``(n,)``, by name; None: those of
            :func:`landscape_observables`.
        engine: backend, progress; and a checkpoint, in which each process has a folder, so that what is killed goes on.

    Returns:
        Values of each path at all looks, and for ``d <= 3`` states at some. The flow of a common start is one path.

    Raises:
        InputError: SDEs of another rule, names that occur twice, more numbers than fit 4 GiB, observables of several
            components, and errors of :func:`simulate`, with the name of the process.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import TiltedTorus
        >>> from eigensam.sde import find_rule, truncate
        >>> sam = find_rule("sam")
        >>> sdes = {f"drift order {k}": truncate(sam, "1/3", k) for k in (1, 2)}
        >>> settings = CompareSettings(rho=0.1, eta=0.1, steps=10, paths=200)
        >>> start = torch.tensor([0.3, 0.4], dtype=torch.float64)
        >>> found = compared_ensembles(sam, sdes, TiltedTorus.default(2), start, settings)
        >>> [each.name for each in (found.rule, *found.others)], found.rule.values["loss"].shape
        (['sam', 'drift order 1', 'drift order 2', 'exact drift'], (200, 11))
    """
    if not isinstance(settings, CompareSettings):
        raise InputError(f"settings are of type {type(settings).__name__}; expected CompareSettings(...)")
    engine = engine or Engine()
    position: Any = x0[POSITION] if isinstance(x0, Mapping) and POSITION in x0 else x0
    if isinstance(x0, Mapping) and not (isinstance(rule, Recursion) and POSITION in x0):
        raise InputError(f"the start has blocks {', '.join(map(str, x0))}; give one tensor")
    start = start_of(position, settings.paths)
    check_type(landscape, start.first)
    check_sdes(rule, sdes)
    if SCHEMES[settings.scheme].increments != "normal":
        raise InputError(
            f"the scheme '{settings.scheme}' has no normal increments, by which paths of the rule and of its SDEs are "
            "coupled; choose splitting, euler-maruyama or another one with normal increments"
        )
    given = landscape_observables(landscape) if observables is None else observables
    observed = [Observable(name, function) for name, function in given.items()]
    runs, settings = ensemble_processes(rule, sdes, landscape, x0, settings, values)
    names = [run.name for run in runs]
    if len(runs) == 1:
        raise InputError("there is nothing to compare the rule with; give an SDE, or exact_drift=True")
    if len(set(names)) < len(names):
        raise InputError(f"processes are named {', '.join(names)}; give each SDE a name that no other process has")
    _check_memory(start, settings, len(observed), sum(not run.one_path for run in runs))
    _check_observables(Recorder(observed, settings.times.tolist(), start.points).sizes)
    series, states, drawn, backends = [], {}, {}, {}
    for run in runs:
        folder = None if engine.checkpoint is None else Path(engine.checkpoint) / _folder(run.name)
        trajectories, backends[run.name] = _moved(run, settings, replace(engine, checkpoint=folder))
        found = {each.name: _values(each, trajectories) for each in observed}
        series.append(PathSeries(run.name, settings.times, found))
        if start.dim <= _MOST_DIM:
            states[run.name] = trajectories[:, settings.state_looks()].double().cpu().numpy()
            drawn[run.name] = trajectories[:_DRAWN].double().cpu().numpy()
    about = settings.to_dict() | {
        "rule": rule.name,
        "values": _plain(values),
        "landscape": type(landscape).__name__,
        "dimension": landscape.dim,
        "minibatches": landscape.size,
        "numbers": str(start.points.dtype),
        "start": position.tolist() if position.ndim == 1 else "one for each path",
        "backends": backends,
    }
    times = settings.times[settings.state_looks()] if states else np.empty(0)
    rounding = settings.rounding(str(start.points.dtype))
    return Comparison(series[0], series[1:], about, states, times, drawn, rounding, isinstance(rule, Recursion))


def landscape_observables(landscape: Landscape) -> dict[str, Callable[[Tensor], Tensor]]:
    """Loss, gradient norm and norm, and up to three coordinates where there are no more.

    Example:
        >>> from eigensam.landscapes import TiltedTorus
        >>> list(landscape_observables(TiltedTorus.default(2)))
        ['loss', 'gradient norm', 'norm', 'x[0]', 'x[1]']
    """

    def coordinate(i: int) -> Callable[[Tensor], Tensor]:
        return lambda x: x[:, i]

    found: dict[str, Callable[[Tensor], Tensor]] = {
        "loss": lambda x: landscape.loss(x[:, None]),
        "gradient norm": lambda x: torch.linalg.vector_norm(landscape.gradient(x[:, None]), dim=-1),
        "norm": lambda x: torch.linalg.vector_norm(x, dim=-1),
    }
    if landscape.dim <= _MOST_DIM:
        found |= {f"x[{i}]": coordinate(i) for i in range(landscape.dim)}
    return found


def _moved(run: EnsembleProcess, settings: CompareSettings, engine: Engine) -> tuple[Tensor, str]:
    """Positions at all looks, shape ``(paths, L, d)``, and the name of the backend."""
    chain = isinstance(run.problem, ChainProblem)
    parts = run.parts
    paths = 1 if run.one_path else settings.paths
    try:
        found = simulate(
            run.problem,
            run.start,
            dt=settings.clock / parts,
            steps=settings.steps * parts,
            paths=paths,
            seed=settings.seed,
            scheme=None if chain else settings.scheme,
            record=Record(every=settings.stride * parts, trajectories=paths, final=False),
            engine=engine,
        )
        return run.seen(found.trajectories, settings.times.tolist()), found.backend
    except InputError as error:
        raise InputError(f"{run.name}: {error}") from error


def _values(observable: Observable, trajectories: Tensor) -> Array:
    """Along all paths, shape ``(paths, L)``."""
    parts = [observable.observe(batch).double().cpu() for batch in trajectories.flatten(0, 1).split(_BATCH)]
    return torch.cat(parts).reshape(trajectories.shape[:2]).numpy()


def _folder(name: str) -> str:
    """A name of a folder within the checkpoint: none of ``.`` and ``..`` leads out of it."""
    return quote(name, safe=" ").replace(".", "%2E")


def _check_observables(sizes: Mapping[str, int]) -> None:
    wide = [name for name, size in sizes.items() if size > 1]
    if wide:
        raise InputError(f"the observable '{wide[0]}' has {sizes[wide[0]]} components; give one observable for each")


def _check_memory(start: Start, settings: CompareSettings, observables: int, runs: int) -> None:
    looks = len(settings.look_steps)
    of_path = 8 * looks * (observables * runs + 1) + looks * start.dim * start.points.element_size()
    needed = settings.paths * of_path
    if needed > _MOST_MEMORY:
        raise InputError(
            f"{settings.paths} paths of {runs} processes at {looks} looks take about {needed / 2**30:.3g} GiB with "
            f"{observables} observables; at most {_MOST_MEMORY / 2**30:g} GiB are meant to be kept: take at most "
            f"{_MOST_MEMORY // of_path} paths, or fewer looks, observables or processes"
        )


def _plain(values: Values | None) -> dict[str, Any]:
    return {name: each.tolist() if isinstance(each, Tensor) else float(each) for name, each in (values or {}).items()}
