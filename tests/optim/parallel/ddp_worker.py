"""Cases of DistributedDataParallel: one of two workers, each with half of the minibatch."""

import ddp_faults  # noqa: F401 (its cases)
import torch
import torch.distributed as dist
from cases import (
    CASES,
    X,
    Y,
    case,
    eigen,
    flat,
    from_both,
    half,
    loss,
    model,
    off,
    off_between,
    own,
    run_all,
    sam,
    trained,
    twin,
)
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from eigensam.optim import (
    SAM,
    XSAM,
    AwarePerturbation,
    DetSAM,
    EigenSAM,
    FriendlySAM,
    FrobSAM,
    MomentumSAM,
    SmoothedPerturbation,
)

ADAMW = torch.optim.AdamW


MAKERS = {
    "sam": sam(momentum=0.9),
    "sam_adamw": sam(ADAMW),
    "lanczos": eigen(momentum=0.9),
    "lanczos_adamw": eigen(ADAMW, normalize=True),
    "power": eigen(momentum=0.9, solver="power"),
    "stream": eigen(curvature="stream", refresh_every=4, iterations=2),
}
KINDS = {
    "plain": {},
    "bucket_view": {"gradient_as_bucket_view": True},
    "static_graph": {"static_graph": True},
    "find_unused": {"find_unused_parameters": True},
}


def against_joint(make, kind=None, network=None, closure=None):
    """Differences from one process with both halves, and of the eigenvectors of both workers."""
    network = model() if network is None else network
    alone, before, wrapped = twin(network), twin(network), DistributedDataParallel(network, **(kind or {}))
    optimizer = trained(wrapped, make, half(wrapped) if closure is None else closure(wrapped))
    halves = [loss(alone, X[:6], Y[:6]), loss(alone, X[6:], Y[6:])]
    trained(alone, make, halves)
    found = {"off": off(alone, network), "moved": off(alone, before)}
    vector = getattr(optimizer, "eigenvector", None)
    if vector is not None:
        both = from_both(vector)
        found["same_bits"] = torch.equal(*both)
    return found


def _joint_cases():
    for name, make in MAKERS.items():
        for kind in KINDS if name in ("sam", "lanczos") else ("plain",):
            CASES[f"joint/{name}/{kind}"] = lambda make=make, kind=kind: against_joint(make, KINDS[kind])


_joint_cases()


@case
def unsynchronised():
    """Wrong on purpose: own ascent, and own eigenvectors, are not those of the joint minibatch."""
    network = model()
    wrapped = DistributedDataParallel(network)
    local = lambda p: SAM(p, rho=0.3, lr=0.1, local_ascent=wrapped.no_sync)  # noqa: E731
    alone = model()
    trained(wrapped, local, half(wrapped))
    trained(alone, sam(), loss(alone))
    return {"sam": off(alone, network), "eigen": against_joint(eigen(synchronised=False))["off"]}


@case
def closure_calls_backward():
    def closure(wrapped):
        def backward():
            value = half(wrapped)()
            value.backward()
            return value

        return backward

    return against_joint(sam(momentum=0.9), closure=closure)


@case
def several_closures():
    """Four minibatches, two on each worker."""
    x, y = own(X), own(Y)
    return {
        name: against_joint(MAKERS[name], closure=lambda m: [loss(m, x[:3], y[:3]), loss(m, x[3:], y[3:])])["off"]
        for name in ("sam", "lanczos", "stream")
    }


@case
def two_halves_of_a_step():
    network = model()
    alone, wrapped = twin(network), DistributedDataParallel(network)
    optimizer = sam(momentum=0.9)(wrapped.parameters())
    for _ in range(5):
        optimizer.zero_grad()
        half(wrapped)().backward()
        optimizer.first_step()
        half(wrapped)().backward()
        optimizer.second_step()
    trained(alone, sam(momentum=0.9), loss(alone), 5)
    return {"off": off(alone, network)}


@case
def unused_parameters():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = model(), nn.Linear(2, 2).double()

        def forward(self, x):
            return self.used(x)

    torch.manual_seed(0)
    return {name: against_joint(MAKERS[name], KINDS["find_unused"], Branches())["off"] for name in ("sam", "lanczos")}


def _norm():
    return model(lambda: [nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 4)])


@case
def batch_norm():
    return {name: against_joint(MAKERS[name], network=_norm())["off"] for name in ("sam", "lanczos_adamw", "power")}


@case
def buffers_as_plain_training():
    """With lr = 0 nothing but buffers moves; they are then those of DDP with SGD, on each worker."""

    def buffers(make, **options):
        network = _norm()
        wrapped = DistributedDataParallel(network, **options)
        optimizer, seen = make(wrapped.parameters()), []
        for i in range(5):
            value = half(wrapped)
            if make is plain:
                optimizer.zero_grad()
                value().backward()
                optimizer.step()
            else:
                optimizer.step(value)
            seen += [torch.cat([b.double().reshape(-1).clone() for b in network.buffers()])]
            if i == 2:  # as at the end of an epoch
                with torch.no_grad():
                    network.eval()
                    wrapped(X)
                    network.train()
        return torch.stack(seen)

    def plain(p):
        return torch.optim.SGD(p, lr=0.0)

    makers = {
        "sam": lambda p: SAM(p, rho=0.3, lr=0.0),
        "lanczos": lambda p: EigenSAM(p, rho=0.3, lr=0.0, refresh_every=2),
        "own": lambda p: EigenSAM(p, rho=0.3, lr=0.0, refresh_every=2, synchronised=False),
    }
    kinds = [{}, {"broadcast_buffers": False}]
    return {
        f"{name}/{i}": float((buffers(make, **kind) - buffers(plain, **kind)).abs().max())
        for name, make in makers.items()
        for i, kind in enumerate(kinds)
    } | {"differ": float((buffers(plain) - buffers(plain, broadcast_buffers=False)).abs().max())}


def _mean(tensors):
    for tensor in tensors:
        dist.all_reduce(tensor)
        tensor /= 2
    return tensors


@case
def local_ascent():
    """By hand: each worker climbs along its own gradient, and all step along the mean of what they find there."""
    network = model()
    alone, wrapped = twin(network), DistributedDataParallel(network)
    optimizer = SAM(wrapped.parameters(), rho=0.3, lr=0.1, local_ascent=wrapped.no_sync)
    parameters = list(alone.parameters())
    for _ in range(4):
        optimizer.step(half(wrapped))
        here = torch.autograd.grad(half(alone)(), parameters)
        norm = sum((g**2).sum() for g in here).sqrt()
        moved = [p.detach() + 0.3 * g / norm for p, g in zip(parameters, here, strict=True)]
        names = dict(zip(dict(alone.named_parameters()), [p.requires_grad_() for p in moved], strict=True))
        value = cross_entropy(torch.func.functional_call(alone, names, (own(X),)), own(Y))
        there = _mean(list(torch.autograd.grad(value, moved)))
        with torch.no_grad():
            for p, g in zip(parameters, there, strict=True):
                p -= 0.1 * g
    return {"off": off(alone, network), "same_bits": torch.equal(*from_both(flat(network)))}


@case
def local_ascent_of_every_kind():
    """It does not matter how gradients are averaged."""

    def train(**options):
        network = model()
        wrapped = DistributedDataParallel(network, **options)
        trained(wrapped, lambda p: SAM(p, rho=0.3, lr=0.1, local_ascent=wrapped.no_sync), half(wrapped), 4)
        return network

    reference = train()
    return {kind: off(reference, train(**KINDS[kind])) for kind in ("bucket_view", "find_unused")}


@case
def other_methods():
    """Each of them on the joint minibatch; those that know the loss's value know that of both workers."""
    makers = {
        kind.__name__: lambda p, kind=kind, own=own: kind(p, rho=0.3, lr=0.1, momentum=0.9, **own)
        for kind, own in (
            (FriendlySAM, {"sigma": 0.7}),
            (MomentumSAM, {}),
            (XSAM, {"alpha": 0.5, "refresh_every": 3, "iterations": 4}),
            (SmoothedPerturbation, {"tolerance": 0.5}),
            (AwarePerturbation, {"tolerance": 0.5}),
            (FrobSAM, {"weight": 0.05, "samples": 3}),
            (DetSAM, {"samples": 2}),
        )
    }
    found = {}
    for name, make in makers.items():
        network = model()
        alone, wrapped = twin(network), DistributedDataParallel(network, gradient_as_bucket_view=True)
        trained(wrapped, make, half(wrapped), 4)
        trained(alone, make, loss(alone), 4)
        found[name] = max(off(alone, network), off_between(network))
    return found


@case
def loss_of_one_worker():
    """Wrong on purpose: with its own loss alone each worker would train another model."""
    network = model()
    wrapped = DistributedDataParallel(network)
    optimizer = FrobSAM(wrapped.parameters(), rho=0.3, weight=0.05, lr=0.1)
    optimizer.workers().mean = lambda value: value
    for _ in range(4):
        optimizer.step(half(wrapped))
    return off_between(network)


@case
def dropout():
    """Own masks on each worker, the same in both passes."""
    network = model(lambda: [nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 4)])
    alone, wrapped = twin(network), DistributedDataParallel(network)
    torch.manual_seed(10 + dist.get_rank())
    state = torch.get_rng_state()
    mask = nn.functional.dropout(torch.ones(9))
    optimizer = sam()(wrapped.parameters())
    torch.set_rng_state(state)
    optimizer.step(half(wrapped))
    parameters = list(alone.parameters())
    torch.set_rng_state(state)
    here = _mean(list(torch.autograd.grad(half(alone)(), parameters)))
    norm = sum((g**2).sum() for g in here).sqrt()
    with torch.no_grad():
        for p, g in zip(parameters, here, strict=True):
            p += 0.3 * g / norm
    torch.set_rng_state(state)
    there = _mean(list(torch.autograd.grad(half(alone)(), parameters)))
    with torch.no_grad():
        for p, g, h in zip(parameters, here, there, strict=True):
            p -= 0.3 * g / norm + 0.1 * h
    return {"off": off(alone, network), "same_masks": torch.equal(*from_both(mask))}


@case
def eigenvector_of_its_own():
    network, alone = model(), model()
    wrapped = DistributedDataParallel(network)
    optimizer = trained(wrapped, eigen(synchronised=False), half(wrapped), 1)
    single = trained(alone, eigen(), half(alone), 1)
    cosine = abs(float(optimizer.eigenvector @ single.eigenvector))
    both = from_both(optimizer.eigenvector)
    return {"cosine": cosine, "between": abs(float(both[0] @ both[1])), "replicas": off_between(network)}


@case
def seeds_that_differ():
    """Workers that seed by their rank have one eigenvector nevertheless."""
    network = model()
    wrapped = DistributedDataParallel(network)
    optimizer = trained(wrapped, eigen(seed=dist.get_rank()), half(wrapped))
    alone = model()
    trained(alone, eigen(seed=0), [loss(alone, X[:6], Y[:6]), loss(alone, X[6:], Y[6:])])
    return {"same_bits": torch.equal(*from_both(optimizer.eigenvector)), "off": off(alone, network)}


run_all()
