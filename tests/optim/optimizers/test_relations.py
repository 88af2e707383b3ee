"""Which method is which other one, at which values; and that otherwise it is not."""

import copy

import pytest
import torch
from torch import nn

from eigensam.optim import (
    ASAM,
    CRSAM,
    EGR,
    GSAM,
    MSAM,
    SAM,
    USAM,
    FisherSAM,
    FriendlySAM,
    LearningRateSchedule,
    RandomSAM,
    ReverseSAM,
    VaSSO,
)

from .transcriptions import BATCHES, METHODS, RHO, SGD, flat, loss_of, network

SAM_AT = {
    "asam": lambda p: ASAM(p, rho=RHO, adaptive=False, **SGD),
    "fisher-sam": lambda p: FisherSAM(p, rho=RHO, eta=0.0, **SGD),
    "cr-sam": lambda p: CRSAM(p, rho=RHO, gamma=0.0, beta=0.0, **SGD),
    "gsam": lambda p: GSAM(p, rho=RHO, alpha=0.0, **SGD),
    "vasso": lambda p: VaSSO(p, rho=RHO, theta=1.0, **SGD),
    "friendly-sam": lambda p: FriendlySAM(p, rho=RHO, sigma=0.0, **SGD),
    "m-sam": lambda p: MSAM(p, rho=RHO, **SGD),  # one micro-batch
}
OTHERS = pytest.mark.parametrize("name", [name for name in METHODS if name != "sam"])


def _end(make, batches=BATCHES):
    model = network()
    optimizer = make(model.parameters())
    for batch in batches:
        optimizer.step(loss_of(model, batch))
    return flat(model)


def _sam(p):
    return SAM(p, rho=RHO, **SGD)


@pytest.mark.parametrize("name", SAM_AT)
def test_sam_at_the_neutral_value(name):
    torch.testing.assert_close(_end(SAM_AT[name]), _end(_sam), rtol=1e-12, atol=1e-14)


@OTHERS
def test_not_sam_otherwise(name):
    """m-SAM with two micro-batches; VaSSO from its second step on."""
    kind, _, own = METHODS[name]
    model = network()
    twin = copy.deepcopy(model)
    optimizers = [(kind(model.parameters(), rho=RHO, **SGD, **own), model), (_sam(twin.parameters()), twin)]
    for optimizer, net in optimizers:
        for i in range(4):
            pair = [loss_of(net, BATCHES[i]), loss_of(net, BATCHES[(i + 1) % 4])]
            optimizer.step(pair if name == "m-sam" else pair[0])
    assert (flat(model) - flat(twin)).norm() > 1e-4


@pytest.mark.parametrize("name", METHODS)
def test_plain_sgd_without_a_radius_in_one_pass(name):
    kind, _, own = METHODS[name]
    calls = []

    def end(make):
        model = network()
        optimizer = make(model.parameters())
        for batch in BATCHES:
            optimizer.zero_grad()
            if isinstance(optimizer, torch.optim.SGD):
                loss_of(model, batch)().backward()
                optimizer.step()
            else:
                optimizer.step(lambda batch=batch: calls.append(1) or loss_of(model, batch)())
        return flat(model)

    truth = end(lambda p: torch.optim.SGD(p, **SGD))
    torch.testing.assert_close(end(lambda p: kind(p, rho=0.0, **SGD, **own)), truth, rtol=1e-13, atol=1e-15)
    assert len(calls) == len(BATCHES)


def test_egr_is_sam_to_first_order_in_rho():
    """Their difference falls with rho^2; that of USAM, whose first-order term is another one, with rho."""

    def gap(one, other, rho):
        ends = [_end(lambda p, kind=kind: kind(p, rho=rho, lr=1.0), BATCHES[:1]) for kind in (one, other)]
        return float((ends[0] - ends[1]).norm())

    halvings = [gap(EGR, SAM, rho) / gap(EGR, SAM, rho / 2) for rho in (0.1, 0.05, 0.025)]
    assert halvings[-1] == pytest.approx(4, abs=0.1)
    assert gap(EGR, USAM, 0.05) / gap(EGR, USAM, 0.025) == pytest.approx(2, abs=0.1)


def test_reverse_sam_mirrors_sam():
    """To first order the two lie on either side of SGD."""

    def end(kind, rho):
        return _end(lambda p: kind(p, rho=rho, lr=1.0), BATCHES[:1])

    sgd = end(SAM, 0.0)
    for rho in (0.1, 0.05):
        up, down = end(SAM, rho) - sgd, end(ReverseSAM, rho) - sgd
        assert (up + down).norm() < 2 * rho * up.norm()
        assert up.norm() > 0.1 * rho * (flat(network()) - sgd).norm()


def _rescaled(factor):
    """Two networks of one function: what one layer gains, the next one loses."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 3, bias=False)).double()
    with torch.no_grad():
        model[0].weight.mul_(factor)
        model[2].weight.div_(factor)
    return model


@pytest.mark.parametrize(("kind", "invariant"), [(ASAM, True), (SAM, False)])
def test_asam_does_not_see_a_rescaling_of_the_weights(kind, invariant):
    """The perturbed loss is the same for all networks of one function (Kwon et al., theorem 2)."""
    losses = []
    for factor in (1.0, 3.0):
        model, seen = _rescaled(factor), []
        optimizer = kind(model.parameters(), rho=RHO, lr=0.1, **({"eta": 0.0} if kind is ASAM else {}))
        optimizer.step(lambda model=model, seen=seen: seen.append(loss_of(model, BATCHES[0])()) or seen[-1])
        losses.append([each.item() for each in seen])
    (plain, perturbed), (same, other) = losses
    assert plain == pytest.approx(same, rel=1e-12)
    assert (perturbed == pytest.approx(other, rel=1e-12)) == invariant


@pytest.mark.parametrize("name", ["sam", "asam", "fisher-sam"])
def test_the_ascent_is_the_steepest_in_its_neighbourhood(name):
    """Nothing else of the same size, in the method's own measure, climbs more."""
    kind, _, own = METHODS[name]
    model = network()
    optimizer = kind(model.parameters(), rho=RHO, lr=0.1, **own)
    g = torch.cat([p.reshape(-1) for p in torch.autograd.grad(loss_of(model, BATCHES[0])(), model.parameters())])
    axes = {
        "sam": torch.ones_like(g),
        "asam": flat(model).abs() + 0.03,
        "fisher-sam": (1 + 4.0 * g**2) ** -0.5,
    }[name]
    u = optimizer.perturbation(g)
    assert (u / axes).norm() == pytest.approx(1, abs=1e-12)
    generator = torch.Generator().manual_seed(0)
    others = torch.randn(200, len(g), generator=generator, dtype=torch.float64)
    others = u + 0.1 * others / others.norm(dim=1, keepdim=True) * u.norm()
    others = others / (others / axes).norm(dim=1, keepdim=True)
    assert (others @ g < u @ g).all()


def test_the_radius_of_gsam_follows_the_learning_rate():
    """By the schedule that its docstring names."""
    x = nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimizer = GSAM([x], rho=0.4, lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4, eta_min=0.02)
    schedule = LearningRateSchedule(optimizer, "rho", least=0.1, most=0.4, lr_least=0.02, lr_most=0.1)
    radii, visited = [], []

    def closure():
        visited.append(x.detach().clone())
        return (x**2).sum()

    for _ in range(4):
        visited.clear()
        optimizer.step(closure)
        radii.append((visited[1] - visited[0]).norm().item())
        scheduler.step()
        schedule.step()
    truth = [0.1 + 0.3 * (1 + torch.cos(torch.tensor(torch.pi * t / 4)).item()) / 2 for t in range(4)]
    assert radii == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_what_is_clipped_after_restore_is_the_step_of_gsam(scaled, maximize):
    """Not the perturbed gradient alone; otherwise the step is that of the closure, scaled or not."""
    model, twin = network().float(), network().float()
    inputs, targets = BATCHES[0][0].float(), BATCHES[0][1]
    sign = -1.0 if maximize else 1.0
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0, enabled=scaled)
    halves, whole = (GSAM(m.parameters(), rho=RHO, lr=1.0, maximize=maximize) for m in (model, twin))

    def loss(net):
        return sign * nn.functional.cross_entropy(net(inputs), targets)

    lengths = []
    for clip in (None, 0.01):
        before = flat(model)
        scaler.scale(loss(model)).backward()
        halves.first_step(scaler=scaler)
        scaler.scale(loss(model)).backward()
        halves.restore()
        if clip is not None:
            scaler.unscale_(halves)
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        scaler.step(halves)
        scaler.update()
        halves.zero_grad()
        lengths.append((flat(model) - before).norm().item())
        if clip is None:
            whole.step(lambda: loss(twin))
            torch.testing.assert_close(flat(model), flat(twin), rtol=1e-5, atol=1e-6)
    assert lengths[0] > 0.1
    assert lengths[1] == pytest.approx(0.01, rel=1e-3)


def test_a_random_direction_is_no_ascent():
    """What the control is for: at a small radius SAM raises the loss by rho |g|, a random perturbation by far less."""

    def rise(kind, **own):
        model, seen = network(), []
        for step in range(6):
            optimizer = kind(model.parameters(), rho=1e-3, lr=0.0, **({"seed": step} if kind is RandomSAM else own))
            optimizer.step(lambda: seen.append(loss_of(model, BATCHES[0])().item()) or loss_of(model, BATCHES[0])())
        return max(seen) - loss_of(model, BATCHES[0])().item()

    assert rise(RandomSAM) < 0.6 * rise(SAM)
