"""Operators of networks against dense truths in float64, and how they fall back and refuse.

Truths: torch.func.hessian, ``J^T H J``, per-example gradients, differences of gradients. They share no code with the
operators but call the module itself, its normalisations told what to do.
"""

import copy
import gc
import subprocess
import sys
import textwrap
import weakref

import pytest
import torch
from scipy.sparse.linalg import eigsh
from torch import nn
from torch.func import functional_call, jacrev
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import DataLoader, TensorDataset

from eigensam.ground import InputError
from eigensam.landscapes import (
    EmpiricalFisher,
    GaussNewton,
    Hessian,
    NetworkFunction,
    SmoothNorms,
    flatten,
    lanczos,
    unflatten,
)
from eigensam.landscapes.networks import network_derivatives as routes
from eigensam.landscapes.networks.network_derivatives import NotDifferentiableError

D = torch.float64
EXACT = ["graph", "taylor", "reverse"]


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.TransformerEncoderLayer(2, 2, 3, 0.0, activation="gelu", batch_first=True)
        self.head = nn.Linear(2, 3)

    def forward(self, x):
        return self.head(self.block(x.view(len(x), 4, 2)).mean(1))


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


def squares(z, y):
    return mse_loss(z, functional.one_hot(y, 3).to(z))


def image(*layers):
    return nn.Sequential(nn.Unflatten(1, (2, 2, 2)), *layers)


NETWORKS = {
    "linear, tanh, squares": lambda: (nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3)), squares),
    "relu": lambda: (nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3)), cross_entropy),
    "gelu, silu, softplus": lambda: (
        nn.Sequential(nn.Linear(8, 3), nn.GELU(), nn.Linear(3, 3), nn.SiLU(), nn.Linear(3, 3), nn.Softplus()),
        cross_entropy,
    ),
    "softmax, dropout": lambda: (
        nn.Sequential(nn.Linear(8, 4), nn.Softmax(1), nn.Dropout(0.5), nn.Linear(4, 3)),
        cross_entropy,
    ),
    "conv, pooling": lambda: (
        image(nn.Conv2d(2, 3, 2, padding=1), nn.Tanh(), nn.MaxPool2d(2, 1), nn.AvgPool2d(2), nn.Flatten(),
              nn.Linear(3, 3)),
        cross_entropy,
    ),
    "batch norm": lambda: (
        image(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3), nn.BatchNorm1d(3)),
        cross_entropy,
    ),
    "layer, group norm": lambda: (
        image(nn.Conv2d(2, 2, 1), nn.GroupNorm(1, 2), nn.GELU(), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 3)),
        squares,
    ),
    "transformer": lambda: (Transformer(), cross_entropy),
    "weight norm": lambda: (
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 4)), nn.Tanh(), nn.Linear(4, 3)),
        cross_entropy,
    ),
    "residual": lambda: (
        nn.Sequential(nn.Linear(8, 3), Residual(nn.Sequential(nn.Linear(3, 3), nn.Sigmoid())), nn.Linear(3, 3)),
        squares,
    ),
}  # fmt: skip
INPUTS = torch.randn(13, 8, generator=torch.Generator().manual_seed(0), dtype=D)
TARGETS = torch.arange(13) % 3
BATCHES = [(INPUTS[:7], TARGETS[:7]), (INPUTS[7:11], TARGETS[7:11]), (INPUTS[11:], TARGETS[11:])]


def network_of(name, mode="eval", **arguments):
    torch.manual_seed(0)
    model, loss = NETWORKS[name]()
    model = model.double()
    model.train()(INPUTS)  # running statistics that differ from the initial ones
    return NetworkFunction(model, loss, mode=mode, **arguments)


def mlp():
    return network_of("linear, tanh, squares")


def twin_of(network):
    """The module as a function of the flat vector, without NetworkFunction; norms in train mode hold no statistics."""
    model = copy.deepcopy(network.model).eval()
    for module in model.modules():
        if network.mode == "train" and isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    names, shapes = network.names, network.shapes
    return lambda x, inputs: functional_call(model, dict(zip(names, unflatten(x, shapes), strict=True)), (inputs,))


def mean_over(matrices, batches):
    return sum(len(b[0]) * m for m, b in zip(matrices, batches, strict=True)) / sum(len(b[0]) for b in batches)


def dense_hessian(network, batches):
    outputs, x = twin_of(network), network.point()
    with SmoothNorms(3), sdpa_kernel(SDPBackend.MATH):  # torch.func's own second derivatives of norms are wrong
        return mean_over(
            [torch.func.hessian(lambda p, b=b: network.loss_function(outputs(p, b[0]), b[1]))(x) for b in batches],
            batches,
        )


def differenced_hessian(network, batches):
    """Trusts no formula beyond the gradient: central differences, extrapolated."""
    outputs, x = twin_of(network), network.point()

    def gradient(p, batch):
        p = p.clone().requires_grad_()
        return torch.autograd.grad(network.loss_function(outputs(p, batch[0]), batch[1]), p)[0]

    def rows(batch, h):
        steps = h * torch.eye(len(x), dtype=D)
        return torch.stack([(gradient(x + s, batch) - gradient(x - s, batch)) / (2 * h) for s in steps])

    return mean_over([(4 * rows(b, 1e-4) - rows(b, 2e-4)) / 3 for b in batches], batches)


def dense_gauss_newton(network, batches):
    outputs, x = twin_of(network), network.point()
    parts = []
    for inputs, targets in batches:
        with SmoothNorms(2), sdpa_kernel(SDPBackend.MATH):
            jacobian = jacrev(lambda p, i=inputs: outputs(p, i).flatten())(x)
            z = outputs(x, inputs).detach()
        inner = torch.func.hessian(lambda z, t=targets, s=z.shape: network.loss_function(z.view(s), t))(z.flatten())
        parts.append(jacobian.mT @ inner @ jacobian)
    return mean_over(parts, batches)


def dense_fisher(network, batches):
    """Per-example gradients by one backward pass each."""
    outputs, parts = twin_of(network), []
    for inputs, targets in batches:
        x = network.point().requires_grad_()
        z = outputs(x, inputs)
        losses = [network.loss_function(z[i : i + 1], targets[i : i + 1]) for i in range(len(z))]
        gradients = torch.stack([torch.autograd.grad(loss, x, retain_graph=True)[0] for loss in losses])
        parts.append(gradients.mT @ gradients / len(gradients))
    return mean_over(parts, batches)


def relative(found, truth):
    return float((found.detach() - truth.detach()).norm() / truth.norm().detach())


MODES = [(name, mode) for name in NETWORKS for mode in ("eval", "train") if mode == "eval" or name == "batch norm"]


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_the_hessian_of_every_layer(name, mode):
    """Each method against both truths, on batches of unequal size, by rows and by single vectors; and on one batch."""
    network = network_of(name, mode)
    parts = [dense_hessian(network, [batch]) for batch in BATCHES]
    truth = mean_over(parts, BATCHES)
    assert relative(differenced_hessian(network, BATCHES), truth) < 1e-7
    automatic = Hessian(network, BATCHES)
    assert relative(automatic @ truth[:3], truth[:3] @ truth) < 1e-9
    assert automatic.used == "graph"
    for method in EXACT:
        operator = Hessian(network, BATCHES, method=method)
        assert relative(operator.dense(), truth) < 1e-9
        assert operator.used == method
        one = Hessian(network, BATCHES[:1], method=method)
        assert relative(one @ truth[0], parts[0] @ truth[0]) < 1e-9
        assert relative(one @ truth[:3], truth[:3] @ parts[0]) < 1e-9
    assert relative(sum(parts) / 3, truth) > 1e-3  # wrong on purpose: sizes count


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_gauss_newton_and_fisher_of_every_layer(name, mode):
    network = network_of(name, mode)
    for batches, graph_bytes in ((BATCHES[:1], 2**30), (BATCHES, 0)):
        gauss_newton, fisher = dense_gauss_newton(network, batches), dense_fisher(network, batches)
        operator = GaussNewton(network, batches, graph_bytes=graph_bytes)
        assert relative(operator.dense(), gauss_newton) < 1e-9
        assert operator.semidefinite == (network.loss_function is cross_entropy)
        assert relative(EmpiricalFisher(network, batches, graph_bytes=graph_bytes).dense(), fisher) < 1e-9
    # wrong on purpose: three different matrices
    assert relative(gauss_newton, dense_hessian(network, batches)) > 1e-3
    assert relative(fisher, gauss_newton) > 1e-2


def test_gauss_newton_is_the_hessian_where_the_network_is_linear():
    torch.manual_seed(0)
    network = NetworkFunction(nn.Linear(8, 3).double(), cross_entropy)
    assert relative(GaussNewton(network, BATCHES).dense(), Hessian(network, BATCHES).dense()) < 1e-12


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_a_loader_and_a_subset_of_parameters(operator):
    whole, part = mlp(), network_of("linear, tanh, squares", parameters=["2.*"])
    loader = DataLoader(TensorDataset(INPUTS, TARGETS), 5, shuffle=True, generator=torch.Generator().manual_seed(0))
    truth = operator(whole, [(INPUTS, TARGETS)]).dense()[-part.dim :, -part.dim :]
    assert relative(operator(part, loader).dense(), truth) < 1e-9
    assert relative(operator(part, loader, graph_bytes=0).dense(), truth) < 1e-9
    assert relative(dense_hessian(part, BATCHES), dense_hessian(whole, BATCHES)[-part.dim :, -part.dim :]) < 1e-12


def test_another_point_and_another_type_of_it():
    network = mlp()
    x = torch.randn(network.dim, generator=torch.Generator().manual_seed(5), dtype=torch.float32)
    operator = Hessian(network, BATCHES, x.requires_grad_())
    assert operator.x.dtype == D
    network.load_point(x.double())
    assert relative(operator.dense(), dense_hessian(network, BATCHES)) < 1e-9


@pytest.mark.parametrize("name", ["linear, tanh, squares", "batch norm", "transformer"])
@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_float32_against_float64(name, operator):
    network = network_of(name, "train")
    single = NetworkFunction(copy.deepcopy(network.model).float(), network.loss_function, mode="train")
    batches = [(inputs.float(), targets) for inputs, targets in BATCHES]
    truth, found = operator(network, BATCHES).dense(), operator(single, batches)
    assert found.dtype == torch.float32
    assert relative(found.dense().double(), truth) < 3e-6
    assert (found @ torch.ones(network.dim, dtype=D)).dtype == D


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_rows_are_single_products_and_scipy_agrees(operator):
    network = mlp()
    for graph_bytes in (0, 2**30):
        matrix = operator(network, BATCHES, graph_bytes=graph_bytes)
        rows = torch.randn(4, network.dim, generator=torch.Generator().manual_seed(0), dtype=D)
        torch.testing.assert_close(matrix @ rows, torch.stack([matrix @ row for row in rows]), rtol=1e-11, atol=1e-13)
        torch.testing.assert_close(
            torch.from_numpy(matrix.to_scipy() @ rows.mT.numpy()).mT, matrix @ rows, rtol=1e-12, atol=1e-14
        )
    values = torch.linalg.eigvalsh(matrix.dense())
    found = eigsh(matrix.to_scipy(), 2, which="LA", return_eigenvectors=False)
    assert sorted(found) == pytest.approx(values[-2:].tolist(), rel=1e-9)
    assert lanczos(matrix, 2, tolerance=1e-9).values.tolist() == pytest.approx(sorted(found)[::-1], rel=1e-8)


# Kept graphs


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_budgets_of_memory_give_equal_products(operator):
    network = network_of("batch norm", "train")
    v = torch.randn(network.dim, generator=torch.Generator().manual_seed(0), dtype=D)
    products = []
    for graph_bytes in (0, 2000, 2**30):
        matrix = operator(network, BATCHES, graph_bytes=graph_bytes)
        products.append(matrix @ v)
        assert bool(matrix._kept) == (graph_bytes == 2**30)
        assert torch.equal(matrix @ v, products[-1])  # bit for bit
        torch.testing.assert_close(products[-1], products[0], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_kept_graphs_go_with_their_operator(operator):
    gc.collect()
    gc.disable()  # without waiting for the collector of cycles
    try:
        matrix = operator(mlp(), BATCHES)
        matrix @ matrix.x
        kept = [weakref.ref(product) for _, product in matrix._kept]
        assert all(reference() is not None for reference in kept)
        del matrix
        assert all(reference() is None for reference in kept)
    finally:
        gc.enable()


def test_the_estimate_of_memory_is_that_of_the_activations():
    model = nn.Sequential(*[layer for _ in range(3) for layer in (nn.Linear(64, 64), nn.Tanh())], nn.Linear(64, 3))
    network = NetworkFunction(model, cross_entropy)
    batch = torch.randn(200, 64), torch.arange(200) % 3
    network.loss([p.detach() for p in model.parameters()], batch)  # once, it is seen whether inputs are written to
    hidden = 200 * 64 * 4  # bytes of one layer: the three outputs of tanh are saved; the inputs are there anyway
    assert 3 * hidden <= Hessian(network, [batch])._activation_bytes(batch) <= 3.3 * hidden
    last = NetworkFunction(model, cross_entropy, parameters=["6.*"])
    assert Hessian(last, [batch])._activation_bytes(batch) <= 1.3 * hidden  # no graph below the first coordinate


# Training setups


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
@pytest.mark.parametrize("graph_bytes", [0, 2**30])
def test_mixed_precision(operator, graph_bytes):
    """A bfloat16 model is evaluated in float32; a product inside autocast, no_grad or inference_mode is the same."""
    network = network_of("batch norm", "train")
    half = copy.deepcopy(network.model).to(torch.bfloat16)
    batches = [(inputs.to(torch.bfloat16), targets) for inputs, targets in BATCHES]
    single = [(inputs.float(), targets) for inputs, targets in batches]
    truth = operator(NetworkFunction(copy.deepcopy(half).float(), cross_entropy, mode="train"), single)
    found = operator(NetworkFunction(half, cross_entropy, mode="train"), batches, graph_bytes=graph_bytes)
    v = torch.randn(2, network.dim, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found @ v, truth @ v, rtol=1e-5, atol=1e-6)
    for context in (lambda: torch.autocast("cpu", torch.bfloat16), torch.no_grad, torch.inference_mode):
        with context():
            fresh = operator(NetworkFunction(half, cross_entropy, mode="train"), batches, graph_bytes=graph_bytes)
            for matrix in (fresh, found):
                assert torch.equal(matrix @ v, found @ v)
                assert torch.equal(matrix @ v[0].clone(), found @ v[0])


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
@pytest.mark.parametrize("training", [True, False])
def test_neither_modes_nor_statistics_change(operator, training):
    model = network_of("batch norm").model.train(training)
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    products = {}
    for mode in ("train", "eval"):
        matrix = operator(NetworkFunction(model, cross_entropy, mode=mode), BATCHES)
        products[mode] = matrix.dense()
        with pytest.raises(RuntimeError, match=r"shapes cannot be multiplied|expected input|size of tensor|unflatten"):
            operator(matrix.network, [(INPUTS[:, :7], TARGETS)]) @ matrix.x
    assert relative(products["train"], products["eval"]) > 0.01
    after = model.state_dict()
    assert {"2.running_mean", "2.num_batches_tracked"} < set(after)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert [m.training for m in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())


WORKER = """
    import sys
    import torch
    import torch.distributed as dist
    from torch import nn
    from eigensam.landscapes import NetworkFunction
    from eigensam.landscapes import (EmpiricalFisher, GaussNewton, Hessian, lanczos)

    torch.set_num_threads(1)
    rank, folder = int(sys.argv[1]), sys.argv[2]
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    data = torch.load(f"{folder}/data.pt", weights_only=True)
    model = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    model.load_state_dict(data["model"])
    network = NetworkFunction(model, nn.functional.cross_entropy)
    x, y = data["inputs"], data["targets"]
    batches = [(x[:3], y[:3]), (x[3:5], y[3:5])] if rank == 0 else [(x[5:], y[5:])]
    found = {}
    for kind in (Hessian, GaussNewton, EmpiricalFisher):
        for graph_bytes in (0, 2**30):
            operator = kind(network, batches, graph_bytes=graph_bytes, group=dist.group.WORLD)
            found[f"{kind.__name__} {graph_bytes}"] = operator @ data["v"], operator @ data["v"][0]
    ignored = (batches[0][0], torch.full_like(batches[0][1], -100)) if rank else batches[0]
    found["share"] = Hessian(network, [ignored], group=dist.group.WORLD) @ data["v"]
    pairs = lanczos(Hessian(network, batches, group=dist.group.WORLD), 2, which="both", tolerance=1e-8)
    found["values"], found["vectors"] = pairs.values, pairs.vectors
    torch.save(found, f"{folder}/found{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()
"""


def test_two_processes_with_their_own_examples(tmp_path):
    """Five and eight examples: both ranks get the products of all thirteen, and the same eigenvalues."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    network = NetworkFunction(model, cross_entropy)
    v = torch.randn(3, network.dim, dtype=D)
    torch.save({"model": model.state_dict(), "inputs": INPUTS, "targets": TARGETS, "v": v}, tmp_path / "data.pt")
    (tmp_path / "worker.py").write_text(textwrap.dedent(WORKER))
    command = [sys.executable, "-W", "ignore", str(tmp_path / "worker.py")]
    workers = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], stderr=subprocess.PIPE, text=True) for rank in (0, 1)
    ]
    errors = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], errors
    found = [torch.load(tmp_path / f"found{rank}.pt", weights_only=True) for rank in (0, 1)]
    for kind in (Hessian, GaussNewton, EmpiricalFisher):
        truth = kind(network, [(INPUTS, TARGETS)])
        for graph_bytes in (0, 2**30):
            rows, single = zip(*(f[f"{kind.__name__} {graph_bytes}"] for f in found), strict=True)
            torch.testing.assert_close(rows[0], truth @ v, rtol=1e-10, atol=1e-13)
            torch.testing.assert_close(single[0], truth @ v[0], rtol=1e-10, atol=1e-13)
            assert torch.equal(rows[0], rows[1])
            assert torch.equal(single[0], single[1])
        # wrong on purpose: one rank's own examples
        assert relative(kind(network, [(INPUTS[:5], TARGETS[:5])]) @ v, truth @ v) > 0.01
    # a process whose targets are all ignored adds nothing
    share = Hessian(network, [(INPUTS[:3], TARGETS[:3])]) @ v
    assert all((f["share"] - share).norm() < 1e-10 * share.norm() for f in found)
    values = torch.linalg.eigvalsh(dense_hessian(network, [(INPUTS, TARGETS)]))
    assert torch.equal(found[0]["values"], found[1]["values"])
    assert torch.equal(found[0]["vectors"], found[1]["vectors"])
    assert found[0]["values"].tolist() == pytest.approx(values[[-1, -2, 0, 1]].tolist(), rel=1e-7)


# Kernels that cannot be differentiated twice


class Once(torch.autograd.Function):
    """``tanh`` with a backward pass as fused kernels have it."""

    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad * (1 - y * y)


class Kernel(Once):
    """The same, outside of torch's graph and unmarked."""

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return torch.from_numpy(grad.detach().numpy() * (1 - y.detach().numpy() ** 2))


class FusedLoss(torch.autograd.Function):
    """Mean of softplus(-z): the kernel is the loss itself, so that no gradient that flows into it needs a gradient."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return functional.softplus(-z).mean()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (z,) = ctx.saved_tensors
        return -grad * torch.sigmoid(-z) / z.numel()


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def pair(kind, dtype):
    """A network with a kernel of the given kind, and its smooth twin, at the same point."""

    def build(function, loss=cross_entropy):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 5), Apply(function), nn.Linear(5, 3)).to(dtype)
        return NetworkFunction(model, loss)

    if kind == "fused loss":
        loss = functional.softplus
        return build(torch.tanh, lambda z, y: FusedLoss.apply(z)), build(torch.tanh, lambda z, y: loss(-z).mean())
    if kind == "not implemented":  # a multi-class hinge of torch's, and the same in torch's own arithmetic

        def hinge(z, y):
            margins = functional.softplus(20 * (1 - z.gather(1, y[:, None]) + z)) / 20
            return margins.mean()

        def bagged(z):
            count = torch.arange(z.numel(), device=z.device).view(z.shape)
            return functional.embedding_bag(count, z.reshape(-1, 1), mode="sum").expand_as(z) + z

        return build(lambda z: bagged(z.tanh()), hinge), build(
            lambda z: z.tanh().sum(1, keepdim=True) + z.tanh(), hinge
        )
    function = {"once": Once, "kernel": Kernel, "skip": Once}[kind].apply
    if kind == "skip":
        return build(lambda z: z + function(z)), build(lambda z: z + z.tanh())
    return build(function), build(torch.tanh)


@pytest.mark.parametrize("dtype", [torch.float32, D])
@pytest.mark.parametrize("kind", ["once", "kernel", "skip", "fused loss", "not implemented"])
def test_kernels_that_cannot_be_differentiated_twice(kind, dtype):
    rough, smooth = pair(kind, dtype)
    batches = [(inputs.to(dtype), targets) for inputs, targets in BATCHES]
    rows = torch.randn(3, rough.dim, generator=torch.Generator().manual_seed(0), dtype=D).to(dtype)
    rows[2] = torch.eye(rough.dim)[0]
    truth = Hessian(smooth, batches, method="reverse") @ rows
    limit = 1e-5 if dtype == torch.float32 else 1e-6
    for graph_bytes in (0, 2**30):
        for at_once in (True, False):
            operator = Hessian(rough, batches, graph_bytes=graph_bytes)
            before = operator.accuracy
            found = operator @ rows if at_once else torch.stack([operator @ row for row in rows])
            assert relative(found, truth) < limit
            assert operator.used.startswith("difference (refused: reverse: ")
            assert "twice" in operator.used or "is not implemented" in operator.used
            assert operator.checked.startswith("differences at two step sizes agree to ")
            assert before == 100 * torch.finfo(dtype).eps
            assert before <= operator.accuracy < 1e-4  # in float64 inside, whatever the network's type
            assert torch.equal(operator @ rows[0], found[0])
    for method in EXACT:
        with pytest.raises(NotDifferentiableError, match=rf"(route|method) '{method}' .*use (route|method) 'auto'"):
            Hessian(rough, batches, method=method) @ truth[0]
    if kind != "fused loss":
        with pytest.raises(NotDifferentiableError, match="GaussNewton differentiates a backward pass, which torch"):
            GaussNewton(rough, batches) @ truth[0]


@pytest.mark.parametrize("scale", [1e-2, 1.0, 10.0])
@pytest.mark.parametrize("name", ["linear, tanh, squares", "batch norm", "layer, group norm"])
def test_steps_of_differences_suit_every_scale(name, scale):
    """Parameters a hundredth or ten times of usual; vectors of any length; directions sharp and flat."""
    for dtype, limit in ((torch.float32, 1e-5), (D, 1e-8)):
        network = network_of(name, "train")
        network.load_point(scale * network.point())
        exact = Hessian(network, BATCHES, network.point().to(dtype).double(), method="reverse")
        rough = NetworkFunction(copy.deepcopy(network.model).to(dtype), network.loss_function, mode="train")
        operator = Hessian(rough, [(i.to(dtype), t) for i, t in BATCHES], method="difference")
        top = torch.linalg.eigh(exact.dense())[1][:, -1].to(dtype)
        random = torch.randn(network.dim, generator=torch.Generator().manual_seed(0), dtype=D).to(dtype)
        for v in (top, random / random.norm()):
            truth = exact @ v.double()
            for length in (1e-6, 1e6):
                found = operator @ (length * v) / length
                assert operator.used == "difference"
                assert relative(found.double(), truth) < limit
        assert not (operator @ torch.zeros(network.dim)).any()


def test_differences_where_there_is_no_curvature_or_no_scale():
    torch.manual_seed(0)
    linear = NetworkFunction(nn.Linear(8, 3).double(), lambda z, y: z.mean())
    assert (Hessian(linear, BATCHES, method="difference") @ torch.ones(27, dtype=D)).norm() < 1e-9
    squares_of = NetworkFunction(nn.Linear(8, 3).double(), squares)
    at_zero = torch.zeros(27, dtype=D)  # nothing tells a scale here
    truth = Hessian(squares_of, BATCHES, at_zero).dense()
    assert relative(Hessian(squares_of, BATCHES, at_zero, method="difference").dense(), truth) < 1e-8


# Networks out of the ordinary


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(8, 8, bias=False), nn.Linear(8, 8)
        self.decoder.weight = self.encoder.weight
        self.register_buffer("scale", torch.full((8,), 0.5))

    def forward(self, x):
        return self.decoder(torch.tanh(self.encoder(x)) * self.scale)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head, self.unused = nn.Embedding(6, 3), nn.Linear(3, 3), nn.Linear(2, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.table(x).mean(1)))


CASES = {
    "ignores outputs": (
        lambda: nn.Sequential(nn.Linear(8, 3), nn.Tanh(), nn.Linear(3, 5)),
        lambda z, y: cross_entropy(z[:, :3], y),
        INPUTS,
    ),
    "tied weights, a buffer": (Tied, cross_entropy, INPUTS),
    "integers, unused parameters": (Words, cross_entropy, (INPUTS[:, :4] * 3).long().abs() % 6),
}


@pytest.mark.parametrize("case", CASES)
def test_networks_out_of_the_ordinary(case):
    build, loss, inputs = CASES[case]
    torch.manual_seed(0)
    network = NetworkFunction(build().double(), loss)
    batches = [(inputs[:8], TARGETS[:8]), (inputs[8:], TARGETS[8:])]
    truth = dense_hessian(network, batches)
    assert relative(differenced_hessian(network, batches), truth) < 1e-7
    for method in EXACT:
        assert relative(Hessian(network, batches, method=method).dense(), truth) < 1e-9
    assert relative(Hessian(network, batches, method="difference") @ truth[:2], truth[:2] @ truth) < 1e-7
    assert relative(GaussNewton(network, batches).dense(), dense_gauss_newton(network, batches)) < 1e-9
    assert relative(EmpiricalFisher(network, batches).dense(), dense_fisher(network, batches)) < 1e-9
    if "unused" in case:
        assert not truth[-6:].any()


def test_auto_tries_the_taylor_pass_on_large_problems(monkeypatch):
    monkeypatch.setattr(routes, "_SMALL", 0)
    operator = Hessian(mlp(), BATCHES, graph_bytes=0)
    assert operator.used == "nothing yet"
    v = torch.ones(operator.dim, dtype=D)
    found = operator @ v
    assert operator.used == "taylor"
    assert relative(found, dense_hessian(mlp(), BATCHES) @ v) < 1e-9
    network = mlp()
    network.model[1] = Apply(lambda z: torch.cumsum(z, 1).tanh())
    operator = Hessian(network, BATCHES, graph_bytes=0)
    assert relative(operator @ v, dense_hessian(network, BATCHES) @ v) < 1e-9
    assert operator.used == "reverse (refused: taylor: cumsum)"


@pytest.mark.parametrize("method", ["auto", "graph", "reverse"])
def test_a_loss_linear_in_the_parameters_has_no_curvature(method):
    network = NetworkFunction(nn.Linear(8, 3).double(), lambda z, y: z.mean())
    for given in (network, NetworkFunction(network.model, network.loss_function, parameters=["bias"])):
        for graph_bytes in (0, 2**30):
            matrix = Hessian(given, BATCHES, method=method, graph_bytes=graph_bytes)
            assert not matrix.dense().any()
            assert not (matrix @ matrix.x).any()
    assert not GaussNewton(network, BATCHES).dense().any()


def test_semidefinite_is_said_where_it_is_known():
    model = nn.Linear(8, 3).double()
    for loss, known in (
        (cross_entropy, True),
        (mse_loss, True),
        (nn.CrossEntropyLoss(), True),
        (nn.MSELoss(), True),
        (squares, False),
    ):
        assert GaussNewton(NetworkFunction(model, loss), BATCHES).semidefinite == known
    assert GaussNewton(NetworkFunction(model, squares), BATCHES, convex=True).semidefinite
    assert EmpiricalFisher(NetworkFunction(model, squares), BATCHES).semidefinite
    assert not Hessian(NetworkFunction(model, squares), BATCHES).semidefinite


# Bad input


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_bad_points_and_data(operator):
    network = mlp()
    with pytest.raises(InputError, match=rf"the point has shape \(3,\); expected \({network.dim},\)"):
        operator(network, BATCHES, torch.zeros(3))
    with pytest.raises(InputError, match="the point holds NaN or infinity; training has diverged"):
        operator(network, BATCHES, network.point() * float("nan"))
    v = network.point()
    for graph_bytes in (0, 2**30):
        with pytest.raises(InputError, match="the data holds NaN"):
            operator(network, [(INPUTS * float("nan"), TARGETS)], graph_bytes=graph_bytes) @ v
        with pytest.raises(InputError, match="a batch has 13 inputs and 12 targets"):
            operator(network, [(INPUTS, TARGETS[:-1])], graph_bytes=graph_bytes) @ v
        with pytest.raises(InputError, match="there is no batch"):
            operator(network, [], graph_bytes=graph_bytes) @ v
        overflows = NetworkFunction(network.model, lambda z, y: squares(z, y) * float("inf"))
        with pytest.raises(InputError, match=r"a product is not finite|the loss of a batch is inf"):
            operator(overflows, BATCHES, graph_bytes=graph_bytes) @ v
    with pytest.raises(InputError, match="a vector has shape"):
        operator(network, BATCHES) @ v[:-1]
    with pytest.raises(InputError, match="ends after one pass"):
        operator(network, iter(BATCHES))


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_bad_losses(operator):
    network = mlp()
    v = network.point()

    def of(loss):
        return NetworkFunction(network.model, loss)

    for graph_bytes in (0, 2**30):
        with pytest.raises(
            InputError, match=r"the loss does not depend on the parameters .* give a differentiable loss"
        ):
            operator(of(lambda z, y: (z.argmax(1) == y).double().mean()), BATCHES, graph_bytes=graph_bytes) @ v
        with pytest.raises(InputError, match=r"the loss has shape \((7|1),.*\); expected the mean over the examples"):
            operator(of(lambda z, y: z.square()), BATCHES, graph_bytes=graph_bytes) @ v


def test_a_loader_that_shuffles_matters_with_batch_norm_in_train_mode_only():
    loader = DataLoader(TensorDataset(INPUTS, TARGETS), 5, shuffle=True)
    with pytest.raises(InputError, match="the data loader shuffles"):
        Hessian(network_of("batch norm", "train"), loader)
    Hessian(network_of("batch norm", "eval"), loader)
    Hessian(network_of("layer, group norm", "train"), loader)


@pytest.mark.parametrize("options", [{"reduction": "sum"}, {"weight": torch.tensor([1.0, 2.0, 5.0], dtype=D)}])
def test_the_fisher_needs_a_mean_over_examples(options):
    network = NetworkFunction(mlp().model, lambda z, y: cross_entropy(z, y, **options))
    with pytest.raises(InputError, match="the empirical Fisher needs a mean over examples"):
        EmpiricalFisher(network, BATCHES) @ network.point()


def test_outputs_that_are_not_one_tensor():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(8, 3).double()

        def forward(self, x):
            return {"logits": self.inner(x)}

    network = NetworkFunction(Two(), lambda z, y: cross_entropy(z["logits"], y))
    plain = NetworkFunction(network.model.inner, cross_entropy)
    assert relative(Hessian(network, BATCHES).dense(), Hessian(plain, BATCHES).dense()) < 1e-12
    for operator in (GaussNewton, EmpiricalFisher):
        with pytest.raises(InputError, match="the network's outputs are a dict; expected one tensor"):
            operator(network, BATCHES) @ network.point()


def test_unknown_methods():
    with pytest.raises(InputError, match="unknown method 'exact'; choose one of: auto, graph, taylor, reverse, diff"):
        Hessian(mlp(), BATCHES, method="exact")


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
def test_errors_of_the_network_come_out_as_they_are(operator):
    error = KeyError("layer 7")

    def raising(z):
        raise error

    network = mlp()
    network.model[1] = Apply(raising)
    for graph_bytes in (0, 2**30):
        with pytest.raises(KeyError) as caught:
            operator(network, BATCHES, graph_bytes=graph_bytes) @ network.point()
        assert caught.value is error


def test_flat_vectors_are_in_the_order_of_the_names():
    network = mlp()
    assert torch.equal(network.point(), flatten(p.detach() for p in network.model.parameters()))
