"""Filter normalisation by a loop over rows, and by what it is for: the scale of filters does not change the picture."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.landscapes import NetworkLandscape
from eigensam.paper_figures.measurements.filter_directions import filter_normalised, plane_coordinates
from eigensam.paper_figures.measurements.loss_lines import losses_in_plane, rises


def _generator(seed):
    return torch.Generator().manual_seed(seed)


def test_against_a_loop_over_filters():
    """Li et al.'s own code: each filter of a weight to its length, biases and batch norm to zero."""
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4)).double()
    parameters = list(model.parameters())
    shapes = [p.shape for p in parameters]
    point = nn.utils.parameters_to_vector(parameters).detach()
    direction = torch.randn(len(point), generator=_generator(0), dtype=torch.float64)
    found = filter_normalised(direction, point, shapes)
    start = 0
    for p in parameters:
        own = direction[start : start + p.numel()].view(p.shape)
        ours = found[start : start + p.numel()].view(p.shape)
        for filter_, weight, ours_filter in zip(own, p.detach(), ours, strict=True):
            expected = filter_ * (weight.norm() / filter_.norm()) if p.dim() > 1 else torch.zeros(())
            torch.testing.assert_close(ours_filter, expected.to(ours_filter))
        start += p.numel()
    weights = torch.cat([p.detach().reshape(-1) for p in parameters if p.dim() > 1])
    assert float(found.norm()) == pytest.approx(float(weights.norm()))


def test_only_the_direction_of_each_filter_counts():
    shapes = [torch.Size([3, 5])]
    point, direction = torch.randn(2, 15, generator=_generator(1))
    scaled = (direction.view(3, 5) * torch.tensor([[1e-6], [1.0], [1e6]])).flatten()
    found = filter_normalised(scaled, point, shapes)
    torch.testing.assert_close(found, filter_normalised(direction, point, shapes))
    assert not torch.allclose(point.norm() * scaled / scaled.norm(), found, atol=0.1)  # wrong: one length for all


def test_a_filter_without_direction_or_length_stays():
    point = torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert filter_normalised(torch.tensor([0.0, 0.0, 2.0, 1.0]), point, [torch.Size([2, 2])]).tolist() == [0.0] * 4


def _pair(scale):
    """One function of the inputs, whatever the scale: a ReLU layer times it, the next one divided by it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    with torch.no_grad():
        model[0].weight.mul_(scale)
        model[0].bias.mul_(scale)
        model[2].weight.div_(scale)
    inputs = torch.randn(20, 6, generator=_generator(2), dtype=torch.float64)
    landscape = NetworkLandscape.from_tensors(model, cross_entropy, inputs, torch.arange(20) % 3)
    raw = torch.randn(2, landscape.dim, generator=_generator(3), dtype=torch.float64)
    return landscape, raw


def test_rescaling_a_pair_of_relu_layers_leaves_the_picture():
    axis, pictures, plain = [-1.0, -0.5, 0.0, 0.5, 1.0], [], []
    for scale in (1.0, 10.0):
        landscape, raw = _pair(scale)
        x = landscape.point()
        directions = torch.stack([filter_normalised(d, x, landscape.network.shapes) for d in raw])
        pictures.append(torch.tensor(losses_in_plane(landscape, x, directions, axis)))
        plain.append(torch.tensor(losses_in_plane(landscape, x, raw, axis)))
    torch.testing.assert_close(*pictures, rtol=1e-6, atol=1e-9)
    assert float((plain[0] - plain[1]).abs().max()) > 0.1  # without: another picture of the same function


def test_one_length_for_each_layer_hides_the_scale_of_its_filters():
    """Wrong on purpose: a hidden unit times ten, its outgoing weights a tenth, is the same function as before."""
    found = {"filters": [], "layers": []}
    for scale in (1.0, 10.0):
        landscape, raw = _pair(1.0)
        x, shapes = landscape.point(), landscape.network.shapes
        x[:6] *= scale
        x[48] *= scale
        x[56:80].view(3, 8)[:, 0] /= scale
        parts = zip(raw[0].split([48, 8, 24, 3]), x.split([48, 8, 24, 3]), strict=True)
        layers = torch.cat([d * w.norm() / d.norm() for d, w in parts])
        incoming = filter_normalised(raw[0], x, shapes)
        for name, direction in (("filters", incoming), ("layers", layers)):
            direction = direction.clone()
            direction[48:] = 0.0  # the first layer alone, whose filters are the hidden units
            found[name].append(rises(landscape, x, direction, [0.5])[0])
    assert found["filters"][0] == pytest.approx(found["filters"][1], rel=1e-6)
    assert abs(found["layers"][0] / found["layers"][1] - 1) > 0.05


def test_a_point_of_the_plane_is_drawn_where_it_is():
    directions = torch.randn(2, 30, generator=_generator(4), dtype=torch.float64)
    directions[1] += 2 * directions[0]  # far from orthogonal
    coordinates, share = plane_coordinates(0.3 * directions[0] - 0.7 * directions[1], directions)
    assert coordinates == pytest.approx([0.3, -0.7])
    assert share == pytest.approx(1.0)
    inner = directions @ (0.3 * directions[0] - 0.7 * directions[1]) / directions.square().sum(1)
    assert abs(float(inner[0]) - 0.3) > 0.1  # wrong: inner products alone


def test_projection_against_qr():
    directions = torch.randn(2, 30, generator=_generator(5), dtype=torch.float64)
    displacement = torch.randn(30, generator=_generator(6), dtype=torch.float64)
    q, _ = torch.linalg.qr(directions.T)
    (a, b), share = plane_coordinates(displacement, directions)
    torch.testing.assert_close(a * directions[0] + b * directions[1], q @ (q.T @ displacement))
    assert share == pytest.approx(float((q.T @ displacement).square().sum() / displacement.square().sum()))
    assert plane_coordinates(torch.zeros(30, dtype=torch.float64), directions) == ([0.0, 0.0], 1.0)


def test_a_random_displacement_leaves_two_parts_in_d():
    """What a picture holds of a path that has nothing to do with it: Beta(1, (d - 2) / 2), mean 2/d."""
    d, count = 50, 2000
    directions = torch.randn(2, d, generator=_generator(7), dtype=torch.float64)
    draws = torch.randn(count, d, generator=_generator(8), dtype=torch.float64)
    shares = [plane_coordinates(each, directions)[1] for each in draws]
    deviation = math.sqrt((d - 2) / 2 / ((d / 2) ** 2 * (d / 2 + 1)))
    assert sum(shares) / count == pytest.approx(2 / d, abs=4 * deviation / math.sqrt(count))
