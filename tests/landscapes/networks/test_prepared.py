"""Many evaluations with modes set once: the same numbers, and a module as it was."""

import pytest
import torch
from torch import nn

from eigensam.landscapes import NetworkLandscape
from eigensam.landscapes.networks.batch_rows import are_alike
from eigensam.landscapes.networks.empty_rows import empty_rows
from eigensam.landscapes.networks.network_function import NetworkFunction


class Counts(nn.Module):
    """Leaves traces in itself, and reads the modes that it is evaluated in."""

    def __init__(self):
        super().__init__()
        self.seen, self.calls = [], 0

    def forward(self, x):
        self.seen.append(x.shape)
        self.calls += 1
        self.training = True
        return x * (1 + self.calls) * (2 if torch.is_autocast_enabled("cpu") else 1)


def test_evaluations_do_not_see_each_other():
    """Each one finds the module as it was, though nothing is set up in between; in training mode, after, as before."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), Counts(), nn.Dropout(0.5), nn.Linear(3, 2)).train()
    f = NetworkLandscape.from_tensors(
        model, nn.functional.cross_entropy, torch.randn(12, 4), torch.arange(12) % 2, batch_size=4
    )
    x = f.point()
    alone = torch.stack([f.minibatch_gradient(x, m) for m in range(3)])
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        torch.testing.assert_close(f.gradients(x), alone)
        assert torch.is_autocast_enabled("cpu")
    assert model[1].seen == []
    assert model[1].calls == 0
    assert all(module.training for module in model.modules())
    assert f.network._prepared is None


def test_an_error_ends_the_preparation():
    network = NetworkFunction(nn.Linear(2, 1).train(), nn.functional.mse_loss)

    def fail():
        with network.prepared():
            assert not network.model.training
            assert network.in_double()._prepared is None
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail()
    assert network.model.training
    assert network._prepared is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_large_rows_are_tensors_like_others(dtype):
    rows = empty_rows((3, 1 << 20), dtype, torch.device("cpu"))
    assert (rows.shape, rows.dtype, rows.is_contiguous()) == ((3, 1 << 20), dtype, True)
    rows.zero_()[1] = 1
    assert rows.sum(1).tolist() == [0, 1 << 20, 0]


def test_batches_that_are_alike():
    a, b = torch.zeros(2, 3), torch.ones(2, 3)
    assert are_alike({"x": (a, 1, None)}, {"x": (b, 1, None)})
    assert not are_alike({"x": (a, object())}, {"x": (b, object())})
    assert are_alike({"x": [a, 1, "n"]}, {"x": [b, 1, "n"]})
    for other in ({"y": [b]}, {"x": (b,)}, {"x": [b, b]}, {"x": [b.double()]}, {"x": [b[:1]]}, {"x": [b.to_sparse()]}):
        assert not are_alike({"x": [a]}, other)
