"""One step of an optimizer is one step of the symbolic engine's rule, where its language can write the method.

ASAM and Fisher SAM scale each coordinate by itself, which the language cannot write: they have transcriptions only.
"""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.landscapes import NetworkLandscape, TiltedTorus
from eigensam.optim import CRSAM, EGR, GSAM, MSAM, SAM, USAM, EigenSAM, RandomSAM, ReverseSAM, VaSSO
from eigensam.sde import Rule, exact_increments, find_rule

from .transcriptions import BATCHES, network

RHO = 0.3


class Torus:
    """Trigonometric polynomials on the plane, three minibatches."""

    def __init__(self):
        self.landscape = TiltedTorus.random(2, seed=1)
        self.x = nn.Parameter(torch.tensor([0.4, -1.1], dtype=torch.float64))
        self.parameters = [self.x]

    def closure(self, m):
        return lambda: self.landscape.losses(self.x)[m]


class Network:
    def __init__(self):
        self.model = network()
        self.landscape = NetworkLandscape(self.model, cross_entropy, BATCHES)
        self.parameters = list(self.model.parameters())

    def closure(self, m):
        return lambda: cross_entropy(self.model(BATCHES[m][0]), BATCHES[m][1])


LANDSCAPES = pytest.mark.parametrize("landscape", [Torus, Network])


def _point(problem):
    return torch.cat([p.detach().reshape(-1) for p in problem.parameters])


def _increment(problem, optimizer, closures):
    before = _point(problem)
    optimizer.step(closures)
    return _point(problem) - before


def _unit(problem):
    v = torch.randn(problem.landscape.dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return v / v.norm()


def _with(optimizer, name, v):
    """An optimizer that has this vector already, as if from earlier steps."""
    i = 0
    for p in optimizer.parameters():
        optimizer.state[p][name] = v[i : i + p.numel()].view(p.shape).clone()
        i += p.numel()
    return optimizer


def _eigen_sam(parameters, v):
    optimizer = EigenSAM(parameters, rho=RHO, alpha=0.4, lr=1.0)
    optimizer.steps, optimizer.eigenvalue = 1, 1.0  # no refresh is due
    return _with(optimizer, "eigenvector", v)


def _vasso(parameters, v):
    optimizer = VaSSO(parameters, rho=RHO, theta=0.4, lr=1.0)
    optimizer.started = True
    return _with(optimizer, "direction", v)


GSAM_RULE = "grad(rho*unit(g)) - alpha*(g - inner(g, grad(rho*unit(g)))/norm(grad(rho*unit(g)))**2*grad(rho*unit(g)))"
CASES = {
    "sam": (find_rule("sam"), {}, lambda p, v: SAM(p, rho=RHO, lr=1.0)),
    "usam": (find_rule("usam"), {}, lambda p, v: USAM(p, rho=RHO, lr=1.0)),
    "reverse-sam": (find_rule("reverse-sam"), {}, lambda p, v: ReverseSAM(p, rho=RHO, lr=1.0)),
    "egr": (find_rule("egr"), {}, lambda p, v: EGR(p, rho=RHO, lr=1.0)),
    "cr-sam": (find_rule("cr-sam"), {"alpha": 0.4}, lambda p, v: CRSAM(p, rho=RHO, gamma=0.4, beta=0.0, lr=1.0)),
    "cr-sam, both differences": (
        "grad(rho*unit(g)) + parameter('second')*(grad(rho*unit(g)) + grad(-rho*unit(g)) - 2*g)"
        " + parameter('first')*(grad(rho*unit(g)) - grad(-rho*unit(g)))",
        {"second": 0.4, "first": 0.2},
        lambda p, v: CRSAM(p, rho=RHO, gamma=0.4, beta=0.2, lr=1.0),
    ),
    "gsam": (GSAM_RULE, {"alpha": 0.4}, lambda p, v: GSAM(p, rho=RHO, alpha=0.4, lr=1.0)),
    "eigen-sam": (find_rule("eigen-sam"), {"alpha": 0.4, "v": ...}, _eigen_sam),
    "vasso": (
        "grad(rho*unit((1 - parameter('theta'))*v + parameter('theta')*g))",
        {"theta": 0.4, "v": ...},
        _vasso,
    ),
}


def _rule(rule):
    return rule if isinstance(rule, Rule) else find_rule(rule)


@LANDSCAPES
@pytest.mark.parametrize("name", CASES)
def test_one_step(name, landscape):
    rule, values, make = CASES[name]
    problem = landscape()
    v = _unit(problem)
    values = {key: v if value is ... else value for key, value in values.items()}
    truth = exact_increments(problem.landscape, _rule(rule), _point(problem), RHO, values)
    found = _increment(problem, make(problem.parameters, v), problem.closure(1))
    torch.testing.assert_close(found, truth[1], rtol=1e-10, atol=1e-12)
    # Another minibatch, and another method, would be seen.
    assert (found - truth[0]).norm() > 1e-4
    for other in {"sgd", "sam"} - {name}:
        wrong = exact_increments(problem.landscape, find_rule(other), _point(problem) - found, RHO)
        assert (found - wrong[1]).norm() > 1e-4


@LANDSCAPES
def test_micro_batches(landscape):
    """The mean of SAM over minibatches."""
    problem = landscape()
    count = problem.landscape.size
    rule = find_rule("mean(grad(rho*unit(g)))")
    truth = exact_increments(problem.landscape, rule, _point(problem), RHO)[0]
    optimizer = MSAM(problem.parameters, rho=RHO, lr=1.0)
    found = _increment(problem, optimizer, [problem.closure(m) for m in range(count)])
    torch.testing.assert_close(found, truth, rtol=1e-10, atol=1e-12)
    joint = exact_increments(problem.landscape, find_rule("grad(rho*unit(mean(g)))"), _point(problem) - found, RHO)
    assert (found - joint.mean(0)).norm() > 1e-4


@LANDSCAPES
def test_random_perturbations(landscape):
    """The noise as a frozen direction."""
    problem = landscape()
    optimizer = RandomSAM(problem.parameters, rho=RHO, lr=1.0)
    z = optimizer._noise().flat()
    truth = exact_increments(problem.landscape, find_rule("grad(rho*v)"), _point(problem), RHO, {"v": z / z.norm()})
    found = _increment(problem, optimizer, problem.closure(1))
    torch.testing.assert_close(found, truth[1], rtol=1e-10, atol=1e-12)
