"""The random numbers of steps: laws, independence, and that each word is used for one thing."""

import math
from typing import get_args

import pytest
import torch

from eigensam.ground.errors import InputError
from eigensam.sde.simulation.kernels import draws as module
from eigensam.sde.simulation.kernels.draws import Draws, key_of
from eigensam.sde.simulation.scheme import Increments

from .sampling import WRONG, CoarseSquare, drawn, faults

LAWS = get_args(Increments)
FLOATS = (torch.float32, torch.float64)
DIMS = (1, 2, 3, 4, 5, 7, 8, 31, 33, 64, 65)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("law", "signs"), [("normal", 0), ("three-point", 3), ("two-point", 0), ("two-point", 2)])
def test_numbers_are_independent_and_of_their_law(law, signs, dtype):
    assert faults(Draws(law, 3, signs, dtype)) == set()


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("law", LAWS)
def test_wrong_on_purpose(wrong, law):
    kind, expected = WRONG[wrong]
    dim = 130 if law == "two-point" else 5  # so that a group takes several blocks
    few = kind(law, dim, 0, torch.float32)
    if wrong == "without the block":
        assert few.blocks > 1
        assert len(drawn(few, paths=64).unique(dim=0)) < few.group_steps * dim
    else:
        assert faults(kind(law, 2, 0, torch.float32)) == expected


def test_a_generator_of_few_bits_is_found():
    """256 radii of normal numbers."""
    assert {"law", "moments"} & faults(CoarseSquare("normal", 2, 0, torch.float32))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_step_by_itself_is_the_same(law, dtype):
    """Chunks, and paths far apart: a path's numbers are its own."""
    draws = Draws(law, 3, 2, dtype)
    whole = drawn(draws, group=5, first=2**33 - 50, paths=100)
    assert torch.equal(drawn(draws, group=5, first=2**33 - 3, paths=7), whole[:, 47:54])


# words


@pytest.mark.parametrize("signs", [0, 5])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("law", LAWS)
def test_each_word_is_used_for_one_thing(law, dtype, signs, monkeypatch):
    """Each column has another bit changed: which numbers depend on it?"""
    for dim in DIMS:
        draws = Draws(law, dim, signs, dtype)
        assert draws.group_steps & (draws.group_steps - 1) == 0
        used, counters = _dependence(draws, monkeypatch)
        assert len(set(counters)) == len(counters) == draws.blocks  # no counter twice
        normal, signed = used.split([draws.group_steps * dim, draws.group_steps * signs], 0)
        assert bool((signed.sum(1) == 1).all())  # one bit for a sign, a bit for one sign
        assert bool((signed.sum(0) <= 1).all())
        assert not bool((normal.any(0) & signed.any(0)).any())
        if law == "two-point":
            assert bool((normal.sum(1) == 1).all())
            assert bool((normal.sum(0) <= 1).all())
            continue
        words = normal.reshape(len(normal), -1, 32).any(2)  # which words a number depends on
        count = {"three-point": 1, "normal": 2 if dtype == torch.float32 else 4}[law]
        assert bool((words.sum(1) == count).all())
        assert bool((words.sum(0) == (1 if law == "three-point" else 2))[: 4 * len(normal) // draws._per_block].all())
        blocks = draws.group_steps * dim // draws._per_block
        assert blocks * draws._per_block == draws.group_steps * dim  # no word is thrown away


def _dependence(draws, monkeypatch):
    """Which number depends on which bit, shape ``(numbers, bits)``; and the numbers of the blocks."""
    counters, bits = [], 128 * draws.blocks
    words = torch.randint(0, 2**32, (4, draws.blocks, 1), generator=torch.Generator().manual_seed(draws.noise_dim))
    words = words.repeat(1, 1, bits + 1)
    if draws.increments == "three-point":
        words[:] = 2**32 - 1
    for bit in range(bits):
        whole = draws.increments == "three-point" and bit < 128 * draws._increment_blocks  # one bit hardly matters
        words[bit // 32 % 4, bit // 128, bit] ^= 2**32 - 1 if whole else 1 << (bit % 32)

    def instead(counter, key):
        rows = [int(each) for each in counter[3][:, 0]]
        counters.extend(rows)
        return tuple(word[rows] for word in words)

    with monkeypatch.context() as patch:
        patch.setattr(module, "philox", instead)
        found = drawn(draws, paths=bits + 1)
    return found[:, :-1] != found[:, -1:], counters


def test_three_points_have_their_frequencies():
    """Counted over all words, by where the value changes: two values have the same frequency, to the word."""
    draws, ends = Draws("three-point", 1, 0, torch.float64), (-(-(2**32) // 6), -(-(2**33) // 6))
    words = torch.tensor([0, ends[0] - 1, ends[0], ends[1] - 1, ends[1], 2**32 - 1])
    root = math.sqrt(3)
    assert draws._three_point(words).tolist() == [root, root, -root, -root, 0, 0]
    assert ends[1] - ends[0] == ends[0]
    assert 0 < ends[0] / 2**32 - 1 / 6 < 2**-32
    values = draws._three_point(torch.arange(0, 2**32, 2**14 - 1))
    assert bool((values.sign().diff() != 0).sum() == 2)  # it changes nowhere else
    found = drawn(draws)
    assert set(found.unique().tolist()) == {-root, 0.0, root}


def test_coins_are_the_bits_of_words():
    draws = Draws("two-point", 1, 0, torch.float64)
    words = torch.tensor([[0, 2**32 - 1, 5]])
    found = torch.stack(draws._bits([words, 0 * words, 0 * words, words], 128))
    assert found[:32].mean(0).tolist() == [-1, 1, -1 + 4 / 32]
    assert bool((found[32:96] == -1).all())
    assert torch.equal(found[96:], found[:32])


@pytest.mark.parametrize(("dtype", "bits"), [(torch.float32, 32), (torch.float64, 53)])
def test_uniform_numbers_are_never_zero_and_have_all_their_bits(dtype, bits):
    draws, size = Draws("normal", 1, 0, dtype), 1 if dtype == torch.float32 else 2
    lowest, highest = (draws._uniform([torch.tensor(word)] * size) for word in (0, 2**32 - 1))
    assert lowest.item() == 2.0 ** -(bits + 1)
    assert highest.item() == 1
    following = draws._uniform([torch.tensor(0), torch.tensor(1 << 11)] if size == 2 else [torch.tensor(1)])
    assert following.item() == pytest.approx(3 * 2.0 ** -(bits + 1), rel=1e-15)
    extreme = [torch.tensor([[0, 0, 2**32 - 1]]), torch.tensor([[0, 2**32 - 1, 2**32 - 1]])]
    normals = draws._normals(extreme * 2 if size == 1 else [extreme[0], extreme[0], extreme[1], extreme[1]])
    assert bool(torch.stack(normals).isfinite().all())
    assert max(each.max().item() for each in normals) == pytest.approx(
        math.sqrt(2 * (bits + 1) * math.log(2)), rel=1e-6
    )


def test_normal_numbers_are_box_and_mullers():
    """In double precision, by the mathematics of Python."""
    draws = Draws("normal", 1, 0, torch.float64)
    words = [torch.tensor([word]) for word in (123456789, 4000000000, 3141592653, 2718281828)]
    u, v = ((((a << 21) | (b >> 11)) + 0.5) / 2**53 for a, b in (map(int, words[:2]), map(int, words[2:])))
    radius = math.sqrt(-2 * math.log(u))
    expected = [radius * math.cos(2 * math.pi * v), radius * math.sin(2 * math.pi * v)]
    assert [float(each) for each in draws._normals(words)] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_no_noise_takes_no_words(law, dtype):
    draws = Draws(law, 0, 0, dtype)
    assert draws.blocks == 0
    for step in draws.group(key_of(0, torch.device("cpu")), torch.arange(3), torch.tensor(0)):
        assert step == ([], [])


def test_keys():
    device = torch.device("cpu")
    assert key_of(2**63 - 1, device).tolist() == [2**32 - 1, 2**31 - 1]
    for seed in (-1, 2**63, 1.0, True, "1", None):
        with pytest.raises(InputError, match=r"is not a whole number from 0 to 2\^63 - 1"):
            key_of(seed, device)


@pytest.mark.parametrize("dim", [127, 128, 129, 256, 1000])
def test_many_coins(dim):
    """More than a block holds."""
    draws = Draws("two-point", dim, 0, torch.float32)
    assert draws.group_steps == 1
    found = drawn(draws, paths=64)
    assert found.shape == (dim, 64)
    assert len(found.unique(dim=0)) == dim  # else two would be one: by accident with a probability of 1e-13
