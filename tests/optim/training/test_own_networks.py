"""Networks of one's own come back from their runs as they were trained, whatever they are made of."""

import dataclasses

import pytest
import torch
from torch import nn

from eigensam.bounds import Theorem41
from eigensam.ground import InputError
from eigensam.landscapes import DataSet, Run, load_tensors
from eigensam.optim import TrainSettings, train
from eigensam.optim.training.measurement import evaluate

from .kept import kill_at

OWN = TrainSettings("sgd", data="own", model="own", epochs=3, batch_size=16)


@pytest.fixture
def mine():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 3, generator=generator)
    y = (x[:, 0] > 0).long()
    return DataSet("mine", x, y, x[:8], y[:8], classes=2, augmentable=False)


class _Centred(nn.Linear):
    """Takes a running mean off that its own state does not say, and remembers the last batch's in a cache."""

    def __init__(self, *, persistent=False):
        torch.manual_seed(3)
        super().__init__(3, 2)
        self.register_buffer("mean", torch.zeros(3), persistent=persistent)
        self.register_buffer("signs", torch.ones(()).expand(4, 4), persistent=False)
        self.register_buffer("last", None, persistent=False)

    def forward(self, x):
        if self.training:
            self.mean.mul_(0.8).add_(0.2 * x.detach().mean(0) + 0.1)
            self.last = x.detach().mean(1)
        return super().forward(x - self.mean)


class _Cached(nn.Linear):
    def __init__(self):
        torch.manual_seed(3)
        super().__init__(3, 2)

    def forward(self, x):
        self.scores = super().forward(x)
        return self.scores


def _hooked():
    torch.manual_seed(3)
    with pytest.warns(FutureWarning):
        return nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 2)))


def _is_measured(network, run, data):
    return evaluate(network, data.test_inputs, data.test_targets)[0] == run.kept["test_loss"]


@pytest.mark.parametrize("make", [_Centred, _Cached, _hooked])
def test_the_network_of_a_finished_run_is_the_one_that_was_measured(mine, tmp_path, make):
    model, again = make(), make()
    run = train(OWN, mine, tmp_path / "r", model=model)
    assert _is_measured(model, run, mine)
    assert _is_measured(run.network(), run, mine)
    assert _is_measured(Run(tmp_path / "r", make()).network(), run, mine)
    assert not _is_measured(run.network(initial=True), run, mine)
    train(OWN, mine, tmp_path / "r", model=again, resume=True)
    assert _is_measured(again, run, mine)


def test_the_best_weights_are_kept_with_their_own_buffers(mine, tmp_path):
    def network():
        return nn.Sequential(_Centred(), nn.Tanh(), nn.Linear(2, 2))

    settings = dataclasses.replace(OWN, lr=3.0, epochs=8, patience=2, validation_fraction=0.25, label_noise=0.5)
    run = train(settings, mine, tmp_path / "r", model=network())
    assert run.checkpoint.kept_epoch < len(run.metrics)
    assert _is_measured(Run(tmp_path / "r", network()).network(), run, mine)
    with pytest.raises(KeyboardInterrupt):
        train(settings, mine, tmp_path / "s", model=network(), save_minutes=0, progress=kill_at(6))
    train(settings, mine, tmp_path / "s", model=network(), resume=True)
    one, other = (load_tensors(tmp_path / name / "checkpoint.safetensors") for name in "rs")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_without_hidden_buffers_the_file_is_that_of_the_state(mine, tmp_path):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    train(OWN, mine, tmp_path / "r", model=model)
    from safetensors.torch import save

    assert (tmp_path / "r" / "checkpoint.safetensors").read_bytes() == save(model.state_dict())


def test_tensors_of_another_network_are_refused(mine, tmp_path):
    train(OWN, mine, tmp_path / "r", model=_Centred())
    for other, message in ((nn.Linear(3, 2), "unknown tensor 'last'"), (_hooked(), "has no tensor '0.bias'")):
        with pytest.raises(InputError, match=message):
            Run(tmp_path / "r", other).network()


def test_a_network_that_cannot_be_copied(mine, tmp_path):
    class Own(nn.Linear):
        def __deepcopy__(self, memo):
            raise TypeError("there is one of me")

    model = Own(3, 2)
    run = train(OWN, mine, tmp_path / "r", model=model)
    with pytest.raises(InputError, match=r"the network cannot be copied \(there is one of me\)"):
        run.network()


@pytest.mark.parametrize("count", [lambda y: y.numpy().max() + 1, lambda y: y.max() + 1])
def test_the_number_of_classes_as_one_computes_it(mine, tmp_path, count):
    data = dataclasses.replace(mine, classes=count(mine.train_targets))
    assert train(OWN, data, tmp_path / "r", model=nn.Linear(3, 2)).checkpoint.classes == 2


@pytest.mark.parametrize(
    ("change", "message"), [({"classes": 2.0}, "classes = 2.0; give a whole number"), ({"name": 3}, "is 3; give text")]
)
def test_names_and_numbers_that_are_none(mine, change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(mine, **change)


def test_inputs_wider_than_any_image(tmp_path):
    x, y = torch.ones(4, 100_001), torch.arange(4) % 2
    wide = DataSet("genes", x, y, x, y, classes=100_002, augmentable=False)
    network = nn.Sequential(nn.Linear(100_001, 1), nn.Linear(1, 100_002))
    run = train(dataclasses.replace(OWN, epochs=1, batch_size=2), wide, tmp_path / "r", model=network)
    assert Run(run.directory).checkpoint.shape == (100_001,)


class _WithScale(nn.Linear):
    def get_extra_state(self):
        return {"scale": 2.0}

    def set_extra_state(self, state):
        pass


def _with_buffer(value):
    model = nn.Linear(3, 2)
    model.register_buffer("frequencies", value)
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_WithScale(3, 2), "'_extra_state' of the network's state is a dict; only tensors can be kept"),
        (
            _with_buffer(torch.ones(3, dtype=torch.complex128)),
            "'frequencies' .* is of type torch.complex128, which cannot",
        ),
        (_with_buffer(torch.eye(3).to_sparse()), "'frequencies' of the network has the layout torch.sparse_coo"),
    ],
)
def test_a_state_that_no_file_can_hold_is_refused_at_once(mine, tmp_path, model, message):
    with pytest.raises(InputError, match=message):
        train(OWN, mine, tmp_path / "r", model=model)
    assert list(tmp_path.iterdir()) == []


def test_crops_of_vectors(mine, tmp_path):
    vectors = dataclasses.replace(mine, augmentable=True)
    with pytest.raises(InputError, match=r"crops and flips are of images .* have shape \(3,\)"):
        train(dataclasses.replace(OWN, augment=True), vectors, tmp_path / "r", model=nn.Linear(3, 2))


def test_networks_by_name_are_in_single_precision(digits, tmp_path):
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(InputError, match=r"call torch.set_default_dtype\(torch.float32\)"):
            train(TrainSettings("sgd", epochs=1), digits, tmp_path / "r")
    finally:
        torch.set_default_dtype(torch.float32)


def test_inputs_of_half_precision(mine, tmp_path):
    halves = dataclasses.replace(
        mine, train_inputs=mine.train_inputs.bfloat16(), test_inputs=mine.test_inputs.bfloat16()
    )
    run = train(OWN, halves, tmp_path / "r", model=nn.Linear(3, 2).bfloat16())
    with pytest.raises(InputError, match="trained on other examples"):
        run.training_part(dataclasses.replace(halves, train_inputs=halves.train_inputs.flip(0)))


def test_words_stay_words(tmp_path):
    words = torch.arange(320).reshape(64, 5) % 10
    data = DataSet("words", words, words[:, 0] % 2, words, words[:, 0] % 2, classes=2, augmentable=False)

    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.scores = nn.Embedding(10, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.scores(torch.tanh(self.words(x).mean(1)))

    run = train(OWN, data, tmp_path / "r", model=Bag())
    f = run.landscape(data, batch_size=16, dtype=torch.float64)
    loss = evaluate(run.network().double(), words, data.train_targets)[0]
    assert float(f.loss(f.point())) == pytest.approx(loss, rel=1e-12)
    assert Theorem41(max_products=5).bound(run, data).bound > 0


class _Auxiliary(nn.Linear):
    """Scores in eval mode, more of them in train mode, as some networks of torchvision."""

    def forward(self, x):
        scores = super().forward(x)
        return (scores, scores) if self.training else scores


def test_outputs_besides_the_scores_are_said(mine, tmp_path):
    with pytest.raises(InputError, match="in train mode the network returns tuple, in eval mode scores"):
        train(OWN, mine, tmp_path / "r", model=_Auxiliary(3, 2))
    assert list(tmp_path.iterdir()) == []


def test_a_place_below_a_folder_that_is_not_there(mine, tmp_path):
    """``a/..`` is here also where ``a`` is not: refused before the training, not after it."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "notes").touch()
    with pytest.raises(InputError, match="exists already"):
        train(OWN, mine, tmp_path / "r" / "new" / "..", model=nn.Linear(3, 2))
