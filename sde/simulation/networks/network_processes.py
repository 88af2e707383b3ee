"""All that is moved where a rule is compared with its SDEs on a network: the rule, its SDEs, controls, flows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ....ground.errors import InputError
from ....ground.fingerprints import fingerprint
from ....landscapes.landscape import Landscape
from ...derivation.derived_sde import SDE
from ...derivation.torch_code import ordered_code, torch_code
from ...rules.bindings import Values, bind
from ...rules.recursion import Recursion
from ...rules.rule import Rule
from ..comparison.compare_settings import CompareSettings
from ..comparison.given_sdes import Control, GivenSDE
from ..problems.recursion_chain import effective_rate
from .directions import Directions
from .minibatch_fields import BoundValues, ExactField, MinibatchField, SDEField
from .processes import FieldProcess, Process, RuleChain
from .recursion_process import RecursionProcess, SlowVariable

__all__ = ["NetworkProcesses"]

_FLOW = "flow of "


@dataclass(frozen=True)
class NetworkProcesses:
    """Makes the processes of a comparison.

    Attributes:
        rule: what is compared.
        landscape: the family of losses.
        settings: that know the time of the rule's step.
        values: that were given for the rule's symbols.
        bound: of all of them.
        directions: what the rule's directions are.
    """

    rule: Rule | Recursion
    landscape: Landscape
    settings: CompareSettings
    values: Values | None
    bound: BoundValues
    directions: Directions

    def processes(self, sdes: Mapping[str, GivenSDE]) -> Iterator[tuple[str, Process]]:
        """By name, the rule first.

        Raises:
            InputError: an SDE of several blocks, or of what a network has not; a name that occurs twice.
        """
        settings, rule = self.settings, self.rule
        yield rule.name, self._chain(sdes)
        if rule.name in sdes or "exact drift" in sdes:
            raise InputError(f"an SDE is called {rule.name} or 'exact drift', as another process; give it another name")
        solutions: dict[str, dict[str, Any]] = {name: self._solution(name, sde) for name, sde in sdes.items()}
        if settings.exact_drift and isinstance(rule, Rule):
            field: MinibatchField = ExactField(self.landscape, rule, settings.eta)
            solutions["exact drift"] = {"field": field, "values": self.bound, "directions": self.directions}
        for noise in (True, False) if settings.flows else (True,):
            for name, each in solutions.items():
                if noise or each["field"].has_noise:
                    moved = FieldProcess(**each, scheme=settings.scheme, substeps=settings.substeps, noise=noise)
                    yield (name if noise else _FLOW + name), moved

    def code_of(self, name: str, sdes: Mapping[str, GivenSDE]) -> str:
        """What a process depends on beside the rule: the code of its SDE, or of that whose slow variable is seen."""
        given = sdes.get(name.removeprefix(_FLOW)) if name != self.rule.name else self._seen(sdes)
        if given is None:
            return ""
        sde = given.sde if isinstance(given, Control) else given
        ordered = ordered_code(sde) if sde.ordered else ""
        recursion = str(sde.rule) if isinstance(sde.rule, Recursion) else ""
        schedules = {k: s.formula for k, s in sde.rule.schedules.items()} if isinstance(sde.rule, Recursion) else {}
        kind = type(given).__name__
        return fingerprint(
            torch_code(sde),
            ordered,
            recursion,
            schedules,
            kind,
            str(sde.rate),
            str(sde.rho_exponent),
            sde.correction_order,
        )

    def _chain(self, sdes: Mapping[str, GivenSDE]) -> Process:
        settings, rule = self.settings, self.rule
        if isinstance(rule, Recursion):
            seen = self._seen(sdes)
            slow = None if seen is None else self._slow(seen)
            return RecursionProcess(self.landscape, rule, self.bound, settings.eta, settings.clock, slow)
        sampling: Any = settings.sampling
        return RuleChain(self.landscape, rule, self.bound, self.directions, settings.eta, sampling)

    def _seen(self, sdes: Mapping[str, GivenSDE]) -> SDE | None:
        """The SDE whose slow variable is looked at; None: the position."""
        slow = [sde for sde in sdes.values() if isinstance(sde, SDE) and sde.parts is not None and sde.parts.fast]
        if self.settings.observed == "x" or not slow:
            return None
        return max(slow, key=lambda each: (bool(each.correction), len(each.increments)))

    def _slow(self, sde: SDE) -> SlowVariable:
        return SlowVariable(sde, self.landscape, self.settings.eta, self.settings.rho, self.values)

    def _solution(self, name: str, given: GivenSDE) -> dict[str, Any]:
        """What a :class:`FieldProcess` takes: of an SDE of the rule with its start, of a control at the same rate."""
        sde = given.sde if isinstance(given, Control) else given
        self._check(name, sde)
        rate = effective_rate(self.rule) if isinstance(self.rule, Recursion) else Fraction(1)
        field = SDEField(self.landscape, sde, float(rate) * self.settings.eta)
        if isinstance(given, Control):
            return {"field": field, **self._symbols(given)}
        shifted = sde.parts is not None and sde.parts.fast and sde.correction_order  # as sde_start does
        begin = self._slow(sde) if shifted else None
        return {"field": field, "values": self.bound, "directions": self.directions, "begin": begin}

    def _symbols(self, control: Control) -> dict[str, Any]:
        """Values of the other rule's symbols, as far as the rule has them."""
        other = control.sde.rule
        if self.directions.estimated and other.directions == self.rule.directions:
            own = control.own({name: each for name, each in self.bound.items() if name != "rho"})
            directions = self.directions
        else:
            own, directions = control.own(self.values), Directions(other)
        return {"values": bind(other, self.landscape, self.settings.rho, own), "directions": directions}  # type: ignore[arg-type]

    def _check(self, name: str, sde: SDE) -> None:
        """Refuse what is not of the position alone, and epochs of other minibatches."""
        if len(sde.blocks) > 1:
            raise InputError(
                f"the SDE '{name}' moves {' and '.join(sde.blocks)}; on a network an SDE is of the position alone: "
                "run this one on a toy, or write friction that does not vanish with eta"
            )
        if not isinstance(sde.rule, Recursion):
            return
        sampling = sde.rule.sampling
        if sampling.family not in (None, self.landscape.size):
            raise InputError(
                f"the SDE '{name}' has epochs of a family of {sampling.family} minibatches, and the landscape has "
                f"{self.landscape.size}; give the sampling that number"
            )
        if sampling.noise_matrix() is not None:
            raise InputError(
                f"the SDE '{name}' is of epochs whose minibatches go together; on a network the epochs are "
                "Reshuffled, SingleShuffle or GivenOrder: give one of these, or run it on a toy"
            )
