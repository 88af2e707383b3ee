"""The same bits in whatever order cells come, over however many processes, and through files."""

import math

import numpy as np
import pytest
from safetensors.numpy import load, save

from eigensam.ground.errors import InputError
from eigensam.sde.simulation.statistics.merge_tree import MergeTree
from eigensam.sde.simulation.statistics.moments import Moments
from eigensam.sde.simulation.statistics.observed import CellStatistics, ObservedStatistics

COUNTS = [1, 2, 3, 8, 13, 37]


def cells(count, seed=0):
    """The last one is not full, as that of an ensemble of any number of paths."""
    rng = np.random.default_rng(seed)
    parts = [rng.standard_normal((5 if i < count - 1 else 2, 2, 3)) ** 3 + 10 for i in range(count)]
    return parts, [
        CellStatistics({"x": ObservedStatistics.of(part, 0.05, [0, 5, 20]), "y": ObservedStatistics.of(part[..., :1])})
        for part in parts
    ]


def of(cells, order):
    tree = MergeTree()
    for i in order:
        tree.add(i, cells[i])
    return tree


def through_a_file(tree, read=CellStatistics.from_arrays):
    return MergeTree.from_arrays(load(save(tree.to_arrays())), read)


def bits(statistic):
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in statistic.to_arrays().items()}


@pytest.mark.parametrize("count", COUNTS)
def test_any_order(count):
    every = cells(count)[1]
    truth = bits(of(every, range(count)).result())
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(count).tolist()
        assert bits(of(every, order).result()) == truth


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("consecutive", [True, False])
def test_any_processes_and_restarts(count, consecutive):
    every = cells(count)[1]
    truth = of(every, range(count))
    for seed in range(10):
        rng = np.random.default_rng(seed)
        processes = int(rng.integers(1, 5))
        order = np.arange(count) if consecutive else rng.permutation(count)
        ends = np.sort(rng.integers(0, count + 1, processes - 1))
        trees = []
        for part in np.split(order, ends):
            stop = len(part) // 2
            tree = through_a_file(of(every, part[:stop].tolist()))
            for i in part[stop:].tolist():
                tree.add(i, every[i])
            trees.append(tree)
        merged = MergeTree()
        for i in rng.permutation(len(trees)).tolist():
            merged.merge(through_a_file(trees[i]))
        assert bits(merged) == bits(truth)
        assert bits(merged.result()) == bits(truth.result())
        assert len(merged) == count


def test_merging_as_they_come_would_fail():
    """Wrong on purpose: a running sum depends on the order in its last bits."""

    def running(order):
        result = every[order[0]]
        for i in order[1:]:
            result = result.merge(every[i])
        return bits(result)

    every = cells(8)[1]
    assert running(range(8)) != running([*range(1, 8), 0])


@pytest.mark.parametrize("count", COUNTS)
def test_against_all_values_at_once(count):
    parts, every = cells(count)
    at_once, found = ObservedStatistics.of(np.concatenate(parts), 0.05, [0, 5, 20]), of(every, range(count)).result()
    assert bits(found["x"].quantiles) == bits(at_once.quantiles)
    assert bits(found["x"].histogram) == bits(at_once.histogram)
    assert found["x"].moments.count == at_once.moments.count
    for name, array in at_once.moments.to_arrays().items():
        assert np.allclose(found["x"].moments.to_arrays()[name], array, rtol=1e-11, atol=1e-9)


def test_part_of_the_cells_is_their_own_result():
    """While a run goes on, and after a stop: what is there, in the same bits whoever has it."""
    every = cells(30)[1]
    there = [3, 4, 5, 6, 7, 20, 21, 29]
    one, two = of(every, there), of(every, there[::-1])
    assert bits(one.result()) == bits(two.result())
    assert [i for i in range(40) if i in one] == there
    assert len(one) == len(there)


def test_the_result_changes_nothing():
    every = cells(11)[1]
    tree = of(every, range(7))
    tree.result()
    for i in range(7, 11):
        tree.add(i, every[i])
    assert bits(tree.result()) == bits(of(every, range(11)).result())


@pytest.mark.parametrize("first", [0, 1, 777])
def test_consecutive_cells_take_little_memory(first):
    tree = MergeTree()
    for i in range(1000):
        tree.add(first + i, Moments.of([[float(i)]]))
        assert len(tree._nodes) <= max(1, 2 * math.log2(i + 1) + 1)
    assert tree.result().mean.item() == 499.5


def test_a_cell_counts_once():
    every = cells(8)[1]
    tree = of(every, range(6))
    for i in range(6):
        with pytest.raises(InputError, match=f"cell {i} is there already"):
            tree.add(i, every[i])
    before = bits(tree)
    for cell in (range(8), [6, 5], [4, 5], [0, 1, 2, 3, 6]):
        with pytest.raises(InputError, match="counted twice"):
            tree.merge(of(every, cell))
        assert bits(tree) == before
    with pytest.raises(InputError, match="a cell from 0 to 7 is there already"):
        of(every, [2]).merge(of(every, range(8)))
    tree.merge(of(every, [7, 6]))
    assert bits(tree) == bits(of(every, range(8)))


def test_bad_cells():
    with pytest.raises(InputError, match="counted from 0"):
        MergeTree().add(-1, Moments.of([[1.0]]))
    with pytest.raises(InputError, match="no cell"):
        MergeTree().result()
    assert len(MergeTree()) == 0


def test_different_cells_are_refused():
    one = ObservedStatistics.of([[[1.0]]])
    for other in (ObservedStatistics.of([[[1.0]]], alpha=0.1), ObservedStatistics.of([[[1.0]]], edges=[0, 2])):
        with pytest.raises(InputError, match="only one of two cells"):
            one.merge(other)
    with pytest.raises(InputError, match="statistics of x and of y cannot be merged"):
        CellStatistics({"x": one}).merge(CellStatistics({"y": one}))
