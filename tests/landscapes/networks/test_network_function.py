"""A network as a function: the module stays as it was, half precision is widened, wrappers are taken off."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.checkpoint import checkpoint

from eigensam.ground import InputError
from eigensam.landscapes import NetworkDerivatives, NetworkFunction, unflatten


def mlp():
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 2))


def normed():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.BatchNorm1d(4, momentum=None))


def value(network, x, batch):
    return network.loss(unflatten(x, network.shapes), batch)


BATCH = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 2


def test_the_loss_is_that_of_the_module_at_its_point():
    model = mlp()
    network = NetworkFunction(model, cross_entropy)
    truth = cross_entropy(model.eval()(BATCH[0]), BATCH[1])
    assert value(network, network.point(), BATCH).item() == pytest.approx(truth.item(), rel=1e-6)
    x = torch.randn(network.dim)
    network.load_point(x)
    assert torch.equal(network.point(), x)
    assert torch.equal(value(network, x, BATCH), cross_entropy(model(BATCH[0]), BATCH[1]))


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("training", [True, False])
def test_neither_modes_nor_statistics_change(mode, training):
    model = normed()
    model(BATCH[0])
    model.train(training)
    model[2].train(not training)
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    network = NetworkFunction(model, cross_entropy, mode=mode)
    value(network, network.point() + 1, BATCH)

    def failing(z, y):
        raise KeyError("no such class")

    with pytest.raises(KeyError, match="no such class"):
        value(NetworkFunction(model, failing, mode=mode), network.point(), BATCH)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        value(network, network.point(), (torch.randn(6, 2), BATCH[1]))
    after = model.state_dict()
    assert "1.num_batches_tracked" in after
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert [m.training for m in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())


def test_the_two_modes_of_batch_norm_differ():
    model = normed()
    train, evaluated = (NetworkFunction(model, cross_entropy, mode=mode) for mode in ("train", "eval"))
    x = train.point()
    assert value(train, x, BATCH).item() != pytest.approx(value(evaluated, x, BATCH).item(), rel=1e-3)
    model.train()
    assert value(train, x, BATCH).item() == pytest.approx(cross_entropy(model(BATCH[0]), BATCH[1]).item(), rel=1e-6)


def test_dropout_is_off_in_both_modes():
    model = mlp().train()
    network = NetworkFunction(model, cross_entropy, mode="train")
    assert torch.equal(value(network, network.point(), BATCH), value(network, network.point(), BATCH))


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_evaluated_in_float32(half):
    model = normed().to(half)
    twin = copy.deepcopy(model).float()
    for mode in ("train", "eval"):
        network, truth = (NetworkFunction(m, mse_loss, mode=mode) for m in (model, twin))
        assert (network.dtype, network.point().dtype) == (torch.float32, torch.float32)
        batch = BATCH[0].to(half), torch.ones(6, 4, dtype=half)
        expected = value(truth, truth.point(), (batch[0].float(), batch[1].float()))
        assert torch.equal(value(network, network.point(), batch), expected)
    assert next(model.parameters()).dtype == half


def test_half_precision_in_a_part_of_the_model():
    """Norms are often kept in float32; whichever parameter comes first, all are widened."""
    for first in (0, 1):
        model = mlp()
        model[3 * first].to(torch.bfloat16)
        network = NetworkFunction(model, cross_entropy)
        assert network.dtype == torch.float32
        assert value(network, network.point(), BATCH).dtype == torch.float32
        one = NetworkFunction(model, cross_entropy, parameters=["0.*"])
        assert torch.equal(value(one, one.point(), BATCH), value(network, network.point(), BATCH))


def test_autocast_is_off():
    network = NetworkFunction(mlp(), cross_entropy)
    x = network.point()
    outside = value(network, x, BATCH)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(value(network, x, BATCH), outside)
        wrong = cross_entropy(network.model.eval()(BATCH[0]), BATCH[1])
    assert abs(wrong - outside) > 1e-5  # what autocast would have made of it


def test_a_subset_and_the_constants():
    model = mlp()
    network = NetworkFunction(model, cross_entropy, parameters=["3.*"])
    leaves = [p.requires_grad_() for p in unflatten(network.point(), network.shapes)]
    loss = network.loss([leaf.clone() for leaf in leaves], BATCH)
    assert loss.requires_grad
    frozen = network.loss([leaf.detach() for leaf in leaves], BATCH)
    assert not frozen.requires_grad  # no graph for the parameters that are constants
    assert NetworkFunction(model, cross_entropy, parameters="3.bias").names == ["3.bias"]
    assert NetworkFunction(model, cross_entropy, parameters=["3.b*", "0.w*"]).names == ["0.weight", "3.bias"]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(3, 3, bias=False), nn.Linear(3, 3)
        self.decoder.weight = self.encoder.weight

    def forward(self, x):
        return self.decoder(torch.tanh(self.encoder(x)))


def test_a_shared_parameter_is_one_coordinate_under_all_its_names():
    network = NetworkFunction(Tied(), cross_entropy)
    assert (network.names, network.dim) == (["encoder.weight", "decoder.bias"], 12)
    assert NetworkFunction(Tied(), cross_entropy, parameters=["decoder.*"]).dim == 12
    x = torch.randn(12)
    network.load_point(x)
    assert torch.equal(value(network, x, BATCH), cross_entropy(network.model(BATCH[0]), BATCH[1]))


def test_the_wrapper_of_distributed_training_is_taken_off(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        model = mlp()
        network = NetworkFunction(nn.parallel.DistributedDataParallel(model), cross_entropy)
    finally:
        dist.destroy_process_group()
    assert network.model is model
    assert network.names[0] == "0.weight"


def test_wrappers_are_taken_off():
    model = mlp()
    for wrapped in (nn.DataParallel(model), nn.DataParallel(torch.compile(model)), torch.compile(model)):
        network = NetworkFunction(wrapped, cross_entropy)
        assert network.model is model
        assert network.names[0] == "0.weight"


def test_a_loss_of_one_number_in_a_vector_is_a_scalar():
    network = NetworkFunction(mlp(), lambda z, y: cross_entropy(z, y).view(1))
    assert value(network, network.point(), BATCH).shape == ()


def test_bad_input():
    model = mlp()
    with pytest.raises(InputError, match="mode 'test' is not one of: train, eval"):
        NetworkFunction(model, cross_entropy, mode="test")
    with pytest.raises(InputError, match=r"no trainable parameter matches '7\.\*'; there are: 0\.weight, 0\.bias"):
        NetworkFunction(model, cross_entropy, parameters=["0.*", "7.*"])
    with pytest.raises(InputError, match="no parameter is chosen; give at least one"):
        NetworkFunction(model, cross_entropy, parameters=[])
    with pytest.raises(InputError, match="no trainable parameter; set requires_grad=True"):
        NetworkFunction(mlp().requires_grad_(False), cross_entropy)
    model[0].weight.requires_grad_(False)
    with pytest.raises(InputError, match=r"no trainable parameter matches '0\.weight'"):
        NetworkFunction(model, cross_entropy, parameters=["0.weight"])
    x = torch.zeros(NetworkFunction(model, cross_entropy).dim)
    with pytest.raises(InputError, match=r"the loss has shape \(6,\); expected the mean over the examples"):
        value(NetworkFunction(model, lambda z, y: cross_entropy(z, y, reduction="none")), x, BATCH)
    with pytest.raises(InputError, match="the loss is a float; expected a tensor"):
        value(NetworkFunction(model, lambda z, y: cross_entropy(z, y).item()), x, BATCH)


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.first, self.block, self.reentrant = nn.Linear(3, 5), nn.Sequential(nn.Linear(5, 2), nn.Tanh()), reentrant

    def forward(self, x):
        return checkpoint(self.block, self.first(x), use_reentrant=self.reentrant)


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing_is_off(reentrant):
    """It would compute again in the backward pass, with the module's own parameters."""
    model = Checkpointed(reentrant)
    network = NetworkFunction(model, cross_entropy)
    x = (network.point() + 1).requires_grad_()
    loss = value(network, x, BATCH)
    first, block = unflatten(x, network.shapes)[:2], unflatten(x, network.shapes)[2:]
    hidden = torch.nn.functional.linear(BATCH[0], *first)
    truth = cross_entropy(torch.tanh(torch.nn.functional.linear(hidden, *block)), BATCH[1])
    found, expected = (torch.autograd.grad(f, x)[0] for f in (loss, truth))
    torch.testing.assert_close(found, expected)
    assert expected[:20].any()
    cross_entropy(model(BATCH[0]), BATCH[1]).backward()  # as usual outside
    assert model.first.weight.grad is not None


@pytest.mark.parametrize("route", ["taylor", "reverse", "func"])
def test_a_loss_that_reads_the_parameters(route):
    """Weight decay inside the loss is a part of it."""
    model = mlp().double()

    def penalised(outputs, targets):
        return cross_entropy(outputs, targets) + 0.5 * sum((p**2).sum() for p in model.parameters())

    batch = BATCH[0].double(), BATCH[1]
    x = NetworkFunction(model, cross_entropy).point() + 0.3
    u = torch.randn_like(x)
    plain, whole = (
        NetworkDerivatives(NetworkFunction(model, loss), route).contracted_gradient(x, [(1.0, (u,))], batch)
        for loss in (cross_entropy, penalised)
    )
    torch.testing.assert_close(whole, plain + u)
    gradients = [
        NetworkDerivatives(NetworkFunction(model, loss)).contracted_gradient(x, [(1.0, ())], batch)
        for loss in (cross_entropy, penalised)
    ]
    torch.testing.assert_close(gradients[1], gradients[0] + x)


def test_a_parameter_kept_elsewhere_is_refused():
    model = mlp()
    kept = list(model.parameters())
    network = NetworkFunction(model, lambda z, y: cross_entropy(z, y) + sum((p**2).sum() for p in kept))
    with pytest.raises(InputError, match="a copy in a list or a closure"):
        value(network, network.point().requires_grad_(), BATCH)
