"""Which eigenvector: guard, stream, a larger batch, groups; what is said of it; loops that make the gradients."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.optim import SAM, EigenSAM

DATA = torch.randn(60, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64), torch.arange(60) % 2


def _quadratic(x, diagonal):
    return lambda: 0.5 * (torch.tensor(diagonal, dtype=torch.float64) * x**2).sum()


def _point(*values):
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


@pytest.mark.parametrize("solver", ["lanczos", "power"])
def test_an_overtaken_eigenvector_is_left(solver):
    """From an exact eigenvector no product leads away: without the guard the estimate stays with a smaller one."""
    for guard, found in ((0.1, 5.0), (0.0, 2.0)):
        x = _point(1.0, 1.0)
        optimizer = EigenSAM([x], rho=0.1, lr=0.0, refresh_every=1, iterations=12, solver=solver, guard=guard)
        optimizer.refresh(_quadratic(x, [2.0, 0.0]))
        assert optimizer.eigenvector.abs().tolist() == pytest.approx([1, 0], abs=1e-12)
        optimizer.step(_quadratic(x, [2.0, 5.0]))
        optimizer.step(_quadratic(x, [2.0, 5.0]))
        assert optimizer.eigenvalue == pytest.approx(found, rel=1e-2)


def test_what_is_said_of_the_estimate():
    x = _point(0.6, 0.8)
    optimizer = EigenSAM([x], rho=0.1, lr=0.0, refresh_every=2, iterations=2)
    assert math.isnan(optimizer.alignment)
    assert optimizer.due
    optimizer.step(_quadratic(x, [1.0, 9.0]))
    assert not optimizer.due
    assert (optimizer.eigenvalue, optimizer.residual) == (pytest.approx(9), pytest.approx(0, abs=1e-9))
    assert math.isnan(optimizer.decay)
    assert optimizer.alignment == pytest.approx(7.2 / math.hypot(0.6, 7.2))
    optimizer.step(_quadratic(x, [9.0, 1.0]))
    assert optimizer.decay != optimizer.decay  # no refresh since
    optimizer.step(_quadratic(x, [9.0, 1.0]))  # now the other axis is the top
    assert optimizer.decay == pytest.approx(0, abs=1e-9)
    optimizer.step(_quadratic(x, [9.0, 1.0]))
    optimizer.step(_quadratic(x, [9.0, 1.0]))
    assert optimizer.decay == pytest.approx(1)


def test_residual_is_that_of_the_vector_whose_value_is_given():
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(8, 8, generator=generator, dtype=torch.float64)
    a = a @ a.T
    x = nn.Parameter(torch.ones(8, dtype=torch.float64))
    optimizer = EigenSAM([x], rho=0.1, lr=0.0, iterations=3)
    optimizer.refresh(lambda: 0.5 * x @ a @ x)
    v = optimizer.eigenvector
    assert optimizer.eigenvalue == pytest.approx((v @ a @ v).item(), rel=1e-12)
    assert optimizer.residual == pytest.approx((a @ v - optimizer.eigenvalue * v).norm().item(), rel=1e-9)


def test_the_cosine_with_the_true_eigenvector():
    """Of the dense Hessian; another minibatch has another one."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    names = [name for name, _ in model.named_parameters()]
    optimizer = EigenSAM(model.parameters(), rho=0.1, lr=0.0, iterations=3)
    with pytest.raises(InputError, match="no eigenvector yet"):
        optimizer.cosine(lambda: cross_entropy(model(DATA[0]), DATA[1]))
    optimizer.step(lambda: cross_entropy(model(DATA[0]), DATA[1]))
    before = optimizer.state_dict()
    for rows in (slice(None), slice(0, 9)):

        def loss(*parts, rows=rows):
            outputs = torch.func.functional_call(model, dict(zip(names, parts, strict=True)), (DATA[0][rows],))
            return cross_entropy(outputs, DATA[1][rows])

        x = tuple(p.detach() for p in model.parameters())
        blocks = torch.autograd.functional.hessian(loss, x)
        dims = [p.numel() for p in x]
        h = torch.cat(
            [
                torch.cat([b.reshape(n, m) for b, m in zip(row, dims, strict=True)], 1)
                for row, n in zip(blocks, dims, strict=True)
            ]
        )
        truth = abs(optimizer.eigenvector @ torch.linalg.eigh(h).eigenvectors[:, -1]).item()
        found = optimizer.cosine(lambda rows=rows: cross_entropy(model(DATA[0][rows]), DATA[1][rows]), tolerance=1e-8)
        assert found == pytest.approx(truth, rel=1e-5)
        assert found < 0.9999
    assert str(optimizer.state_dict()) == str(before)
    with pytest.raises(InputError, match="has not converged"):
        optimizer.cosine(lambda: cross_entropy(model(DATA[0]), DATA[1]), max_products=2)


def test_a_refresh_by_hand_is_of_the_closure_that_is_given():
    """Also where another one is the source of refreshes within steps."""
    x = _point(0.3, 0.4)
    optimizer = EigenSAM([x], rho=0.1, lr=0.1, curvature=_quadratic(x, [7.0, 1.0]))
    optimizer.refresh(_quadratic(x, [1.0, 5.0]))
    assert optimizer.eigenvalue == pytest.approx(5)


def _stream(curvature, steps=400):
    """Minibatch Hessians ``diag + noise``: no single one has the mean's top eigenvector."""
    generator = torch.Generator().manual_seed(0)
    x = nn.Parameter(torch.ones(6, dtype=torch.float64))
    mean = torch.diag(torch.tensor([3.0, 2.0, 1.0, 1.0, 0.5, 0.5], dtype=torch.float64))
    optimizer = EigenSAM(
        [x], rho=0.0001, lr=0.0, refresh_every=20, iterations=20, solver="power", curvature=curvature, check=False
    )
    cosines = []
    for _ in range(steps):
        noise = torch.randn(6, 6, generator=generator, dtype=torch.float64)
        optimizer.step(lambda h=mean + noise + noise.T: 0.5 * x @ h @ x)
        cosines.append(abs(optimizer.eigenvector[0].item()))
    return sum(cosines[100:]) / len(cosines[100:])


def test_a_stream_of_minibatches_finds_the_mean_hessian():
    """By averaging; the minibatch's own estimate, as good as it may be, has another eigenvector each time."""
    stream, own = _stream("stream"), _stream("minibatch")
    assert stream > 0.85
    assert own < 0.75


class _Counted:
    """A Hessian ``h`` whose products are counted: each needs one double backward, for which the loss is evaluated."""

    def __init__(self, h):
        self.h, self.x = torch.tensor(h, dtype=torch.float64), _point(*([0.6, 0.8] + [0.5] * len(h))[: len(h)])

    def __call__(self):
        return 0.5 * self.x @ self.h @ self.x


@pytest.mark.parametrize(("every", "products"), [(9, 5), (10, 5), (7, 7), (6, 4), (3, 5), (100, 3)])
def test_a_stream_spends_its_products_evenly(every, products, monkeypatch):
    """p in every k steps, and never two in a step."""
    loss = _Counted([[2.0, 0.3], [0.3, 1.0]])
    optimizer = EigenSAM(
        [loss.x], rho=0.1, lr=0.0, refresh_every=every, iterations=products, curvature="stream", check=False
    )
    optimizer.step(loss)
    spent = []
    monkeypatch.setattr(EigenSAM, "_stream", lambda self, *_: spent.append(self.steps))
    for _ in range(4 * every):
        optimizer.step(loss)
    assert len(spent) == len(set(spent)) == 4 * min(products, every)
    gaps = {b - a for a, b in itertools.pairwise(spent)}
    assert gaps <= {math.floor(every / products) or 1, math.ceil(every / products)}


def test_a_stream_of_negative_curvature():
    """With p = 2 the mean of v and H v / |lambda| vanishes where v is an eigenvector: v stays what it is."""
    for p in (1, 2, 3):
        loss = _Counted([[-2.0, 0.0], [0.0, -3.0]])
        optimizer = EigenSAM([loss.x], rho=0.1, lr=0.0, refresh_every=p, iterations=p, curvature="stream", guard=0.0)
        optimizer.refresh(loss)
        optimizer.state[loss.x]["eigenvector"].copy_(torch.tensor([1.0, 0.0]))
        for _ in range(5):
            optimizer.step(loss)
            assert optimizer.eigenvector.norm().item() == pytest.approx(1)
            assert optimizer.eigenvalue == pytest.approx(-2)
            assert optimizer.decay != 0
        assert abs(optimizer.eigenvector[0].item()) == pytest.approx(1)


@pytest.mark.parametrize("value", [0.0, 1e-40])
def test_a_stream_where_the_rayleigh_quotient_is_nothing(value):
    """At a saddle H v is across v, and outweighs it by any factor."""
    h = torch.tensor([[value, 1.0], [1.0, value]])
    x = nn.Parameter(torch.tensor([0.6, 0.8]))
    optimizer = EigenSAM([x], rho=0.1, lr=0.0, refresh_every=2, iterations=2, curvature="stream", check=False)
    optimizer.refresh(lambda: 0.5 * x @ h @ x)
    optimizer.state[x]["eigenvector"].copy_(torch.tensor([1.0, 0.0]))
    optimizer.step(lambda: 0.5 * x @ h @ x)
    assert optimizer.eigenvector.abs().tolist() == pytest.approx([0, 1], abs=1e-6)


def test_the_alignment_is_that_of_the_last_step():
    """Not of one before it, and not of what diagnostics look at."""
    x = _point(0.6, 0.8)
    optimizer = EigenSAM([x], rho=0.1, lr=0.0)
    optimizer.step(_quadratic(x, [1.0, 9.0]))
    expected = 7.2 / math.hypot(0.6, 7.2)
    assert optimizer.alignment == pytest.approx(expected)
    optimizer.zero_grad()
    _quadratic(x, [1.0, 9.0])().backward()
    optimizer.first_step()
    optimizer.perturbation(torch.tensor([1.0, 0.0], dtype=torch.float64))
    _quadratic(x, [1.0, 9.0])().backward()
    optimizer.second_step()
    assert optimizer.alignment == pytest.approx(expected)
    optimizer.zero_grad()
    optimizer.step(lambda: 0.0 * (x**2).sum())
    assert math.isnan(optimizer.alignment)


def test_the_curvature_of_a_larger_batch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    whole = [lambda i=i: cross_entropy(model(DATA[0][i::3]), DATA[1][i::3]) for i in range(3)]
    optimizer = EigenSAM(model.parameters(), rho=0.1, lr=0.0, iterations=30, curvature=whole)
    optimizer.step(lambda: cross_entropy(model(DATA[0][:7]), DATA[1][:7]))
    other = EigenSAM(model.parameters(), rho=0.1, lr=0.0, iterations=30)
    other.refresh(lambda: cross_entropy(model(DATA[0]), DATA[1]))
    assert optimizer.eigenvalue == pytest.approx(other.eigenvalue, rel=1e-10)
    small = EigenSAM(model.parameters(), rho=0.1, lr=0.0, iterations=30)
    small.refresh(lambda: cross_entropy(model(DATA[0][:7]), DATA[1][:7]))
    assert small.eigenvalue != pytest.approx(other.eigenvalue, rel=1e-2)


def test_groups_with_their_own_alpha_and_without_perturbation():
    """Equation 8 by hand; parameters of rho = 0 belong neither to the gradient's norm nor to the Hessian."""
    a, b, still = _point(1.0), _point(2.0), _point(100.0)
    groups = [{"params": [a], "alpha": 0.3}, {"params": [b], "alpha": 0.6, "rho": 0.2}, {"params": [still], "rho": 0.0}]
    optimizer = EigenSAM(groups, rho=0.1, lr=0.0)
    visited = []

    def closure():
        visited.append([p.item() for p in (a, b, still)])
        return (0.5 * a**2 + 2 * b**2 + 50 * still**2).sum()

    optimizer.step(closure)
    g, v = torch.tensor([1.0, 8.0]).double(), torch.tensor([0.0, 1.0]).double()
    unit = g / g.norm()
    u = unit + torch.tensor([0.3, 0.6]).double() * (v - (unit @ v) * unit)
    assert visited[-1] == pytest.approx([1 + 0.1 * u[0].item(), 2 + 0.2 * u[1].item(), 100.0])
    assert optimizer.eigenvalue == pytest.approx(4)


def test_maximize_takes_the_top_of_the_negative():
    x, y = _point(0.3, 0.4), _point(0.3, 0.4)
    climbing = EigenSAM([x], rho=0.1, lr=0.1, maximize=True)
    falling = EigenSAM([y], rho=0.1, lr=0.1)
    for _ in range(3):
        climbing.step(lambda: -_quadratic(x, [1.0, 5.0])())
        falling.step(_quadratic(y, [1.0, 5.0]))
    assert torch.equal(x, y)
    assert climbing.eigenvalue == pytest.approx(5)
    mixed = EigenSAM([{"params": [x], "maximize": True}, {"params": [y]}], rho=0.1, lr=0.1)
    with pytest.raises(InputError, match="no common Hessian"):
        mixed.step(lambda: (x * y).sum())


def test_a_loop_that_makes_the_gradients():
    x, y = _point(0.3, 0.4), _point(0.3, 0.4)
    by_hand, twin = (EigenSAM([p], rho=0.1, lr=0.1, refresh_every=2) for p in (x, y))
    for _ in range(5):
        if by_hand.due:
            by_hand.refresh(_quadratic(x, [1.0, 5.0]))
        by_hand.zero_grad()
        _quadratic(x, [1.0, 5.0])().backward()
        by_hand.first_step()
        _quadratic(x, [1.0, 5.0])().backward()
        by_hand.second_step()
        twin.step(_quadratic(y, [1.0, 5.0]))
    torch.testing.assert_close(x, y, rtol=1e-12, atol=0)
    assert by_hand.steps == 5
    by_hand.step(_quadratic(x, [1.0, 5.0]))
    _quadratic(x, [1.0, 5.0])().backward()
    with pytest.raises(InputError, match="call refresh"):
        by_hand.first_step()


def test_parameters_that_join_later():
    """Their part of the eigenvector is zero until the next refresh: their perturbation is SAM's."""
    x, y = _point(0.3, 0.4), _point(0.5)
    optimizer = EigenSAM([x], rho=0.1, lr=0.1, alpha=0.5, refresh_every=3)
    optimizer.step(_quadratic(x, [1.0, 5.0]))
    optimizer.add_param_group({"params": [y]})
    for _ in range(3):
        optimizer.step(lambda: _quadratic(x, [1.0, 5.0])() + 10 * (y**2).sum())
    assert optimizer.eigenvalue == pytest.approx(20)
    assert optimizer.eigenvector.shape == (3,)


def test_settings_are_part_of_the_state():
    x = _point(0.3, 0.4)
    state = EigenSAM([x], rho=0.1, lr=0.1).state_dict()
    for other in ({"solver": "power"}, {"refresh_every": 7}, {"iterations": 2}, {"curvature": "stream"}):
        with pytest.raises(
            InputError, match=f"the state was saved with {next(iter(other)).replace('curvature', 'source')} ="
        ):
            EigenSAM([x], rho=0.1, lr=0.1, **other).load_state_dict(state)
    with pytest.raises(InputError, match="the state was saved with method = EigenSAM, this optimizer has SAM"):
        SAM([x], rho=0.1, lr=0.1).load_state_dict(state)


@pytest.mark.parametrize(
    ("arguments", "message"), [({"guard": -1.0}, "guard = -1.0"), ({"curvature": "all"}, "choose minibatch or stream")]
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        EigenSAM([_point(1.0)], lr=0.1, **arguments)


def test_refreshes_by_hand_leave_random_numbers_and_are_refused_where_nothing_can_be_differentiated():
    x = _point(0.3, 0.4)
    optimizer = EigenSAM([x], rho=0.1, lr=0.1)

    def closure():
        return (torch.nn.functional.dropout(x, 0.5) ** 2).sum()

    before = torch.get_rng_state()
    optimizer.refresh(closure)
    optimizer.cosine(closure)
    assert torch.equal(torch.get_rng_state(), before)
    for call in (optimizer.refresh, optimizer.cosine):
        with pytest.raises(InputError, match="inference_mode"), torch.inference_mode():
            call(closure)


def test_where_nothing_is_perturbed_no_refresh_is_due():
    """As in ``step``, which is one of the base optimizer then; asked for all the same, it was an ``IndexError``."""
    x = _point(0.3, 0.4)
    optimizer = EigenSAM([x], rho=0.0, lr=0.1)
    assert not optimizer.due
    with pytest.raises(InputError, match="no parameter is perturbed"):
        optimizer.refresh(_quadratic(x, [1.0, 2.0]))
    optimizer.param_groups[0]["rho"] = 0.1
    assert optimizer.due
    optimizer.refresh(_quadratic(x, [1.0, 2.0]))
    assert not optimizer.due
