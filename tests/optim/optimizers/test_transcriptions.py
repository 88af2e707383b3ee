"""Each method against its formula, written a second time (:mod:`.transcriptions`)."""

import copy

import pytest
import torch

from eigensam.optim import OPTIMIZERS, AwarePerturbation, TwoPassOptimizer

from .transcriptions import BATCHES, METHODS, RHO, SGD, Dense, flat, loss_of, network, trajectory

NAMES = pytest.mark.parametrize("name", METHODS)
SINGLE, PAIRS = [[batch] for batch in BATCHES], [[BATCHES[i], BATCHES[(i + 1) % 4]] for i in range(4)]


def _taken(name, batches, groups=None, **more):
    """The point after steps of the optimizer, and the noise that it drew."""
    kind, _, own = METHODS[name]
    model = network()
    optimizer = kind(groups(model) if groups else model.parameters(), rho=RHO, **SGD, **own, **more)
    noise = []
    for each in batches:
        if hasattr(optimizer, "noise_of"):
            noise.append([torch.zeros_like(flat(model)) for _ in range(optimizer.samples)])
            for sample, z in enumerate(noise[-1]):
                z[_radii(optimizer) != 0] = optimizer.noise_of(sample).flat()
        if hasattr(optimizer, "_noise"):
            z = torch.zeros_like(flat(model))
            z[_radii(optimizer) != 0] = optimizer._noise().flat()
            noise.append(z)
        if isinstance(optimizer, AwarePerturbation):
            noise.append(optimizer.drawn(len(each)))
        closures = [loss_of(model, batch) for batch in each]
        optimizer.step(closures if len(closures) > 1 else closures[0])
    return flat(model), _radii(optimizer), lambda step: noise[step] if noise else None


def _radii(optimizer):
    return torch.cat([
        torch.full((p.numel(),), float(group["rho"]), dtype=torch.float64)
        for group in optimizer.param_groups for p in group["params"]
    ])  # fmt: skip


def _agrees(name, batches, sign=1.0, **arguments):
    found, rho, noise = _taken(name, batches, **arguments)
    _, dense, own = METHODS[name]
    truth = trajectory(dense(own), network(), batches, rho, sign, noise)
    torch.testing.assert_close(found, truth, rtol=1e-10, atol=1e-12)


def test_every_method_has_a_transcription():
    """Those of Eigen-SAM, X-SAM and SAM-ON are in test_eigen_sam, test_x_sam and test_normalization_layers."""
    assert set(OPTIMIZERS) - {"sgd", "plain", "eigen-sam", "x-sam", "sam-on"} <= METHODS.keys()


@NAMES
def test_steps_with_momentum_and_weight_decay(name):
    _agrees(name, SINGLE)


@NAMES
def test_several_closures_stand_for_their_mean(name):
    _agrees(name, PAIRS)


@NAMES
def test_groups_with_their_own_radius_and_without_any(name):
    def groups(model):
        return [
            {"params": list(model[0].parameters()), "rho": 0.2},
            {"params": [model[2].weight], "rho": 0.4},
            {"params": [model[2].bias], "rho": 0.0},
        ]

    _agrees(name, PAIRS, groups=groups)


@NAMES
def test_maximising_is_minimising_the_negative(name):
    _agrees(name, SINGLE, sign=-1.0, maximize=True)


@NAMES
def test_wrong_on_purpose(name):
    """The comparison sees another radius, another sign and plain SGD."""
    found, rho, noise = _taken(name, SINGLE)
    _, dense, own = METHODS[name]
    gap = 5e-5  # the perturbations move the end point by 1e-3 or more
    assert (trajectory(dense(own), network(), SINGLE, 1.1 * rho, 1.0, noise) - found).norm() > gap
    assert (trajectory(dense(own), network(), SINGLE, rho, -1.0, noise) - found).norm() > gap
    assert (trajectory(Sgd({}), network(), SINGLE, rho) - found).norm() > gap
    for key, value in own.items():
        if key not in ("seed", "samples"):
            other = dense({**own, key: not value if isinstance(value, bool) else 1.5 * value})
            assert (trajectory(other, network(), SINGLE, rho, 1.0, noise) - found).norm() > gap


class Sgd(Dense):
    def along(self, f, x, rho, g, moving):
        return g


@pytest.mark.parametrize("name", [name for name, (kind, *_) in METHODS.items() if issubclass(kind, TwoPassOptimizer)])
def test_two_halves_are_one_step(name):
    """Where the loop makes the gradients itself."""
    kind, _, own = METHODS[name]
    model = network()
    twin = copy.deepcopy(model)
    whole, halves = (kind(m.parameters(), rho=RHO, **SGD, **own) for m in (model, twin))
    for batch in BATCHES:
        whole.step(loss_of(model, batch))
        loss_of(twin, batch)().backward()
        halves.first_step()
        loss_of(twin, batch)().backward()
        halves.second_step(zero_grad=True)
    assert torch.equal(flat(model), flat(twin))


@NAMES
def test_state_round_trip_is_bit_identical(name):
    kind, _, own = METHODS[name]
    model = network()
    optimizer = kind(model.parameters(), rho=RHO, **SGD, **own)
    for batch in BATCHES[:3]:
        optimizer.step(loss_of(model, batch))
    twin = copy.deepcopy(model)
    other = kind(twin.parameters(), rho=RHO, **SGD, **own)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for batch in BATCHES:
        optimizer.step(loss_of(model, batch))
        other.step(loss_of(twin, batch))
    assert torch.equal(flat(model), flat(twin))
