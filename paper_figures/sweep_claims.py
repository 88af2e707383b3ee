"""Claims that two groups of a sweep decide, seed by seed."""

from .item import Claim
from .sweep import Group, paired_last
from .sweep_words import mean_text
from .verdict import above, below

__all__ = ["accuracy_claim", "ratio_claim"]


def accuracy_claim(over: Group, under: Group, claim: str, paper: str) -> Claim:
    """That one group is more accurate on the test set than another.

    Example:
        >>> a, b = (
        ...     {"seeds": [{"seed": i, "rows": [{"test_accuracy": x + i / 100}]} for i in range(3)]} for x in (0.9, 0.8)
        ... )
        >>> found = accuracy_claim(a, b, "a is better than b", "yes")
        >>> found.measured, found.verdict.word
        ('+10.00 ± 0.00 points', 'reproduced')
    """
    found = paired_last(over, under, "test_accuracy", scale=100.0)
    verdict = above(found, 0.0, "difference, points", 2)
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
