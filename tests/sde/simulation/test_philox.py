"""The generator of random words: published answers, and a twin that another library checks at 64 bits."""

import numpy as np
import pytest
import torch

from eigensam.sde.simulation.kernels.philox import philox

# Salmon, Moraes, Dror and Shaw 2011, file kat_vectors, "philox4x32 10": counter, key, answer
PUBLISHED = {
    "zeros": ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    "ones": ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    "digits of pi": (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
}
CONSTANTS = {  # by bits of a word: multipliers of words 0 and 2, and what is added to the key
    32: ((0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)),
    64: ((0xD2E7470EE14C6C93, 0xCA5A826395121157), (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)),
}


def twin(counter, key, bits=32, rounds=10):
    """As the paper has it: two words are multiplied, halves of the products swap places; in exact integers."""
    multipliers, weyl = CONSTANTS[bits]
    words = list(counter)
    for k in range(rounds):
        products = [m * word for m, word in zip(multipliers, words[::2], strict=True)]
        upper, lower = [each >> bits for each in products], [each % 2**bits for each in products]
        keys = [(each + k * step) % 2**bits for each, step in zip(key, weyl, strict=True)]
        words = [upper[1] ^ words[1] ^ keys[0], lower[1], upper[0] ^ words[3] ^ keys[1], lower[0]]
    return words


def random_words(seed, *shape, bits=32):
    return np.random.default_rng(seed).integers(0, 2**bits, shape, dtype=np.uint64)


def as_tensors(words):
    return tuple(torch.tensor(word) for word in words)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_answers(name):
    counter, key, answer = PUBLISHED[name]
    assert list(philox(tuple(counter), tuple(key))) == answer
    assert [int(word) for word in philox(as_tensors(counter), as_tensors(key))] == answer
    assert twin(counter, key) == answer


def test_the_twin_at_64_bits_is_numpys():
    for seed in range(20):
        counter, key = random_words(seed, 4, bits=64), random_words(seed + 100, 2, bits=64)
        other = np.random.Philox(counter=counter, key=key)  # it counts up before it answers
        following = [int(counter[0]) + 1, *map(int, counter[1:])]
        assert twin(following, [*map(int, key)], bits=64) == other.random_raw(4).tolist()


def test_many_counters_as_the_twin_has_them():
    """Also those whose 64-bit products wrap around to negative numbers."""
    counters, keys = random_words(0, 500, 4), random_words(1, 500, 2)
    counters[::7, 2], keys[::5, 0] = 2**32 - 1, 2**32 - 1
    found = philox(
        tuple(torch.from_numpy(word.astype(np.int64)) for word in counters.T),
        tuple(torch.from_numpy(word.astype(np.int64)) for word in keys.T),
    )
    expected = [twin(counter, key) for counter, key in zip(counters.tolist(), keys.tolist(), strict=True)]
    assert torch.stack(found, 1).tolist() == expected


@pytest.mark.parametrize("changed", range(6))
def test_one_bit_changes_half_of_all_bits(changed):
    """Of each of the counter's and the key's words; of 64 000 bits, 5 standard deviations are 1 %."""
    words, rng = random_words(2, 500, 6).astype(np.int64), np.random.default_rng(3)
    other = words.copy()
    other[:, changed] ^= 1 << rng.integers(0, 32, 500)
    a, b = (
        torch.stack(philox(as_tensors(each.T[:4]), as_tensors(each.T[4:]))).numpy().astype(np.uint64)
        for each in (words, other)
    )
    share = np.unpackbits((a ^ b).view(np.uint8)).sum() / 64_000
    assert abs(share - 0.5) < 0.01
    assert ((a ^ b) != 0).all()  # each word is changed: by accident one of 2^21 is not


def test_broadcast():
    one, many = torch.tensor(5), torch.arange(3)
    found = philox((many, one, one, one), (one, one))
    assert [word.shape for word in found] == [(3,)] * 4
    assert [int(word[2]) for word in found] == list(philox((2, 5, 5, 5), (5, 5)))
    assert all(bool(((word >= 0) & (word < 2**32)).all()) for word in found)
