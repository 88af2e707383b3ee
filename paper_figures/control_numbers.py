"""What the experiment on Eigen-SAM's eigenvector found: each condition beside SAM and beside SAM of equal length."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..ground.intervals import Interval
from .beyond_control import Comparison, judged
from .measurements.control_plan import Condition
from .paired_seeds import paired
from .seed_mean import seed_mean

__all__ = ["PairNumbers", "Prediction", "Row", "pair_numbers"]

Record = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One condition over all seeds.

    Attributes:
        condition: how was trained.
        records: by seed, see :func:`run_condition`.
        sam: its top eigenvalue against SAM's; None of SAM itself.
        control: against that of SAM with an equally long perturbation; None of SGD and SAM.
    """

    condition: Condition
    records: Sequence[Record]
    sam: Comparison | None = None
    control: Comparison | None = None

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
    """The numbers of all pairs; all that is compared with a control, on whichever pair, is judged together.

    Raises:
        InputError: an eigenvalue that has no logarithm.
    """
    runs = [_by_condition(pair["runs"]) for pair in result["pairs"]]
    against_sam = _compared(runs, lambda each: each != _SAM, lambda *_: _SAM)
    against_control = _compared(
        runs, lambda each: each.method == "eigen-sam", lambda _, record: Condition.of_length(record["length"])
    )
    return [
        PairNumbers(
            {key: value for key, value in pair.items() if key != "runs"},
            [
                Row(each, list(seeds.values()), against_sam.get((i, each)), against_control.get((i, each)))
                for each, seeds in mine.items()
            ],
        )
        for i, (pair, mine) in enumerate(zip(result["pairs"], runs, strict=True))
    ]


_Runs = dict[Condition, dict[int, Record]]
_SAM = Condition("sam")


def _by_condition(found: Sequence[dict[str, Any]]) -> _Runs:
    return {Condition(**run["condition"]): {each["seed"]: each for each in run["seeds"]} for run in found}


def _compared(
    runs: Sequence[_Runs], asked: Callable[[Condition], bool], control: Callable[[Condition, Record], Condition]
) -> dict[tuple[int, Condition], Comparison]:
    """Top eigenvalues of what is asked for, each beside the same seed's of its control, judged together."""
    places, values = [], []
    for i, mine in enumerate(runs):
        for condition in filter(asked, mine):
            records = mine[condition]
            over = [record["lambda_1"] for record in records.values()]
            under = [mine[control(condition, record)][seed]["lambda_1"] for seed, record in records.items()]
            places.append((i, condition))
            values.append((over, under))
    return dict(zip(places, judged(values), strict=True))
