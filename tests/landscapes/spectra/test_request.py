"""Which of the Ritz values are wanted; refusals are tested with each solver."""

import pytest

from eigensam.landscapes.spectra.request import wanted_indices


@pytest.mark.parametrize(
    ("which", "k", "size", "places"),
    [
        ("largest", 2, 5, [4, 3]),
        ("smallest", 2, 5, [0, 1]),
        ("both", 2, 5, [4, 3, 0, 1]),
        ("largest", 3, 2, [1, 0]),
        ("both", 1, 1, [0]),
        ("both", 1, 2, [1, 0]),
    ],
)
def test_places(which, k, size, places):
    assert wanted_indices(which, k, size) == places
