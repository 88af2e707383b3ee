"""Files that a person may give: damaged, of another kind, hostile."""

import json
import os
import pickle
import shutil
import struct

import pytest

from eigensam.landscapes import Checkpoint, build_model

QUADRATIC = {"kind": "quadratic", "hessian": [[2.0]], "centres": [[0.0], [1.0]]}
TORUS = {"kind": "torus", "tilts": [[2.0]], "frequencies": [[1]], "amplitudes": [[0.5]], "phases": [[0]]}
FORMULA = {"kind": "formula", "coordinates": ["x"], "losses": ["x**2", "(x - 1)**2"]}

LANDSCAPES = {  # name of the file: what it holds
    "empty": "",
    "cut": json.dumps(QUADRATIC)[:-5],
    "word": "quadratic",
    "number": "1",
    "null": "null",
    "list": json.dumps([QUADRATIC]),
    "twice": '{"kind": "quadratic", "hessian": [[1]], "hessian": [[2]], "centres": [[0]]}',
    "nan": json.dumps(QUADRATIC | {"hessian": [[float("nan")]]}),
    "infinity": json.dumps(QUADRATIC | {"hessian": [[float("inf")]]}),
    "overflow": '{"kind": "quadratic", "hessian": [[1e999]], "centres": [[0]]}',
    "many-digits": '{"kind": "quadratic", "hessian": [[' + "9" * 5000 + ']], "centres": [[0]]}',
    "big-integer": '{"kind": "quadratic", "hessian": [[' + "9" * 400 + ']], "centres": [[0]]}',
    "deep": "[" * 100_000 + "]" * 100_000,
    "nested": json.dumps(QUADRATIC | {"hessian": json.loads("[" * 200 + "1" + "]" * 200)}),
    "comment": json.dumps(QUADRATIC) + " // mine",
    "two": json.dumps(QUADRATIC) * 2,
    "single-quotes": repr(QUADRATIC),
    "no-kind": json.dumps({"hessian": [[1.0]]}),
    "other-kind": json.dumps({"kind": "cubic"}),
    "kind-is-a-list": json.dumps({"kind": ["quadratic"]}),
    "kind-is-an-object": json.dumps({"kind": {}}),
    "missing-key": json.dumps({"kind": "quadratic", "hessian": [[1.0]]}),
    "unknown-key": json.dumps(QUADRATIC | {"colour": "red"}),
    "text-for-numbers": json.dumps(QUADRATIC | {"hessian": "2"}),
    "text-in-numbers": json.dumps(QUADRATIC | {"hessian": [["2"]]}),
    "true-for-a-number": json.dumps(QUADRATIC | {"hessian": [[True]]}),
    "null-for-a-number": json.dumps(QUADRATIC | {"centres": [[None]]}),
    "ragged": json.dumps(QUADRATIC | {"hessian": [[1.0, 2.0], [3.0]]}),
    "not-symmetric": json.dumps({"kind": "quadratic", "hessian": [[1.0, 2.0], [3.0, 1.0]], "centres": [[0.0, 0.0]]}),
    "not-square": json.dumps(QUADRATIC | {"hessian": [[1.0, 2.0]]}),
    "no-centres": json.dumps(QUADRATIC | {"centres": []}),
    "empty-centres": json.dumps(QUADRATIC | {"centres": [[], []]}),
    "other-dimension": json.dumps(QUADRATIC | {"centres": [[0.0, 0.0]]}),
    "half-frequency": json.dumps(TORUS | {"frequencies": [[0.5]]}),
    "two-phases": json.dumps(TORUS | {"phases": [[0, 1]]}),
    "no-tilts": json.dumps(TORUS | {"tilts": []}),
    "no-losses": json.dumps(FORMULA | {"losses": []}),
    "losses-are-text": json.dumps(FORMULA | {"losses": "x**2"}),
    "loss-is-a-number": json.dumps(FORMULA | {"losses": [1]}),
    "open-bracket": json.dumps(FORMULA | {"losses": ["(x"]}),
    "empty-formula": json.dumps(FORMULA | {"losses": [""]}),
    "unknown-name": json.dumps(FORMULA | {"losses": ["y**2"]}),
    "a-call": json.dumps(FORMULA | {"losses": ["__import__('os').system('touch exploded')"]}),
    "an-attribute": json.dumps(FORMULA | {"losses": ["x.__class__"]}),
    "divides-by-zero": json.dumps(FORMULA | {"losses": ["x/0"]}),
    "tower": json.dumps(FORMULA | {"losses": ["9**9**9**9**9 + x"]}),
    "long": json.dumps(FORMULA | {"losses": ["x + " * 20_000 + "x"]}),
    "many": json.dumps(FORMULA | {"losses": ["x"] * 2000}),
    "same-coordinate": json.dumps(FORMULA | {"coordinates": ["x", "x"]}),
    "function-as-coordinate": json.dumps(FORMULA | {"coordinates": ["sin"]}),
    "no-coordinates": json.dumps(FORMULA | {"coordinates": []}),
    "unicode": json.dumps(FORMULA | {"losses": ["x² + ∞"]}),
}

SIDECARS = {  # name of the run: what is changed in its sidecar
    "forty-gigabytes": {"shape": [1, 9999, 9999]},
    "shape-text": {"shape": "188"},
    "shape-floats": {"shape": [1.0, 8.0, 8.0]},
    "shape-negative": {"shape": [1, -8, -8]},
    "shape-zero": {"shape": [1, 0, 8]},
    "shape-true": {"shape": [True, 8, 8]},
    "shape-short": {"shape": [64]},
    "shape-null": {"shape": None},
    "shape-huge": {"shape": [1, 8, 10**30]},
    "shape-other": {"shape": [1, 4, 16]},
    "classes-text": {"classes": "10"},
    "classes-float": {"classes": 10.5},
    "classes-zero": {"classes": 0},
    "model-other": {"model": "cnn6"},
    "model-unknown": {"model": "gpt"},
    "model-null": {"model": None},
    "data-unknown": {"data": "imagenet"},
    "data-list": {"data": ["digits"]},
    "data-mnist": {"data": "mnist"},
    "seed-text": {"seed": "0"},
    "seed-nan": {"seed": float("nan")},
    "settings-text": {"settings": "lr=0.1"},
    "digest-missing": {"sha256": {}},
    "digest-other": {"sha256": {"checkpoint.safetensors": "0", "initial.safetensors": "0"}},
    "format-next": {"format": "eigensam-checkpoint/3"},
    "format-missing": {"format": None},
}

TENSORS = {  # name of the run: what its tensor file holds
    "empty": lambda good: b"",
    "short": lambda good: good[:-100],
    "header-only": lambda good: good[: 8 + struct.unpack("<Q", good[:8])[0]],
    "longer": lambda good: good + b"more",
    "endless-header": lambda good: b"\xff" * 8 + good[8:],
    "no-json": lambda good: good[:8] + b"\x00" * 40 + good[48:],
    "pickle": lambda good: pickle.dumps(_Bomb()),
    "torch-pickle": lambda good: b"PK\x03\x04" + good,
    "flipped": lambda good: good[:-1] + bytes([good[-1] ^ 1]),
}


class _Bomb:
    def __reduce__(self):
        return open, ("exploded", "w")


CONFIGS = {
    "config": "lr = 0.1",
    "config-text": "lr =",
    "config-key": "learning_rate = 0.1",
    "config-type": 'lr = "fast"',
    "config-range": "lr = -1.0",
    "config-name": 'optimizer = "adam"',
    "config-group": "[optimizer]\nname = 'sam'\nradius = 0.1",
    "config-nameless": "[base]\nmomentum = 0.1",
}
"""Files of settings; the first is good."""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """Files of every bad kind. Nothing may change in it."""
    root = tmp_path_factory.mktemp("workshop")
    for name, content in LANDSCAPES.items():
        (root / f"{name}.json").write_text(content)
    (root / "good.json").write_text(json.dumps(QUADRATIC))
    (root / "binary.json").write_bytes(b"\xff\xfe\x00" * 9)
    (root / "file").write_text("mine")
    for name, content in CONFIGS.items():
        (root / f"{name}.toml").write_text(content)
    (root / "folder" / "file").mkdir(parents=True)
    (root / "loop").symlink_to("loop")
    (root / "broken").symlink_to("nowhere/at/all")
    (root / "to-good").symlink_to("good.json")
    (root / "to-folder").symlink_to("folder")
    os.mkfifo(root / "pipe")
    model = build_model("mlp", (1, 8, 8), 10)
    Checkpoint("mlp", (1, 8, 8), 10, "digits", {}, 0).save(root / "run", model, model.state_dict())
    sidecar = json.loads((root / "run" / "checkpoint.json").read_text())
    for name, change in SIDECARS.items():
        shutil.copytree(root / "run", root / name)
        (root / name / "checkpoint.json").write_text(json.dumps(sidecar | change))
    good = (root / "run" / "checkpoint.safetensors").read_bytes()
    for name, change in TENSORS.items():
        shutil.copytree(root / "run", root / f"tensors-{name}")
        (root / f"tensors-{name}" / "checkpoint.safetensors").write_bytes(change(good))
    for name in ("no-tensors", "no-sidecar", "sidecar-folder", "tensors-pipe"):
        shutil.copytree(root / "run", root / name)
    (root / "no-tensors" / "checkpoint.safetensors").unlink()
    (root / "no-sidecar" / "checkpoint.json").unlink()
    (root / "sidecar-folder" / "checkpoint.json").unlink()
    (root / "sidecar-folder" / "checkpoint.json").mkdir()
    (root / "tensors-pipe" / "checkpoint.safetensors").unlink()
    os.mkfifo(root / "tensors-pipe" / "checkpoint.safetensors")
    (root / "half.partial").mkdir()
    (root / "blocked.partial").touch()
    (root / "mnist" / "MNIST" / "raw").mkdir(parents=True)
    return root
