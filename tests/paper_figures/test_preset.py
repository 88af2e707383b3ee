"""Presets are complete and shared settings are shared."""

import pytest

from eigensam.ground import InputError
from eigensam.paper_figures import ITEMS, PRESETS, find_preset


@pytest.mark.parametrize("name", PRESETS)
def test_runs(name):
    trainings = find_preset(name).items["figure1"].trainings
    runs, seeds = trainings.runs(), trainings.seeds
    if name != "laptop":  # where the derivatives of Figure 1's network would take hours
        assert find_preset(name).items["bound_terms"].trainings == trainings  # trained once
    assert len(runs) == 3 * len(seeds)
    assert len(seeds) >= 3
    assert {(r.method.name, r.seed) for r in runs} == {(o, s) for o in ("sgd", "sam", "eigen-sam") for s in seeds}
    assert len({(r.lr, getattr(r.method, "rho", 0.1), r.epochs, r.data, r.model) for r in runs}) == 1
    assert all(r.spectrum_every > 0 for r in runs)


def test_quick_needs_no_download():
    assert find_preset("quick").items["figure1"].trainings.settings.data == "digits"


def test_unknown():
    with pytest.raises(InputError, match="unknown preset 'full'; choose one of: quick, laptop, paper"):
        find_preset("full")


def test_chosen_items_have_the_size_of_the_preset_or_their_own():
    paper = find_preset("paper")
    chosen = paper.chosen(["figure1", "ablations"])
    assert list(chosen) == ["figure1", "ablations"]
    assert chosen["figure1"] == paper.items["figure1"] != ITEMS["figure1"]()
    assert chosen["ablations"] == ITEMS["ablations"]()
    assert paper.chosen() == paper.items
    with pytest.raises(InputError, match="unknown figure 'figure9'; choose one of: weak_order, figure1"):
        paper.chosen(["figure9"])
