"""The abstraction, on every analytic landscape: two truths for each derivative (sympy, dense torch.func)."""

import pytest
import sympy
import torch

from eigensam.ground import InputError
from eigensam.landscapes import Landscape, Quadratic, TiltedTorus, Valley
from eigensam.landscapes.landscape import contracted_gradient_of, taylor_terms

LANDSCAPES = {
    "quadratic": Quadratic([[3.0, 1.0], [1.0, 2.0]], centres=[[1.0, 0.0], [-1.0, 0.5], [0.0, -0.5]]),
    "quadratics": Quadratic([[[3.0, 1.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 4.0]]], centres=[[1.0, 0.0], [-1.0, 0.5]]),
    "valley": Valley(),
    "torus-1": TiltedTorus.default(1),
    "torus-2": TiltedTorus.default(2),
    "torus-3": TiltedTorus.default(3),
}


@pytest.fixture(params=LANDSCAPES, name="landscape")
def _landscape(request):
    return LANDSCAPES[request.param]


@pytest.fixture(name="x")
def _x(landscape):
    return torch.randn(landscape.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture(name="u")
def _u(landscape):
    shape = (landscape.size, landscape.dim)
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_derivatives_equal_dense_ones(landscape, x, u):
    """Truth: torch.func.hessian of one minibatch at a time, and its derivative by jacfwd."""
    for m in range(landscape.size):
        minibatch = lambda point, m=m: landscape.losses(point)[m]  # noqa: E731
        hessian = torch.func.hessian(minibatch)
        third = torch.func.jacfwd(hessian)(x)
        torch.testing.assert_close(landscape.gradients(x)[m], torch.func.grad(minibatch)(x))
        torch.testing.assert_close(landscape.hessian_products(x, u)[m], hessian(x) @ u[m], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(
            landscape.third_products(x, u)[m], torch.einsum("ijk,i,j->k", third, u[m], u[m]), rtol=1e-10, atol=1e-12
        )


def _symbolic(name, symbols):
    """The minibatches' losses, written a second time in sympy."""
    f = LANDSCAPES[name]
    if name.startswith("quadratic"):
        offsets = [sympy.Matrix([s - c for s, c in zip(symbols, row, strict=True)]) for row in f.centres.tolist()]
        matrices = f.hessian.tolist() if f.hessian.ndim == 3 else [f.hessian.tolist()] * f.size
        return [(o.T * sympy.Matrix(a) * o)[0] / 2 for o, a in zip(offsets, matrices, strict=True)]
    if name == "valley":
        a, b = symbols
        s = f.sharp - (f.sharp - f.flat) * sympy.exp(-(a**2) / 2)
        return [s * b**2 / 2 + n * b for n in f.noise.tolist()]
    waves = [sum(k * s for k, s in zip(row, symbols, strict=True)) for row in f.frequencies.tolist()]
    return [
        sum(c * s for c, s in zip(tilt, symbols, strict=True))
        + sum(a * sympy.cos(w + p) for a, w, p in zip(amplitudes, waves, phases, strict=True))
        for tilt, amplitudes, phases in zip(f.tilts.tolist(), f.amplitudes.tolist(), f.phases.tolist(), strict=True)
    ]


@pytest.mark.parametrize("name", LANDSCAPES)
def test_derivatives_equal_sympy(name):
    landscape = LANDSCAPES[name]
    symbols = sympy.symbols(f"x:{landscape.dim}")
    x = [0.4, -0.9, 0.2][: landscape.dim]
    u = [0.7, 1.1, -0.6][: landscape.dim]
    at = dict(zip(symbols, x, strict=True))
    point, direction = torch.tensor(x, dtype=torch.float64), torch.tensor(u, dtype=torch.float64)
    for m, loss in enumerate(_symbolic(name, symbols)):
        along = lambda e: sum(a * sympy.diff(e, s) for a, s in zip(u, symbols, strict=True))  # noqa: E731
        for expression, ours in (
            (loss, landscape.gradients(point)),
            (along(loss), landscape.hessian_products(point, direction)),
            (along(along(loss)), landscape.third_products(point, direction)),
        ):
            truth = [float(sympy.diff(expression, s).subs(at)) for s in symbols]
            assert ours[m].tolist() == pytest.approx(truth, rel=1e-10, abs=1e-12)
        assert float(landscape.losses(point)[m]) == pytest.approx(float(loss.subs(at)), rel=1e-12)


def test_a_batch_of_points_equals_points_one_by_one(landscape, u):
    points = torch.randn(5, landscape.dim, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert landscape.losses(points[:, None]).shape == (5, landscape.size)
    for method in (landscape.hessian_products, landscape.third_products):
        batched = method(points[:, None], u)
        assert batched.shape == (5, landscape.size, landscape.dim)
        torch.testing.assert_close(batched, torch.stack([method(p, u) for p in points]))


def test_minibatches_may_sit_at_their_own_points(landscape, u):
    own = landscape.gradients(u)
    for m in range(landscape.size):
        torch.testing.assert_close(own[m], landscape.gradients(u[m])[m])


def test_singular_methods_are_means(landscape, x, u):
    torch.testing.assert_close(landscape.loss(x), landscape.losses(x).mean())
    torch.testing.assert_close(landscape.gradient(x), landscape.gradients(x).mean(0))
    torch.testing.assert_close(landscape.hessian_product(x, u[0]), landscape.hessian_products(x, u[0]).mean(0))
    torch.testing.assert_close(landscape.third_product(x, u[0]), landscape.third_products(x, u[0]).mean(0))


def test_taylor_gradient_is_the_sum_of_its_terms(landscape, x, u):
    c = [1.0, 0.3, 0.3**2 / 2]
    terms = (landscape.gradients(x), landscape.hessian_products(x, u), landscape.third_products(x, u))
    torch.testing.assert_close(
        landscape.taylor_gradients(x, u, c), sum(a * t for a, t in zip(c, terms, strict=True)), rtol=1e-10, atol=1e-12
    )


def test_top_eigenvector_contraction_is_the_gradient_of_the_eigenvalue():
    """T[v, v] = grad lambda on the valley, where lambda(x, 0) = s(x) in closed form."""
    f = Valley(flat=1.0, sharp=5.0)
    x = torch.tensor([0.8, 0.0], dtype=torch.float64)
    v = torch.tensor([0.0, 1.0], dtype=torch.float64)
    slope = 4.0 * 0.8 * torch.exp(torch.tensor(-0.32)).item()
    assert f.third_product(x, v).tolist() == pytest.approx([slope, 0.0], rel=1e-6)


def test_linear_loss_has_no_higher_terms():
    x = torch.ones(3, 2)
    assert contracted_gradient_of(lambda p: p.sum(-1), x, taylor_terms(x, (1.0, 1.0, 1.0))).equal(torch.ones(3, 2))


@pytest.mark.parametrize("shape", [(3,), (5, 2), (2, 2), ()])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(InputError, match=r"x has shape .*; expected \(2,\).*minibatch axis"):
        Valley().losses(torch.zeros(shape, dtype=torch.float64))


def test_a_direction_is_needed():
    with pytest.raises(InputError, match="needs a direction u"):
        Valley().taylor_gradients(torch.zeros(2, dtype=torch.float64), None, (1.0, 1.0))


def test_contracted_gradients_with_different_directions():
    """A mixed third derivative by polarisation, coefficients per minibatch, and sums with one last pass."""
    f = TiltedTorus.default(2)
    x, a, b = torch.randn(3, 4, 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mixed = f.contracted_gradients(x, [(1.0, (a, b))])
    third = f.third_products
    torch.testing.assert_close(mixed, (third(x, a + b) - third(x, a) - third(x, b)) / 2)
    c = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = f.contracted_gradients(x, [(c, (a,)), (2.0, ()), (c[:, :1], (a, b))])
    truth = c[..., None] * f.hessian_products(x, a) + 2 * f.gradients(x) + c[:, :1, None] * mixed
    torch.testing.assert_close(found, truth)
    torch.testing.assert_close(
        f.contracted_gradient(x, [(c, (a,)), (2.0, ())]), (truth - c[:, :1, None] * mixed).mean(-2)
    )
    shared = f.contracted_gradients(x[0, 0], [(c, (a,))])  # the coefficients bring the batch
    torch.testing.assert_close(shared, c[..., None] * f.hessian_products(x[0, 0], a))


@pytest.mark.parametrize("name", [name for name in LANDSCAPES if name != "valley"])
def test_closed_forms_equal_automatic_differentiation(name):
    """What a landscape overrides against what it overrides, with everything that a caller may pass."""
    f = LANDSCAPES[name]
    generator = torch.Generator().manual_seed(4)

    def random(*shape):
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    point, own = random(f.dim), random(f.size, f.dim)
    batch, a, b = random(5, 1, f.dim), random(5, f.size, f.dim), random(5, 1, f.dim)
    shared, minibatches = random(5, 1), random(5, f.size)
    number = torch.tensor(0.3, dtype=torch.float64)
    mixed = [
        (0.5, ()),
        (-1.5, (a,)),
        (2, (a, b)),
        (minibatches, ()),
        (shared, (a, a, b)),
        (minibatches, (b, a, b, own)),
    ]
    cases = [
        (point, []),
        (point, [(1.0, ())]),
        (own, [(1.0, ()), (1.0, (point, own))]),
        (batch, [(1.0, (batch,))]),
        (batch, mixed),
        (point, mixed),
        (point, [(shared, ()), (number, (point,)), (random(f.size), (own,)), (random(2, 5, 1), (b,))]),
        (random(2, 5, f.size, f.dim), mixed),
        (point, [(1.0, (own,) * j) for j in range(7)]),
        (point.requires_grad_(True), [(minibatches.requires_grad_(True), (a.requires_grad_(True),))]),
    ]
    for x, terms in cases:
        found = f.contracted_gradients(x, terms)
        truth = Landscape.contracted_gradients(f, x, terms)
        assert found.shape == truth.shape
        assert found.dtype == truth.dtype
        assert not found.requires_grad
        assert not truth.requires_grad
        torch.testing.assert_close(found, truth, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(f.contracted_gradient(x, terms), truth.mean(-2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["quadratics", "torus-2"])
def test_closed_forms_refuse_what_the_base_class_refuses(name):
    f, x = LANDSCAPES[name], torch.zeros(2, dtype=torch.float64)
    with pytest.raises(InputError, match="x has shape"):
        f.contracted_gradients(x[None, None, None].expand(1, 7, 7, 2), [(1.0, ())])
    with pytest.raises(InputError, match="u has shape"):
        f.contracted_gradients(x, [(1.0, (x[:1],))])


def test_terms_that_begin_alike_share_passes():
    """H u and T[u, u] cost as many passes as T[u, u] alone."""
    calls = []
    original = torch.autograd.grad

    def counted(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    f, x, u = Valley(), torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    f.third_products(x, u)  # checks itself, the first time
    for terms in ([(1.0, (u, u))], [(2.0, ()), (1.0, (u,)), (1.0, (u, u))]):
        calls.clear()
        torch.autograd.grad = counted
        try:
            f.contracted_gradients(x, terms)
        finally:
            torch.autograd.grad = original
        assert len(calls) == 3


class _Own(Landscape):
    """A landscape of anybody's, whose second derivative torch may get wrong."""

    def __init__(self, function, dtype=torch.float64):
        super().__init__(2, 3, dtype, torch.device("cpu"))
        self.function = function

    def _losses(self, x):
        return self.function(x * torch.arange(1.0, 4.0, dtype=x.dtype)[:, None]).sum(-1)


class _SavesWhatItComputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(x, y.clone())
        return y

    @staticmethod
    def backward(ctx, grad):
        _, y = ctx.saved_tensors
        return grad * (1 - y * y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_landscapes_of_ones_own_check_themselves(dtype):
    x, u = torch.tensor([0.3, -0.2], dtype=dtype), torch.tensor([1.0, 2.0], dtype=dtype)
    right, wrong = _Own(torch.tanh, dtype), _Own(_SavesWhatItComputed.apply, dtype)
    torch.testing.assert_close(wrong.gradients(x), right.gradients(x))
    for order, name in ((1, "hessian_products"), (2, "third_products")):
        assert getattr(right, name)(x, u).isfinite().all()
        with pytest.raises(InputError, match=r"derivative of order 2 of _Own's losses is by .*% off differences"):
            getattr(wrong, name)(x, u)
        assert order in right._sound_orders
    # what torch would have said
    products = contracted_gradient_of(wrong._losses, wrong._expand(x), [(1.0, (wrong._expand(u),))])
    assert not torch.allclose(products, right.hessian_products(x, u), rtol=0.1)


def test_in_single_precision(landscape, x, u):
    """The same derivatives up to rounding, of float32 points; the landscape itself stays as it was."""
    single = landscape.to(torch.float32)
    terms = [(1.0, ()), (0.2, (u,)), (0.02, (u, u))]
    found = single.contracted_gradients(x.float(), [(c, [each.float() for each in given]) for c, given in terms])
    exact = landscape.contracted_gradients(x, terms)
    assert (found.dtype, single.dtype, landscape.dtype) == (torch.float32, torch.float32, torch.float64)
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)
    assert single.losses(x.float()).dtype == torch.float32
    assert exact.dtype == torch.float64
