"""The spectrum of a trained run from Python: what the command prints and writes, as one object."""

import json

import pytest

from eigensam.ground import InputError
from eigensam.landscapes import SpectrumSettings, measure_spectrum


def test_a_run_is_enough(cli, trained, tmp_path):
    found = measure_spectrum(str(trained), SpectrumSettings(batches=1, density=True, probes=2, steps=5))
    assert cli("spectrum", trained, "--batches", 1, "--density", "--probes", 2, "--steps", 5, "--device", "cpu",
               "--json", tmp_path / "s.json").code == 0  # fmt: skip
    written = json.loads((tmp_path / "s.json").read_text())
    written.pop("made_with")
    assert json.loads(json.dumps(found.to_dict())) == written
    head, *rest = repr(found).splitlines()
    assert head == f"Hessian of the training loss, d = {found.matrix.dim}, 500 examples"
    assert repr(found.pairs).splitlines() == rest[:-3]
    assert rest[-3].startswith("trace: ")
    assert found.plot().axes[0].get_title().startswith("Hessian of the training loss")


def test_other_batches_than_there_are_examples(trained):
    with pytest.raises(InputError, match="batch size 5000 does not fit 1437 examples; give 1 to 1437"):
        measure_spectrum(trained, SpectrumSettings(mode="train", batch_size=5000))
