"""InputError is a ValueError, so users catch it without importing ours."""

import pytest

from eigensam.ground import InputError


def test_is_a_value_error():
    with pytest.raises(ValueError, match="found, expected, repair"):
        raise InputError("found, expected, repair")
