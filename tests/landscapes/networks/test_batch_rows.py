"""Examples of batches of any structure."""

import dataclasses
from collections import UserDict
from types import MappingProxyType
from typing import NamedTuple

import pytest
import torch

from eigensam.landscapes.networks.batch_rows import (
    count_rows,
    map_tensors,
    some_rows,
    take_rows,
    tensors_of,
    versions_of,
)


class Named(NamedTuple):
    inputs: torch.Tensor
    targets: torch.Tensor


@dataclasses.dataclass(frozen=True)
class Record:
    inputs: torch.Tensor
    name: str


X, Y = torch.arange(20.0).view(10, 2), torch.arange(10)
BATCHES = [
    X,
    (X, Y),
    [X, (Y, X)],
    {"ids": X, "labels": Y, "task": "cola"},
    UserDict(ids=X, labels=Y),
    MappingProxyType({"ids": X}),
    Named(X, Y),
    Record(X, "a"),
    (X, {"labels": Y, "scale": torch.tensor(2.0)}),
]


@pytest.mark.parametrize("batch", BATCHES, ids=lambda b: type(b).__name__)
def test_structures_keep_their_types(batch):
    assert count_rows(batch) == 10
    few = some_rows(batch, 4)
    assert type(few) is type(batch) or isinstance(batch, MappingProxyType)
    assert count_rows(few) == 4
    assert [len(t) for t in tensors_of(few) if t.ndim] == [4] * sum(t.ndim > 0 for t in tensors_of(batch))
    assert next(tensors_of(few))[:, 0].tolist() == [0.0, 4.0, 8.0, 12.0]  # spread over the batch
    assert some_rows(batch, 10) is batch
    assert count_rows(take_rows(batch, slice(2, 5))) == 3
    doubled = map_tensors(batch, lambda t: 2 * t)
    assert torch.equal(next(tensors_of(doubled)), 2 * X)
    assert torch.equal(next(tensors_of(batch)), X)  # the batch itself is as it was


def test_what_has_no_rows():
    assert count_rows((X, Y[:9])) is None
    assert count_rows("text") is None
    mixed = (X, Y[:9])
    assert some_rows(mixed, 3) is mixed
    assert list(tensors_of({"a": 3})) == []


def test_writing_is_seen():
    x = torch.zeros(3)
    before = versions_of([(x, Y)])
    assert versions_of([(x, Y)]) == before
    x += 1
    assert versions_of([(x, Y)]) != before
    with torch.inference_mode():
        assert versions_of(torch.zeros(2)) == [0]
