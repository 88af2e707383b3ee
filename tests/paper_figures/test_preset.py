"""Presets are complete and shared settings are shared."""

import pytest

from eigensam.ground import InputError
from eigensam.paper_figures import ITEMS, PRESETS, find_preset


@pytest.mark.parametrize("name", PRESETS)
def test_runs(name):
    trainings = find_preset(name).items["figure1"].trainings
    runs, seeds = trainings.runs(), trainings.seeds
    if name == "paper":  # elsewhere the derivatives of Figure 1's network would take too long
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


def test_nothing_is_missing():
    """Every item has a size in the presets for a laptop and for the paper; quick has those that a first look needs."""
    for name in ("laptop", "paper"):
        assert set(find_preset(name).items) == set(ITEMS)
    needed = {"figure1", "figure2", "k_table", "power_convergence", "eigenvector_decay", "certificates_along"}
    assert needed | {"weak_order"} <= set(find_preset("quick").items)


def test_the_papers_settings():
    """Batch 256, 200 epochs, 0.1 with a cosine (SVHN 0.01), momentum 0.9, weight decay 5e-5, crops and flips."""
    contests = find_preset("paper").items["table1"].contests
    assert len(contests) == 3 * 4
    for each in contests:
        s = each.settings
        assert (s.batch_size, s.epochs, s.weight_decay) == (256, 200, 5e-5)
        assert s.lr == (0.01 if s.data == "svhn" else 0.1)
        assert s.augment == (s.data != "svhn")
        assert (s.base_optimizer.momentum, s.rate.name) == (0.9, "cosine")
        assert len(each.seeds) == 5
    assert [k for k, _ in find_preset("paper").items["k_table"].sweep.groups][1:] == [
        f"k = {k}" for k in range(100, 1001, 100)
    ]
    assert all(each.settings.pretrained == "imagenet" for each in find_preset("paper").items["table2"].contests)
