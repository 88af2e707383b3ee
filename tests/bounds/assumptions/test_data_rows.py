"""Duplicates and independence."""

import pytest
import torch

from eigensam.bounds.assumptions import duplicates
from eigensam.bounds.assumptions.duplicates import duplicate_rows, find_duplicates
from eigensam.bounds.assumptions.known_data import FACTS, row_of
from eigensam.bounds.assumptions.subject import Subject
from eigensam.landscapes import DATA, DataSet


def images(count, seed=0):
    return torch.randn(count, 1, 3, 3, generator=torch.Generator().manual_seed(seed))


def labels(count):
    return torch.arange(count) % 3


@pytest.mark.parametrize("block", [5, 4096])
def test_against_all_distances(block, monkeypatch):
    """torch's own matrix of distances, across blocks and within one."""
    monkeypatch.setattr(duplicates, "_BLOCK", block)
    first, second = images(17), images(12, 1)
    second[3], second[7] = first[2], first[11] + 1e-3
    first[16] = first[4]
    across = find_duplicates((first, labels(17)), (second, labels(12)), 0.01)
    every = torch.cat([first, second]).flatten(1).double()
    scale = float((torch.cdist(every, every).square().sum() / 29**2).sqrt())
    distances = torch.cdist(first.flatten(1).double(), second.flatten(1).double()).min(0).values / scale
    assert across.scale == pytest.approx(scale, rel=1e-6)
    assert (across.exact, across.near, across.nearest) == (1, 2, 0.0)
    assert across.near == int((distances < 0.01).sum())
    assert across.conflicting == int(labels(12)[3] != labels(17)[2])
    within = find_duplicates((first, labels(17)), None, 0.01)
    assert (within.exact, within.near, within.nearest) == (1, 1, 0.0)
    none = find_duplicates((images(9), labels(9)), None, 0.01)
    own = torch.cdist(*[images(9).flatten(1).double()] * 2) + 9 * torch.eye(9)
    scale = float((images(9).flatten(1).double().var(0, unbiased=False).sum() * 2).sqrt())
    assert (none.exact, none.near) == (0, 0)
    assert none.nearest == pytest.approx(float(own.min()) / scale, rel=1e-5)


def test_too_much_work(monkeypatch):
    monkeypatch.setattr(duplicates, "_MOST_PRODUCTS", 10)
    found = find_duplicates((images(5), labels(5)), (images(5), labels(5)), 0.1)
    assert (found.exact, found.near, found.nearest) == (5, None, None)


def test_words_are_compared_by_their_bytes_only():
    words = torch.tensor([[1, 2], [3, 4], [1, 2]])
    assert find_duplicates((words, labels(3)), None, 0.1).exact == 1
    assert find_duplicates((words, labels(3)), None, 0.1).near is None


def rows_of(train, test, run):
    data = DataSet("digits", train, labels(len(train)), test, labels(len(test)), 3, False)
    from eigensam.bounds import AssumptionSettings

    return duplicate_rows(Subject(run, data, AssumptionSettings(), torch.device("cpu"), lambda what: None))


def test_rows(sam_run, monkeypatch):
    clean = rows_of(images(20), images(20, 1), sam_run)
    assert [row.verdict for row in clean] == ["holds", "holds"]
    leaked = rows_of(images(20), images(20), sam_run)  # wrong on purpose: the test set is the training set
    assert [row.verdict for row in leaked] == ["fails", "holds"]
    assert leaked[0].numbers["exact"] == 20
    twice = rows_of(images(20).repeat(2, 1, 1, 1), images(20, 1), sam_run)
    assert [row.verdict for row in twice] == ["holds", "fails"]
    alike = rows_of(images(20), images(20) + 1e-3, sam_run)
    assert [row.verdict for row in alike] == ["cannot be decided here", "holds"]
    assert (alike[0].numbers["exact"], alike[0].numbers["near"]) == (0, 20)
    monkeypatch.setattr(duplicates, "_MOST_PRODUCTS", 10)
    assert [row.verdict for row in rows_of(images(20), images(20, 1), sam_run)] == ["cannot be decided here"] * 2


def test_digits_have_none(table):
    for name in ("no duplicates across training and test set", "no duplicates within the training set"):
        assert table.row(name).verdict == "holds"
        assert table.row(name).numbers["exact"] == 0
        assert table.row(name).numbers["nearest"] > 0.1


def test_every_named_data_set_has_its_facts():
    assert set(FACTS) == set(DATA)
    assert all(fact.source and fact.sentence for fact in FACTS.values())


def test_independence(digits):
    row = row_of(digits)
    assert (row.verdict, row.ground, row.numbers["groups"]) == ("fails", "documented", 13)
    assert row.numbers["per_group"] == pytest.approx(1437 / 13)
    assert row.numbers["disjoint"] is False
    from sklearn.datasets import load_digits

    described = " ".join(load_digits().DESCR.split())  # the source itself
    for part in (
        "43 people, 30 contributed to the training set and different 13 to the test set",
        "copy of the test set",
    ):
        assert part in described
    own = DataSet("mine", images(4), labels(4), images(4), labels(4), 3, False)
    assert row_of(own).verdict == "cannot be decided here"
