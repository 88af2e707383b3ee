"""What the experiment on Eigen-SAM's eigenvector found: each condition beside SAM and beside SAM of equal length."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..ground.intervals import Interval
from .beyond_control import LOWER, Comparison, Quantity, higher, judged
from .measurements.control_plan import FAMILIES, Condition
from .paired_seeds import paired
from .seed_mean import seed_mean

__all__ = ["PairNumbers", "Prediction", "Row", "over_looks", "pair_numbers"]

Record = dict[str, Any]

_ACCURACY = higher(0.5, "half a point", 2, unit=0.01)
_ALIGNMENT = higher(0.05, "0.05", 3)


@dataclass(frozen=True)
class Row:
    """One condition over all seeds.

    Attributes:
        condition: how was trained.
        records: by seed, see :func:`run_condition`.
        sam: its top eigenvalue against SAM's; None of SAM itself.
        control: against that of SAM with an equally long perturbation; None of SGD and SAM, as are the next two.
        accuracy: its test accuracy against that control's.
        alignment: of its perturbation with the top eigenvector, ``|cos(u, v_1)|``, against that control's.
        rescaled: its top eigenvalue at one length of the weights before batch norms, against that control's; None
            without batch norm.
    """

    condition: Condition
    records: Sequence[Record]
    sam: Comparison | None = None
    control: Comparison | None = None
    accuracy: Comparison | None = None
    alignment: Comparison | None = None
    rescaled: Comparison | None = None

    def mean(self, of: Callable[[Record], float]) -> Interval:
        """Of a number that each record has."""
        return seed_mean([of(record) for record in self.records])

    @property
    def label(self) -> str:
        """In tables."""
        c = self.condition
        if c.method == "sgd":
            return "SGD"
        if c.method == "sam":
            return "SAM" if c.length == 1 else f"SAM, {c.length:g} ρ"
        v = {"minibatch": "minibatch's v", "whole": "accurate v", "random": "random v"}[c.direction]
        return f"Eigen-SAM, α = {c.alpha:g}, k = {c.refresh_every}, {v}{', normalised' if c.normalize else ''}"


@dataclass(frozen=True)
class PairNumbers:
    """Of one network with its data.

    Attributes:
        pair: its settings, and the number of ``parameters``.
        rows: all conditions.
    """

    pair: dict[str, Any]
    rows: Sequence[Row]

    def row(self, condition: Condition) -> Row:
        """Of one condition."""
        return next(row for row in self.rows if row.condition == condition)

    def eigen_rows(self, alpha: float) -> list[Row]:
        """Eigen-SAM's, of one weight."""
        return [row for row in self.rows if row.condition.method == "eigen-sam" and row.condition.alpha == alpha]

    @property
    def alphas(self) -> list[float]:
        """Weights that were tried."""
        return sorted({row.condition.alpha for row in self.rows if row.condition.method == "eigen-sam"})

    def predicted(self, alpha: float) -> "Prediction":
        """What the perturbation's terms of the third-order SDE say, where SAM has ended."""
        eigen, longer = [], []
        for record in self.row(Condition("sam")).records:
            own, turned = record["rates"]["own"], record["rates"][f"{alpha:g}"]
            eigen.append(turned["second"] + turned["third"])
            longer.append(turned["length"] * own["second"] + turned["length"] ** 2 * own["third"])
        return Prediction(seed_mean(eigen), seed_mean(longer), paired(eigen, longer))


@dataclass(frozen=True)
class Prediction:
    """Rates of ``ln lambda_1`` in the SDE's time.

    Attributes:
        eigen: by Eigen-SAM with the exact eigenvector.
        longer: by SAM as long as that: ``c`` times its second-order rate and ``c^2`` times the third-order one.
        difference: of the two, seed by seed; below 0 the eigenvector lowers the eigenvalue faster than length does.
    """

    eigen: Interval
    longer: Interval
    difference: Interval


def pair_numbers(result: dict[str, Any]) -> list[PairNumbers]:
    """The numbers of all pairs; of each family a quantity's comparisons, on whichever pair, are judged together.

    Raises:
        InputError: an eigenvalue that has no logarithm.
    """
    runs = [_by_condition(pair["runs"]) for pair in result["pairs"]]
    others = [(i, each) for i, mine in enumerate(runs) for each in mine if each != _SAM]
    eigen = [(i, each) for i, each in others if each.method == "eigen-sam"]
    families = [[place for place in eigen if place[1].family == family] for family in FAMILIES]
    sam = _compared(runs, others, lambda record: _SAM, _lambda_1, LOWER)

    def controlled(
        value: Callable[[Record], float],
        quantity: Quantity,
        steps: Sequence[float] = (),
        of: Callable[[int], bool] = lambda pair: True,
    ) -> dict[tuple[int, Condition], Comparison]:
        asked = [[place for place in places if of(place[0])] for places in families]
        found = [_compared(runs, places, _equal_length, value, quantity, steps) for places in asked]
        return {place: comparison for family in found for place, comparison in family.items()}

    control = controlled(_lambda_1, LOWER)
    points = [100 / pair["test_examples"] for pair in result["pairs"]]
    accuracy = controlled(lambda record: float(record["test_accuracy"]), _ACCURACY, points)
    alignment = controlled(over_looks("cos_u_v1"), _ALIGNMENT)
    free = [any(r["lambda_1_rescaled"] != r["lambda_1"] for r in mine[_SAM].values()) for mine in runs]
    rescaled = controlled(lambda record: float(record["lambda_1_rescaled"]), LOWER, of=lambda pair: free[pair])
    verdicts = sam, control, accuracy, alignment, rescaled
    return [
        PairNumbers(
            {key: value for key, value in pair.items() if key != "runs"},
            [Row(each, list(seeds.values()), *(of.get((i, each)) for of in verdicts)) for each, seeds in mine.items()],
        )
        for i, (pair, mine) in enumerate(zip(result["pairs"], runs, strict=True))
    ]


_Runs = dict[Condition, dict[int, Record]]
_SAM = Condition("sam")


def _by_condition(found: Sequence[dict[str, Any]]) -> _Runs:
    return {Condition(**run["condition"]): {each["seed"]: each for each in run["seeds"]} for run in found}


def _equal_length(record: Record) -> Condition:
    return Condition.of_length(record["length"])


def _lambda_1(record: Record) -> float:
    return float(record["lambda_1"])


def over_looks(name: str) -> Callable[[Record], float]:
    """Mean over the looks of a run of a number that they have; JSON has no NaN, which is what None was."""

    def mean(record: Record) -> float:
        return seed_mean([math.nan if look[name] is None else look[name] for look in record["looks"]]).mean

    return mean


def _compared(
    runs: Sequence[_Runs],
    places: Sequence[tuple[int, Condition]],
    control: Callable[[Record], Condition],
    value: Callable[[Record], float],
    quantity: Quantity,
    steps: Sequence[float] = (),
) -> dict[tuple[int, Condition], Comparison]:
    """A number of each of these conditions beside the same seed's of its control, judged together; steps by pair."""
    values = []
    for i, condition in places:
        records = runs[i][condition]
        over = [value(record) for record in records.values()]
        under = [value(runs[i][control(record)][seed]) for seed, record in records.items()]
        values.append((over, under))
    fine = [steps[i] for i, _ in places] if steps else ()
    return dict(zip(places, judged(values, quantity, fine), strict=True))
