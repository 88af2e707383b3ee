"""Code on components computes what the function does: each operation, random compositions, numbers at the edge."""

import pytest
import torch

from eigensam.ground.errors import InputError
from eigensam.sde.simulation.components import rules
from eigensam.sde.simulation.components.program import NotSplitError, Program
from eigensam.sde.simulation.components.split import split
from eigensam.sde.simulation.components.tracing import trace

from .functions import NOT_RECORDED, SPLIT, UNSPLIT

DOUBLE, SINGLE = torch.float64, torch.float32
ROUNDING = {DOUBLE: 1e-11, SINGLE: 2e-5}  # of sums in another order, relative to the vector; some functions divide


def split_of(function, arguments, names):
    return split(trace(function, arguments), arguments, names)


def points(count, dtype, seed=0):
    return torch.randn(count, 3, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def code_of(function, dtype=DOUBLE):
    return split_of(function, (torch.zeros(3, dtype=dtype),), ("x",)).function(torch.device("cpu"))


def by_components(function, x):
    """Values of the code at rows of ``x``."""
    found = code_of(function, x.dtype)(*x.unbind(1))
    columns = [each if isinstance(each, torch.Tensor) else torch.tensor(each, dtype=x.dtype) for each in found]
    return torch.stack([each.expand(len(x)) for each in columns], 1)


def agrees(function, x):
    """Whether the code's values are the function's."""
    found, expected = by_components(function, x), torch.stack([function(row.clone()) for row in x]).detach()
    assert found.dtype == expected.dtype == x.dtype
    scale = expected.abs().amax(1, keepdim=True) + 1
    return bool(((found - expected).abs() <= ROUNDING[x.dtype] * scale).all())


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@pytest.mark.parametrize("name", SPLIT)
def test_functions_are_split(name, dtype):
    assert agrees(SPLIT[name], points(7, dtype))


@pytest.mark.parametrize("name", UNSPLIT)
def test_functions_that_are_not(name):
    with pytest.raises(NotSplitError):
        code_of(UNSPLIT[name])


@pytest.mark.parametrize("name", NOT_RECORDED)
def test_a_course_that_depends_on_numbers_is_refused(name):
    with pytest.raises(InputError, match=r"cannot be recorded \(.*torch\.where for if, no \.item\(\)"):
        code_of(NOT_RECORDED[name])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + torch.randn(3, dtype=x.dtype),
        lambda x: x + torch.rand_like(x),
        lambda x: torch.nn.functional.dropout(x, 0.5),
        lambda x: x * torch.bernoulli(torch.full_like(x, 0.5)),
        lambda x: x[torch.randperm(3)],
    ],
)
def test_chance_of_its_own_is_refused(function):
    with pytest.raises(InputError, match=r"draws random numbers of its own.*enlarge G by a column"):
        code_of(function)


# random compositions

UNARY = [
    torch.sin,
    torch.tanh,
    torch.neg,
    lambda x: x.abs().sqrt(),
    lambda x: x * 0.5 + 1,
    lambda x: x.flip(0),
    lambda x: x.cumsum(0),
    lambda x: x.softmax(0),
    lambda x: x / (1 + x.norm()),
    lambda x: x[[1, 2, 0]] - x[0],
    lambda x: torch.where(x > 0, x, x.exp()),
    lambda x: torch.outer(x, x).triu()[0],
    lambda x: torch.minimum(x.sin(), x.mean()),
    lambda x: torch.func.grad(lambda y: (y * y.roll(1)).sin().sum())(x),
    lambda x: torch.stack([x.mean(), x.amin(), x.var()]),
]
BINARY = [
    torch.add,
    torch.sub,
    torch.mul,
    torch.maximum,
    torch.atan2,
    lambda x, y: x / (1 + y * y),
    lambda x, y: torch.outer(x, y) @ x,
    lambda x, y: torch.where(x > y, x, y.sin()),
    lambda x, y: torch.cat([x[:1], y[1:]]),
    lambda x, y: x.dot(y) * y,
    lambda x, y: torch.func.jvp(lambda z: z.sin() * x, (x,), (y,))[1],
]


def composition(seed, length=8):
    """A function of so many operations, each of one or two results before."""
    generator = torch.Generator().manual_seed(seed)

    def below(count):
        return int(torch.randint(count, (1,), generator=generator))

    plan = [(below(2), below(len(UNARY) * len(BINARY)), below(1000), below(1000)) for _ in range(length)]

    def function(x):
        values = [x]
        for two, which, i, j in plan:
            a, b = values[i % len(values)], values[j % len(values)]
            found = BINARY[which % len(BINARY)](a, b) if two else UNARY[which % len(UNARY)](a)
            values.append(found / (1 + found.abs().amax()))  # so that nothing grows
        return sum(values)

    return function


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@pytest.mark.parametrize("seed", range(25))
def test_random_compositions(seed, dtype):
    assert agrees(composition(seed), points(5, dtype, seed))


# numbers at the edge

EDGES = [[1, 1, 1], [0, 0, 0], [2, 2, -1], [1e300, 1, -1e300], [0.5, -0.5, 0.5], [1e-320, 1, 0]]
NOT_FINITE = [[float("inf"), 1, 2], [float("-inf"), 1, float("inf")], [float("nan"), 1, 2]]
ZERO_TIMES = {  # 0 x is 0 in the code, whatever x is
    *("cases", "truth values", "any and all", "created", "ranges", "whole numbers", "Jacobian", "Hessian", "losses"),
    *("no number", "rows", "triangles", "diagonals", "spread", "network", "its gradient", "layers", "third"),
}


@pytest.mark.parametrize("name", SPLIT)
def test_numbers_at_the_edge(name):
    """Ties, zeros, numbers that overflow, and, where no 0 is multiplied away, infinite ones and none."""
    if name.startswith("Cholesky"):
        return  # a matrix that has no factor is an error in the one and NaN in the other
    rows = torch.tensor(EDGES + ([] if name in ZERO_TIMES else NOT_FINITE), dtype=DOUBLE)
    expected = torch.stack([SPLIT[name](row.clone()) for row in rows]).detach()
    torch.testing.assert_close(by_components(SPLIT[name], rows), expected, rtol=1e-9, atol=1e-12, equal_nan=True)


def test_a_matrix_without_a_factor_gives_no_number():
    found = by_components(lambda x: torch.linalg.cholesky(torch.diag(x)).diagonal(), torch.tensor([[4.0, -1.0, 9.0]]))
    assert found[0, 0] == 2
    assert found[0, 1].isnan()


def test_times_and_empty_noise():
    """Arguments without a shape and without components."""

    def function(t, x, dw):
        return x * t.sin() + torch.ones(2, 0, dtype=x.dtype) @ dw + torch.where(t > 0.5, t, -t)

    like = (torch.zeros((), dtype=DOUBLE), torch.zeros(2, dtype=DOUBLE), torch.zeros(0, dtype=DOUBLE))
    found = split_of(function, like, ("t", "x", "dw"))
    assert found.used == {"t", "x_0", "x_1"}
    t, x = torch.tensor(0.7, dtype=DOUBLE), torch.tensor([1.0, 2.0], dtype=DOUBLE)
    torch.testing.assert_close(torch.stack(found.function(t.device)(t, *x)), function(t, x, like[2]))


def test_nothing_is_computed_twice_and_nothing_that_is_not_used():
    found = split_of(lambda x: torch.stack([x[0] * x[1], x[1] * x[0], (x.exp() * 0).sum()]), (torch.zeros(2),), ("x",))
    assert found.operations == 1
    assert found.source.count("*") == 1


def test_large_constant_matrices_stay_together():
    """And a path's product does not depend on the others."""
    matrix = torch.randn(12, 12, generator=torch.Generator().manual_seed(0))
    code = split_of(lambda x: matrix @ x, (torch.zeros(12),), ("x",))
    assert "product(" in code.source
    x = torch.randn(12, 1000, generator=torch.Generator().manual_seed(1))
    step = code.function(torch.device("cpu"))
    whole = torch.stack(step(*x))
    assert torch.equal(torch.stack(step(*x[:, :7])), whole[:, :7])
    torch.testing.assert_close(whole, matrix @ x)
    mostly_zero = torch.diag(torch.ones(12)) * 3
    assert "product(" not in split_of(lambda x: mostly_zero @ x, (torch.zeros(12),), ("x",)).source


def test_constants_are_those_of_the_moment():
    """Code is recorded once: what changes outside does not change it."""
    factor = torch.tensor(2.0)
    code = code_of(lambda x: x * factor, SINGLE)
    factor.mul_(5)
    assert [float(each) for each in code(*torch.ones(3))] == [2.0, 2.0, 2.0]


# wrong on purpose

RULES = {
    rules.aten.sum: "sums",
    rules.aten.mean: "sums",
    rules.aten.prod: "sums",
    rules.aten.amax: "extremes",
    rules.aten.max: "extremes",
    rules.aten.amin: "extremes",
    rules.aten.min: "extremes",
    rules.aten.any: "any and all",
    rules.aten.mm: "matrices",
    rules.aten.bmm: "batches",
    rules.aten.mv: "matrix times vector",
    rules.aten.dot: "matrices",
    rules.aten.cumsum: "cumulated",
    rules.aten.cumprod: "cumulated",
    rules.aten.linalg_cholesky_ex: "Cholesky",
    rules.aten.var: "spread",
    rules.aten.var_mean: "spread",
    rules.aten.index_put: "put and added",
    rules.aten.scatter: "scattered",
    rules.aten.scatter_add: "added in places",
}


def test_every_rule_is_tried():
    """``copy`` moves labels and computes nothing."""
    assert RULES.keys() == rules.RULES.keys() - {rules.aten.copy}


@pytest.mark.parametrize("packet", RULES, ids=str)
def test_a_wrong_rule_is_found(packet, monkeypatch):
    """One that rotates its result, or transposes it, or sees the first component alone."""
    right = rules.RULES[packet]

    def wrong(program, result, a, *args, **kwargs):
        found = right(program, result, a, *args, **kwargs)
        if isinstance(found, list):
            return [found[0].mT if found[0].ndim == 2 else found[1], *found[1:]]
        if found.numel() > 1:
            return found.roll(1, max(range(found.ndim), key=lambda dim: found.shape[dim]))
        return right(program, result, a[:1], *args, **kwargs)

    monkeypatch.setitem(rules.RULES, packet, wrong)
    assert not agrees(SPLIT[RULES[packet]], points(7, DOUBLE))


def test_a_wrong_sign_is_found(monkeypatch):
    """Differences of which 0 is taken away, the other way round."""
    right = Program.infix
    monkeypatch.setattr(
        Program, "infix", lambda self, name, a, b: right(self, name, *((b, a) if name == "sub" else (a, b)))
    )
    assert not agrees(SPLIT["differences"], points(7, DOUBLE))
    assert [seed for seed in range(5) if not agrees(composition(seed), points(5, DOUBLE, seed))]


@pytest.mark.parametrize("divisor", [3.0, 1e-39, 1e38, 3e38, 1e-45])
def test_quotients_by_constants_of_any_size(divisor):
    """Products by the reciprocal, except where single precision does not hold that."""
    x = torch.tensor([[0.0, 1e-40, 2.0], [1e38, -7.0, 1e-3]])
    right = x / torch.tensor(divisor)
    torch.testing.assert_close(by_components(lambda y: y / torch.tensor(divisor), x), right, rtol=3e-7, atol=0.0)
