"""Networks and losses of which torch says something wrong about second or third derivatives, without a word.

Each was wrong once: a converged eigenvalue, some with a bound. The truth is a twin in plain operations, or differences
of gradients written here.
"""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from eigensam.ground import InputError
from eigensam.landscapes import (
    EmpiricalFisher,
    GaussNewton,
    Hessian,
    NetworkDerivatives,
    NetworkFunction,
    NetworkLandscape,
    eigenvalue_gradient,
    lanczos,
    unflatten,
)
from eigensam.landscapes.networks.network_derivatives import NotDifferentiableError
from eigensam.landscapes.networks.route_check import UnsteadyLossError

D = torch.float64
GENERATOR = torch.Generator().manual_seed(0)
X, Y = torch.randn(10, 4, generator=GENERATOR, dtype=D), torch.arange(10) % 3
BATCH = X, Y


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def network_of(*layers, loss=cross_entropy, seed=1, **options):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 4), *layers, nn.Linear(4, 3)).double()
    return NetworkFunction(model, loss, **options)


def differenced_hessian(network, batch=BATCH):
    """Central differences of the module's own gradients."""
    model = copy.deepcopy(network.model)
    for module in model.modules():
        module.training = network.mode == "train" and isinstance(module, nn.BatchNorm1d)
    parameters = [p for p in model.parameters() if p.requires_grad]
    x = network.point()

    def gradient(p):
        with torch.no_grad():
            for parameter, value in zip(parameters, unflatten(p, network.shapes), strict=True):
                parameter.copy_(value)
        loss = network.loss_function(model(batch[0]), batch[1])
        model.zero_grad()
        loss.backward()  # reentrant checkpoints refuse torch.autograd.grad
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        return torch.cat([part.flatten() for part in parts])

    steps = 1e-5 * torch.eye(len(x), dtype=D)
    return torch.stack([(gradient(x + s) - gradient(x - s)) / 2e-5 for s in steps])


def relative(found, truth):
    return float((found - truth).norm() / truth.norm())


def third_error(model, loss=cross_entropy, mode="eval", **options):
    """``T[u, u]`` against differences of products, and how it was computed."""
    f = NetworkLandscape.from_tensors(model, loss, *BATCH, mode=mode, **options)
    x = f.point()
    u = torch.randn(f.dim, generator=torch.Generator().manual_seed(3), dtype=D)
    u /= u.norm()

    def slope(h):
        above, below = (Hessian(f.network, [BATCH], x + s * u) @ u for s in (h, -h))
        return (above - below) / (2 * h)

    truth = (4 * slope(1e-4) - slope(2e-4)) / 3
    return relative(eigenvalue_gradient(f, x, u), truth), f


# Second derivatives


def fused(h, weight, y):
    return functional.linear_cross_entropy(h, weight, y, options=nn.LinearCrossEntropyOptions())


@pytest.mark.skipif(not hasattr(nn, "LinearCrossEntropyOptions"), reason="a loss of torch 2.14 and newer")
@pytest.mark.parametrize("dtype", [torch.float32, D])
def test_a_loss_that_computes_its_gradient_in_the_forward_pass(dtype):
    """It was 0.19 with a bound of 0.19."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh()).to(dtype)
    weight = torch.randn(3, 5, generator=torch.Generator().manual_seed(1), dtype=D).to(dtype)
    batch = X.to(dtype), Y
    rough = NetworkFunction(model, lambda h, y: fused(h, weight, y))
    plain = NetworkFunction(model, lambda h, y: cross_entropy(h @ weight.mT, y))
    truth = torch.linalg.eigvalsh(Hessian(plain, [batch]).dense())[-1].item()
    for graph_bytes in (0, 2**30):
        operator = Hessian(rough, [batch], graph_bytes=graph_bytes)
        pairs = lanczos(operator, tolerance=1e-6)
        assert pairs.values.item() == pytest.approx(truth, rel=1e-5)
        assert pairs.bound.upper >= truth
        assert operator.used.startswith("difference (refused: reverse: ")
        assert pairs.checked.startswith("differences at two step sizes agree")
    unchecked = lanczos(Hessian(rough, [batch], check=False), tolerance=1e-6)
    assert unchecked.converged
    assert unchecked.values.item() < 0.5 * truth  # what torch says
    assert unchecked.checked == "not checked: switched off"
    with pytest.raises(NotDifferentiableError, match="GaussNewton is by 100% off differences"):
        GaussNewton(rough, [batch], convex=True) @ torch.ones(rough.dim)


class SavesWhatItComputed(torch.autograd.Function):
    """``silu`` whose backward pass torch differentiates as if ``s`` did not depend on ``x``."""

    @staticmethod
    def forward(ctx, x):
        s = torch.sigmoid(x)
        ctx.save_for_backward(x, s)
        return x * s

    @staticmethod
    def backward(ctx, grad):
        x, s = ctx.saved_tensors
        return grad * (s + x * s * (1 - s))


@pytest.mark.parametrize("graph_bytes", [0, 2**30])
def test_a_function_that_saves_what_it_computed(graph_bytes):
    rough, plain = network_of(Apply(SavesWhatItComputed.apply)), network_of(nn.SiLU())
    truth = Hessian(plain, [BATCH]).dense()
    assert relative(truth, differenced_hessian(plain)) < 1e-8
    operator = Hessian(rough, [BATCH], graph_bytes=graph_bytes)
    assert relative(operator.dense(), truth) < 1e-8
    assert "off differences of gradients" in operator.used
    assert "the fault lies in module '1' (Apply)" in operator.used
    assert relative(Hessian(rough, [BATCH], check=False).dense(), truth) > 0.1
    # The Jacobian's trick differentiates backward passes by their weight only, which is right here.
    assert relative(GaussNewton(rough, [BATCH]).dense(), GaussNewton(plain, [BATCH]).dense()) < 1e-12
    for method in ("graph", "reverse"):
        with pytest.raises(
            NotDifferentiableError, match=rf"'{method}' .*; use method 'auto'|'{method}' .*route 'auto'"
        ):
            Hessian(rough, [BATCH], method=method) @ rough.point()


class NormedWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.v, self.g = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.rand(4, 1) + 0.5)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.tanh(nn.functional.linear(x, torch._weight_norm(self.v, self.g, 0))))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:`torch.jit:FutureWarning")
def test_weight_norm_that_torchscript_has_compiled():
    torch.manual_seed(0)
    model = NormedWeight().double()
    scripted = NetworkFunction(torch.jit.script(model), cross_entropy)
    operator = Hessian(scripted, [BATCH])
    assert relative(operator.dense(), differenced_hessian(NetworkFunction(model, cross_entropy))) < 1e-7
    assert "the fault lies in the model (NormedWeight), which TorchScript has compiled" in operator.used
    assert lanczos(operator, tolerance=1e-6).converged


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.first, self.rest, self.reentrant = nn.Linear(4, 5), nn.Sequential(nn.Tanh(), nn.Linear(5, 3)), reentrant

    def forward(self, x):
        return checkpoint(self.rest, self.first(x), use_reentrant=self.reentrant)


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing(reentrant):
    torch.manual_seed(0)
    network = NetworkFunction(Checkpointed(reentrant).double(), cross_entropy)
    x = network.point() + 0.3  # not where the module is
    found = Hessian(network, [BATCH], x).dense()
    network.load_point(x)
    assert relative(found, differenced_hessian(network)) < 1e-7


# Third derivatives


def scripted(layer):
    return torch.jit.script(network_of(layer, nn.Tanh()).model)


def traced(layer):
    return torch.jit.trace(network_of(layer, nn.Tanh()).model, X)


def exported(layer):
    return torch.export.export(network_of(layer, nn.Tanh()).model.train(), (X,)).module()


def plainly(function):
    return lambda layer: network_of(Apply(function), nn.Tanh()).model


NORMS = {
    "torch.layer_norm": (plainly(lambda z: torch.layer_norm(z, (4,))), "taylor"),
    "native_layer_norm": (plainly(lambda z: torch.native_layer_norm(z, (4,), None, None, 1e-5)[0]), "reverse"),
    "aten.layer_norm": (plainly(lambda z: torch.ops.aten.layer_norm(z, [4])), "reverse"),
    "torch.batch_norm": (plainly(lambda z: torch.batch_norm(z, *[None] * 4, True, 0.1, 1e-5, True)), "taylor"),
    "torch.instance_norm": (
        plainly(
            lambda z: torch.instance_norm(z.view(-1, 2, 2), *[None] * 4, True, 0.1, 1e-2, True).flatten(1) + z
        ),
        "taylor",
    ),
    "torch.group_norm": (plainly(lambda z: torch.group_norm(z, 2)), "taylor"),
    "layer norm, traced": (lambda layer: traced(nn.LayerNorm(4)), "difference"),
    "layer norm, scripted": (lambda layer: scripted(nn.LayerNorm(4)), "difference"),
    "layer norm, exported": (lambda layer: exported(nn.LayerNorm(4)), "reverse"),
    "batch norm, scripted": (lambda layer: scripted(nn.BatchNorm1d(4)), "reverse"),
    "batch norm, exported": (lambda layer: exported(nn.BatchNorm1d(4)), "reverse"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:`torch.jit:FutureWarning")
@pytest.mark.parametrize("case", NORMS)
def test_normalisations_however_they_are_called(case):
    build, route = NORMS[case]
    mode = "train" if "batch" in case else "eval"
    error, f = third_error(build(None), mode=mode)
    assert error < 1e-5
    assert f.derivatives.used[2].split()[0] == route
    assert not f.derivatives.how_checked(2).startswith("not")


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:`torch.jit:FutureWarning")
def test_what_torch_says_of_compiled_layer_norm_is_wrong():
    """Else the tests above would show nothing."""
    f = NetworkLandscape.from_tensors(scripted(nn.LayerNorm(4)), cross_entropy, *BATCH)
    x = f.point()
    wrong = NetworkDerivatives(f.network, "reverse", check=False).contracted_gradient(x, [(1.0, (x, x))], BATCH)
    assert relative(wrong, f.third_product(x, x)) > 0.1
    with pytest.raises(NotDifferentiableError, match=r"route 'reverse' does not cover.*off differences of Hessian"):
        NetworkDerivatives(f.network, "reverse").contracted_gradient(x, [(1.0, (x, x))], BATCH)


def test_a_transposed_convolution_with_output_padding():
    layer = nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.ConvTranspose2d(1, 1, 3, 2, 1, output_padding=1), nn.Flatten(), nn.Linear(16, 4)
    )
    error, _ = third_error(network_of(layer, nn.Tanh()).model)
    assert error < 1e-6


@pytest.mark.parametrize("layer", [lambda: nn.LayerNorm(4), lambda: nn.GroupNorm(2, 4), lambda: nn.BatchNorm1d(4)])
def test_a_norm_as_first_layer_with_its_bias_only(layer):
    torch.manual_seed(0)
    model = nn.Sequential(layer(), nn.Linear(4, 3), nn.Tanh()).double()
    error, f = third_error(model, parameters=["0.bias"])
    assert error < 1e-6
    assert f.derivatives.used[2] == "taylor"


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.pairs = nn.Parameter(torch.randn(1)), nn.Parameter(torch.randn(3, 2))  # at an odd place

    def forward(self, x):
        return (torch.view_as_complex(self.pairs) * torch.complex(x[:, :3], x[:, 1:])).abs() * self.scale


@pytest.mark.parametrize("graph_bytes", [0, 2**30])
def test_parameters_that_are_read_as_complex_numbers(graph_bytes):
    torch.manual_seed(0)
    network = NetworkFunction(Complex().double(), cross_entropy)
    truth = differenced_hessian(network)
    assert relative(Hessian(network, [BATCH], graph_bytes=graph_bytes).dense(), truth) < 1e-7
    assert third_error(network.model)[0] < 1e-5


# Gradients that are not those of the whole


class Probe(nn.Module):
    """A linear probe on features that are not trained, though their parameters could be."""

    def __init__(self):
        super().__init__()
        self.trunk, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        with torch.no_grad():
            features = self.trunk(x).tanh()
        return self.head(features)


class Padded(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(5, 4, padding_idx=0), nn.Linear(4, 3)
        nn.init.normal_(self.table.weight)

    def forward(self, x):
        return self.head(self.table((2 * x).long().abs() % 5).mean(1).tanh())


@pytest.mark.parametrize("build", [Probe, Padded])
def test_parameters_that_torch_takes_for_constants(build):
    """They are constants in every derivative, and not half of them: the matrix of the others, zeros around it."""
    torch.manual_seed(0)
    model = build().double()
    network = NetworkFunction(model, cross_entropy)
    matrices = [operator(network, [BATCH]) for operator in (Hessian, GaussNewton, EmpiricalFisher)]
    dense = [matrix.dense() for matrix in matrices]
    assert matrices[0].used == "graph"
    for matrix, found in zip(matrices, dense, strict=True):
        assert matrix.checked.startswith("within ")
        torch.testing.assert_close(found, found.mT)
    moving = slice(-18, None) if build is Probe else slice(4, None)
    truth = torch.zeros_like(dense[0])
    truth[moving, moving] = differenced_hessian(network)[moving, moving]
    assert relative(dense[0], truth) < 1e-7


class Reversal(torch.autograd.Function):
    """Of domain adaptation: its backward pass is not the derivative of its forward pass, on purpose."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return -grad


@pytest.mark.parametrize("function", [Reversal.apply, lambda z: z * torch.sigmoid(z).detach()])
def test_gradients_of_no_function_have_no_hessian(function):
    network = network_of(nn.Tanh(), Apply(function))
    for graph_bytes in (0, 2**30):
        with pytest.raises(NotDifferentiableError, match="the gradient is not that of any function"):
            Hessian(network, [BATCH], graph_bytes=graph_bytes) @ network.point()
    assert (Hessian(network, [BATCH], check=False) @ network.point()).any()


def test_a_wrong_derivative_behind_a_head_of_zeros():
    """As new networks have it: there it does not show, and would be believed ever after."""
    network = network_of(Apply(SavesWhatItComputed.apply))
    with torch.no_grad():
        network.model[-1].weight.zero_()
        network.model[-1].bias.zero_()
    f = NetworkLandscape(network.model, cross_entropy, [BATCH])
    f.hessian_product(f.point(), f.point())
    assert "off differences of gradients" in f.derivatives.used[1]


class Single(nn.Module):
    """Another function in float32 than in float64."""

    def forward(self, x):
        return SavesWhatItComputed.apply(x) if x.dtype == torch.float32 else functional.silu(x)


def test_code_for_one_type_only():
    rough = NetworkFunction(network_of(Single()).model.float(), cross_entropy)
    plain = NetworkFunction(network_of(nn.SiLU()).model.float(), cross_entropy)
    batch = X.float(), Y
    v = torch.ones(rough.dim)
    operator = Hessian(rough, [batch])
    assert relative(operator @ v, Hessian(plain, [batch]) @ v) < 1e-3
    assert "in float32 what it is in float64" in operator.used


def test_a_derivative_that_is_not_finite_is_left_to_another_route():
    network = network_of(Apply(lambda z: torch.xlogy(z.relu(), z.relu())))
    operator = Hessian(network, [BATCH])
    assert (operator @ network.point()).isfinite().all()
    assert operator.used.startswith("difference")


# Losses that are no means


def summed(z, y):
    return cross_entropy(z, y, reduction="sum")


def weighted(z, y):
    return cross_entropy(z, y, weight=torch.tensor([1.0, 2.0, 5.0], dtype=z.dtype))


def root(z, y):
    return cross_entropy(z, y).sqrt()


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
@pytest.mark.parametrize("loss", [summed, weighted, root])
def test_losses_that_are_no_means_are_not_averaged(operator, loss):
    network, halves = network_of(nn.Tanh(), loss=loss), [(X[:4], Y[:4]), (X[4:], Y[4:])]
    for graph_bytes in (0, 2**30):
        with pytest.raises(InputError, match=r"no sum, no weights|no reduction=\"sum\".*count=lambda"):
            operator(network, halves, graph_bytes=graph_bytes) @ network.point()
    if (
        operator is not EmpiricalFisher
    ):  # one batch alone may have any loss, and so may members with weights of their own
        one = operator(network, [BATCH], **({"convex": False} if operator is GaussNewton else {}))
        assert (one @ network.point()).any()
        parts = [operator(network, [half]).dense() for half in halves]
        both = operator(network, halves, weights=[1.0, 3.0]).dense()
        torch.testing.assert_close(both, 0.25 * parts[0] + 0.75 * parts[1])


PADDED = Y.clone()
PADDED[[0, 1, 2, 8]] = -100
IGNORING = {
    "module": nn.CrossEntropyLoss(ignore_index=-100),
    "function": cross_entropy,
    "one's own": lambda z, y: cross_entropy(z, y),
}


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
@pytest.mark.parametrize("loss", IGNORING)
def test_ignored_targets(operator, loss):
    """Ten rows, four of them padding, in one batch, in two that have three and one of them, and without them."""
    kept = PADDED >= 0
    truth = operator(network_of(nn.Tanh()), [(X[kept], PADDED[kept])]).dense()
    halves = [(X[:5], PADDED[:5]), (X[5:], PADDED[5:])]

    def count(batch):
        return (batch[1] >= 0).sum()

    if loss == "one's own":
        network = network_of(nn.Tanh(), loss=IGNORING[loss])
        with pytest.raises(InputError, match=r"count=lambda|no weights of classes"):
            operator(network, halves) @ network.point()
        network = network_of(nn.Tanh(), loss=IGNORING[loss], count=count)
    else:
        network = network_of(nn.Tanh(), loss=IGNORING[loss])
    for batches in ([(X, PADDED)], halves, [(X[:3], PADDED[:3]), (X[3:], PADDED[3:])]):
        assert relative(operator(network, batches).dense(), truth) < 1e-10


def test_class_weights_of_torchs_loss_count():
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 5.0], dtype=D))
    network = network_of(nn.Tanh(), loss=loss)
    truth = Hessian(network, [BATCH]).dense()
    assert relative(Hessian(network, [(X[:4], Y[:4]), (X[4:], Y[4:])]).dense(), truth) < 1e-10
    chunked = NetworkLandscape.from_tensors(network.model, loss, *BATCH, chunk_size=3)
    assert relative(chunked.hessian_product(chunked.point(), chunked.point()), truth @ network.point()) < 1e-10


def test_a_loss_that_looks_at_its_values_has_a_fisher():
    def loss(z, y):
        return functional.gaussian_nll_loss(z[:, 0], y.to(z), z[:, 1].exp())

    network = network_of(nn.Tanh(), loss=loss)
    derivatives, x = NetworkDerivatives(network), network.point()
    rows = [derivatives.contracted_gradient(x, [(1.0, ())], (X[i : i + 1], Y[i : i + 1])) for i in range(10)]
    gradients = torch.stack(rows)
    assert relative(EmpiricalFisher(network, [BATCH]).dense(), gradients.mT @ gradients / 10) < 1e-12


# Losses that are no functions


@pytest.mark.parametrize("graph_bytes", [0, 2**30])
@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_random_numbers_are_refused(operator, graph_bytes):
    in_model = network_of(Apply(lambda z: functional.dropout(z, 0.5, training=True)))
    in_loss = network_of(loss=lambda z, y: cross_entropy(functional.dropout(z, 0.5, training=True), y))
    for network in (in_model, in_loss):
        with pytest.raises(InputError, match=r"two evaluations at one point differ|mean of its examples' losses"):
            operator(network, [BATCH], graph_bytes=graph_bytes) @ network.point()
    with pytest.raises(UnsteadyLossError):
        Hessian(in_model, [BATCH], method="difference") @ in_model.point()


class Writes(nn.Module):
    """Into a buffer, an attribute, a cache and its own inputs, whenever it is called."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.ones((), dtype=D))
        self.factor, self.cache, self.shift = 1.0, {}, None

    def forward(self, x):
        x = x.mul_(0.5) if not x.requires_grad else x * 0.5
        self.count += 1
        self.factor *= 2
        if self.shift is None:
            self.shift = torch.full((x.shape[1],), 0.1)
        if x.shape[1] not in self.cache:
            self.cache[x.shape[1]] = torch.ones(x.shape[1])
        return x * self.count * self.factor * self.cache[x.shape[1]] + self.shift


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("graph_bytes", [0, 2**30])
def test_what_a_model_writes_is_put_back(graph_bytes, mode):
    """So that it is a function, at the same place for each product, and is the user's own after."""
    torch.manual_seed(0)
    model = nn.Sequential(Writes(), nn.Linear(4, 3), nn.Tanh(), Writes(), nn.Linear(3, 3)).double()
    network, inputs = NetworkFunction(model, cross_entropy, mode=mode), X.clone()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    matrix = Hessian(network, [(inputs, Y)], graph_bytes=graph_bytes)
    v = network.point()
    found = matrix @ v
    assert torch.equal(matrix @ v, found)
    assert torch.equal(inputs, X)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for module in (model[0], model[3]):
        assert (module.factor, module.cache, module.shift) == (1.0, {}, None)
    plain = nn.Sequential(
        Apply(lambda x: 2 * x + torch.full((4,), 0.1)), model[1], nn.Tanh(),
        Apply(lambda x: 2 * x + torch.full((3,), 0.1)), model[4],
    )  # fmt: skip
    assert relative(found, Hessian(NetworkFunction(plain, cross_entropy), [BATCH]) @ v) < 1e-10
    derivatives = NetworkDerivatives(network)
    derivatives.contracted_gradient(v, [(1.0, (v, v))], (inputs, Y))
    assert model[0].shift is None  # and not a tensor of float64


def test_a_loss_that_remembers_elsewhere_is_refused():
    calls = []

    def loss(z, y):
        calls.append(1)
        return cross_entropy(z * len(calls), y)

    network = network_of(nn.Tanh(), loss=loss)
    with pytest.raises(UnsteadyLossError, match="remembers"):
        Hessian(network, [BATCH]) @ network.point()


# Operators are snapshots


@pytest.mark.parametrize("graph_bytes", [0, 2**30])
@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_training_that_goes_on_does_not_move_an_operator(operator, graph_bytes):
    network = network_of(nn.BatchNorm1d(4), nn.Tanh(), parameters=["0.*"])
    network.model.train()(X)
    x = network.point()
    matrix = operator(network, [BATCH], x, graph_bytes=graph_bytes)
    v = torch.ones(network.dim, dtype=D)
    fresh = operator(network, [BATCH], x.clone(), graph_bytes=graph_bytes)  # its first product comes later
    before = matrix @ v
    x += 1
    network.model.train()(3 * X + 1)
    with torch.no_grad():
        for p in network.model.parameters():
            p += 0.5
    for given in (matrix, fresh):
        assert torch.equal(given @ v, before)
    assert relative(operator(network, [BATCH]) @ v, before) > 1e-3


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_tensors_that_were_exchanged_are_still_the_coordinates(operator):
    """``load_state_dict(assign=True)`` puts other tensors in the place of the parameters."""
    network = network_of(nn.Tanh())
    state = {name: 2 * value for name, value in network.model.state_dict().items()}
    twin = network_of(nn.Tanh())
    twin.model.load_state_dict(state)
    v = torch.ones(network.dim, dtype=D)
    before = operator(network, [BATCH]) @ v
    network.model.load_state_dict(state, assign=True)
    assert torch.equal(operator(network, [BATCH]) @ v, operator(twin, [BATCH]) @ v)
    assert relative(operator(network, [BATCH]) @ v, before) > 1e-3


@pytest.mark.parametrize("graph_bytes", [0, 2**30])
@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_what_a_loss_reads_of_the_module_is_in_the_snapshot(operator, graph_bytes):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.Linear(4, 3)
            self.scale = nn.Parameter(torch.tensor(2.0), requires_grad=False)

        def forward(self, x):
            return self.layer(x).tanh()

    model = Scaled().double()
    network = NetworkFunction(model, lambda z, y: cross_entropy(model.scale * z, y))
    matrix, v = operator(network, [BATCH], graph_bytes=graph_bytes), torch.ones(network.dim, dtype=D)
    fresh = operator(network, [BATCH], graph_bytes=graph_bytes)
    before = matrix @ v
    with torch.no_grad():
        model.scale.fill_(3.0)
    assert torch.equal(matrix @ v, before)
    assert torch.equal(fresh @ v, before)
    assert relative(operator(network, [BATCH]) @ v, before) > 1e-2


def test_what_a_penalty_adds_is_not_left_out():
    """The Fisher's gradients have it, the Gauss-Newton matrix cannot."""
    network = network_of(nn.Tanh())
    model = network.model
    network.loss_function = lambda z, y: cross_entropy(z, y) + model[2].weight.square().sum()
    with pytest.raises(InputError, match="not only through the outputs"):
        GaussNewton(network, [BATCH]) @ network.point()
    gradients = []
    for i in range(10):
        model.zero_grad()
        network.loss_function(model(X[i : i + 1]), Y[i : i + 1]).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    model.zero_grad()
    g = torch.stack(gradients)
    assert relative(EmpiricalFisher(network, [BATCH]).dense(), g.T @ g / 10) < 1e-12


class Frozen(dict):
    """A configuration that cannot be written, as libraries have them."""

    def clear(self):
        raise TypeError("this dict is frozen")

    update = __setitem__ = clear


class Configured(nn.Module):
    def __init__(self):
        super().__init__()
        self.config, self.lazy, self.order = Frozen(width=3), None, [1, 2]

    def forward(self, x):
        del self.lazy
        self.order.append(3)
        return x * self.config["width"] * len(self.order)


def test_attributes_are_put_back_whatever_they_are():
    network = network_of(Configured(), nn.Tanh())
    module = network.model[1]
    config, order = module.config, module.order
    (Hessian(network, [BATCH], method="reverse") @ network.point()).norm()
    assert (module.config, module.lazy, module.order) == ({"width": 3}, None, [1, 2])
    assert module.config is config
    assert module.order is order


@pytest.mark.parametrize("graph_bytes", [0, 2**30])
def test_data_that_is_written_to_is_found(graph_bytes):
    inputs = X.clone()
    network = network_of(nn.Tanh())
    matrix = Hessian(network, [(inputs, Y)], graph_bytes=graph_bytes)
    v = network.point()
    before = matrix @ v
    inputs += 1
    with pytest.raises(InputError, match="the data was written to after the first product"):
        matrix @ v
    inputs -= 1
    assert relative(Hessian(network, [(inputs, Y)]) @ v, before) < 1e-12
