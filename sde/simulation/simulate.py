"""Simulate an ensemble of paths of an SDE or of a chain."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Real
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from ...ground.console import progress_bar
from ...ground.errors import InputError
from .ensembles.cells import CELL
from .ensembles.ensemble import Ensemble, Kept, chunk_width
from .ensembles.looks import Record, looks_of
from .ensembles.parts import Part, check_agreement, failing_together, gather, part_of
from .ensembles.run_identity import run_identity
from .ensembles.run_store import RunStore
from .given_numbers import finite_number, whole_number
from .kernels.draws import key_of
from .kernels.kernel import Clock
from .kernels.point_step import PointStep, chain_step, scheme_step
from .kernels.step_code import StepCode, step_code
from .kernels.stepper import Backend, Stepper, Work, make_stepper, tried
from .problems.chain_problem import ChainProblem
from .problems.point import PointProblem
from .problems.point_chain import PointChain
from .problems.problem import SDEProblem
from .problems.state import Start, start_of
from .results.result import Simulation
from .scheme import SCHEMES, Scheme
from .seeds import checked_seed
from .statistics.observables import Observable, Recorder, coordinates

__all__ = ["Engine", "simulate"]

_CHUNK_BYTES = {"cpu": 2**18, "cuda": 2**26}  # ours: of the states of a chunk; a processor's second cache
_WIDEST = {"cpu": 2**15, "cuda": 2**24}  # paths: a processor's longer vectors go to threads, with other bits at seams
_VALUES = 2**28  # bytes of what is observed of a chunk
_MOST_MEMORY, _COPIES = 2**33, 8  # bytes, and how many double-precision numbers counting takes for each value
_TIME_DIGITS = 16  # steps are at least so many of the spaces between times
_FEWEST = 1024  # paths of a chunk, where it is left to us
_MOST = 2**32  # a word of the random numbers' counter
_SCHEME, _CHAIN = "euler-maruyama", "the chain itself"  # where none is given, and where there is none
_LONG = 2e8  # ours: path-steps; some seconds


@dataclass(frozen=True)
class Engine:
    """How an ensemble is computed.

    Args:
        backend: "compiled", "eager", or "auto": compiled where the run is longer than compilation takes.
        checkpoint: folder where what is complete is kept; a run with the same settings goes on from there.
        seconds: between two writes into it.
        progress: whether a long run shows a bar on stderr.

    Raises:
        InputError: an unknown backend, seconds that are no number or negative, a checkpoint that is no folder's name.
    """

    backend: Backend = "auto"
    checkpoint: Path | str | None = None
    seconds: float = 60.0
    progress: bool = True

    def __post_init__(self) -> None:
        if self.backend not in get_args(Backend):
            raise InputError(f"unknown backend {self.backend!r}; choose one of: {', '.join(get_args(Backend))}")
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, Real) or not self.seconds >= 0:
            raise InputError(f"seconds = {self.seconds!r} between two writes; give a number of at least 0")
        if not isinstance(self.checkpoint, str | Path | None):
            raise InputError(f"the checkpoint is of type {type(self.checkpoint).__name__}; give a folder, or None")


def simulate(
    problem: SDEProblem | ChainProblem,
    x0: Any,
    *,
    dt: float,
    steps: int,
    paths: int,
    seed: int = 0,
    chunk: int | None = None,
    scheme: str | None = None,
    record: Record | None = None,
    engine: Engine | None = None,
) -> Simulation:
    """Move many independent paths and keep statistics of them.

    A scheme's step of the problem is recorded, split into its components and, where that pays, compiled together with
    the random numbers that it needs. A path's noise is a function of seed, path and step: ``chunk``, number of
    processes and restarts change no bit. Under ``torch.distributed`` each process moves a part of the paths, and all of
    them return the whole.

    Args:
        problem: drift, diffusion, calculus, kind of noise; or the step of a chain.
        x0: start, shape ``(d,)`` or ``(paths, d)``, or blocks of these shapes by name. Its type, float32 or float64,
            and its device are those of all paths.
        dt: length of a step; of a chain, the time that one takes.
        steps: how many.
        paths: how many.
        seed: of the random numbers, from 0 to ``2^63 - 1``.
        chunk: paths that are moved together, about; None: as many as a processor's cache holds.
        scheme: one of ``SCHEMES``; None: "euler-maruyama". A chain has none.
        record: what is kept; None: about 50 looks at the states, and all final states.
        engine: backend, checkpoint, progress.

    Raises:
        InputError: a problem that the scheme does not solve, functions that cannot be recorded, paths that explode,
            settings out of range, a checkpoint of another run.

    Example:
        An Ornstein-Uhlenbeck process, whose variance becomes 1/2:

        >>> import torch
        >>> problem = SDEProblem(lambda t, x: -x, lambda t, x: torch.ones(1, 1, dtype=x.dtype), noise="additive")
        >>> found = simulate(problem, torch.zeros(1), dt=0.01, steps=500, paths=10_000)
        >>> round(float(found.variance[-1, 0]), 1), found.final.shape
        (0.5, torch.Size([10000, 1]))
    """
    began = time.perf_counter()
    record, engine = record or Record(), engine or Engine()
    for name, found, kind in (("record", record, Record), ("engine", engine, Engine)):
        if not isinstance(found, kind):
            raise InputError(f"{name} is of type {type(found).__name__}; expected {kind.__name__}(...)")
    dt, steps, paths, seed, chunk = _check_settings(dt, steps, paths, seed, chunk)
    record = replace(record, trajectories=min(record.trajectories, paths))
    start = start_of(x0, paths)
    with _plain(start.points.device):
        key, name, method = key_of(seed, torch.device("cpu")), *_method(problem, scheme)
        if isinstance(problem, ChainProblem):
            _check_chain(problem, dt, steps)
            start = start.with_memory(problem.memory)
        step = _step(problem, method, start, dt, steps)
        point, draws = step.point, step.draws
        looks = looks_of(record, steps, draws.group_steps)
        times = [problem.t0 + k * dt for k in looks]
        recorder = Recorder(_structured(record.observables, start), times, start.seen(start.points))
        _check_memory(recorder)
        code = step_code(step)
        _check_time(code, point.dtype, dt, problem.t0, steps)
        part, usual = part_of(paths), _chunk(start)
        widest = min(_on(point.device.type, _WIDEST), max(1, _VALUES // recorder.bytes_of_path))
        lanes = max(code.lanes, recorder.lanes)
        width = chunk_width(part.share, min(chunk or usual, widest), lanes)
        stride = max(after - before for before, after in pairwise(looks))
        work = Work(steps * paths, steps * -(-paths // usual), stride)
        stepper = make_stepper(code, draws, Clock(dt, problem.t0), key.to(point.device), work, engine.backend)
        stepper = tried(stepper, torch.arange(width, device=point.device), start.of_paths(0, width), engine.backend)
        store = None
        if engine.checkpoint is not None or part.world > 1:
            identity = run_identity(step, code, start, recorder, record, method) | {
                "scheme": name,
                "dt": repr(dt),
                "steps": steps,
                "paths": paths,
                "seed": seed,
                "part": str(part),
                "backend": stepper.name,
            }
            check_agreement(part, identity)
            if engine.checkpoint is not None:
                store = RunStore(part.folder(Path(engine.checkpoint)), identity, engine.seconds)
        kept = _room(record, start, len(looks), part)
        ensemble = Ensemble(stepper, start, recorder, looks, times)
        preparation = time.perf_counter() - began
        with failing_together(part):
            path_steps, seconds = _run(ensemble, kept, part, width, store, engine)
        gather(kept, part, paths)
    statistics = kept.tree.result()
    counted = {each.moments.count for each in statistics.observed.values()}
    if counted != {paths}:
        raise RuntimeError(f"{sorted(counted)} paths were counted where {paths} were asked for: a fault of eigensam")
    return Simulation(
        times=np.array(times),
        statistics=statistics,
        final=_shown(start, kept.final),
        trajectories=_shown(start, kept.trajectories),
        traces=_traces(recorder, kept.trajectories),
        events=recorder.events,
        labels={each.name: _labels(each, recorder.sizes[each.name], start) for each in recorder.observables},
        paths=paths,
        dt=dt,
        steps=steps,
        scheme=name,
        seed=seed,
        backend=stepper.name,
        how=stepper.why,
        preparation=preparation,
        seconds=seconds,
        path_steps=path_steps,
    )


def _method(problem: Any, scheme: str | None) -> tuple[str, Scheme | None]:
    """Name and scheme of an SDE, which it solves; of a chain there is none."""
    if isinstance(problem, ChainProblem):
        if scheme is not None:
            raise InputError(f"scheme = {scheme!r}: a chain has a step of its own; leave the scheme out")
        return _CHAIN, None
    if not isinstance(problem, SDEProblem):
        raise InputError(f"problem is of type {type(problem).__name__}; expected SDEProblem(...) or ChainProblem(...)")
    name = _SCHEME if scheme is None else scheme
    method = SCHEMES[name]
    method.check(name, problem.calculus, problem.noise)
    return name, method


def _check_chain(problem: ChainProblem, dt: float, steps: int) -> None:
    """Refuse another time of a step than the chain's, and more numbers than there are."""
    if problem.dt not in (None, dt):
        raise InputError(f"dt = {dt!r}, but a step of this chain takes the time {problem.dt!r}; give dt={problem.dt!r}")
    whole_number("steps times substeps", steps * problem.substeps, 1, _MOST - 1)


def _step(problem: SDEProblem | ChainProblem, method: Scheme | None, start: Start, dt: float, steps: int) -> PointStep:
    """What is moved, tried out where paths start."""
    if isinstance(problem, ChainProblem):
        return chain_step(PointChain(problem, start, dt * steps))
    assert method is not None
    return scheme_step(method, PointProblem(problem, start, dt * steps), dt)


def _check_settings(dt: Any, steps: Any, paths: Any, seed: Any, chunk: Any) -> tuple[float, int, int, int, int | None]:
    """The same as numbers of Python's: one of numpy has another text."""
    length = finite_number("dt", dt, "a positive number")
    if length <= 0:
        raise InputError(f"dt = {dt!r}; give a positive number")
    counts = whole_number("steps", steps, 1, _MOST - 1), whole_number("paths", paths, 1, _MOST**2 - 1)
    width = None if chunk is None else whole_number("chunk", chunk, 1, _MOST - 1)
    return length, *counts, checked_seed(seed), width


def _structured(observables: Sequence[Observable], start: Start) -> list[Observable]:
    """Observables of flat states: those of a user are given blocks where there are some."""
    if not start.blocks:
        return list(observables)

    def flat(function: Callable[[Any], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda states: function(start.structured(states))

    return [
        each if each.function is coordinates else replace(each, function=flat(each.function)) for each in observables
    ]


def _chunk(start: Start) -> int:
    """Paths whose states fit a cache."""
    device = start.points.device.type
    fitting = _on(device, _CHUNK_BYTES) // (start.points.element_size() * start.dim)
    return max(_FEWEST, min(_on(device, _WIDEST), fitting))


def _on(device: str, values: dict[str, int]) -> int:
    """A value for the processor or for an accelerator."""
    return values.get(device, values["cuda"])


def _check_memory(recorder: Recorder) -> None:
    """Refuse looks whose values of one cell of paths are too many to be counted."""
    needed = _COPIES * CELL * recorder.bytes_of_path
    if needed > _MOST_MEMORY:
        raise InputError(
            f"{len(recorder.times)} looks at {sum(recorder.sizes.values())} components take about {needed / 2**30:.3g} "
            f"GiB while they are counted; look less often, Record(every=...), or at fewer observables"
        )


def _check_time(code: StepCode, dtype: torch.dtype, dt: float, t0: float, steps: int) -> None:
    """Refuse times that the functions could not tell apart."""
    largest = max(abs(t0), abs(t0 + steps * dt))
    if code.sees_time and dt < _TIME_DIGITS * torch.finfo(dtype).eps * largest:
        raise InputError(
            f"near t = {largest:g} numbers of type {dtype} are {torch.finfo(dtype).eps * largest:.2g} apart, too far "
            f"for steps of {dt:g}; start at t0 = 0, or in float64"
        )


def _room(record: Record, start: Start, looks: int, part: Part) -> Kept:
    like, count, dim = start.points, part.end - part.first, start.dim - start.memory
    final = like.new_empty(count, dim) if record.final else None
    shown = like.new_zeros(record.trajectories, looks, dim) if record.trajectories else None
    return Kept(part.first, part.end, final, shown)


def _run(
    ensemble: Ensemble, kept: Kept, part: Part, width: int, store: RunStore | None, engine: Engine
) -> tuple[int, float]:
    """Do what is missing; path-steps and seconds that it took."""
    with nullcontext() if store is None else store.held():
        if store is not None:
            store.read(kept, part.first)
        missing, began = (part.end - kept.done) * ensemble.looks[-1], time.perf_counter()
        with _bar(missing, ensemble.stepper, engine) as advance:

            def after(path_steps: int) -> None:
                advance(path_steps)
                if store is not None:
                    store.write(kept, part.first)

            try:
                ensemble.run(kept, width, after)
            finally:  # what is complete is kept, whatever happened
                if store is not None:
                    store.write(kept, part.first, now=True)
        return missing, time.perf_counter() - began


@contextmanager
def _plain(device: torch.device) -> Iterator[None]:
    """Without what else is set in torch: half precision, which would round the noise, and another default device."""
    here = nullcontext() if torch.get_default_device().type == device.type else device
    with torch.autocast(device.type, enabled=False), here:
        yield


@contextmanager
def _bar(path_steps: int, stepper: Stepper, engine: Engine) -> Iterator[Callable[[int], None]]:
    """Shows how far a long run is, and how fast."""
    if not engine.progress or path_steps < _LONG:
        yield lambda done: None
        return
    where = "" if engine.checkpoint is None else f", kept in {engine.checkpoint}"
    began, total = time.perf_counter(), 0
    with progress_bar(f"{path_steps:.3g} path-steps, {stepper.name}{where}", 100) as (progress, task):

        def advance(done: int) -> None:
            nonlocal total
            total += done
            speed = total / (time.perf_counter() - began)
            text = f"{path_steps:.3g} path-steps, {stepper.name}, {speed:.2g} per second{where}"
            progress.update(task, completed=100 * total // path_steps, description=text)

        yield advance


def _shown(start: Start, states: Tensor | None) -> Any:
    return None if states is None else start.structured(states)


def _traces(recorder: Recorder, trajectories: Tensor | None) -> dict[str, np.ndarray]:
    """Values of observables along kept paths."""
    if trajectories is None:
        return {name: np.zeros((0, len(recorder.times), size)) for name, size in recorder.sizes.items()}
    found = recorder.observe(trajectories.flatten(0, 1))
    return {name: each.unflatten(0, trajectories.shape[:2]).cpu().double().numpy() for name, each in found.items()}


def _labels(observable: Observable, size: int, start: Start) -> list[str]:
    """Names of components; those of the state are called as its blocks."""
    whole = observable.function is coordinates and start.blocks
    return [
        name if width == 1 else f"{name}[{i}]"
        for name, width in (start.blocks if whole else [(observable.name, size)])
        for i in range(width)
    ]
