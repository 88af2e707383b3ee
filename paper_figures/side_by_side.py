"""What Figures 2 and 3 share: SAM beside its SDEs on a network, in three cases."""

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from ..ground.result_store import Provenance
from .case_numbers import EXACT, RATIO, SECOND, SIGNAL, THIRD, TIME, CaseNumbers
from .item import Claim, Item, Progress, Table
from .resources import Resources
from .verdict import NOT_RESOLVED, Verdict, decide

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from .measurements.network_comparison import Case, Network

__all__ = ["SideBySide"]

Result = dict[str, Any]
"""``network``, its size, and ``cases``, see :func:`compared_case`; the stated one first."""

_PANELS = 4  # of six: the target of the stated case, ours


@dataclass(frozen=True)
class SideBySide(Item):
    """SAM, its SDEs of drift order 2 and 3, and the untruncated one, on a network.

    Cases: ``rho = eta^{1/3}`` from initialization, where the paper claims that the third order matters; a small radius;
    and ``rho = eta^{1/3}`` after steps of SGD.

    Attributes:
        network: and the comparison's size.
        small_rho: radius of the second case.
        warm_up: steps of SGD before the third.
    """

    network: "Network"
    small_rho: float = 0.05
    warm_up: int = 300

    in_the_paper = True
    described: ClassVar[str] = "network"

    def with_seeds(self, count: int) -> "SideBySide":
        """So many paths, each with an initialization of its own."""
        return replace(self, network=replace(self.network, seeds=count))

    def cases(self) -> "list[Case]":
        """The stated one, and two for contrast."""
        from .measurements.network_comparison import Case

        radius = self.network.radius
        return [
            Case("stated", radius),
            Case("small radius", self.small_rho),
            Case("warm start", radius, self.warm_up),
        ]

    def prepare(self, resources: Resources) -> None:
        """Refuse data that are not there, or too few."""
        self._used(resources)

    def size(self) -> dict[str, Any]:
        """The network, and the cases."""
        return {**asdict(self.network), "small rho": self.small_rho, "warm-up": self.warm_up}

    def key(self, resources: Resources) -> Any:
        """The size, and the examples to the last bit."""
        from ..ground.fingerprints import fingerprint

        return {**self.size(), "examples": fingerprint(*self._used(resources))}

    def made_with(self, resources: Resources) -> Provenance:
        """Networks compute in float32, observables are kept in float64."""
        import torch

        from ..ground.records import provenance
        from ..ground.workers import one_thread

        with one_thread():
            return provenance("cpu", torch.float32)

    def measure(self, resources: Resources, progress: Progress) -> Result:
        """One process for each case, where there are as many jobs."""
        from ..ground.workers import in_workers
        from .measurements.network_comparison import compared_case

        cases, used = self.cases(), self._used(resources)
        progress(0, len(cases))
        found = []
        tasks = [(self.network, case, used, self._classes(resources)) for case in cases]
        for case, numbers in zip(cases, in_workers(compared_case, tasks, min(resources.jobs, len(cases))), strict=True):
            found.append({**asdict(case), **numbers})
            progress(len(found), len(cases))
        return {"network": asdict(self.network), "cases": found}

    def plot(self, result: Result) -> "Figure":
        """Six panels: means with bands over seeds, and below each the distances of the SDEs to SAM, case by case."""
        from .side_by_side_picture import draw_cases

        return draw_cases(_numbers(result))

    def claims(self, result: Result) -> list[Claim]:
        """What intervals of paired paths say in each case."""
        stated, *others = _numbers(result)
        rows = [
            Claim(
                f"{self.label}: SAM's third-order SDE is closer to SAM than the second-order one, "
                f"at rho = eta^(1/3) = {stated.rho:.2f} {stated.start}",
                "closer: weak order 1 against 2/3",
                _counted(stated),
                _stated_verdict(stated),
            ),
            Claim(
                f"{self.label}: what the third order leaves out is less than the step size's own error",
                "not said; of one order in eta, both",
                f"the untruncated SDE is closer on {len(stated.compared(EXACT, THIRD))} of "
                f"{len(stated.panels)} panels; {_first(stated)}: third order {stated.distance(THIRD, _first(stated))}, "
                f"untruncated {stated.distance(EXACT, _first(stated))}",
                _floor_verdict(stated),
            ),
        ]
        rows += [
            Claim(
                f"{self.label}: the criterion says whether that can be seen at rho = {case.rho:.2f} {case.start}",
                f"not said; t3/t2 ≤ {RATIO:g}, S ≥ {SIGNAL:g} and ηn ≥ {TIME:g} (ours)",
                f"{case.criterion}; {_counted(case)}",
                _contrast_verdict(case),
            )
            for case in others
        ]
        return rows

    def caption(self, result: Result) -> str:
        """What was found, and what the pictures hold."""
        size, (stated, *others) = result["network"], _numbers(result)
        return (
            f"{_found(stated)} {' '.join(map(_found, others))} SAM, its SDEs and the SDE without truncation in rho "
            f"(exact drift) along the same noise; {result['cases'][0]['parameters']:,} parameters, {size['data']}, "
            f"{size['minibatches']} minibatches of {size['batch_size']}, {size['steps']} steps at eta = "
            f"{size['eta']:g}; {size['seeds']} seeds, each with an initialization of its own. Curves: the stated case, "
            "means and 95 % bands over seeds. Below each: the root mean square over time of the difference of means, "
            "with its 95 % interval, in all three cases; hollow, with an arrow: not resolved from 0, at most so much. "
            "Words: the third order is "
            "clearly closer than the second, or at most half as far."
        )

    def tables(self, result: Result) -> list[Table]:
        """All distances."""
        rows = [
            [
                f"{case.name}, ρ = {case.rho:.2f}",
                panel,
                *(case.distance(process, panel) for process in (SECOND, THIRD, EXACT)),
                _words(case, panel),
            ]
            for case in _numbers(result)
            for panel in case.panels
        ]
        header = ["case", "observable", "order 2", "order 3", "exact drift", "third against second"]
        note = (
            "Distance to SAM: (mean over time of (E Δ(t))²)^(1/2), unbiased for its square, with the 95 % jackknife "
            "interval over seeds. Closer, farther: the interval of the paired difference of squares excludes 0."
        )
        return [Table(header, rows, right=range(2, 5), note=note)]

    def notes(self, result: Result) -> list[str]:
        """The criterion, the integrator's error, types of numbers, and how sizes were chosen."""
        cases = _numbers(result)
        worst = max(error for case in result["cases"] for error in case["integrator"].values())
        return [
            "t2 and t3 are the norms of the means of the second- and third-order terms, ρ E Hu and ½ρ² E T[u,u]; noise "
            "is the root mean square of SAM's increments around their mean; S = t3 √(steps · seeds) / noise is what "
            "the second order leaves out beside the error of a mean over so many steps. "
            + " ".join(f"{case.name.capitalize()}: {case.criterion}." for case in cases),
            f"The integrator's own error is at most {worst:.1e} of the way that a path goes (an estimate, by half "
            "steps). Networks compute in float32; eigenvalues are accurate to 1e-3.",
            "The SDE of weak order 2 is not shown: at ρ ~ η^(1/3) its correction and noise promise nothing.",
            "Networks, data, numbers of steps and of seeds were chosen after looks at such runs, so that the stated "
            "case is resolved; what the counts of panels say holds for these settings.",
        ]

    def _used(self, resources: Resources) -> "list[Tensor]":
        from .measurements.network_comparison import used_data

        return used_data(self.network, self._data(resources))

    def _classes(self, resources: Resources) -> int:
        classes: int = self._data(resources).classes
        return classes

    def _data(self, resources: Resources) -> Any:
        from .used_data import used_data

        return used_data(self.network.data, resources)


def _numbers(result: Result) -> list[CaseNumbers]:
    return [CaseNumbers.of(case, result["network"]) for case in result["cases"]]


def _first(case: CaseNumbers) -> str:
    return case.panels[0]


def _counted(case: CaseNumbers) -> str:
    panel = _first(case)
    return (
        f"closer on {len(case.closer)} of {len(case.panels)} panels, at most half as far on {len(case.half)}, farther "
        f"on {len(case.farther)}; {panel}: {case.distance(THIRD, panel)} against {case.distance(SECOND, panel)}"
    )


def _stated_verdict(case: CaseNumbers) -> Verdict:
    """Closer, and clearly farther nowhere; if clearly farther on more panels than closer, the claim is wrong."""
    closer, farther = len(case.closer), len(case.farther)
    said = f"clearly closer on {closer} of {len(case.panels)} panels, at least {_PANELS} wanted (ours)"
    said += f"; farther on {farther}"
    if closer >= _PANELS and not farther:
        return decide(True, said)
    if farther > closer:
        return decide(False, said)
    return Verdict(NOT_RESOLVED, "; ".join([said, *case.unmet]))


def _floor_verdict(case: CaseNumbers) -> Verdict:
    """No difference that is seen is no proof that there is none."""
    larger = len(case.compared(EXACT, THIRD))
    said = f"the untruncated SDE is clearly closer on {larger} of {len(case.panels)} panels"
    return decide(False, said) if larger else Verdict(NOT_RESOLVED, f"{said}: intervals contain 0")


def _contrast_verdict(case: CaseNumbers) -> Verdict:
    """Where the criterion holds, the third order is to be closer on as many panels; where not, on fewer."""
    closer = len(case.closer)
    wanted = f"fewer than {_PANELS}" if case.unmet else f"at least {_PANELS}"
    said = f"clearly closer on {closer} of {len(case.panels)} panels, {wanted} expected (ours)"
    return decide((closer >= _PANELS) != bool(case.unmet), "; ".join([said, *case.unmet]))


def _found(case: CaseNumbers) -> str:
    """A sentence."""
    where = f"At ρ = {case.rho:.2f} {case.start} the third-order SDE is closer to SAM than the second-order one on"
    what = f"{len(case.closer)} of {len(case.panels)} panels"
    farther = f", farther on {len(case.farther)}" if case.farther else ""
    return f"{where} {what}{farther} ({', '.join(case.unmet) or f'S = {case.signal:.2g}'})."


def _words(case: CaseNumbers, panel: str) -> str:
    if panel in case.half:
        return "at most half as far"
    if panel in case.closer:
        return "closer"
    return "farther" if panel in case.farther else "not resolved"
