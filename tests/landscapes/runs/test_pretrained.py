"""Weights of others compute in our network what they computed, and whatever else lies in their place is refused."""

import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from torchvision.models import ViT_B_16_Weights, get_model

from eigensam.ground import InputError
from eigensam.landscapes import DATA, build_model
from eigensam.landscapes.runs.pretrained import check_weights, load_pretrained, weights_path
from eigensam.landscapes.runs.pretrained_weights import PRETRAINED, PretrainedWeights, find_pretrained
from eigensam.tests.tiny_pretrained import NAME, PUBLISHED_CLASSES, prepare, published, put, tiny


@pytest.fixture
def state(monkeypatch, tmp_path):
    return prepare(monkeypatch, tmp_path / "torch")


def _given(classes, channels=3, statistics=None):
    model = tiny((channels, 8, 8), classes)
    load_pretrained(model, find_pretrained(NAME, "imagenet"), statistics)
    return model.eval()


def test_what_torchvision_publishes():
    weights = find_pretrained("vit-b-16", "imagenet")
    theirs = ViT_B_16_Weights.IMAGENET1K_V1
    assert weights.url == theirs.url
    assert [list(weights.mean), list(weights.std)] == [theirs.transforms().mean, theirs.transforms().std]
    with torch.device("meta"):
        ours = build_model("vit-b-16", (3, 32, 32), 10).state_dict()
        whole = get_model("vit_b_16").state_dict()
    same = {name for name in whole if not name.startswith(weights.head)}
    assert {name: ours[weights.wrapped + name].shape for name in same} == {name: whole[name].shape for name in same}
    assert len(same) == len(ours) - 2 == len(whole) - 2
    assert weights.wrapped + weights.first + ".weight" in ours


@pytest.mark.parametrize("data", ["cifar10", "svhn", "digits", "mnist"])
def test_the_network_computes_what_the_published_one_does(state, data):
    """Of an image in [0, 1], resized and standardised as that one expects; wrong on purpose: as ours are."""
    mean, std = (torch.tensor(each).view(-1, 1, 1) for each in DATA[data].statistics)
    image = torch.rand(4, len(mean), 32, 32)
    theirs = published()
    theirs.load_state_dict(state)
    weights = find_pretrained(NAME, "imagenet")
    coloured = torch.nn.functional.interpolate(image.expand(-1, 3, -1, -1), (224, 224), mode="bilinear", antialias=True)
    shift, scale = (torch.tensor(each).view(-1, 1, 1) for each in (weights.mean, weights.std))
    expected = theirs.eval()((coloured - shift) / scale)
    found = []
    for statistics in (DATA[data].statistics, None):
        ours = _given(PUBLISHED_CLASSES, len(mean), statistics)
        ours.transformer.heads.load_state_dict(theirs.heads.state_dict())
        found.append(ours((image - mean) / std))
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-5)
    assert (found[1] - expected).abs().max() > 1e-3


def test_the_statistics_are_those_of_the_data(digits):
    (mean,), (std,) = DATA["digits"].statistics
    images = digits.train_inputs * std + mean
    assert (float(images.min()), float(images.max())) == (0.0, 1.0)


def test_the_head_is_as_without(state):
    """Which is zero, as torchvision makes it: every class is equally likely."""
    torch.manual_seed(3)
    model = tiny((3, 8, 8), 4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    load_pretrained(model, find_pretrained(NAME, "imagenet"))
    after = model.state_dict()
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert changed == {name for name in after if "heads." not in name}
    assert not model.eval()(torch.rand(2, 3, 8, 8)).any()
    assert all(torch.equal(after["transformer." + name], state[name]) for name in state if "heads." not in name)


def test_missing(state):
    weights = find_pretrained(NAME, "imagenet")
    path = weights_path(weights)
    assert check_weights(weights) == hashlib.sha256(path.read_bytes()).hexdigest()
    path.unlink()
    with pytest.raises(InputError) as error:
        check_weights(weights)
    assert all(part in str(error.value) for part in (weights.url, str(path), "--download"))


@pytest.mark.parametrize("change", ["flip", "truncate"])
def test_another_file_under_the_name(state, change):
    weights = find_pretrained(NAME, "imagenet")
    content = weights_path(weights).read_bytes()
    other = content[:-1] if change == "truncate" else content[:-1] + bytes([content[-1] ^ 1])
    weights_path(weights).write_bytes(other)
    for use in (check_weights, lambda _: _given(3)):
        with pytest.raises(InputError, match=f"not the published file.* not {weights.sha256_start}; remove it"):
            use(weights)


class _Attack:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def test_nothing_in_a_file_is_executed(state, monkeypatch, tmp_path):
    """Even of one with the right digest."""
    monkeypatch.chdir(tmp_path)
    put(monkeypatch, {**state, "conv_proj.weight": _Attack()})
    with pytest.raises(InputError, match="no file of tensors"):
        _given(3)
    put(monkeypatch, pickle.dumps(_Attack()))
    with pytest.raises(InputError, match="no file of tensors"):
        _given(3)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: [1, 2], "no file of named tensors"),
        (lambda state: {**state, "epoch": 3}, "no file of named tensors"),
        (lambda state: {n: v for n, v in state.items() if n != "class_token"}, "has no tensor 'transformer.class_tok"),
        (lambda state: {**state, "more": torch.ones(1)}, "has an unknown tensor 'transformer.more'"),
        (lambda state: {**state, "class_token": torch.ones(1, 1, 8)}, r"has shape \(1, 1, 8\)"),
        (lambda state: {**state, "class_token": state["class_token"].half()}, "type torch.float16"),
        (lambda state: {**state, "class_token": state["class_token"] / 0}, "not finite"),
    ],
)
def test_weights_of_something_else(state, monkeypatch, change, message):
    """The network is as it was."""
    put(monkeypatch, change(state))
    model = tiny((3, 8, 8), 3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=message):
        load_pretrained(model, find_pretrained(NAME, "imagenet"))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_no_weights_of_another_architecture():
    for name in ("resnet50", "resnet18", "vit-small", "mlp"):
        with pytest.raises(InputError, match=f"no weights of '{name}'.*choose vit-b-16"):
            find_pretrained(name, "imagenet")
    assert list(PRETRAINED) == [("vit-b-16", "imagenet")]


def test_a_name_without_a_digest():
    with pytest.raises(InputError, match="carries no digest"):
        _ = PretrainedWeights("https://weights.invalid/tiny.pth", "", "", "").sha256_start


def test_it_is_fetched_and_compared(state, monkeypatch, tmp_path):
    """From a file here instead of the network."""
    weights = find_pretrained(NAME, "imagenet")
    path = weights_path(weights)
    source = tmp_path / weights.file_name
    path.rename(source)
    near = PretrainedWeights(source.as_uri(), weights.wrapped, weights.head, weights.first)
    assert check_weights(near, download=True) == hashlib.sha256(source.read_bytes()).hexdigest()
    path.unlink()
    source.write_bytes(source.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"cannot fetch file:.*invalid hash value"):
        check_weights(near, download=True)
    assert not path.exists()
    source.unlink()
    with pytest.raises(InputError, match=r"cannot fetch file:.*check the network"):
        check_weights(near, download=True)
