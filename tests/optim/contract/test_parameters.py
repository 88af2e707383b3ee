"""Kinds of parameters: complex and sparse ones are right or refused; and arguments that are wrong are refused."""

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.optim import SAM

from .kinds import accepts, every_kind, flat, make, network


def _sparse(sparse):
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(6, 3, sparse=sparse)).double()


def _looked_up(model):
    x, target = torch.arange(10) % 4, torch.arange(30, dtype=torch.float64).view(10, 3).sin()
    return lambda: (model(x) - target).square().mean() + (model(x) ** 4).mean()


def _refused(optimizer, model):
    """Methods that differentiate twice have to say that they do not take sparse gradients."""
    before = flat(model)
    try:
        type(optimizer)(model.parameters(), rho=0.1, lr=0.0).step(_looked_up(model))
    except InputError as error:
        assert "sparse" in str(error)  # noqa: PT017
        assert torch.equal(flat(model), before)
        return True
    model.zero_grad()
    return False


@every_kind
def test_sparse_embeddings_with_sgd(kind):
    """As with dense gradients; rows that nobody looks up stay."""
    ends = []
    for sparse in (False, True):
        model = _sparse(sparse)
        last = model[0].weight[4:].detach().clone()
        optimizer = make(kind, model.parameters(), lr=0.1)
        if _refused(optimizer, model):
            return
        for _ in range(4):
            optimizer.step(_looked_up(model))
        assert torch.equal(model[0].weight[4:], last)
        ends.append(flat(model))
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-14)


@every_kind
def test_sparse_embeddings_with_their_own_base(kind):
    """SparseAdam moves the moments of rows that are looked up only, and wants sparse gradients."""
    model, twin, seen = _sparse(True), _sparse(True), []
    optimizer = make(kind, model.parameters(), torch.optim.SparseAdam, lr=0.1)
    optimizer.register_after_backward_hook(lambda _: seen.append(model[0].weight.grad.clone()))
    alone = torch.optim.SparseAdam(twin.parameters(), lr=0.1)
    if _refused(optimizer, model):
        return
    for _ in range(4):
        optimizer.step(_looked_up(model))
        assert seen[-1].is_sparse
        twin[0].weight.grad = seen[-1]
        alone.step()
    assert torch.equal(flat(model), flat(twin))


@every_kind
def test_a_base_without_sparse_gradients_says_so_itself(kind):
    model = _sparse(True)
    before = flat(model)
    optimizer = make(kind, model.parameters(), torch.optim.Adam, lr=0.1)
    with pytest.raises((RuntimeError, InputError), match="sparse"):
        optimizer.step(_looked_up(model))
    assert torch.equal(flat(model), before)


class _Complex:
    """A least-squares problem in complex numbers, or in pairs of real ones."""

    def __init__(self, paired):
        torch.manual_seed(0)
        z = torch.randn(3, 2, dtype=torch.complex128)
        self.a = torch.randn(5, 3, dtype=torch.complex128)
        self.paired = paired
        self.x = nn.Parameter(torch.view_as_real(z).clone() if paired else z.clone())

    def __call__(self):
        x = torch.view_as_complex(self.x) if self.paired else self.x
        y = self.a @ x
        return (y - 1).abs().square().mean() + y.abs().pow(4).mean() / 10


@every_kind
@pytest.mark.parametrize(
    ("base", "options"),
    [(torch.optim.SGD, {"lr": 0.02, "momentum": 0.9}), (torch.optim.Adam, {"lr": 0.02})],
    ids=["SGD", "Adam"],
)
def test_complex_parameters_are_pairs(kind, base, options):
    problems = [_Complex(paired) for paired in (False, True)]
    for problem in problems:
        optimizer = make(kind, [problem.x], base, **options)
        before = problem().item()
        try:
            for _ in range(4):
                optimizer.step(problem)
        except InputError as error:
            assert "complex" in str(error)  # noqa: PT017
            return
        assert problem().item() < before
    if accepts(kind, "seed"):
        return  # the numbers are drawn in another order
    torch.testing.assert_close(torch.view_as_real(problems[0].x), problems[1].x, rtol=1e-10, atol=1e-12)


@every_kind
def test_scalars_and_empty_tensors(kind):
    x, scalar, empty = (nn.Parameter(torch.ones(shape, dtype=torch.float64)) for shape in ((3,), (), (0, 4)))
    optimizer = make(kind, [x, scalar, empty], torch.optim.Adam, lr=0.1)
    for _ in range(4):
        optimizer.step(lambda: (x**2).sum() * scalar**2 + scalar**4 + empty.sum())
    assert x.abs().max() < 1
    assert scalar.item() < 1
    assert empty.shape == (0, 4)


@every_kind
def test_a_tied_parameter_counts_once(kind):
    ends = []
    for tied in (False, True):
        torch.manual_seed(0)
        w = nn.Parameter(torch.randn(3, 3, dtype=torch.float64))
        model = nn.ModuleList([nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)]).double()
        model[0].weight = w
        if tied:
            model[1].weight = w
        chosen = list(model.parameters()) if tied else [w]
        assert len(chosen) == 1
        optimizer = make(kind, chosen, lr=0.1)
        x = torch.eye(3, dtype=torch.float64)
        for _ in range(3):
            optimizer.step(
                lambda x=x, w=w, tied=tied, model=model: (
                    ((model[1](model[0](x)) if tied else x @ w.T @ w.T) - 1).square().sum()
                )
            )
        ends.append(w.detach().clone())
    torch.testing.assert_close(*ends, rtol=1e-10, atol=1e-12)


@every_kind
def test_arguments_that_are_refused(kind):
    model = network()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    for parameters, options, match in (
        ([], {}, "there are no parameters"),
        (iter([]), {}, "there are no parameters"),
        ([torch.zeros(2)], {}, "no parameter requires a gradient"),
        (model.parameters(), {"base": sgd}, "an object of SGD. is not a class|an object of SGD is not a class"),
        (model.parameters(), {"base": "SGD"}, "is not a class of torch.optim"),
        (model.parameters(), {"base": nn.Linear}, "is not a class of torch.optim"),
        (model.parameters(), {"base": None}, "is not a class of torch.optim"),
        (model.parameters(), {"mometum": 0.9}, "SGD does not take these arguments"),
        (model.parameters(), {"lr": -1.0}, "SGD does not take these arguments"),
        (model.parameters(), {"base_rho": 1.0}, "SGD does not take these arguments"),
        (model.parameters(), {"rho": -1.0}, "rho"),
        (model.parameters(), {"rho": float("nan")}, "rho"),
        (model.parameters(), {"rho": float("inf")}, "rho"),
        (model.parameters(), {"nonfinite": "ignore"}, "choose one of: raise, skip"),
        ([{"params": model.parameters(), "rho": -0.5}], {}, "rho"),
        (["weight"], {}, "arameter"),
        (3, {}, "arameter"),
        (model, {}, "arameter"),
        ([model[0].weight * 2], {}, "arameter|leaf"),
        ([model[0].weight, model[0].weight], {}, "arameter"),
        ([{"params": [model[0].weight]}, {"params": [model[0].weight]}], {}, "arameter"),
        ([{"weights": [model[0].weight]}], {}, "params"),
        ({model[0].weight, model[2].weight}, {}, "order"),
    ):
        with pytest.raises(InputError, match=match):
            make(kind, parameters, **options)
    optimizer = make(kind, model.parameters(), lr=0.1)
    groups = len(optimizer.param_groups)
    extra = nn.Parameter(torch.ones(2).double())
    for group in (
        {"params": [extra], "rho": -1.0},
        {"params": [model[0].weight]},
        {"params": ["weight"]},
        {"weights": [extra]},
        [extra],
    ):
        with pytest.raises(InputError):
            optimizer.add_param_group(group)
        assert len(optimizer.param_groups) == len(optimizer.base.param_groups) == groups


@every_kind
def test_named_parameters(kind):
    model = network()
    optimizer = make(kind, model.named_parameters(), lr=0.1)
    optimizer.step(lambda: model(torch.ones(2, 4).double()).square().sum())
    assert optimizer.state_dict()["param_groups"][0]["param_names"][0] == "0.weight"
    other = make(kind, network().named_parameters(), lr=0.1)
    other.load_state_dict(optimizer.state_dict())


@every_kind
def test_one_name_of_two_settings(kind):
    """Adadelta's decay is called ``rho``, too; it took the radius for it."""
    options = {"lr": 0.5, "rho": 0.1, "base_rho": 0.75}
    model = network()
    optimizer = make(kind, model.parameters(), torch.optim.Adadelta, **options)
    assert optimizer.param_groups[0]["rho"] == 0.1
    assert optimizer.param_groups[0]["base_rho"] == optimizer.defaults["base_rho"] == 0.75
    extra = nn.Parameter(torch.ones(2).double())
    optimizer.add_param_group({"params": [extra], "rho": 0.2})
    assert (optimizer.param_groups[1]["rho"], optimizer.param_groups[1]["base_rho"]) == (0.2, 0.75)
    default = make(kind, network().parameters(), torch.optim.Adadelta)
    assert default.param_groups[0]["base_rho"] == 0.9
    with pytest.raises(InputError, match="Adadelta does not take these arguments"):
        make(kind, network().parameters(), torch.optim.Adadelta, base_rho=2.0)
    if "alpha" in optimizer.param_groups[0]:
        smoothed = make(kind, network().parameters(), torch.optim.RMSprop, alpha=0.3, base_alpha=0.75)
        alone = torch.optim.RMSprop([nn.Parameter(torch.ones(1))], alpha=0.75)
        seen = []
        smoothed.base.register_step_pre_hook(lambda base, *_: seen.append(base.param_groups[0]["alpha"]))
        smoothed.step(lambda: sum(p.square().sum() for p in smoothed.parameters()))
        assert seen == [alone.param_groups[0]["alpha"]]


def test_repr_says_what_it_is():
    text = repr(SAM(network().parameters(), torch.optim.AdamW, rho=0.1, lr=0.25))
    assert text.startswith("SAM")
    assert "rho: 0.1" in text
    assert "lr: 0.25" in text
