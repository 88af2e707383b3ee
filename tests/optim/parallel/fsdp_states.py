"""More cases of sharded parameters: states that are saved, and read again."""

import copy
import io
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from cases import case, flat, from_both, half, model, off, raised, sam, trained, twin
from sharded_net import MAKERS, net, sharded
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.nn.parallel import DistributedDataParallel

from eigensam.optim import EigenSAM

ADAMW = torch.optim.AdamW


def _resumed(make, keep):
    """Difference from a training that goes on, where another one takes what was kept."""
    network = sharded()
    optimizer = trained(network, make, half(network), 3)
    other = sharded()
    second = make(other.parameters())
    keep(network, optimizer, other, second)
    for _ in range(3):
        optimizer.step(half(network))
        second.step(half(other))
    return {"off": off(network, other), "skipped": second.skipped, "moved": off(network, net())}


def _weights(network, other):
    with torch.no_grad():
        for p, q in zip(network.parameters(), other.parameters(), strict=True):
            q.to_local().copy_(p.to_local())


@case
def resumed_from_a_file_of_each_worker():
    def keep(network, optimizer, other, second):
        file = io.BytesIO()
        torch.save(optimizer.state_dict(), file)
        file.seek(0)
        second.load_state_dict(torch.load(file, weights_only=False))
        _weights(network, other)

    return {name: _resumed(make, keep) for name, make in {**MAKERS, "plain": sam()}.items()}


@case
def resumed_by_state_dict_functions():
    """``torch.distributed.checkpoint.state_dict``, sharded and whole."""

    def keep(options):
        def inner(network, optimizer, other, second):
            optimizer.zero_grad()
            state = copy.deepcopy(get_optimizer_state_dict(network, optimizer, options=options))
            set_optimizer_state_dict(other, second, copy.deepcopy(state), options=options)
            _weights(network, other)

        return inner

    kinds = {"sharded": StateDictOptions(), "whole": StateDictOptions(full_state_dict=True)}
    return {
        f"{name}/{kind}": _resumed(make, keep(options))
        for name, make in {**MAKERS, "plain": sam()}.items()
        for kind, options in kinds.items()
        if (name, kind) != ("plain", "whole")  # torch's functions take no whole state without tensors, SGD's neither
    }


@case
def resumed_from_a_common_checkpoint():
    """``dcp.save`` and ``dcp.load`` into the state of a fresh optimizer."""

    def keep(network, optimizer, other, second):
        directory = Path(sys.argv[1]) / f"checkpoint{len(list(Path(sys.argv[1]).iterdir()))}"
        directory = from_first_path(directory)
        optimizer.zero_grad()
        optimizer.skipped = 7
        state = {"model": get_model_state_dict(network), "optim": get_optimizer_state_dict(network, optimizer)}
        dcp.save(state, checkpoint_id=directory)
        empty = {"model": get_model_state_dict(other), "optim": get_optimizer_state_dict(other, second)}
        dcp.load(empty, checkpoint_id=directory)
        set_model_state_dict(other, empty["model"])
        set_optimizer_state_dict(other, second, empty["optim"])

    return {name: _resumed(make, keep) for name, make in {**MAKERS, "plain": sam()}.items()}


def from_first_path(path):
    found = [str(path)]
    dist.broadcast_object_list(found, src=0)
    return found[0]


@case
def looking_at_the_state_changes_nothing():
    """Torch makes a step of length 0 where it finds no state; it must not be one of the base optimizer."""
    first, second = sharded(), sharded()
    ours, others = [sam(ADAMW)(network.parameters()) for network in (first, second)]
    counted = []
    ours.register_step_post_hook(lambda *_: counted.append(1))
    for _ in range(3):
        ours.step(half(first))
        ours.zero_grad()
        get_optimizer_state_dict(first, ours)
        others.step(half(second))
    return {"off": off(first, second), "hooks": len(counted)}


@case
def flattened_state_is_refused():
    network = sharded()
    optimizer = trained(network, sam(ADAMW), half(network), 2)
    options = StateDictOptions(flatten_optimizer_state_dict=True)
    state = get_optimizer_state_dict(network, optimizer, options=options)
    return {"said": raised(lambda: set_optimizer_state_dict(network, optimizer, state, options=options))}


@case
def eigen_sam_resumed_in_mid_interval():
    """Of DDP, through a common checkpoint: the eigenvector comes back, too."""

    def make(parameters):
        return EigenSAM(parameters, ADAMW, rho=0.3, alpha=0.5, lr=0.1, refresh_every=4)

    network, other = model(), model()
    wrapped, second_wrapped = DistributedDataParallel(network), DistributedDataParallel(other)
    optimizer, second = trained(wrapped, make, half(wrapped), 2), make(second_wrapped.parameters())
    nothing = second.eigenvector is None
    optimizer.zero_grad()
    directory = from_first_path(Path(sys.argv[1]) / "eigen")
    dcp.save({"optim": get_optimizer_state_dict(wrapped, optimizer)}, checkpoint_id=directory)
    empty = {"optim": get_optimizer_state_dict(second_wrapped, second)}
    nothing = nothing and second.eigenvector is None
    dcp.load(empty, checkpoint_id=directory)
    set_optimizer_state_dict(second_wrapped, second, empty["optim"])
    other.load_state_dict(twin(network).state_dict())
    same = torch.equal(optimizer.eigenvector, second.eigenvector)
    for _ in range(4):
        optimizer.step(half(wrapped))
        second.step(half(second_wrapped))
    return {"off": off(network, other), "nothing": nothing, "same": same, "bits": torch.equal(*from_both(flat(other)))}
