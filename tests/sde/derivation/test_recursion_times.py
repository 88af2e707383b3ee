"""How long derivations of recursions take: order 1 below 2 seconds, order 2 below 20."""

import time

import pytest

from eigensam.ground import InputError
from eigensam.sde import derive

from .recursions import EPOCHS, TRAINED

ALL = {**TRAINED, **{f"epochs: {name}": trained for name, trained in EPOCHS.items()}}

REFUSED = {
    "VaSSO",
    "VaSSO in the increment",
    "momentum-SAM",
    "one ascent for both",
    "two draws",
    "two draws with momentum",
}
"""At order 2 and ``rho = c eta^{1/3}``, where their noise is no covariance over one minibatch."""


def seconds(name, order, exponent):
    start = time.process_time()
    sde = derive(ALL[name].recursion, order, exponent)
    assert sde.weak_order >= order
    return time.process_time() - start


@pytest.mark.parametrize("exponent", ["1", "1/3"])
@pytest.mark.parametrize("name", list(ALL))
def test_the_first_order(name, exponent):
    assert seconds(name, 1, exponent) < 2


@pytest.mark.parametrize("exponent", ["2/3", "1/2"])
@pytest.mark.parametrize("name", ["SAM with momentum", "VaSSO", "momentum-SAM", "epochs: reshuffled, decay"])
def test_the_second_order(name, exponent):
    assert seconds(name, 2, exponent) < 20


@pytest.mark.parametrize("name", sorted({*ALL} - {"momentum-SAM"}))
def test_the_second_order_with_a_large_radius(name):
    if name in REFUSED:
        with pytest.raises(InputError, match="no covariance over one minibatch"):
            seconds(name, 2, "1/3")
    else:
        assert seconds(name, 2, "1/3") < 20
