"""The ensemble that the ``simulate`` command is asked for: landscape, start, problem, run."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...ground.console import check_count, parse_number
from ...ground.errors import InputError
from ...landscapes.landscape import Landscape
from ..derivation.derived_sde import SDE
from ..rules.bindings import Values
from .command_settings import SimulateSettings
from .ensembles.looks import Record
from .horizons import whole_steps
from .problems.derived_problem import derived_problem
from .problems.shifted_start import sde_start
from .results.result import Simulation
from .scheme import SCHEMES
from .simulate import Engine, simulate
from .statistics.observables import Observable

__all__ = ["read_start", "simulate_derived"]


def read_start(text: str, like: Landscape) -> Tensor:
    """Coordinates as text; one number stands for all.

    Raises:
        InputError: text that is no number, or another number of coordinates than the landscape's.

    Example:
        >>> from eigensam.landscapes import TiltedTorus
        >>> read_start("1/2", TiltedTorus.default(2)).tolist()
        [0.5, 0.5]
    """
    numbers = [float(parse_number("--start", part)) for part in text.split(",")]
    if len(numbers) not in (1, like.dim):
        raise InputError(f"--start {text} has {len(numbers)} coordinates; give {like.dim}, or one number for all")
    return torch.tensor(numbers, dtype=like.dtype, device=like.device).expand(like.dim).clone()


def simulate_derived(
    landscape: Landscape,
    sde: SDE,
    settings: SimulateSettings,
    *,
    values: Values | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
) -> Simulation:
    """Simulate a derived SDE as settings say; final states are not kept.

    That of a recursion starts where :func:`.sde_start` says, with memory of 0; its step is the effective rate.

    Args:
        landscape: an analytic one.
        sde: from :func:`derive` or :func:`truncate`.
        settings: of the ensemble.
        values: of the rule's other parameters and directions.
        device: where paths are moved.
        checkpoint: folder where what is complete is kept.

    Raises:
        InputError: an unknown scheme, a horizon that steps do not divide, and errors of :func:`simulate`.

    Example:
        >>> from eigensam.landscapes import TiltedTorus
        >>> from eigensam.sde import derive, find_rule
        >>> sde = derive(find_rule("sgd"), 1, "1/2")
        >>> found = simulate_derived(TiltedTorus.default(1), sde, SimulateSettings(horizon=1.0, paths=100))
        >>> found.paths, found.steps, found.final
        (100, 10, None)
    """
    check_count("--seed", settings.seed, low=0)
    dt = settings.dt or float(sde.rate) * settings.eta
    steps = settings.steps or whole_steps(settings.horizon, dt)
    SCHEMES[settings.scheme]  # refuses an unknown name before the problem is made
    f = landscape.to(getattr(torch, settings.dtype), device)
    x0 = read_start(settings.start, f)
    own: Any = {"rho": settings.rho, "eta": settings.eta, "values": values}
    problem = derived_problem(f, sde, **own, root=settings.root)  # type: ignore[arg-type]
    start = sde_start(sde, f, x0, **own)
    return simulate(
        problem,
        start,
        dt=dt,
        steps=steps,
        paths=settings.number(),
        seed=settings.seed,
        chunk=settings.chunk or None,
        scheme=settings.scheme,
        record=Record(
            every=settings.every or None,
            observables=(Observable(alpha=settings.quantiles or None),),
            trajectories=settings.trajectories,
            final=False,
        ),
        engine=Engine(backend=settings.backend, checkpoint=checkpoint),  # type: ignore[arg-type]
    )
