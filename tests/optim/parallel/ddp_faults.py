"""More cases of DistributedDataParallel: what goes wrong on one worker, and trainings that go on."""

import torch
import torch.distributed as dist
from cases import (
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
    raised,
    sam,
    trained,
    twin,
)
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

ADAMW = torch.optim.AdamW


@case
def a_refresh_that_fails_on_one():
    network = model()
    wrapped = DistributedDataParallel(network)
    optimizer, plain = eigen()(wrapped.parameters()), half(wrapped)

    def broken():
        if dist.get_rank() == 1:
            raise ValueError("no data left")
        return plain()

    said = raised(lambda: optimizer.step(broken))
    before = off(network, model())
    optimizer.step(plain)
    return {"said": said, "moved": before, "steps": optimizer.steps, "replicas": off_between(network)}


@case
def a_product_that_fails_on_one():
    """Not the loss, but its second derivative is not to be had on one worker."""

    class Breaks(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return Once.apply(g)

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, g):
            return g.clone()

        @staticmethod
        def backward(ctx, g):
            return g * float("nan") if dist.get_rank() == 1 else g

    network = model()
    wrapped = DistributedDataParallel(network)
    optimizer = eigen(check=False)(wrapped.parameters())
    said = raised(lambda: optimizer.step(lambda: cross_entropy(Breaks.apply(wrapped(own(X))), own(Y))))
    return {"said": said, "moved": off(network, model())}


def _spoiled(wrapped, how):
    def closure():
        value = half(wrapped)()
        if dist.get_rank() == 1:
            value = value * float("nan") if how == "nan" else value + float("inf")
        return value

    return closure


@case
def not_finite_on_one():
    """All leave the step out, or all raise, whatever is not finite and wherever the ascent is made."""
    found = {}
    for how in ("nan", "inf"):
        for place in ("synchronised", "local"):
            for nonfinite in ("skip", "raise"):
                network = model()
                wrapped = DistributedDataParallel(network)
                ascent = wrapped.no_sync if place == "local" else None
                optimizer = sam(nonfinite=nonfinite, local_ascent=ascent)(wrapped.parameters())
                said = raised(lambda o=optimizer, w=wrapped, how=how: o.step(_spoiled(w, how)))
                moved = off(network, model())
                optimizer.zero_grad()
                optimizer.step(half(wrapped))
                found[f"{how}/{place}/{nonfinite}"] = {
                    "said": said, "skipped": optimizer.skipped, "moved": moved, "replicas": off_between(network)
                }  # fmt: skip
    return found


@case
def not_finite_on_one_in_two_halves():
    network = model()
    wrapped = DistributedDataParallel(network)
    optimizer = sam(nonfinite="skip")(wrapped.parameters())
    with wrapped.no_sync():
        _spoiled(wrapped, "nan")().backward()
    optimizer.first_step()
    half(wrapped)().backward()
    optimizer.second_step()
    return {"skipped": optimizer.skipped, "moved": off(network, model()), "replicas": off_between(network)}


@case
def minibatches_that_run_out():
    """The first worker has two, the second one; what is missing counts as a loss of 0."""
    network = model()
    alone, wrapped = twin(network), DistributedDataParallel(network)
    ours, other = sam(momentum=0.9)(wrapped.parameters()), sam(momentum=0.9)(alone.parameters())
    with wrapped.join():
        for _ in range(2 - dist.get_rank()):
            ours.step(half(wrapped))
    other.step([loss(alone, X[:6], Y[:6]), loss(alone, X[6:], Y[6:])])
    other.step(lambda: 0.5 * loss(alone, X[:6], Y[:6])())
    return {"off": off(alone, network)}


@case
def a_common_eigenvector_where_minibatches_run_out():
    network = model()
    wrapped = DistributedDataParallel(network)
    optimizer = eigen()(wrapped.parameters())
    with wrapped.join():
        said = raised(lambda: optimizer.refresh(half(network)))
    return {"said": said, "moved": off(network, model())}


@case
def resumed():
    network = model()
    wrapped = DistributedDataParallel(network)
    optimizer = trained(wrapped, eigen(ADAMW), half(wrapped), 4)
    state, weights = twin(optimizer.state_dict()), twin(network).state_dict()
    again = model()
    again.load_state_dict(weights)
    second = DistributedDataParallel(again)
    other = eigen(ADAMW)(second.parameters())
    other.load_state_dict(state)
    for _ in range(4):
        optimizer.step(half(wrapped))
        other.step(half(second))
    return {"off": off(network, again), "same_bits": torch.equal(*from_both(flat(again)))}
