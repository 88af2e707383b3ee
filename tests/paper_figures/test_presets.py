"""Presets are complete and shared settings are shared."""

import pytest

from eigensam.ground import InputError
from eigensam.paper_figures import PRESETS, find_preset


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_runs(preset):
    runs = preset.runs()
    assert len(runs) == 3 * len(preset.seeds)
    assert len(preset.seeds) >= 3
    assert {(r.optimizer, r.seed) for r in runs} == {(o, s) for o in ("sgd", "sam", "eigen-sam") for s in preset.seeds}
    assert len({(r.lr, r.rho, r.epochs, r.data, r.model) for r in runs}) == 1
    assert all(r.spectrum_every > 0 for r in runs)


def test_quick_needs_no_download():
    assert find_preset("quick").training.data == "digits"


def test_unknown():
    with pytest.raises(InputError, match="unknown preset 'full'; choose one of: quick, paper"):
        find_preset("full")
