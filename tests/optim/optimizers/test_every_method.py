"""What holds for every method: types are kept, unused parameters stay unused, and a failed step leaves no trace."""

import contextlib
import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.optim import EigenSAM, SharpnessAwareOptimizer

from .transcriptions import BATCHES, METHODS, RHO, SGD, flat, loss_of, network

KINDS = {name: (kind, own) for name, (kind, _, own) in METHODS.items()}
NAMES = pytest.mark.parametrize("name", KINDS)
NOT_LOCAL = {
    "cr-sam", "gsam", "vasso", "friendly-sam", "egr", "random-sam", "momentum-sam", "smoothed-perturbation",
    "aware-perturbation", "frob-sam", "det-sam",
}  # fmt: skip
FIRST_ORDER = pytest.mark.parametrize("name", [name for name in KINDS if name != "egr"])


def _make(name, params, base=torch.optim.SGD, **more):
    kind, own = KINDS[name]
    return kind(params, base, **{"rho": RHO, **own, **more})


@NAMES
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_types_are_kept(name, dtype):
    model = network().to(dtype)
    optimizer = _make(name, model.parameters(), **SGD)
    inputs, targets = BATCHES[0][0].to(dtype), BATCHES[0][1]
    losses = [float(optimizer.step(lambda: cross_entropy(model(inputs).float(), targets))) for _ in range(12)]
    assert losses[-1] < losses[0]
    kept = list(model.parameters()) + [
        value for state in optimizer.state.values() for value in state.values() if isinstance(value, torch.Tensor)
    ]
    assert {each.dtype for each in kept} == {dtype}


@FIRST_ORDER
def test_complex_parameters_are_pairs_of_real_ones(name):
    """Two networks of one function: complex numbers, and their real and imaginary parts."""
    z = nn.Parameter(torch.tensor([1 + 2j, -0.5 + 0.3j], dtype=torch.complex128))
    pairs = nn.Parameter(torch.view_as_real(z.detach()).clone())

    def loss(x):
        return ((x[:, 0] - 0.3) ** 2 * (1 + x[:, 1] ** 2)).sum() + x[0, 0] * x[1, 1]

    one, other = (_make(name, [p], lr=0.05, momentum=0.9) for p in (z, pairs))
    for _ in range(3):
        one.step(lambda: loss(torch.view_as_real(z)))
        other.step(lambda: loss(pairs))
    torch.testing.assert_close(torch.view_as_real(z.detach()), pairs.detach(), rtol=1e-12, atol=1e-14)


@NAMES
@pytest.mark.parametrize(
    ("base", "dense_base"), [(torch.optim.SGD, torch.optim.SGD), (torch.optim.SparseAdam, torch.optim.Adam)]
)
def test_sparse_gradients_give_the_step_of_dense_ones(name, base, dense_base):
    """SparseAdam takes no dense gradient, so what a method makes itself is sparse again."""
    tables, rows = [], torch.tensor([[0, 2], [2, 3]])
    for sparse, kind in ((True, base), (False, dense_base)):
        torch.manual_seed(0)
        table = nn.Embedding(6, 3, sparse=sparse).double()
        start = table.weight.detach().clone()
        optimizer = _make(name, table.parameters(), kind, lr=0.1)
        for _ in range(3):
            optimizer.step(lambda table=table: (table(rows).square().sum(-1) + table(rows).sum(-1).sin()).mean())
        tables.append(table.weight.detach())
    # Adam and SparseAdam add their eps of 1e-8 at different places; a sparse gradient has products from differences.
    exact = base is dense_base and name != "egr"
    torch.testing.assert_close(*tables, rtol=1e-12 if exact else 1e-5, atol=1e-13 if exact else 1e-6)
    moved = (tables[0] != start).any(1)
    assert moved.tolist() == [True, False, True, True, False, False]  # rows that are looked up


@NAMES
def test_a_parameter_that_no_pass_uses_stays(name):
    """Weight decay does not reach it, as with the base optimizer alone."""
    used, unused = (nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))
    optimizer = _make(name, [used, unused], **SGD)
    for _ in range(2):
        optimizer.step(lambda: (used**4).sum())
    assert unused.tolist() == [1.0, 1.0, 1.0]
    assert unused.grad is None
    assert (used != 1).all()


def test_one_that_some_minibatches_use_is_stepped():
    """The last micro-batch does not look at it."""
    a, b = (nn.Parameter(torch.ones(2, dtype=torch.float64)) for _ in range(2))
    optimizer = _make("m-sam", [a, b], lr=0.1)
    optimizer.step([lambda: (a**2 + b**2).sum(), lambda: (a**2).sum()])
    unit = 0.5  # of four equal entries
    assert b.tolist() == pytest.approx([1 - 0.1 * (1 + RHO * unit)] * 2)


@NAMES
@pytest.mark.parametrize("failing_pass", [1, 2, 3])
def test_a_failed_step_leaves_no_trace(name, failing_pass):
    """Interrupted or not finite in any pass; then the step is taken as if nothing had been."""
    model = network()
    optimizer = _make(name, model.parameters(), nonfinite="skip", **SGD, **({"check": False} if name == "egr" else {}))
    optimizer.step(loss_of(model, BATCHES[0]))
    twin = copy.deepcopy(model)
    other = _make(name, twin.parameters(), **SGD, **({"check": False} if name == "egr" else {}))
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for broken in (float("nan"), None):
        before, calls = flat(model), []

        def closure(broken=broken, calls=calls):
            calls.append(1)
            loss = loss_of(model, BATCHES[1])()
            if len(calls) != failing_pass:
                return loss
            if broken is None:
                raise RuntimeError("interrupted")
            return loss * broken

        with contextlib.suppress(RuntimeError):
            optimizer.step(closure)
        if len(calls) < failing_pass:
            return  # it has fewer passes, and has taken the step
        assert torch.equal(flat(model), before)
    for batch in BATCHES[2:]:
        optimizer.step(loss_of(model, batch))
        other.step(loss_of(twin, batch))
    assert torch.equal(flat(model), flat(twin))


@NAMES
def test_one_function_per_step(name):
    """Dropout draws one mask a step, running statistics move once, and hooks see the gradient of the step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 30), nn.BatchNorm1d(30), nn.Dropout(0.5), nn.Linear(30, 3))
    masks, clipped = [], []
    model[2].register_forward_hook(lambda _m, _i, out: masks.append((out == 0).tolist()))
    optimizer = _make(name, model.parameters(), lr=0.1, **({"check": False} if name == "egr" else {}))
    optimizer.register_after_backward_hook(lambda o: clipped.append(nn.utils.clip_grad_norm_(o.parameters(), 1e-3)))
    inputs, targets = BATCHES[0][0].float(), BATCHES[0][1]
    before = flat(model)
    optimizer.step(lambda: cross_entropy(model(inputs), targets))
    first = masks.copy()
    assert all(mask == first[0] for mask in first)
    assert model[1].num_batches_tracked == 1
    assert (flat(model) - before).norm() == pytest.approx(0.1 * 1e-3, rel=1e-3)
    assert len(clipped) == 1
    optimizer.step(lambda: cross_entropy(model(inputs), targets))
    assert masks[-1] != first[0]
    assert model[1].num_batches_tracked == 2


@pytest.mark.parametrize(("name", "refuses"), [(n, not k.ascent_may_be_local) for n, (k, _) in KINDS.items()])
def test_local_ascents_are_refused_where_workers_would_part(name, refuses):
    """The first pass's gradient is in the step of these, or in what they keep."""
    assert refuses == (name.split(",")[0] in NOT_LOCAL)
    parameters = list(network().parameters())
    if not refuses:
        _make(name, parameters, local_ascent=contextlib.nullcontext, lr=0.1)
        return
    with pytest.raises(InputError, match="leave local_ascent out"):
        _make(name, parameters, local_ascent=contextlib.nullcontext, lr=0.1)


@pytest.mark.parametrize(
    ("name", "own", "message"),
    [
        ("asam", {"eta": -1.0}, "eta = -1.0 is negative"),
        ("fisher-sam", {"eta": float("nan")}, "eta = nan is negative or not finite"),
        ("cr-sam", {"gamma": -1.0}, "both must be at least 0"),
        ("cr-sam", {"beta": float("inf")}, "both must be at least 0"),
        ("gsam", {"alpha": -0.1}, "alpha = -0.1 is negative"),
        ("vasso", {"theta": 0.0}, "theta = 0.0 is not a weight"),
        ("vasso", {"theta": 1.5}, "theta = 1.5 is not a weight"),
        ("momentum-sam", {"decay": -0.1}, "decay = -0.1 is not a weight of the past"),
        ("smoothed-perturbation", {"tolerance": 0.0}, "tolerance = 0.0 is no norm"),
        ("aware-perturbation", {"tolerance": float("nan")}, "tolerance = nan is no norm"),
        ("aware-perturbation", {"far": 0.0}, "far = 0.0 is no ratio"),
        ("frob-sam", {"samples": 1}, "samples = 1 are too few or no whole number; give at least 2"),
        ("det-sam", {"samples": 0}, "samples = 0 are too few"),
        ("det-sam", {"samples": 1.5}, "samples = 1.5 are too few or no whole number"),
        ("det-sam", {"scale": 0.0}, "scale = 0.0 is no number to divide by"),
        ("frob-sam", {"weight": -1.0}, "weight = -1.0 is negative"),
        ("friendly-sam", {"sigma": -0.1}, "sigma = -0.1 is negative"),
        ("friendly-sam", {"decay": 1.0}, "decay = 1.0 is not a weight of the past"),
        *((name, {"rho": -1.0}, "rho = -1.0 is not a radius") for name in KINDS),
    ],
)
def test_refusals(name, own, message):
    with pytest.raises(InputError, match=message):
        _make(name, list(network().parameters()), lr=0.1, **own)


@NAMES
def test_states_of_another_method_are_refused(name):
    model = network()
    optimizer = _make(name, model.parameters(), lr=0.1)
    optimizer.step(loss_of(model, BATCHES[0]))
    with pytest.raises(InputError, match=f"method = {type(optimizer).__name__}"):
        EigenSAM(model.parameters(), lr=0.1).load_state_dict(optimizer.state_dict())
    assert isinstance(optimizer, SharpnessAwareOptimizer)
    again = copy.deepcopy(optimizer)
    assert again.state_dict()["param_groups"][0]["sharpness_aware"]["method"] == type(optimizer).__name__
