"""What makes a training another one: networks of one's own, the script that defines them, the processor."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from eigensam.ground import InputError
from eigensam.landscapes import DataSet, Run
from eigensam.optim import TrainSettings, train
from eigensam.optim.training.identity import _kinds, network_fingerprint

from .kept import files, kill_at

OWN = TrainSettings("sgd", data="own", model="own", epochs=2, batch_size=16, schedule="constant")


@pytest.fixture
def mine():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 3, generator=generator)
    return DataSet("mine", x, (x[:, 0] > 0).long(), x, (x[:, 0] > 0).long(), classes=2, augmentable=False)


class _Network(nn.Module):
    def __init__(self, activation=torch.tanh, frozen=()):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.activation = nn.Linear(3, 4), nn.Linear(4, 2), activation
        for name in frozen:
            self.get_submodule(name).requires_grad_(False)

    def forward(self, x):
        return self.second(self.activation(self.first(x)))


@pytest.mark.parametrize("other", [{"activation": torch.relu}, {"frozen": ["first"]}])
def test_what_the_state_does_not_show_makes_another_network(mine, tmp_path, other):
    """An activation that is an attribute, and parameters that are not trained."""
    settings = dataclasses.replace(OWN, schedule="cosine")
    with pytest.raises(KeyboardInterrupt):
        train(settings, mine, tmp_path / "a", model=_Network(), save_minutes=0, progress=kill_at(5))
    with pytest.raises(InputError, match="the unfinished run differs in network"):
        train(settings, mine, tmp_path / "a", model=_Network(**other), resume=True)
    train(settings, mine, tmp_path / "a", model=_Network(), resume=True)
    train(settings, mine, tmp_path / "b", model=_Network())
    assert files(tmp_path / "a") == files(tmp_path / "b")
    with pytest.raises(InputError, match="made anew, not one that has been trained since"):
        train(settings, mine, tmp_path / "a", model=_Network(**other), resume=True)


def test_a_network_is_the_same_in_another_mode_and_as_another_object():
    assert network_fingerprint(_Network()) == network_fingerprint(_Network().eval())
    assert network_fingerprint(_Network()) != network_fingerprint(nn.Sequential(_Network()))


_PRINTED = """
import torch
from torch import nn
from eigensam.optim.training.identity import network_fingerprint
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.TransformerEncoderLayer(8, 2, 16), nn.Linear(8, 4))
print(network_fingerprint(model))
"""


def test_a_network_is_the_same_in_another_process():
    """Torch's own classes count by their names: their code has globals that are each process's own."""
    found = [
        subprocess.run([sys.executable, "-c", _PRINTED], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.TransformerEncoderLayer(8, 2, 16), nn.Linear(8, 4))
    assert {text.strip() for text in found} == {network_fingerprint(model)}


def test_the_order_of_classes_in_memory_does_not_count():
    """A set of classes is in the order of their addresses, another one in each process."""
    model = nn.Sequential(_Masked(), _Network(), AveragedModel(nn.Linear(2, 2)))
    names = [f"{kind.__module__}.{kind.__qualname__}" for kind in _kinds(model)]
    assert names == sorted(names)
    assert len(names) == 5


_SCRIPT = """
import torch
from torch import nn
from eigensam.landscapes import DataSet
from eigensam.optim import TrainSettings, train

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x){forward}

x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
data = DataSet("mine", x, (x[:, 0] > 0).long(), x, (x[:, 0] > 0).long(), classes=2, augmentable=False)
settings = TrainSettings("sgd", data="own", model="own", epochs={epochs}, batch_size=16, schedule="constant")
train(settings, data, "run", model=Network(), resume=True)
"""


def test_a_script_asks_for_more_epochs_of_its_own_network(tmp_path):
    def run(**changes):
        (tmp_path / "script.py").write_text(_SCRIPT.format(**{"epochs": 1, "forward": "", **changes}))
        return subprocess.run(
            [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )

    assert run().returncode == 0
    found = run(epochs=2)
    assert found.returncode == 0, found.stderr
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2
    other = run(epochs=3, forward=" * 2")
    assert "another structure or other first parameters" in other.stderr


def test_another_processor_rounds_in_another_way(mine, tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        train(OWN, mine, tmp_path / "a", model=_Network(), save_minutes=0, progress=kill_at(5))
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ANOTHER")
    with pytest.raises(InputError, match=r"differs in processor \(.* there, ANOTHER here\)"):
        train(OWN, mine, tmp_path / "a", model=_Network(), resume=True)


class _Masked(nn.Module):
    """Attention with a causal mask, which is infinite from the start."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 2)
        self.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))

    def forward(self, x):
        weights = (x[:, :, None] * x[:, None, :] + self.mask).softmax(-1)
        return self.layer((weights @ x[:, :, None])[:, :, 0])


def test_a_mask_may_be_infinite(mine, tmp_path):
    run = train(OWN, mine, tmp_path / "a", model=_Masked())
    assert run.metrics[-1]["train_loss"] < run.metrics[0]["train_loss"]
    assert bool(Run(tmp_path / "a", _Masked()).network().mask.isinf().any())
    with pytest.raises(InputError, match="the weights are not finite after epoch 1"):
        train(TrainSettings("sgd", data="own", model="own", epochs=1, batch_size=64, lr=1e30, weight_decay=1e10),
              mine, tmp_path / "b", model=_Masked())  # fmt: skip
