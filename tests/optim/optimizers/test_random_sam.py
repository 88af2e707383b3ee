"""Random perturbations: their length, where they come from, and what happens at the perturbed point."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.optim import RandomSAM

from .transcriptions import BATCHES, RHO, SGD, flat, loss_of, network


def _visited(optimizer, model, steps):
    """Perturbations that the closure has seen."""
    found = []

    def closure():
        found.append(flat(model))
        return loss_of(model, BATCHES[0])()

    for _ in range(steps):
        before = flat(model)
        optimizer.step(closure)
        found[-1] = found[-1] - before
    return torch.stack(found)


def test_length_and_passes():
    model = network()
    shifts = _visited(RandomSAM(model.parameters(), rho=RHO, lr=0.1), model, 5)
    assert len(shifts) == 5  # one pass a step
    torch.testing.assert_close(shifts.norm(dim=1), torch.full((5,), RHO, dtype=torch.float64), rtol=1e-12, atol=0)
    model = nn.Sequential(nn.Linear(4, 2000), nn.Linear(2000, 3)).double()
    shifts = _visited(RandomSAM(model.parameters(), rho=RHO, gaussian=True, lr=0.1), model, 3)
    assert shifts.norm(dim=1) / (RHO * shifts.shape[1] ** 0.5) == pytest.approx(torch.ones(3), abs=0.03)
    assert shifts.std().item() == pytest.approx(RHO, rel=0.02)


def test_perturbations_are_independent_and_isotropic():
    """|mean|^2 of n independent unit vectors is 1/n on average; of one that is drawn again and again it is 1."""
    model = network()
    count = 400

    def squares(optimizer):
        units = torch.stack([z / z.norm() for z in (_next(optimizer) for _ in range(count))])
        neighbours = (units[1:] * units[:-1]).sum(1)
        return count * units.mean(0).norm().item() ** 2, neighbours, units

    square, neighbours, units = squares(RandomSAM(model.parameters(), rho=RHO, lr=0.1))
    dim = units.shape[1]
    assert abs(square - 1) < 5 * (2 / dim) ** 0.5
    assert neighbours.mean().abs() < 5 / (count * dim) ** 0.5
    assert (dim * units.square().mean(0) - 1).abs().max() < 5 * (2 / count) ** 0.5
    stuck = RandomSAM(model.parameters(), rho=RHO, lr=0.1)
    stuck.finish = lambda: None
    assert squares(stuck)[0] > 100


def _next(optimizer):
    z = optimizer._noise().flat()
    optimizer.finish()
    return z


def test_seeds_steps_and_nothing_else():
    """Neither the global generator nor earlier steps that failed play a part; and that one is left alone."""
    model = network()
    optimizer = RandomSAM(model.parameters(), rho=RHO, seed=4, **SGD)
    twin = copy.deepcopy(model)
    other = RandomSAM(twin.parameters(), rho=RHO, seed=4, nonfinite="skip", **SGD)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    for batch in BATCHES:
        optimizer.step(loss_of(model, batch))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    for batch in BATCHES:
        other.step(lambda batch=batch: loss_of(twin, batch)() * float("nan"))
        with pytest.raises(RuntimeError, match="interrupted"):
            other.step(_interrupted)
        other.step(loss_of(twin, batch))
    assert torch.equal(flat(model), flat(twin))
    assert (optimizer.steps, other.steps, other.skipped) == (4, 4, 4)
    third = network()
    for seed in (4, 5):
        z = RandomSAM(third.parameters(), rho=RHO, seed=seed, **SGD)._noise().flat()
        single = RandomSAM(third.float().parameters(), rho=RHO, seed=seed, **SGD)._noise().flat()
        assert torch.equal(single.double(), z)  # of every type the same numbers
        third.double()
        first = RandomSAM(third.parameters(), rho=RHO, seed=4, **SGD)._noise().flat()
        assert torch.equal(z, first) == (seed == 4)


def _interrupted():
    raise RuntimeError("interrupted")


def test_the_loss_and_the_running_statistics_are_those_of_the_perturbed_point():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()
    at_rest = copy.deepcopy(model)
    optimizer = RandomSAM(model.parameters(), rho=2.0, lr=0.1)
    z = optimizer._noise()
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for p, shift in zip(moved.parameters(), z.parts, strict=True):
            p.add_(shift, alpha=2.0 / z.norm())
    inputs, targets = BATCHES[0]
    truth, other = (cross_entropy(m(inputs), targets).item() for m in (moved, at_rest))
    loss = optimizer.step(lambda: cross_entropy(model(inputs), targets))
    assert loss.item() == pytest.approx(truth, rel=1e-12)
    assert loss.item() != pytest.approx(other, rel=1e-3)
    torch.testing.assert_close(model[1].running_mean, moved[1].running_mean, rtol=1e-12, atol=1e-15)
    assert model[1].num_batches_tracked == 1


def test_gradients_of_the_unperturbed_point_are_refused():
    model = network()
    optimizer = RandomSAM(model.parameters(), rho=RHO, **SGD)
    loss_of(model, BATCHES[0])().backward()
    before = flat(model)
    with pytest.raises(InputError, match="call zero_grad"):
        optimizer.step(loss_of(model, BATCHES[0]))
    assert torch.equal(flat(model), before)
    optimizer.zero_grad()
    optimizer.step(loss_of(model, BATCHES[0]))
    with pytest.raises(InputError, match=r"call step\(closure\)"):
        optimizer.step()


def test_shards_are_parts_of_the_whole(tmp_path):
    """A parameter that is spread over processes gets the numbers that it would get in one piece."""
    import torch.distributed as dist
    from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh

    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        whole = nn.Parameter(torch.ones(6, 2))
        spread = nn.Parameter(distribute_tensor(torch.ones(6, 2), mesh, [Shard(0)]))
        found = [RandomSAM([p], rho=RHO, lr=0.1)._noise().flat() for p in (whole, spread)]
    finally:
        dist.destroy_process_group()
    assert torch.equal(*found)
