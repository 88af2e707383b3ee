"""Gradients far from 1, in types with few exponents; settings that are numbers of other libraries."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.optim import (
    ASAM,
    CRSAM,
    GSAM,
    SAM,
    XSAM,
    AwarePerturbation,
    DetSAM,
    EigenSAM,
    FisherSAM,
    FriendlySAM,
    FrobSAM,
    MomentumSAM,
    RandomSAM,
    SmoothedPerturbation,
    VaSSO,
)
from eigensam.optim.optimizers.eigen_sam import eigen_perturbation

WEIGHTS = [[0.5, -2.0, 0.25], [3.0, 0.125]]
SHAPE = torch.tensor([1.0, -0.5, 0.25, 2.0, -1.0], dtype=torch.float64)


def _sam(x, g):
    return g / g.norm()


def _asam(x, g):
    t = x.abs() + 0.01
    return t**2 * g / (t * g).norm()


def _fisher(x, g):
    inverse = 1 / (1 + 0.5 * g**2)
    return inverse * g / (g**2 * inverse).sum().sqrt()


def _eigen_unit(x, g):
    v = torch.zeros(5, dtype=torch.float64)
    v[1] = 1.0
    u = eigen_perturbation(g, v, 0.2)
    return u / u.norm()


def _make_eigen(groups, **options):
    optimizer = EigenSAM(groups, normalize=True, **options)
    optimizer.eigenvalue = 1.0
    for p, v in zip(optimizer.parameters(), ([0.0, 1.0, 0.0], [0.0, 0.0]), strict=True):
        optimizer.state[p]["eigenvector"] = torch.tensor(v, dtype=p.dtype)
    return optimizer


CASES = {
    "sam": (SAM, {}, _sam),
    "asam": (ASAM, {"eta": 0.01}, _asam),
    "fisher-sam": (FisherSAM, {"eta": 0.5}, _fisher),
    "eigen-sam": (_make_eigen, {"alpha": 0.2}, _eigen_unit),
    "eigen-sam, two alpha": (_make_eigen, {"alpha": 0.2, "second": {"alpha": 0.2 + 1e-12}}, _eigen_unit),
}
SIZES = {torch.float16: [3e-6, 1e-3, 1.0, 300.0, 2e4], torch.float32: [1e-36, 1e-21, 1.0, 3e19, 1e30]}


@pytest.mark.parametrize(("dtype", "size"), [(dtype, size) for dtype, sizes in SIZES.items() for size in sizes])
@pytest.mark.parametrize("name", CASES)
def test_perturbations_of_gradients_of_any_size(name, dtype, size):
    """Against the formula in float64, of the very same numbers."""
    make, settings, formula = CASES[name]
    parameters = [nn.Parameter(torch.tensor(each, dtype=dtype)) for each in WEIGHTS]
    settings = dict(settings)
    groups = [{"params": parameters[:1]}, {"params": parameters[1:], **settings.pop("second", {})}]
    optimizer = make(groups, rho=0.1, lr=0.1, **settings)
    g = (SHAPE * size).to(dtype)
    x = torch.cat([p.detach().double() for p in parameters])
    expected, found = formula(x, g.double()), optimizer.perturbation(g).double()
    accuracy = 4e-3 if dtype == torch.float16 else 1e-5
    smallest = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    torch.testing.assert_close(found, expected, rtol=accuracy, atol=2 * smallest)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("method", [SAM, ASAM, FisherSAM])
def test_groups_with_two_radii(method, dtype):
    """The radii, too, are multiplied in the range of the type: a step of both is two steps of one."""
    size = 2e-6 if dtype == torch.float16 else 1e-35

    def points(radii):
        parameters = [nn.Parameter(torch.ones(3, dtype=dtype)), nn.Parameter(torch.ones(2, dtype=dtype))]
        groups = [{"params": [p], "rho": rho} for p, rho in zip(parameters, radii, strict=True)]
        optimizer = method(groups, lr=0.1)
        for p in parameters:
            p.grad = torch.full_like(p, size)
        optimizer.first_step()
        return [p.detach().clone() for p in parameters]

    both, first, second = points([0.5, 1.0]), points([0.5, 0.5]), points([1.0, 1.0])
    assert torch.isfinite(both[0]).all()
    assert (both[0] > 1).all()
    assert (both[1] > 1).all()
    torch.testing.assert_close([both[0], both[1]], [first[0], second[1]], rtol=2e-3, atol=0)


def test_products_of_gradients_whose_squares_are_out_of_range():
    """GSAM's share of the plain gradient along the perturbed one."""

    def step(size, dtype):
        x = nn.Parameter(torch.tensor([1.0, 0.1], dtype=dtype))
        optimizer = GSAM([x], rho=0.1, alpha=0.4, lr=0.01 / size)
        optimizer.step(lambda: size * 0.5 * (x[0] ** 2 + 9 * x[1] ** 2))
        return x.detach().double()

    truth = step(1.0, torch.float64)
    for size in (1e-25, 1e25):
        torch.testing.assert_close(step(size, torch.float32), truth, rtol=1e-5, atol=0)


@pytest.mark.parametrize("size", [1e-44, 1e-30, 1.0, 1e30])
def test_the_formula_alone(size):
    g, v = torch.tensor([[2.0, 1.0], [0.0, 0.0]]) * size, torch.tensor([0.6, -0.8])
    expected = eigen_perturbation(g.double(), v.double(), 0.5)
    torch.testing.assert_close(eigen_perturbation(g, v, 0.5).double(), expected, rtol=1e-5, atol=1e-6)
    assert expected[1].tolist() == [0.0, 0.0]
    assert expected[0].norm() >= 1


SETTINGS = [
    (SAM, {"rho": 0.1}),
    (ASAM, {"rho": 0.1, "eta": 0.5}),
    (FisherSAM, {"rho": 0.1, "eta": 0.5}),
    (GSAM, {"rho": 0.1, "alpha": 0.5}),
    (VaSSO, {"rho": 0.1, "theta": 0.5}),
    (FriendlySAM, {"rho": 0.1, "sigma": 0.5, "decay": 0.25}),
    (CRSAM, {"rho": 0.1, "gamma": 0.5, "beta": 0.25}),
    (MomentumSAM, {"rho": 0.1, "decay": 0.25}),
    (SmoothedPerturbation, {"rho": 0.1, "tolerance": 2.0, "far": 0.5, "seed": 3}),
    (AwarePerturbation, {"rho": 0.1, "tolerance": 2.0, "far": 0.5, "seed": 3}),
    (FrobSAM, {"rho": 0.1, "weight": 0.0625, "samples": 3, "seed": 3}),
    (DetSAM, {"rho": 0.1, "weight": 0.5, "samples": 2, "scale": 2.0, "seed": 3}),
    (RandomSAM, {"rho": 0.1, "seed": 3}),
    (XSAM, {"rho": 0.1, "alpha": 0.5, "guard": 0.25, "refresh_every": 2, "iterations": 2, "seed": 3}),
    (EigenSAM, {"rho": 0.1, "alpha": 0.5, "guard": 0.25, "refresh_every": 2, "iterations": 2, "seed": 3}),
]
KINDS = {
    "float32": lambda value: np.float32(value) if isinstance(value, float) else np.int32(value),
    "array": lambda value: np.array(value),
    "tensor": lambda value: torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else torch.int64),
    "changed later": lambda value: value,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("method", "settings"), SETTINGS)
def test_numbers_of_other_libraries(method, settings, kind):
    """Work as Python's do, in steps and in what is saved."""

    def run(settings, later):
        x, y = (nn.Parameter(torch.tensor(each, dtype=torch.float64)) for each in ([1.0, -0.5], [0.3]))
        other = {"rho": settings["rho"] * 2, **({"alpha": settings["alpha"] * 2} if "alpha" in settings else {})}
        optimizer = method([{"params": [x]}, {"params": [y], **other}], lr=0.1, **settings)
        if later:  # groups belong to the user, who may put anything there
            for group in optimizer.param_groups:
                group.update({each: np.float32(group[each]) for each in ("rho", "alpha") if each in group})
        for _ in range(3):
            optimizer.step(lambda: (x**4).sum() + (x.sum() * y).sum() + (y**2).sum())
        kept = {name: getattr(optimizer, name) for name in method.kept_settings}
        return torch.cat([x, y]).detach(), kept

    expected, kept = run(settings, later=False)
    found, also = run({name: KINDS[kind](value) for name, value in settings.items()}, later=kind == "changed later")
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    assert also == kept
    assert {name: type(value) for name, value in also.items()} == {name: type(value) for name, value in kept.items()}


@pytest.mark.parametrize("setting", ["refresh_every", "iterations"])
@pytest.mark.parametrize("value", [0, 2.5, math.inf, math.nan])
def test_counts_are_whole_numbers(setting, value):
    with pytest.raises(InputError, match=f"{setting} = {value}.*whole numbers"):
        EigenSAM([nn.Parameter(torch.ones(2))], rho=0.1, lr=0.1, **{setting: value})


@pytest.mark.parametrize(("method", "settings"), SETTINGS)
def test_the_default_type_does_not_matter(method, settings):
    """What is drawn and checked is of types of its own: the steps are the same, bit for bit."""

    def run():
        x = nn.Parameter(torch.tensor([1.0, -0.5, 0.25], dtype=torch.float32))
        optimizer = method([x], lr=0.1, **settings)
        for _ in range(4):
            optimizer.step(lambda: (x**4).sum() + x.prod())
        return x.detach()

    expected, before = run(), torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(run(), expected)
    finally:
        torch.set_default_dtype(before)
