"""What the experiment on Eigen-SAM's eigenvector found, in words and tables."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..ground.intervals import Interval
from .beyond_control import LOWER, Comparison
from .control_numbers import PairNumbers, Record, Row, over_looks, pair_numbers
from .item import Claim, Table
from .measurements.control_plan import FAMILIES, Condition
from .seed_mean import with_spread
from .verdict import NOT_RESOLVED, Verdict, decide

__all__ = ["control_caption", "control_claims", "control_notes", "control_tables"]

Result = dict[str, Any]

_PAPER = "the eigenvector term regularises λ₁ explicitly"
_ANSWERS = ("yes", "no", "not resolved")


def control_claims(result: Result) -> list[Claim]:
    """A row for each pair, weight and kind of eigenvector: all its verdicts, and what the SDE predicts."""
    rows = []
    for numbers in pair_numbers(result):
        for alpha in numbers.alphas:
            mine = numbers.eigen_rows(alpha)
            for title, of in _KINDS.items():
                chosen = [row for row in mine if of(row)]
                if chosen:
                    rows.append(_claim(numbers, alpha, title, chosen))
    return rows


_KINDS: dict[str, Callable[[Row], bool]] = {
    "the minibatch's eigenvector": lambda row: row.condition.direction == "minibatch" and not row.condition.normalize,
    "an accurate eigenvector": lambda row: row.condition.direction == "whole" and not row.condition.normalize,
    "a normalised perturbation": lambda row: row.condition.normalize,
    "a random vector": lambda row: row.condition.direction == "random",
}


def _claim(numbers: PairNumbers, alpha: float, title: str, rows: list[Row]) -> Claim:
    random = title == "a random vector"
    expected = {
        "a random vector": "not said; a control that should do nothing",
        "a normalised perturbation": "not said; with the third-order SDE as for the eigenvector",
    }.get(title, _PAPER)
    if expected is _PAPER:
        found = numbers.predicted(alpha)
        expected += (
            f"; its SDE, at SAM's end and with the exact eigenvector: d ln λ₁/dt = {found.eigen.mean:.3f}, of SAM as "
            f"long {found.longer.mean:.3f}, difference {with_spread(found.difference, 3)}"
        )
    judged = [(_short(row), row.control) for row in rows if row.control]
    said = "; ".join(f"{name}: {control.words}" for name, control in judged)
    does = "does not lower λ₁ below" if random else "lowers λ₁ below"
    return Claim(
        f"{numbers.pair['name']}, α = {alpha:g}, {title} {does} that of SAM of equal length, for every k",
        expected,
        f"ratio {said} (95 %, {numbers.pair['seeds']} paired seeds)",
        _judgement([(name, control.answer) for name, control in judged], wanted="no" if random else "yes"),
    )


def _judgement(answers: Sequence[tuple[str, str]], wanted: str) -> Verdict:
    """Of all answers: each is the wanted one, or one of them is the other, or some are not resolved."""
    other = {"yes": "no", "no": "yes"}[wanted]
    places = {each: [name for name, answer in answers if answer.startswith(each)] for each in ("yes", "not resolved")}
    places["no"] = [name for name, answer in answers if answer == "no"]
    meaning = {
        "yes": "lower after Holm's correction",
        "no": f"a reduction by {LOWER.within} (ours) excluded",
        "not resolved": "not resolved",
    }
    said = "; ".join(
        f"{meaning[each]} in {len(places[each])} of {len(answers)}"
        + (f" ({', '.join(places[each])})" if each != wanted else "")
        for each in (wanted, other, "not resolved")
        if places[each] or each == wanted
    )
    if places[other] or not places["not resolved"]:
        return decide(not places[other], said)
    return Verdict(NOT_RESOLVED, said)


def _short(row: Row) -> str:
    c = row.condition
    return f"k = {c.refresh_every}{', accurate' if c.normalize and c.direction == 'whole' else ''}"


def control_caption(result: Result) -> str:
    """What is drawn, and what a verdict means."""
    return (
        "Top eigenvalue of the whole training loss after training by Eigen-SAM, over that after training by SAM with "
        "a perturbation as long on root mean square (95 % over paired seeds). Filled: lower, also after Holm's "
        f"correction for all verdicts of its family. In the grey band the two differ by less than {LOWER.within}; an "
        "interval wholly above its lower edge excludes a reduction that matters. The normalised forms have SAM's own "
        "length."
    )


def control_tables(result: Result) -> list[Table]:
    """Of each pair: eigenvalues with verdicts; then accuracies, alignments and what the SDE says."""
    tables = []
    for numbers in pair_numbers(result):
        tables += [_eigenvalues(numbers), *_rescaled(numbers), _accuracies(numbers), _alignments(numbers)]
    return tables


def _eigenvalues(numbers: PairNumbers) -> Table:
    rows = [
        [
            row.label,
            _asked(row),
            with_spread(row.mean(lambda r: r["lambda_1"]), 3),
            row.sam.words if row.sam else "1",
            *_verdict(row.control),
            f"{_of(row, 'length').mean:.3f}",
            f"{_of(row, 'norm').mean:.3f}",
        ]
        for row in numbers.rows
    ]
    header = [
        "condition",
        "family",
        "λ₁",
        "over SAM's",
        "over SAM's of\nequal length",
        "beyond equal\nlength",
        "p, Holm",
        "|u|",
        "|x|",
    ]
    pair = numbers.pair
    note = (
        f"{pair['name']}: {pair['model']} ({pair['parameters']:,} parameters), {pair['data']}, learning rate "
        f"{pair['lr']:g}, momentum {pair['momentum']:g}, ρ = {pair['rho']:g}, {pair['epochs']} epochs of "
        f"{pair['train'] or 'all'} examples, {pair['seeds']} seeds. |u|: root mean square over training, in "
        "units of ρ. |x|: norm of the parameters at the end."
    )
    return Table(header, rows, right=range(1, len(header)), note=note)


def _rescaled(numbers: PairNumbers) -> list[Table]:
    """Of a pair with batch norm."""
    if not any(row.rescaled for row in numbers.rows):
        return []
    rows = [
        [row.label, with_spread(row.mean(lambda r: r["lambda_1_rescaled"]), 3), *_verdict(row.rescaled)]
        for row in _main_rows(numbers)
    ]
    header = ["condition", "λ₁, rescaled", "over SAM's of\nequal length", "beyond equal\nlength", "p, Holm"]
    note = (
        f"{numbers.pair['name']}. Each layer before a batch norm has weights as long as at the start of its training."
    )
    return [Table(header, rows, right=range(1, len(header)), note=note)]


def _main_rows(numbers: PairNumbers) -> list[Row]:
    """All but SAM of equal length: one or two seeds each."""
    return [row for row in numbers.rows if row.condition.method != "sam" or row.condition.length == 1]


def _verdict(comparison: Comparison | None) -> list[str]:
    """Three cells."""
    return [comparison.words, comparison.answer, f"{comparison.adjusted:.1g}"] if comparison else ["", "", ""]


def _asked(row: Row) -> str:
    """The family of its questions."""
    return row.condition.family if row.control else ""


def _of_perturbation(row: Row, numbers: Sequence[Callable[[Record], float]]) -> list[str]:
    """Nothing of SGD, whose records have what SAM's perturbation would do there."""
    return ["" if row.condition.method == "sgd" else _number(row.mean(each)) for each in numbers]


def _accuracies(numbers: PairNumbers) -> Table:
    rows = [
        [
            row.label,
            with_spread(row.mean(lambda r: 100 * r["test_accuracy"]), 2),
            *_verdict(row.accuracy),
            f"{_of(row, 'train_loss').mean:.4f}",
        ]
        for row in _main_rows(numbers)
    ]
    header = [
        "condition",
        "test accuracy, %",
        "less SAM's of\nequal length",
        "beyond equal\nlength",
        "p, Holm",
        "training\nloss",
    ]
    note = (
        f"{numbers.pair['name']}. Points of test accuracy, on {numbers.pair['test_examples']} images; a gain of less "
        "than half a point counts as none."
    )
    return Table(header, rows, right=range(1, len(header)), note=note)


def _alignments(numbers: PairNumbers) -> Table:
    rows = [
        [
            row.label,
            *(_number(row.mean(over_looks(name))) for name in ("cos_v_v1", "cos_g_v1")),
            *_of_perturbation(row, [over_looks("cos_u_v1")]),
            *_verdict(row.alignment),
            _number(_of(row, "cos_g_v")),
            *_of_perturbation(row, [_own_rate(name) for name in ("share", "second", "third")]),
        ]
        for row in _main_rows(numbers)
    ]
    header = [
        "condition",
        "|cos(v, v₁)|",
        "|cos(g, v₁)|",
        "|cos(u, v₁)|",
        "less SAM's of\nequal length",
        "beyond equal\nlength",
    ]
    header += ["p, Holm", "|cos(g, v)|", "share of\n∇λ₁", "2nd-order\nrate", "3rd-order\nrate"]
    note = (
        f"{numbers.pair['name']}. A gain in |cos(u, v₁)| of less than 0.05 counts as none. |cos(g, v)|: of the step's "
        "gradient with the v in use, over all steps; cosines with v₁, the whole loss's: over minibatches at "
        f"{numbers.pair['looks']} times. Share: of E⟨u, v₁⟩² ∇λ₁ in the third-order term E T[u, u] of the drift at the "
        "end. Rates: what ρ E Hu and ½ρ² E T[u, u] add to d ln λ₁/dt there; below 0 they lower it."
    )
    return Table(header, rows, right=range(1, len(header)), note=note)


def control_notes(result: Result) -> list[str]:
    """Many verdicts at once, batch norm, what the engine predicts, and how good eigenvalues are."""
    everything = pair_numbers(result)
    rows = [row for numbers in everything for row in numbers.rows]
    records = [record for numbers in everything for row in numbers.rows for record in row.records]
    worst = max(record["residual"] / record["lambda_1"] for record in records)
    open_ones = sum(not record["converged"] for record in records)
    return [
        *(_family(each, [row for row in rows if row.control and row.condition.family == each]) for each in FAMILIES),
        "So yes is said only where Holm's correction for all questions of its family, on all pairs, leaves p < 0.05 "
        "(one-sided): the chance of any wrong yes in a family is at most 5 %. The main questions were chosen before "
        "these runs, after a first measurement on digits. A no is not corrected: where the true reduction is "
        f"{LOWER.within}, each has a chance of 2.5 % to be wrong.",
        "Test accuracy and alignment are questions of their own, in the same families. Intervals are over seeds, on "
        "one training and one test set: that accuracy is better on these test images says little of others. As it "
        "comes in steps of one image, its spread over seeds is taken to be that of rounding at least.",
        "SAM of equal length has, for every seed, the radius ρ (mean over steps of |u|²)^(1/2) of that seed's run of "
        "Eigen-SAM, |u|² = 1 + α² sin²(g, v), to a quarter of a percent. ρ √(1 + α²) would be longer than any "
        "perturbation of Eigen-SAM was.",
        "Eigenvalues are those of the training loss without weight decay: with batch norm, of the mean over "
        "minibatches in train mode, of random partitions that neither the training nor an accurate v has seen. Cosines "
        "and rates are means over such minibatches, too. All eigenvalues are found by Lanczos from a random start: the "
        f"largest residual is {worst:.1g} of λ₁, {open_ones} of {len(records)} had not settled.",
        "A network with batch norm is the same function whatever the length of the weights before it, but its λ₁ falls "
        "as they grow. So there the question is asked once more of the network whose weights are as long as at first, "
        "where it is the same function in train mode.",
        "Predicted are rates along the drift alone: the noise of the SDE moves the mean of ln λ₁, too, and is not the "
        "same for both.",
        *(_predicted(numbers) for numbers in everything),
        "All of this is of small networks at constant learning rates, measured at the end of training. It says nothing "
        "of larger ones, or of other schedules.",
    ]


_FAMILIES = {
    "main": "Main questions (α = 0.2 with k = 100, as in the paper; α = 1 with the minibatch's v at every step, and "
    "with an accurate v every 20 steps)",
    "further": "Further questions",
    "random": "Random vectors",
}


def _family(name: str, rows: Sequence[Row]) -> str:
    """The answers of a family."""
    asked = {"λ₁": "control", "rescaled λ₁": "rescaled", "test accuracy": "accuracy", "alignment": "alignment"}
    found = {what: [each for row in rows if (each := getattr(row, field))] for what, field in asked.items()}
    said = [f"{len(judged)} verdicts on {what}: {_counts(judged)}" for what, judged in found.items() if judged]
    return f"{_FAMILIES[name]}. {'; '.join(said)}."


def _counts(judged: Sequence[Comparison]) -> str:
    """How many of each answer."""
    counts = {answer: sum(each.answer.startswith(answer) for each in judged) for answer in ("yes", "not resolved")}
    counts["no"] = len(judged) - sum(counts.values())
    return ", ".join(f"{counts[answer]} {answer}" for answer in _ANSWERS)


def _predicted(numbers: PairNumbers) -> str:
    """What the third-order SDE says where SAM has ended, for every weight."""
    parts = []
    sam = numbers.row(Condition("sam"))
    for alpha in numbers.alphas:
        found = numbers.predicted(alpha)
        share = sam.mean(lambda r, name=f"{alpha:g}": r["rates"][name]["share"])  # type: ignore[misc]
        parts.append(
            f"α = {alpha:g}: {with_spread(found.eigen, 3)} by Eigen-SAM with the exact eigenvector (share of ∇λ₁ "
            f"{share.mean:.2f}), {with_spread(found.longer, 3)} by SAM as long, difference "
            f"{with_spread(found.difference, 3)}"
        )
    share = sam.mean(_own_rate("share"))
    return (
        f"{numbers.pair['name']}: the third-order SDE's d ln λ₁/dt from the perturbation, where SAM has ended (its own "
        f"share of ∇λ₁ is {share.mean:.2f}): {'; '.join(parts)}."
    )


def _of(row: Row, name: str) -> Interval:
    return row.mean(lambda record: _float(record[name]))


def _float(value: float | None) -> float:
    """JSON has no NaN."""
    return math.nan if value is None else value


def _number(interval: Interval) -> str:
    return "" if math.isnan(interval.mean) else f"{interval.mean:.3f}"


def _own_rate(name: str) -> Callable[[Record], float]:
    return lambda record: _float(record["rates"]["own"][name])
