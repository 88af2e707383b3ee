"""Networks of the preset ``paper`` at their full size: five steps of Eigen-SAM each, on one or two images."""

import math
import os
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from eigensam.landscapes import build_model
from eigensam.optim import EigenSAM
from eigensam.paper_figures import Preset, find_preset
from eigensam.paper_figures.planned_run import PlannedRun
from eigensam.paper_figures.resources import Resources

STEPS = 5
NETWORKS = {
    ("mlp", (1, 8, 8), 10): 2,
    ("mlp32", (1, 8, 8), 10): 2,
    ("cnn6", (3, 32, 32), 10): 2,
    ("resnet18", (1, 28, 28), 10): 2,
    ("resnet18", (3, 32, 32), 100): 2,
    ("resnet50", (3, 32, 32), 100): 2,
    ("wrn28-10", (3, 32, 32), 100): 1,
    ("vit-b-16", (3, 32, 32), 100): 1,
}
"""By model, shape of an image and classes, the images of a minibatch: one where a pass takes a second."""


def paper_networks(preset: Preset, out: Path) -> set[tuple[str, tuple[int, int, int], int]]:
    """What the trainings that a preset's items plan are of: model, shape, classes."""
    planned = [run for item in preset.items.values() for run in item.planned(Resources(out))]
    return {(run.settings.model, run.shape, run.classes) for run in planned}


def _skip_without_memory(name, shape, classes):
    """Measured: 1.5 GB and 48 bytes for each parameter (momentum, eigenvector, graph and so on); some to spare."""
    with torch.device("meta"):
        size = sum(p.numel() for p in build_model(name, shape, classes).parameters())
    needed = 2e9 + 64 * size
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if found < needed:
        pytest.skip(f"{name} takes {needed / 1e9:.1f} GB of memory, this machine has {found / 1e9:.1f}")


@pytest.mark.parametrize(("name", "shape", "classes"), NETWORKS, ids=[f"{n}-{c}" for n, _, c in NETWORKS])
def test_five_steps(name, shape, classes):
    """The first one finds the eigenvector by the paper's power iteration, the others climb along it."""
    _skip_without_memory(name, shape, classes)
    torch.manual_seed(0)
    model = build_model(name, shape, classes)
    images = NETWORKS[name, shape, classes]
    x, y = torch.randn(images, *shape), torch.randint(classes, (images,))
    method = {"rho": 0.05, "alpha": 0.1, "solver": "power", "guard": 0.0, "check": False}
    optimizer = EigenSAM(model.parameters(), refresh_every=STEPS, iterations=2, lr=1e-3, momentum=0.9, **method)
    before = {parameter: parameter.detach().double().sum().item() for parameter in model.parameters()}
    losses, alignments = [], []
    for _ in range(STEPS):
        losses.append(float(optimizer.step(lambda: cross_entropy(model(x), y))))
        alignments.append(optimizer.alignment)
    assert all(map(math.isfinite, losses))
    assert len(set(losses)) == STEPS
    assert all(0 <= alignment <= 1 + 1e-6 for alignment in alignments)
    assert math.isfinite(optimizer.eigenvalue)
    assert float(optimizer.eigenvector.double().norm()) == pytest.approx(1, abs=1e-5)  # of 10^7 numbers in float32
    moved = [parameter.detach().double().sum().item() != old for parameter, old in before.items()]
    assert sum(moved) / len(moved) > 0.95  # key biases of attention have no gradient but rounding
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def not_tried(preset: Preset, out: Path) -> set[object]:
    """Models, and shapes of images, that the preset plans and that are not in the list; classes change a layer only."""
    planned = paper_networks(preset, out)
    models, shapes = ({entry[place] for entry in NETWORKS} for place in (0, 1))
    return {model for model, _, _ in planned} - models | {shape for _, shape, _ in planned} - shapes


def test_every_network_of_the_preset_is_tried(tmp_path):
    preset = find_preset("paper")
    models = {model for model, _, _ in paper_networks(preset, tmp_path)}
    assert models >= {"cnn6", "resnet18", "resnet50", "wrn28-10", "vit-b-16"}  # also without their data
    assert not not_tried(preset, tmp_path)


def test_a_network_that_is_not_tried_is_seen(tmp_path):
    """Wrong on purpose: an item that plans another one."""

    class Planning:
        def planned(self, resources):
            settings = [type("Settings", (), {"model": model}) for model in ("resnet18", "cnn4")]
            return [PlannedRun(each.model, each, 10, (3, 32, 32), 10, False) for each in settings]

    mine = Preset("mine", {"one": Planning(), "none": find_preset("paper").items["weak_order"]})
    assert not_tried(mine, tmp_path) == {"cnn4"}
