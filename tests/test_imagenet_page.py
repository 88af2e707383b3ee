"""The script of docs/imagenet.md trains on a few small pictures, goes on bit for bit, and runs in two processes."""

import json
import math
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import eigensam
from eigensam.tests.optim.parallel.workers import launch

TEXT = (Path(eigensam.__file__).parent / "docs" / "imagenet.md").read_text()
(SCRIPT,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SMALL = ("--image-size", 32, "--batch-size", 4, "--epochs", 2, "--warmup-epochs", 1, "--workers", 0, "--lr", 0.02)
# A Hessian of ResNet-50 takes long, and that of batch norm over few numbers is huge: a small network, all images.
EIGEN_SAM = ("--optimizer", "eigen-sam", "--model", "shufflenet_v2_x0_5", "--hessian-images", 0, "--refresh-every", 2)
METHODS = {"sgd": ("--optimizer", "sgd"), "sam": ("--optimizer", "sam"), "eigen-sam": EIGEN_SAM}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two classes, bright and dark, in the layout of ImageNet; of different sizes."""
    folder, rng = tmp_path_factory.mktemp("imagenet"), np.random.default_rng(0)
    for part, count in (("train", 4), ("val", 3)):
        for label, least in (("n01440764", 0), ("n01443537", 128)):
            (folder / part / label).mkdir(parents=True)
            for i in range(count):
                shape = (40 + 3 * i, 48, 3)
                picture = Image.fromarray(rng.integers(least, least + 128, shape, dtype=np.uint8))
                picture.save(folder / part / label / f"{i}.JPEG")
    return folder


@pytest.fixture
def script(monkeypatch, pictures, tmp_path, capsys):
    """Runs it here; returns what it printed, a row for each epoch."""

    def run(out, *options):
        arguments = ("--data", pictures, "--out", tmp_path / out, *SMALL, *options)
        monkeypatch.setattr(sys, "argv", ["imagenet.py", *map(str, arguments)])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(SCRIPT, "imagenet.py", "exec"), {"__name__": "__main__"})
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def _kept(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def _without_clock(rows):
    return [{name: value for name, value in row.items() if name != "images_per_second"} for row in rows]


@pytest.mark.parametrize("name", METHODS)
def test_it_trains_and_goes_on_bit_for_bit(script, tmp_path, name):
    method = METHODS[name]
    whole = script("a", *method)
    assert [row["epoch"] for row in whole] == [1, 2]
    assert whole == [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    assert all(0 <= row["top_1"] <= row["top_5"] == 1 and 0 < row["train_loss"] < 20 for row in whole)
    assert whole[0]["lr"] == pytest.approx(0.02 * (1 + 2**-0.5) / 2)  # of the second of two steps: warm-up is over
    if name == "eigen-sam":
        assert all(0 <= row["alignment"] <= 1 and math.isfinite(row["eigenvalue"]) for row in whole)
    first = script("b", *method, "--stop-after", 1)
    rest = script("b", *method)
    assert _without_clock(first + rest) == _without_clock(whole)
    one, other = _kept(tmp_path / "a")["model"], _kept(tmp_path / "b")["model"]
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert script("b", *method) == []  # finished
    with pytest.raises(SystemExit, match="other settings"):
        script("b", *method, "--rho", 0.3)
    assert {path.name for path in (tmp_path / "b").iterdir()} == {"checkpoint.pt", "metrics.jsonl"}


def test_what_is_refused(script, tmp_path):
    with pytest.raises(SystemExit, match="fewer than --batch-size"):
        script("a", "--batch-size", 16)
    assert list(tmp_path.iterdir()) == []


def test_two_processes(pictures, tmp_path):
    """As torchrun starts them; the numbers are those of both."""
    (tmp_path / "imagenet.py").write_text(SCRIPT)
    arguments = (
        "--data",
        pictures,
        "--out",
        tmp_path / "a",
        *SMALL,
        *EIGEN_SAM,
        "--epochs",
        1,
        "--image-size",
        64,
        "--batch-size",
        8,
    )
    said = launch("imagenet.py", *arguments, directory=tmp_path)
    assert (tmp_path / "a" / "metrics.jsonl").exists(), said[-4000:]
    (row,) = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    assert (row["epoch"], _kept(tmp_path / "a")["processes"]) == (1, 2)
    assert 0 <= row["alignment"] <= 1
    assert (6 * row["top_1"]) % 1 == pytest.approx(0)  # of six pictures
