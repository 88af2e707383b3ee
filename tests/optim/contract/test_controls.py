"""Controls: every kind differs from its base, and kinds that are wrong on purpose fail the checks made for them."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn

from eigensam.optim import SAM, TwoPassOptimizer
from eigensam.optim.passes import Passes
from eigensam.optim.vector import Vector

from .checks import check_buffers, check_radius, check_randomness, check_restores
from .kinds import KINDS, every_kind, network, trained


class _Method(TwoPassOptimizer):
    """SAM once more, to be broken below."""

    def __init__(self, params, base=torch.optim.SGD, *, rho=0.05, **options):
        super().__init__(params, base, groups={"rho": rho}, **options)

    def ascent(self, g):
        return g.mul_(1 / g.norm())


class _Stays(_Method):
    @contextmanager
    def shifted(self, shift):
        with torch.no_grad():
            Vector(self.parameters()).select(self.perturbed()).add_(shift)
        yield


class _Approximate(_Method):
    """Puts back by subtraction, as many implementations do."""

    @contextmanager
    def shifted(self, shift):
        moving = Vector(self.parameters()).select(self.perturbed())
        with torch.no_grad():
            moving.add_(shift)
        yield
        with torch.no_grad():
            moving.add_(shift, -1.0)


class _ForgetsTheRadius(_Method):
    def shift(self, u):
        return u.mul_(0.1)


class _Unlike(_Method):
    """Its second pass is another first one: other random numbers, and buffers move again."""

    def make_gradient(self, passes):
        loss, g = passes.gradient()
        with self.shifted(self._shift(g.select(self.perturbed()))):
            Passes(passes.parameters, passes.closures).gradient()
        return loss


def _norm():
    return network(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3))


def test_all_kinds_are_here():
    assert {"SAM", "EigenSAM"} <= {kind.__name__ for kind in KINDS}
    assert not {_Method, _Stays} & set(KINDS)


@every_kind
def test_every_kind_passes(kind):
    """That it differs from its base, and one radius from another, is part of it."""
    check_restores(kind)
    check_radius(kind)
    check_randomness(kind)
    check_buffers(kind, _norm)


def test_the_method_to_be_broken_is_right():
    check_restores(_Method)
    check_radius(_Method)
    check_randomness(_Method)
    check_buffers(_Method, _norm)
    torch.testing.assert_close(trained(_Method), trained(SAM), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", [_Stays, _Approximate], ids=lambda kind: kind.__name__)
def test_one_that_does_not_restore_fails(kind):
    with pytest.raises(AssertionError):
        check_restores(kind)


def test_one_that_forgets_the_radius_fails():
    with pytest.raises(AssertionError):
        check_radius(_ForgetsTheRadius)


def test_one_whose_passes_see_two_functions_fails():
    with pytest.raises(AssertionError):
        check_randomness(_Unlike)
    with pytest.raises(AssertionError):
        check_buffers(_Unlike, _norm)
