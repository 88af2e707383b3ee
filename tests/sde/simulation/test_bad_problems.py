"""Each refusal of a problem: of its functions, of its noise, of its blocks."""

import math

import pytest
import torch

from eigensam.sde.simulation.problems.covariance_problem import covariance_problem
from eigensam.sde.simulation.problems.point import PointProblem
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.problems.state import start_of

from .components.functions import NOT_BATCHED, NOT_RECORDED
from .refusals import BLOCKS, START, column, drift, noise, refused, run, sde, silent
from .suite import matrix


class Counter:
    """Gives another number each time."""

    def __init__(self):
        self.count = 0

    def __call__(self, t, x):
        self.count += 1
        return x * self.count


COUNTER = Counter()


class Late:
    """Changes after all checks of the functions, before the code is compared."""

    def __call__(self, t, x):
        recorded = type(x) is not torch.Tensor or torch._C._functorch.is_functorch_wrapped_tensor(x)
        return -2 * x if recorded else -x


PROBLEMS = {
    "hardly additive in a small component": (
        lambda: sde(g=lambda t, x: torch.diag(torch.stack([1 + 0 * x[0], 1e-5 * x[1]])), kind="additive"),
        "declared additive, but the diffusion depends on x",
    ),
    "not commuting in a small component": (
        lambda: sde(
            g=lambda t, x: torch.stack([torch.stack([1 + 0 * x[0], 1e-5 * x[1]]), 1e-5 * torch.stack([x[1], x[0]])]),
            kind="commuting",
        ),
        "declared commuting, but",
    ),
    "noise without derivatives": (
        lambda: sde(g=lambda t, x: torch.from_numpy(x.detach().numpy().copy())[:, None], kind="additive"),
        "the diffusion has no derivative near the start .RuntimeError",
    ),
    "in place, where it changes nothing": (lambda: sde(lambda t, x: -x.clamp_(-9, 9)), "the drift changes the point"),
    "time in place": (lambda: sde(lambda t, x: t.add_(0) * x), "the drift changes the point"),
    "sparse noise": (lambda: sde(g=lambda t, x: noise(t, x).to_sparse()), "a tensor stored as .*to_dense"),
    "a batch of one": (
        lambda: sde(lambda t, x: -x, lambda t, x: torch.ones(1, 2, 1, dtype=x.dtype), batched=True),
        r"the diffusion gives shape \(1, 2, 1\) for 5 points",
    ),
    "kind of noise": (lambda: sde(kind="white"), "noise 'white' is unknown; choose one of: additive, scalar"),
    "calculus": (lambda: sde(calculus="Ito"), "calculus 'Ito' is unknown; choose one of: ito, stratonovich"),
    "drift": (lambda: sde(1.0), "the drift is of type float; give a function of t and x"),
    "no drift": (lambda: sde(None), "the drift is of type NoneType; give a function of t and x"),
    "diffusion": (lambda: sde(g=1.0), "the diffusion is of type float; give a function of t and x"),
    **{
        f"t0 {value!r}": (lambda value=value: sde(t0=value), f"t0 = {value!r}; give a finite")
        for value in ("a", math.inf)
    },
    "start of time": (lambda: sde(t0=math.nan), "t0 = nan; give a finite number"),
    "shape of the drift": (
        lambda: sde(lambda t, x: x[:1]),
        r"the drift gives shape \(1,\) at one point; expected \(2,\)",
    ),
    "a drift for batches": (lambda: sde(lambda t, x: x[:, 0]), "the drift fails at the start"),
    "no batch": (lambda: sde(lambda t, x: -x[0], batched=True), "fails|gives shape"),
    "shape of the diffusion": (
        lambda: sde(g=lambda t, x: x),
        r"the diffusion gives shape \(2,\) .* as a column, g\[:, None\]",
    ),
    "rows of the diffusion": (
        lambda: sde(g=lambda t, x: x[None]),
        r"the diffusion gives shape \(1, 2\) .* expected \(2, 2\)",
    ),
    "type of the drift": (lambda: sde(lambda t, x: x.float()), r"the drift gives torch.float32 .* with dtype=x.dtype"),
    "type of the diffusion": (lambda: sde(g=lambda t, x: noise(t, x).half()), "the diffusion gives torch.float16"),
    "infinite drift": (lambda: sde(lambda t, x: x / 0), "the drift is not finite at the start"),
    "diffusion without a value": (lambda: sde(g=lambda t, x: noise(t, x).log()), "the diffusion is not finite"),
    "a number": (lambda: sde(lambda t, x: 1.0), "the drift gives float; expected a tensor"),
    "failure": (
        lambda: sde(lambda t, x: x @ torch.ones(3)),
        r"the drift fails at the start \(RuntimeError: .*\); it is called",
    ),
    "failure without a word": (
        lambda: sde(silent),
        r"the drift fails at the start \(ZeroDivisionError: no reason given\)",
    ),
    "in place": (lambda: sde(lambda t, x: x.mul_(-1)), "the drift changes the point that it is given; .* x.clone"),
    "chance": (lambda: sde(lambda t, x: x * torch.rand(())), "the drift gives other numbers when it is asked again"),
    "counter": (lambda: sde(g=lambda t, x: COUNTER(t, noise(t, x))), "the diffusion gives other numbers"),
    "points that mix": (lambda: sde(lambda t, x: x - x.mean(0), batched=True), "another value alone than in a batch"),
    "blocks": (lambda: sde(), "fails"),
    "outside": (lambda: sde(Late()), "recorded, a step gives .* where drift and diffusion give"),
    **{
        name: (lambda f=f: sde(lambda t, x: f(torch.cat([x, x[:1]]))[:2]), r"cannot be recorded \(")
        for name, f in NOT_RECORDED.items()
    },
    **{
        name: (
            lambda f=f: sde(lambda t, x: f(torch.cat([x, x[:1]]))[:2]),
            r"in batches it fails \(.*torch.where for a mask, no .item\(\)",
        )
        for name, f in NOT_BATCHED.items()
    },
    # another kind of noise than declared
    "not additive": (lambda: sde(kind="additive"), "declared additive, but the diffusion depends on x"),
    "hardly additive": (
        lambda: sde(g=lambda t, x: torch.ones(2, 1, dtype=x.dtype) + 1e-3 * x[:, None], kind="additive"),
        "declared additive, but the diffusion depends on x",
    ),
    "not scalar": (lambda: sde(kind="scalar"), "declared scalar, which has 1 column; the diffusion has 2"),
    "columns of diagonal noise": (
        lambda: sde(g=column, kind="diagonal"),
        "declared diagonal, which has 2 columns; .* has 1",
    ),
    "not diagonal": (lambda: sde(kind="diagonal"), "declared diagonal, but an entry off the diagonal, or another x_i"),
    "diagonal, of others": (
        lambda: sde(g=lambda t, x: torch.diag(x.flip(0)), kind="diagonal"),
        "declared diagonal, but an entry off the diagonal, or another x_i, counts",
    ),
    "not commuting": (lambda: sde(kind="commuting"), "declared commuting, but .* is not symmetric in j and k"),
    # covariances
    "covariance of another shape": (
        lambda: covariance_problem(drift, drift),
        r"the covariance gives \(2,\) at one point",
    ),
    "no covariance": (lambda: covariance_problem(drift, lambda t, x: 1.0), "the covariance gives float at one point"),
    "asymmetric": (
        lambda: covariance_problem(drift, lambda t, x: matrix((1, 0.5), (0.4, 1))),
        r"the covariance is not symmetric at .*; return \(S \+ S.T\) / 2",
    ),
    "negative": (
        lambda: covariance_problem(drift, lambda t, x: matrix((1, 2), (2, 1))),
        "the covariance is not positive semidefinite at .*: its lowest eigenvalue is -1",
    ),
    "negative a little": (
        lambda: covariance_problem(drift, lambda t, x: matrix((1, 0), (0, -1e-6))),
        "the covariance is not positive semidefinite",
    ),
}

IN_BLOCKS = {
    "a tensor": (lambda t, s: s["x"], r"functions return a dictionary of them; found Tensor"),
    "nothing": (lambda t, s: {}, r"with a start of blocks x, m, .* found \[\]"),
    "another name": (lambda t, s: {"x": s["x"], "v": s["m"]}, r"found \['x', 'v'\]"),
    "sizes that fit together": (
        lambda t, s: {"x": torch.cat([s["x"], s["m"]]), "m": s["m"][:0]},
        r"block 'x' of the drift is of shape \(2,\) at one point; expected shape \(1,\)",
    ),
    "a number in a block": (lambda t, s: {"x": 3}, "block 'x' of the drift is int at one point"),
    "another size": (lambda t, s: {"x": s["x"], "m": s["x"].repeat(2)}, r"fails at the start|gives shape|block"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems(name):
    make, match = PROBLEMS[name]
    if name == "blocks":
        refused(lambda: run(make(), BLOCKS), match)
    else:
        scheme = "milstein" if "diagonal" in name or "scalar" in name else "euler-maruyama"
        refused(lambda: run(make(), scheme=scheme), match)


@pytest.mark.parametrize("name", IN_BLOCKS)
def test_blocks(name):
    function, match = IN_BLOCKS[name]
    refused(lambda: run(sde(function, None), BLOCKS), match)


def test_starts_of_other_paths_are_tried_out():
    start = torch.zeros(1000, 1, dtype=torch.float64)
    start[700] = 2.0
    far = SDEProblem(drift, lambda t, x: torch.where(x > 1, x, 1.0)[:, None], "additive")
    refused(lambda: run(far, start, paths=1000), "declared additive, but the diffusion depends on x")
    gap = SDEProblem(lambda t, x: x / (x - 2), None)
    refused(lambda: run(gap, start, paths=1000), "the drift is not finite at the start of path 700")
    assert run(gap, start[:700], paths=700).final.isfinite().all()


def test_another_default_device():
    right = run()
    with torch.device("meta"):
        point = PointProblem(sde(), start_of(START, 20), 1.0)
    assert point.noise_dim == 2
    assert all(x.device == right.final.device for _, x in point.probes)
