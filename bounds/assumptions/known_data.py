"""What is documented of known data sets: whether their examples are independent draws of one distribution."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...landscapes.runs.data_set import DataSet
from .subject import Subject
from .verdict import FAILS, THEOREM_4_1, UNDECIDED, CheckedAssumption

__all__ = ["FACTS", "DataFact", "independence_row"]


@dataclass(frozen=True)
class DataFact:
    """What those who made a data set say of it.

    Attributes:
        groups: how many writers, houses or the like the training images come from; None where that is not stated.
        disjoint: whether training and test set have different groups; None where that is not stated.
        sentence: in words.
        source: who says so.
    """

    groups: int | None
    disjoint: bool | None
    sentence: str
    source: str


FACTS: Mapping[str, DataFact] = {
    "digits": DataFact(
        13,
        False,
        "They are the test part of a set of 43 writers, of whom 30 wrote the training part and 13 this one; our "
        "split draws among all images, so each writer is in training and test set, and images of one writer are alike.",
        "scikit-learn, load_digits; Alpaydin & Kaynak 1998 (UCI)",
    ),
    "mnist": DataFact(
        250,
        True,
        "The training images were written by about 250 people, hundreds by each, and images of one writer are alike; "
        "the test images are by others, so that they say more than a bound that takes images for independent.",
        "LeCun, Cortes, Burges, The MNIST database, its page",
    ),
    "svhn": DataFact(
        None,
        None,
        "Digits were cut out of photographs of house numbers, mostly several out of one.",
        "Netzer et al. 2011",
    ),
    "cifar10": DataFact(
        None,
        None,
        "Images were found by searching the web for words; 3.3 % of the test images have a near-duplicate in the "
        "training set.",
        "Krizhevsky 2009; Barz & Denzler, Do We Train on Test Data?, 2020",
    ),
    "cifar100": DataFact(
        None,
        None,
        "Images were found by searching the web for words; 10 % of the test images have a near-duplicate in the "
        "training set.",
        "Krizhevsky 2009; Barz & Denzler, Do We Train on Test Data?, 2020",
    ),
    "fashion-mnist": DataFact(
        None,
        None,
        "Images are of the articles of one shop, one for each article; articles of one make are alike, and nothing "
        "is said of them.",
        "Xiao, Rasul, Vollgraf 2017",
    ),
}
"""By the name of the data set."""

_DEPENDENT = ("digits", "mnist", "svhn", "cifar10", "cifar100")


def independence_row(subject: Subject) -> CheckedAssumption:
    """Whether examples are independent draws, as far as that is documented."""
    return row_of(subject.data)


def row_of(data: DataSet) -> CheckedAssumption:
    """The row for a data set.

    Example:
        >>> from eigensam.landscapes import load_data
        >>> row_of(load_data("digits")).verdict
        'fails'
    """
    fact = FACTS.get(data.name)
    count = len(data.train_targets)
    numbers: dict[str, Any] = {"train": count, "groups": None, "per_group": None, "disjoint": None}
    if fact is None:
        return CheckedAssumption(
            "examples are independent draws",
            (THEOREM_4_1,),
            UNDECIDED,
            "documented",
            "Nothing is known here of how the {train} examples were collected.",
            numbers,
            "Luo et al. 2024, Theorem 4.1",
        )
    numbers |= {
        "groups": fact.groups,
        "per_group": None if fact.groups is None else count / fact.groups,
        "disjoint": fact.disjoint,
    }
    reason = fact.sentence + (
        "" if fact.groups is None else " {train} training images, about {per_group} of each of {groups} writers."
    )
    verdict = FAILS if data.name in _DEPENDENT else UNDECIDED
    return CheckedAssumption(
        "examples are independent draws", (THEOREM_4_1,), verdict, "documented", reason, numbers, fact.source
    )
