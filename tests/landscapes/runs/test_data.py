"""Data sets: digits built in, the others from small files of the official layout, and what is refused."""

import gzip
import struct

import numpy as np
import pytest
import torch
from torchvision import datasets

from eigensam.ground import InputError
from eigensam.landscapes import DATA, load_data


def test_digits_is_split_once_and_for_all(digits):
    assert digits.train_inputs.shape == (1437, 1, 8, 8)
    assert digits.train_inputs.dtype == torch.float32
    assert (digits.train_inputs.min(), digits.train_inputs.max()) == (-1, 1)
    assert torch.bincount(digits.test_targets).min() >= 33  # stratified
    again = load_data("digits")
    assert torch.equal(again.train_inputs, digits.train_inputs)
    everything = torch.cat([digits.train_inputs, digits.test_inputs]).flatten(1)
    assert len(torch.unique(everything, dim=0)) == 1797  # no example in both parts


def test_digits_equals_scikit_learn(digits):
    from sklearn.datasets import load_digits

    images, targets = load_digits(return_X_y=True)
    pairs = {(tuple(row), int(t)) for row, t in zip(images, targets, strict=True)}
    ours = (digits.train_inputs[:50].flatten(1) + 1) * 8
    assert all((tuple(row), t) in pairs for row, t in zip(ours.tolist(), digits.train_targets.tolist(), strict=False))


def _idx(path, array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def test_mnist_layout_is_read_and_standardised(tmp_path):
    rng = np.random.default_rng(0)
    raw = tmp_path / "MNIST" / "raw"
    images = {part: rng.integers(0, 256, (n, 28, 28)) for part, n in (("train", 6), ("t10k", 4))}
    for part, array in images.items():
        _idx(raw / f"{part}-images-idx3-ubyte", array)
        _idx(raw / f"{part}-labels-idx1-ubyte", np.arange(len(array)))
    data = load_data("mnist", tmp_path)
    assert (data.shape, data.classes, len(data.test_targets)) == ((1, 28, 28), 10, 4)
    truth = (images["train"][2, 5, 7] / 255 - 0.1307) / 0.3081
    assert data.train_inputs[2, 0, 5, 7].item() == pytest.approx(truth, rel=1e-5)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ((6, 28, 28), [0, 1, 2, 3, 4, 200], "the training label 200 is not one of 0 to 9"),
        ((6, 28, 28), [0, 1, 2, 3, 4], r"\(6, 1, 28, 28\) training inputs have \(5,\) labels"),
        ((6, 14, 14), [0, 1, 2, 3, 4, 5], r"training images \(1, 14, 14\), test images \(1, 28, 28\)"),
    ],
)
def test_nonsense_in_readable_files_is_refused(tmp_path, images, labels, message):
    raw = tmp_path / "MNIST" / "raw"
    for part, shape, targets in (("train", images, labels), ("t10k", (4, 28, 28), range(4))):
        _idx(raw / f"{part}-images-idx3-ubyte", np.zeros(shape))
        _idx(raw / f"{part}-labels-idx1-ubyte", np.array(targets))
    with pytest.raises(InputError, match=f"cannot use mnist: {message}; the files in .* are damaged"):
        load_data("mnist", tmp_path)


def test_files_shorter_than_they_say_are_refused(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    for part in ("train", "t10k"):
        _idx(raw / f"{part}-images-idx3-ubyte", np.zeros((4, 28, 28)))
        _idx(raw / f"{part}-labels-idx1-ubyte", np.arange(4))
    path = raw / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="cannot load mnist"):
        load_data("mnist", tmp_path)


def test_digits_take_no_folder(tmp_path):
    with pytest.raises(InputError, match="'digits' is built in; leave --data-root and --download out"):
        load_data("digits", tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "shape"), [("cifar10", "CIFAR10", (5, 32, 32, 3)), ("svhn", "SVHN", (5, 3, 32, 32))]
)
def test_colour_images_come_channels_first(monkeypatch, tmp_path, name, kind, shape):
    """Torchvision's own reading is its business; what it returns must be arranged right."""
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    def fake(self, root, **_):
        self.data = pixels
        self.labels = self.targets = np.arange(5).tolist()

    monkeypatch.setattr(getattr(datasets, kind), "__init__", fake)
    data = load_data(name, tmp_path)
    assert data.train_inputs.shape == (5, 3, 32, 32)
    blue = pixels[1, 3, 4, 2] if shape[-1] == 3 else pixels[1, 2, 3, 4]
    mean, std = {"cifar10": (0.4465, 0.2616), "svhn": (0.4728, 0.1970)}[name]
    assert data.train_inputs[1, 2, 3, 4].item() == pytest.approx((blue / 255 - mean) / std, rel=1e-4, abs=1e-6)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="unknown data 'imagenet'; choose one of: digits, mnist"):
        load_data("imagenet")


@pytest.mark.parametrize("name", [name for name in DATA if name != "digits"])
def test_missing_root_and_missing_files(name, tmp_path):
    with pytest.raises(InputError, match="give --data-root FOLDER"):
        load_data(name)
    with pytest.raises(InputError, match="is not a folder"):
        load_data(name, tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"cannot load .* add --download"):
        load_data(name, tmp_path)


def test_pickles_of_strangers_are_not_opened(tmp_path):
    """CIFAR's files are pickles: torchvision compares their checksums before it unpickles."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    bomb = b"cbuiltins\nexec\n(S'raise SystemExit(99)'\ntR."
    for name in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"):
        (folder / name).write_bytes(bomb)
    (folder / "batches.meta").write_bytes(bomb)
    with pytest.raises(InputError, match="cannot load cifar10"):
        load_data("cifar10", tmp_path)


def test_a_damaged_archive_is_refused(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{part}-ubyte").write_bytes(gzip.compress(b"no images here"))
    with pytest.raises(InputError, match="cannot load mnist"):
        load_data("mnist", tmp_path)
