"""Schemes and problems that are wrong on purpose: the tests that the right ones pass must fail them."""

from dataclasses import dataclass, replace

from torch import Tensor

from eigensam.sde.simulation.scheme import PointFunctions, Scheme

from .suite import Case


def changed(scheme: Scheme, deceive) -> Scheme:
    """The scheme whose step is given other arguments, ``deceive(scheme, sde, t, x, h, dw, signs)``."""

    def step(self, sde, t, x, h, dw, signs):
        return scheme.step(*deceive(scheme, sde, t, x, h, dw, signs))

    return type("Wrong", (type(scheme),), {"step": step})()


def transposed(case: Case) -> Case:
    return replace(case, sde=replace(case.sde, diffusion=lambda t, x: case.sde.diffusion(t, x).mT))


@dataclass
class Frozen:
    """An SDE whose time stands still during a step."""

    sde: PointFunctions
    t: Tensor

    def drift(self, t: Tensor, x: Tensor) -> Tensor:
        return self.sde.drift(self.t, x)

    def diffusion(self, t: Tensor, x: Tensor) -> Tensor:
        return self.sde.diffusion(self.t, x)


def without_signs(scheme, sde, t, x, h, dw, signs):
    return sde, t, x, h, dw, 0 * signs


def with_one_sign(scheme, sde, t, x, h, dw, signs):
    return sde, t, x, h, dw, signs * signs


def without_time(scheme, sde, t, x, h, dw, signs):
    return Frozen(sde, t), t, x, h, dw, signs


DECEITS = [
    ("platen", "T2 off its line", without_signs),
    ("platen", "T2 off its line", with_one_sign),
    ("platen", "A2", without_time),
    ("heun", "A2", without_time),
    ("splitting", "A2", without_time),
]
