"""A rule beside its SDEs on a network landscape."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from ....ground.console import progress_bar
from ....ground.errors import InputError
from ....ground.fingerprints import fingerprint
from ....ground.identities import code_identity
from ....landscapes.landscape import Landscape
from ....landscapes.networks.kinks import kinked_operations
from ....landscapes.networks.network import NetworkLandscape
from ...rules.bindings import Values, bind
from ...rules.exact_steps import evaluate, evaluate_blocks
from ...rules.recursion import Recursion
from ...rules.rule import Rule
from ..comparison.compare_settings import CompareSettings
from ..comparison.comparison import Comparison
from ..comparison.given_sdes import GivenSDE, check_sampling, check_sdes
from ..comparison.path_series import PathSeries
from ..problems.recursion_chain import effective_rate
from ..simulate import Engine
from .directions import Directions
from .eigenvectors import EigenvectorEstimate
from .network_observables import NetworkObservables
from .network_processes import NetworkProcesses
from .network_run import Observe, check_finite, move
from .path_store import PathStore
from .processes import FieldProcess, Process
from .step_noise import StepNoise

__all__ = ["compared_networks"]

_CODE = __name__
_SPREAD = 0.1  # of the second point, relative to 1 + |x|


def compared_networks(
    rule: Rule | Recursion,
    sdes: Mapping[str, GivenSDE],
    landscape: Landscape,
    x0: Tensor,
    settings: CompareSettings,
    *,
    values: Values | None = None,
    observe: Observe | None = None,
    engine: Engine,
) -> Comparison:
    """Move the rule, its SDEs and what else the settings ask for along the same noise, and look at them.

    Args:
        rule: the update rule, or a recursion of one draw in a step, whose memory starts at 0.
        sdes: of the rule, by name, of the position alone; those of order 2 start at :func:`.shifted_start`.
        landscape: the family of ``M`` minibatch losses, of a network mostly.
        x0: where all paths start, shape ``(d,)``, or each, shape ``(paths, d)``.
        settings: learning rate, radius, numbers of steps and paths, and so on.
        values: of the rule's other parameters and directions. One direction without a value is estimated as the top
            eigenvector of a Hessian.
        observe: observables; None: :class:`NetworkObservables` without test data.
        engine: checkpoint, seconds between two writes, progress.

    Raises:
        InputError: SDEs of another rule, symbols without a value, a start of another shape, paths that leave the finite
            numbers, a loss that cannot be differentiated as often as needed, a checkpoint of another run.
    """
    check_sdes(rule, sdes)
    check_sampling(rule, settings.sampling)
    settings, parts = _timed(rule, settings)
    observe = observe or NetworkObservables(landscape)
    directions, bound = _bound(rule, landscape, settings, values)
    x = _start(x0, landscape, settings.paths)
    makers = NetworkProcesses(rule, landscape, settings, values, bound, directions)
    processes = dict(makers.processes(sdes))
    looks, flow_paths = settings.look_steps, x[:1] if x0.ndim == 1 else x
    noise = StepNoise(settings.seed, settings.paths, parts, landscape.size)
    for name, process in processes.items():
        _try_out(process, name, x if process.noisy else flow_paths, noise, observe)
    identity = _identity(rule, landscape, x, settings, bound, observe)
    series, integrator, residuals = {}, {}, {}
    checkpoint = None if engine.checkpoint is None else Path(engine.checkpoint)
    with _held(checkpoint), _progress(len(processes) * settings.steps, engine) as advance:
        for place, (name, process) in enumerate(processes.items()):
            store = None
            if checkpoint is not None:
                code = {"process": name, "code of the process": makers.code_of(name, sdes)}
                store = PathStore(checkpoint / f"process-{place}", identity | code, engine.seconds)
            before = place * settings.steps
            moved = move(
                process,
                name,
                x if process.noisy else flow_paths,
                looks,
                noise,
                observe,
                store,
                lambda step, before=before, name=name: advance(before + step, name),  # type: ignore[misc]
            )
            series[name] = PathSeries(name, settings.times, moved.values)
            if moved.integrator is not None:
                integrator[name] = moved.integrator
            if moved.residual is not None:
                residuals[name] = moved.residual
    about = {
        "rule": str(rule),
        "landscape": {"parameters": landscape.dim, "minibatches": landscape.size, "dtype": str(landscape.dtype)},
        "settings": settings.to_dict(),
        "integrator_error": integrator,
        "kinks": kinked_operations(landscape) if isinstance(landscape, NetworkLandscape) else [],
        **({"eigenvector_residual": residuals} if residuals else {}),
    }
    first, *others = series.values()
    rounding = settings.rounding(str(landscape.dtype))
    return Comparison(first, others, about, rounding=rounding, shifted=isinstance(rule, Recursion))


def _timed(rule: Rule | Recursion, settings: CompareSettings) -> tuple[CompareSettings, int]:
    """Settings that know the time of the rule's step, and the parts in which SDEs take it."""
    if not isinstance(rule, Recursion):
        return settings, settings.substeps
    time = float(effective_rate(rule)) * rule.inner_steps * settings.eta
    return replace(settings, step_time=time), settings.substeps * rule.inner_steps


def _try_out(process: Process, name: str, x: Tensor, noise: StepNoise, observe: Observe) -> None:
    """A step that is not kept: what cannot be computed is refused before any work.

    And what the landscape learns on the way, which derivatives are right and by which route, it knows from then on
    whether a run begins or goes on, so that both have the same bits.
    """
    state = process.advance(process.start(x), 0, noise.draw(0))
    points = process.points(state)
    check_finite(points, name, 1)
    observe(points)
    if isinstance(process, FieldProcess):
        process.step_error({name: each[:1] for name, each in state.items()}, 1)


def _bound(
    rule: Rule | Recursion, landscape: Landscape, settings: CompareSettings, values: Values | None
) -> tuple[Directions, dict[str, float | Tensor]]:
    """Values of all symbols; a unit vector in place of a direction that is estimated."""
    given = dict(values or {})
    missing = [name for name in rule.directions if name not in given]
    if not missing or isinstance(rule, Recursion):
        return Directions(rule), bind(rule, landscape, settings.rho, given)
    kind: Any = settings.eigenvector
    estimate = EigenvectorEstimate(landscape, kind, settings.power_iterations, seed=settings.seed)
    directions = Directions(rule, estimate)
    vector = torch.nn.functional.normalize(torch.ones(landscape.dim, dtype=torch.float64), dim=0)
    return directions, bind(rule, landscape, settings.rho, given | dict.fromkeys(missing, vector))


def _start(x0: Tensor, landscape: Landscape, paths: int) -> Tensor:
    expected = f"({landscape.dim},) or ({paths}, {landscape.dim})"
    if not isinstance(x0, Tensor) or x0.shape not in ((landscape.dim,), (paths, landscape.dim)):
        found = f"shape {tuple(x0.shape)}" if isinstance(x0, Tensor) else type(x0).__name__
        raise InputError(f"the start has {found}; expected a tensor of shape {expected}")
    x = x0.detach().to(landscape.device, landscape.dtype).expand(paths, -1).clone()
    if not bool(x.isfinite().all()):
        raise InputError("the start is not finite; give other parameters")
    return x


def _identity(
    rule: Rule | Recursion,
    landscape: Landscape,
    x: Tensor,
    settings: CompareSettings,
    bound: Mapping[str, float | Tensor],
    observe: Observe,
) -> dict[str, str | int]:
    """What all paths depend on. Functions are known by their values, to the last bit, at the start and at a point near
    it that nobody chose: where a network's last layer is zero, other data have the same losses.
    """
    generator = torch.Generator().manual_seed(0)
    offset = _SPREAD * torch.randn(landscape.dim, generator=generator, dtype=torch.float64).to(x)
    here = torch.stack([x[0], x[0] + offset * (1 + x[0].abs())])[:, None]
    return {
        **code_identity(_CODE),
        "device": str(landscape.device),
        "type of numbers": str(landscape.dtype),
        "threads": torch.get_num_threads(),
        "landscape": fingerprint(landscape.losses(here)),
        "rule": _rule_identity(rule, landscape, here, settings, bound),
        "values of symbols": fingerprint(dict(bound)),
        "start": fingerprint(x),
        "observables": fingerprint(list(observe.names), observe(here[:, 0])),
        **{name: each if isinstance(each, int) else repr(each) for name, each in settings.to_dict().items()},
    }


def _rule_identity(
    rule: Rule | Recursion,
    landscape: Landscape,
    here: Tensor,
    settings: CompareSettings,
    bound: Mapping[str, float | Tensor],
) -> str:
    if not isinstance(rule, Recursion):
        return fingerprint(rule.name, evaluate(rule.step, landscape, here, bound))
    if len(rule.draws) > 1:  # which is refused
        return fingerprint(str(rule))
    schedules = {name: each(0.0) for name, each in rule.schedules.items()}
    blocks = dict.fromkeys(rule.blocks, here)
    after = evaluate_blocks(rule, landscape, blocks, {**bound, "eta": settings.eta, **schedules})
    formulas = {name: each.formula for name, each in rule.schedules.items()}
    return fingerprint(str(rule), repr(rule.sampling), rule.inner_steps, formulas, after)


@contextmanager
def _held(folder: Path | None) -> Iterator[None]:
    """No other process writes into the folder meanwhile."""
    if folder is None:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock")
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(f"another process is writing into {folder}; choose another checkpoint folder") from None
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror or error}; choose another one") from None
    with lock:
        yield


@contextmanager
def _progress(total: int, engine: Engine) -> Iterator[Any]:
    if not engine.progress:
        yield lambda done, name: None
        return
    where = "" if engine.checkpoint is None else f", kept in {engine.checkpoint}"
    with progress_bar(f"simulating{where}", total) as (bar, task):
        yield lambda done, name: bar.update(task, completed=done, description=f"{name}{where}")
