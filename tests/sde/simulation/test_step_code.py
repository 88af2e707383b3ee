"""A step as code on components, or in batches: the numbers of the scheme's step at each point."""

import pytest
import torch

from eigensam.sde.simulation.components import program
from eigensam.sde.simulation.ensembles.looks import Record
from eigensam.sde.simulation.kernels import step_code as module
from eigensam.sde.simulation.kernels.point_step import scheme_step
from eigensam.sde.simulation.kernels.step_code import step_code
from eigensam.sde.simulation.problems.point import PointProblem
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.problems.state import start_of
from eigensam.sde.simulation.scheme import SCHEMES
from eigensam.sde.simulation.simulate import Engine, simulate

from .components.functions import NET, SPLIT, UNSPLIT, network

H, COUNT = 0.1, 6
LOOSE = {torch.float32: 1e-4, torch.float64: 1e-10}


def mixing(t, x):
    return torch.stack([x.cos(), x * x.roll(1), t + x.sin()], 1)


def point_of(drift, dtype, diffusion=mixing, noise="general", calculus="ito"):
    problem = SDEProblem(drift, diffusion, noise, calculus)
    return PointProblem(problem, start_of(torch.tensor([0.3, -0.4, 0.7], dtype=dtype), 1), 1.0)


def compared(point, scheme="euler-maruyama"):
    """The code's states and the scheme's, shapes ``(n, d)``, and the code."""
    kind, generator = SCHEMES[scheme], torch.Generator().manual_seed(2)
    sizes = (3, point.noise_dim, kind.sign_count(point.noise_dim))
    x, dw, signs = (torch.randn(COUNT, size, dtype=point.dtype, generator=generator) for size in sizes)
    t, signs = torch.tensor(0.4, dtype=point.dtype), signs.sign()
    code = step_code(scheme_step(kind, point, H))
    with torch.no_grad():
        found = torch.stack(tuple(code.step(t, *x.T, *(dw.T / H**0.5), *signs.T)), 1)
    expected = torch.stack([kind.step(point, t, *each) for each in zip(x, [H] * COUNT, dw, signs, strict=True)])
    torch.testing.assert_close(found, expected.detach(), rtol=LOOSE[point.dtype], atol=LOOSE[point.dtype])
    return code


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", UNSPLIT)
def test_what_is_not_split_is_moved_in_batches(name, dtype):
    code = compared(point_of(lambda t, x: UNSPLIT[name](x), dtype))
    assert code.why_batched
    assert not code.source


@pytest.mark.parametrize("name", ["gradient", "network", "Cholesky", "in place", "its gradient"])
def test_what_is_split_has_a_source(name):
    code = compared(point_of(lambda t, x: SPLIT[name](x) * (1 + t), torch.float64))
    assert code.source
    assert not code.why_batched


@pytest.mark.parametrize("scheme", SCHEMES)
def test_steps_of_all_schemes(scheme):
    kind = SCHEMES[scheme]
    general = "general" in kind.weak_order
    diffusion = mixing if general else lambda t, x: torch.diag(x.cos() + t)
    noise = "general" if general else "diagonal"
    for drift in (SPLIT["sine"], UNSPLIT["sorted"]):
        compared(point_of(lambda t, x, f=drift: f(x), torch.float64, diffusion, noise, kind.calculus), scheme)


@pytest.mark.parametrize(("where", "name", "why"), [
    (module, "_MOST_OPERATIONS", "operations in components are too many to compile"),
    (program, "_MOST_VALUES", "it has more than 10 values in components"),
])  # fmt: skip
def test_what_is_too_long_is_moved_in_batches(monkeypatch, where, name, why):
    monkeypatch.setattr(where, name, 10)
    assert why in compared(point_of(lambda t, x: SPLIT["sine"](x), torch.float64)).why_batched


def test_code_is_known_by_what_it_computes():
    """Constants and all: the same functions written twice have one code, and other constants another."""

    def code(factor):
        return step_code(scheme_step(SCHEMES["euler-maruyama"], point_of(lambda t, x: factor * x, torch.float64), H))

    assert code(0.3).source == code(0.3).source
    assert code(0.3).step is code(0.3).step  # so that its compiled kernel is found again
    assert code(0.3).source != code(0.3 + 1e-16).source


@pytest.mark.parametrize("drift", [network, lambda x: network(x.sort().values)])
def test_weights_keep_no_gradients(drift):
    """They ask for them; states and statistics are plain numbers, or memory would grow with each step."""
    assert all(each.requires_grad for each in NET.parameters())
    found = simulate(
        SDEProblem(lambda t, x: drift(x), mixing),
        torch.zeros(3),
        dt=H,
        steps=3,
        paths=20,
        record=Record(trajectories=2),
        engine=Engine("eager"),
    )
    assert not found.final.requires_grad
    assert not found.trajectories.requires_grad
    assert found.final.isfinite().all()


def test_wrong_code_is_found(monkeypatch):
    """Code that gives other numbers than the functions is refused where paths start."""
    right = module.split

    def wrong(graph, arguments, names):
        found = right(graph, arguments, names)
        return type(found)(found.source.replace("sin", "tan"), found.name, found.used, found.operations)

    monkeypatch.setattr(module, "split", wrong)
    with pytest.raises(module.InputError, match="recorded, a step gives"):
        step_code(scheme_step(SCHEMES["euler-maruyama"], point_of(lambda t, x: x.sin(), torch.float64), H))
