"""What is moved where a rule is compared with its SDEs on a toy: problems, where they start, what is seen."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ....landscapes.landscape import Landscape
from ...derivation.derived_sde import SDE
from ...rules.bindings import Values
from ...rules.leaves import POSITION
from ...rules.recursion import Recursion
from ...rules.rule import Rule
from ..problems.chain_problem import ChainProblem
from ..problems.derived_problem import derived_problem
from ..problems.problem import SDEProblem
from ..problems.recursion_chain import blocks_at, effective_rate, recursion_chain
from ..problems.rule_chain import rule_chain
from ..problems.shifted_start import sde_start, shifted_start
from ..problems.untruncated_problem import untruncated_problem
from .compare_settings import CompareSettings
from .given_sdes import Control, GivenSDE, check_sampling

__all__ = ["EnsembleProcess", "ensemble_processes"]

_EXACT, _FLOW = "exact drift", "flow of "
_BATCH = 2**14  # ours: states whose slow variable is computed at a time

Blocks = dict[str, Tensor]


@dataclass(frozen=True)
class EnsembleProcess:
    """One process of a comparison.

    Attributes:
        name: of it.
        problem: that is simulated.
        start: where it starts: positions, or blocks by name.
        parts: steps of its own in a step of the rule.
        view: what is seen at a look: time and blocks, shapes ``(n, d)``, to positions; None: the block ``x``.
    """

    name: str
    problem: SDEProblem | ChainProblem
    start: Any
    parts: int = 1
    view: Callable[[float, Blocks], Tensor] | None = None

    @property
    def one_path(self) -> bool:
        """Whether one path stands for all: a flow from a common start."""
        return isinstance(self.problem, SDEProblem) and self.problem.diffusion is None and self._common

    @property
    def _common(self) -> bool:
        parts = self.start.values() if isinstance(self.start, Mapping) else [self.start]
        return all(part.ndim == 1 for part in parts)

    def seen(self, trajectories: Any, times: list[float]) -> Tensor:
        """Positions along paths, shape ``(paths, L, d)``."""
        blocks: Blocks = dict(trajectories) if isinstance(trajectories, Mapping) else {POSITION: trajectories}
        if self.view is None:
            return blocks[POSITION]
        found = []
        for k, t in enumerate(times):
            rows = [each[:, k].split(_BATCH) for each in blocks.values()]
            batches = [dict(zip(blocks, parts, strict=True)) for parts in zip(*rows, strict=True)]
            found.append(torch.cat([self.view(t, batch) for batch in batches]))
        return torch.stack(found, 1)


def ensemble_processes(
    rule: Rule | Recursion,
    sdes: Mapping[str, GivenSDE],
    landscape: Landscape,
    x0: Any,
    settings: CompareSettings,
    values: Values | None,
) -> tuple[list[EnsembleProcess], CompareSettings]:
    """The rule first, then its SDEs, controls, and what else is asked for; and settings that know the rule's clock."""
    own: Any = {"rho": settings.rho, "eta": settings.eta, "values": values}
    check_sampling(rule, settings.sampling)
    if isinstance(rule, Recursion):
        parts = settings.substeps * rule.inner_steps
        chain = recursion_chain(landscape, rule, **own, substeps=parts)
        settings = replace(settings, step_time=chain.dt)
    else:
        parts = settings.substeps
        chain = rule_chain(landscape, rule, **own, sampling=settings.sampling, substeps=parts)  # type: ignore[arg-type]
    place = _Place(rule, landscape, x0, settings, values, parts)
    found = [place.chain(chain, sdes), *(place.solution(name, sde) for name, sde in sdes.items())]
    if settings.exact_drift and isinstance(rule, Rule):
        found.append(EnsembleProcess(_EXACT, untruncated_problem(landscape, rule, **own), place.position, parts))
    if settings.flows:
        found += list(_flows(found[1:]))
    return found, settings


def _flows(processes: list[EnsembleProcess]) -> Iterator[EnsembleProcess]:
    for each in processes:
        assert isinstance(each.problem, SDEProblem)
        if each.problem.diffusion is not None:
            yield replace(each, name=_FLOW + each.name, problem=replace(each.problem, diffusion=None))


@dataclass(frozen=True)
class _Place:
    """Where all begin, and how they are moved."""

    rule: Rule | Recursion
    landscape: Landscape
    x0: Any
    settings: CompareSettings
    values: Values | None
    parts: int

    @property
    def position(self) -> Tensor:
        found: Tensor = self.x0[POSITION] if isinstance(self.x0, Mapping) else self.x0
        return found

    @property
    def memory(self) -> Blocks:
        return {k: v for k, v in self.x0.items() if k != POSITION} if isinstance(self.x0, Mapping) else {}

    def chain(self, problem: ChainProblem, sdes: Mapping[str, GivenSDE]) -> EnsembleProcess:
        """The rule, seen as its position or as the slow variable of the first of its SDEs that has one."""
        if not isinstance(self.rule, Recursion):
            return EnsembleProcess(self.rule.name, problem, self.position)
        start = blocks_at(self.rule, self.position, self.memory)
        slow = [sde for sde in sdes.values() if isinstance(sde, SDE) and sde.parts is not None and sde.parts.fast]
        if self.settings.observed == "x" or not slow:
            return EnsembleProcess(self.rule.name, problem, start)
        sde = max(slow, key=lambda each: (bool(each.correction), len(each.increments)))
        return EnsembleProcess(self.rule.name, problem, start, view=lambda t, blocks: self._slow(sde, t, blocks))

    def _slow(self, sde: SDE, t: float, blocks: Mapping[str, Tensor]) -> Tensor:
        """``x + eta chi(x, q)``."""
        assert sde.parts is not None
        flat = torch.cat([blocks[name] for name in sde.blocks], -1)
        memory = {name: blocks[name] for name in sde.parts.fast}
        eta, rho = self.settings.eta, self.settings.rho
        own: Any = {"memory": memory, "values": self.values, "time": t}
        return shifted_start(sde, self.landscape, flat, eta, rho, **own)[..., : self.landscape.dim]

    def solution(self, name: str, given: GivenSDE) -> EnsembleProcess:
        """An SDE of the rule, from its shifted start; or a control, from the start itself."""
        control = isinstance(given, Control)
        sde, eta, values = given, self.settings.eta, self.values
        if isinstance(given, Control):
            sde, values = given.sde, given.own(values)  # type: ignore[assignment]
            eta = given.learning_rate(eta, self._rate)
        assert isinstance(sde, SDE)
        problem = derived_problem(self.landscape, sde, rho=self.settings.rho, eta=eta, values=values)
        draws = len(self.rule.draws or [""]) if isinstance(self.rule, Recursion) else 1
        problem = _repeated(problem, draws)
        if control:
            start = _control_start(sde, self.position)
        else:
            own: Any = {"memory": self.memory, "values": values}
            start = sde_start(sde, self.landscape, self.position, eta, self.settings.rho, **own)
        return EnsembleProcess(name, problem, start, self.parts)

    @property
    def _rate(self) -> Fraction:
        """The rule's effective rate as a multiple of the learning rate."""
        return effective_rate(self.rule) if isinstance(self.rule, Recursion) else Fraction(1)


def _control_start(sde: SDE, x0: Tensor) -> Any:
    """Where the training starts, and memory at 0."""
    if len(sde.blocks) == 1:
        return x0
    return {name: x0 if name == POSITION else torch.zeros_like(x0) for name in sde.blocks}


def _repeated(problem: SDEProblem, draws: int) -> SDEProblem:
    """The same noise from as many normal numbers as a step of several draws has, so that chain and SDE share them."""
    diffusion = problem.diffusion
    if diffusion is None or draws == 1:
        return problem

    def columns(t: Tensor, x: Any) -> Any:
        found = diffusion(t, x)
        if isinstance(found, Mapping):
            return {name: torch.cat([part * draws**-0.5] * draws, -1) for name, part in found.items()}
        return torch.cat([found * draws**-0.5] * draws, -1)

    return replace(problem, diffusion=columns)
