"""Claims that two groups of a sweep decide, seed by seed."""

from .item import Claim
from .sweep import Group, paired_last
from .sweep_words import mean_text
from .verdict import NOT_RESOLVED, Verdict, above, below

__all__ = ["accuracy_claim", "ratio_claim"]

_NO_SPREAD = 1e-9  # points: rounding


def accuracy_claim(over: Group, under: Group, claim: str, paper: str) -> Claim:
    """That one group is more accurate on the test set than another.

    Accuracies are whole numbers of images, so a few seeds may differ by exactly as many; of that nothing follows, as
    the spread is then not known.

    Example:
        >>> def group(*values):
        ...     return {"seeds": [{"seed": i, "rows": [{"test_accuracy": x}]} for i, x in enumerate(values)]}
        >>> found = accuracy_claim(group(0.9, 0.91, 0.9), group(0.8, 0.8, 0.8), "a is better than b", "yes")
        >>> found.measured, found.verdict.word
        ('+10.33 ± 1.43 points', 'reproduced')
        >>> accuracy_claim(group(0.9, 0.9), group(0.8, 0.8), "a is better than b", "yes").verdict.word
        'not resolved here'
    """
    found = paired_last(over, under, "test_accuracy", scale=100.0)
    verdict = above(found, 0.0, "difference, points", 2)
    if found.half_width < _NO_SPREAD:
        verdict = Verdict(NOT_RESOLVED, f"every seed differs by {found.mean:.2f} points, so no spread is known")
    return Claim(claim, paper, f"{mean_text(found, signed=True)} points", verdict)


def ratio_claim(over: Group, under: Group, key: str, claim: str, paper: str, *, larger: bool = False) -> Claim:
    """That one group ends with a smaller value of a metric than another, or with a larger one.

    Args:
        over: the group.
        under: that it is compared with.
        key: of the metric.
        claim: in a sentence.
        paper: what the paper says of it.
        larger: whether the claim is that the ratio is above 1.
    """
    found = paired_last(over, under, key, ratio=True)
    verdict = (above if larger else below)(found, 1.0, "ratio")
    return Claim(claim, paper, f"ratio {mean_text(found, 3)}", verdict)
