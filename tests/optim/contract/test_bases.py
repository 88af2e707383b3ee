"""Every base and setting of torch's own optimizer tests: SAM around each, and every other kind around each base."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.optim import SAM

from .configurations import BASES, about, configurations
from .kinds import KINDS, flat, loss_of, make, network, same, snapshot

RHO = 0.05
every_base = pytest.mark.parametrize("base", BASES, ids=lambda base: base.__name__)


class _Problem:
    """Matrices, which every base takes; one that is looked up sparsely for a base that takes only those."""

    def __init__(self, base, options, dtype=torch.float64):
        self.sign = -1.0 if options.get("maximize") else 1.0
        if about(base)["sparse"]:
            torch.manual_seed(0)
            self.model = nn.Sequential(nn.Embedding(5, 3, sparse=True)).to(dtype)
            x = torch.arange(10) % 4
            target = torch.arange(30, dtype=dtype).view(10, 3).sin()
            self.closure = lambda: self.sign * (self.model(x) - target).square().mean()
        else:
            self.model = network(bias=False, dtype=dtype)
            self.closure = loss_of(self.model, sign=self.sign)

    def objective(self, decay):
        """With what weight decay makes of it."""
        return self.sign * self.closure().item() + decay * 0.5 * flat(self.model).square().sum().item()

    def clone_onto(self, base, options):
        other = _Problem(base, options)
        other.model.load_state_dict(copy.deepcopy(self.model.state_dict()))
        return other


def _around(kind, problem, base, options):
    """The optimizer; a setting of the base that the method has, too, has another name there (Adadelta's rho)."""
    ours = {"rho", "alpha"}
    renamed = {f"base_{name}" if name in ours else name: value for name, value in options.items()}
    return make(kind, problem.model.parameters(), base, rho=RHO, **renamed)


def _all_settings(kind, base):
    if about(base)["closure"]:
        pytest.skip("refused, see below")
    found = configurations(base)
    return found if kind is SAM else [found[0], found[-1]]


def _refused(optimizer, problem, base):
    """Methods that differentiate twice have to say that they do not take sparse gradients."""
    if not about(base)["sparse"]:
        return False
    before = flat(problem.model)
    try:
        type(optimizer)(problem.model.parameters(), rho=RHO, lr=0.0).step(problem.closure)
    except InputError as error:
        assert "sparse" in str(error)  # noqa: PT017
        assert torch.equal(flat(problem.model), before)
        return True
    problem.model.zero_grad()
    return False


def _steps(optimizer, problem, count):
    for _ in range(count):
        optimizer.step(problem.closure)


KIND_AND_BASE = pytest.mark.parametrize(
    ("kind", "base"), [pytest.param(k, b, id=f"{k.__name__}-{b.__name__}") for k in KINDS for b in BASES]
)


def test_the_settings_are_all_of_torchs():
    assert {base.__name__ for base in BASES} >= {"SGD", "Adam", "AdamW", "Muon", "SparseAdam", "LBFGS", "Adafactor"}
    assert sum(len(configurations(base)) for base in BASES) >= 150


@KIND_AND_BASE
def test_is_the_base_fed_with_the_gradient_of_the_method(kind, base):
    """What a hook sees after the passes, given to the base alone by hand, moves a twin just as far; the loss falls."""
    for options in _all_settings(kind, base):
        problem, twin = _Problem(base, options), _Problem(base, options)
        optimizer = _around(kind, problem, base, options)
        alone = base(twin.model.parameters(), **copy.deepcopy(options))
        seen = []
        optimizer.register_after_backward_hook(
            lambda _, seen=seen, problem=problem: seen.append([p.grad.clone() for p in problem.model.parameters()])
        )
        decay = options.get("weight_decay", 0)
        before = problem.objective(decay)
        if _refused(optimizer, problem, base):
            continue
        for _ in range(8):
            optimizer.step(problem.closure)
            for p, g in zip(twin.model.parameters(), seen[-1], strict=True):
                p.grad = g
            alone.step()
        assert torch.equal(flat(problem.model), flat(twin.model)), options
        assert problem.objective(decay) < before, options


@every_base
def test_sam_is_the_dense_twin(base):
    """The base fed by hand with the gradient at ``x + rho g/|g|``."""
    for options in _all_settings(SAM, base):
        problem, twin = _Problem(base, options), _Problem(base, options)
        optimizer = _around(SAM, problem, base, options)
        alone, x = base(twin.model.parameters(), **copy.deepcopy(options)), list(twin.model.parameters())
        for _ in range(5):
            optimizer.step(problem.closure)
            originals = [p.detach().clone() for p in x]
            g = [each.to_dense() for each in torch.autograd.grad(twin.closure(), x)]
            norm = torch.cat([each.reshape(-1) for each in g]).norm()
            with torch.no_grad():
                for p, each in zip(x, g, strict=True):
                    p.add_(each, alpha=float(RHO * twin.sign / norm))
            found = torch.autograd.grad(twin.closure(), x)
            with torch.no_grad():
                for p, original, each in zip(x, originals, found, strict=True):
                    p.copy_(original)
                    p.grad = each
            alone.step()
        # Muon works in bfloat16 inside, so rounding differences may grow there
        torch.testing.assert_close(flat(problem.model), flat(twin.model), rtol=1e-10, atol=1e-12)


@KIND_AND_BASE
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_dtype_is_kept_and_nothing_is_left_to_chance(kind, base, dtype):
    for options in _all_settings(kind, base):
        results = []
        for _ in range(2):
            problem = _Problem(base, options, dtype)
            optimizer = _around(kind, problem, base, copy.deepcopy(options))
            if _refused(optimizer, problem, base):
                continue
            _steps(optimizer, problem, 3)
            assert all(p.dtype == dtype for p in problem.model.parameters()), options
            assert flat(problem.model).isfinite().all(), options
            results.append((flat(problem.model), snapshot(optimizer.state_dict())))
        assert not results or same(*results), options


def _through_pickle(value):
    return pickle.loads(pickle.dumps(value))


def _through_a_file(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@KIND_AND_BASE
def test_a_state_saved_in_mid_interval_goes_on_bit_for_bit(kind, base):
    """Into a new optimizer on a copy of the model, by copy, pickle and file; and the optimizer itself with its model."""
    for options in _all_settings(kind, base):
        problem = _Problem(base, options)
        optimizer = _around(kind, problem, base, options)
        if _refused(optimizer, problem, base):
            continue
        _steps(optimizer, problem, 4)
        others = []
        for through in (copy.deepcopy, _through_pickle, _through_a_file):
            other = problem.clone_onto(base, options)
            fresh = _around(kind, other, base, copy.deepcopy(options))
            fresh.load_state_dict(through(optimizer.state_dict()))
            others.append((other, fresh))
        for through in (copy.deepcopy, _through_pickle):
            other = problem.clone_onto(base, options)
            other.model, fresh = through((problem.model, optimizer))
            other.closure = (
                loss_of(other.model, sign=other.sign) if not about(base)["sparse"] else _like(problem, other.model)
            )
            others.append((other, fresh))
        _steps(optimizer, problem, 4)
        for other, fresh in others:
            _steps(fresh, other, 4)
            assert torch.equal(flat(problem.model), flat(other.model)), options
            assert same(optimizer.state_dict(), fresh.state_dict()), options


def _like(problem, model):
    """The sparse problem's closure around another model."""
    own, problem.model = problem.model, model
    try:
        twin = copy.copy(problem)
    finally:
        problem.model = own
    x = torch.arange(10) % 4
    target = torch.arange(30, dtype=torch.float64).view(10, 3).sin()
    return lambda: twin.sign * (model(x) - target).square().mean()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_base_that_evaluates_the_loss_itself_is_refused(kind):
    for options in configurations(torch.optim.LBFGS):
        with pytest.raises(InputError, match="LBFGS evaluates the loss itself"):
            make(kind, network().parameters(), torch.optim.LBFGS, **options)


def test_the_base_alone_fails_the_twin():
    """Wrong on purpose: without a perturbation the dense twin is missed."""
    a, b = (_Problem(torch.optim.SGD, {}) for _ in range(2))
    _steps(SAM(a.model.parameters(), rho=RHO, lr=0.5), a, 5)
    _steps(SAM(b.model.parameters(), rho=0.0, lr=0.5), b, 5)
    assert not torch.allclose(flat(a.model), flat(b.model), rtol=1e-5)
