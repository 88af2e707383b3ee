"""Cases of sharded parameters: FSDP2, HSDP, tensor parallelism; one of two workers."""

import copy
import io
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from cases import X, Y, case, flat, from_both, loss, model, off, own, raised, run_all, trained, twin, whole
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

from eigensam.optim import SAM, EigenSAM
from eigensam.optim.vector import Vector

SGD, ADAMW = torch.optim.SGD, torch.optim.AdamW


class Scaled(nn.Module):
    """One number: the second worker's shard of it is empty."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * self.scale


def net():
    """Seven rows over two workers are four and three."""
    return model(lambda: [nn.Linear(6, 7), nn.Tanh(), Scaled(), nn.Linear(7, 4)])


def sharded(network=None, **options):
    network = net() if network is None else network
    options.setdefault("mesh", init_device_mesh("cpu", (2,)))  # not an accelerator's, where there is one
    for layer in network:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, **options)
    return fully_shard(network, **options)


def sam(base=SGD, **options):
    return lambda p: SAM(p, base, rho=0.3, lr=0.1, **options)


MAKERS = {"momentum": sam(momentum=0.9), "adamw": sam(ADAMW)}


def half(network):
    return loss(network, own(X), own(Y))


def joint(make, steps=7):
    alone = net()
    trained(alone, make, loss(alone), steps)
    return alone


@case
def against_joint():
    found = {}
    for name, make in MAKERS.items():
        for reshard in (True, False):
            network = sharded(reshard_after_forward=reshard)
            trained(network, make, half(network))
            found[f"{name}/{reshard}"] = off(joint(make), network)
    return found


@case
def every_shard_for_itself():
    """Wrong on purpose: the norm of the own shards."""
    right, Vector._over_processes = Vector._over_processes, lambda self, values: float(values.sum())
    try:
        network = sharded()
        trained(network, MAKERS["momentum"], half(network))
    finally:
        Vector._over_processes = right
    return {"off": off(joint(MAKERS["momentum"]), network)}


@case
def shards():
    """That there are uneven and empty ones."""
    return {name: p.to_local().numel() for name, p in sharded().named_parameters()}


@case
def two_halves_of_a_step():
    network = sharded()
    optimizer = MAKERS["momentum"](network.parameters())
    for _ in range(4):
        optimizer.zero_grad()
        half(network)().backward()
        optimizer.first_step()
        half(network)().backward()
        optimizer.second_step()
    return {"off": off(joint(MAKERS["momentum"], 4), network)}


@case
def several_closures_groups_and_clipping():
    def make(parameters):
        first, *others = parameters
        others[-1].requires_grad_(False)
        groups = [{"params": [first], "rho": 0.0}, {"params": others, "rho": 0.2}]
        optimizer = SAM(groups, lr=0.1, momentum=0.9)
        moving = [p for p in (first, *others) if p.requires_grad]
        optimizer.register_after_backward_hook(lambda _: torch.nn.utils.clip_grad_norm_(moving, 0.1))
        return optimizer

    network = sharded()
    x, y = own(X), own(Y)
    trained(network, make, [loss(network, x[:3], y[:3]), loss(network, x[3:], y[3:])])
    return {"off": off(joint(make), network)}


@case
def restored_to_the_bit():
    network = sharded()
    before = [p.to_local().clone() for p in network.parameters()]
    optimizer, calls = SAM(network.parameters(), rho=0.3, lr=0.0), []

    def same():
        return all(torch.equal(a, p.to_local()) for a, p in zip(before, network.parameters(), strict=True))

    def closure():
        calls.append(same())
        if len(calls) == 4:
            raise ValueError("enough")
        return half(network)()

    optimizer.step(closure)
    after = same()
    said = raised(lambda: optimizer.step(closure))
    return {"after": after, "calls": calls, "said": said, "after_error": same()}


@case
def bfloat16():
    """The same two passes by hand, whose parameters are kept in float32."""
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    network, other, plain = [sharded(net().float(), mp_policy=policy) for _ in range(3)]
    x, y = own(X).float(), own(Y)
    trained(network, sam(), loss(network, x, y), 3)
    trained(plain, lambda p: SAM(p, rho=0.0, lr=0.1), loss(plain, x, y), 3)
    parameters = list(other.parameters())
    for _ in range(3):
        loss(other, x, y)().backward()
        gradients = [p.grad for p in parameters]
        norm = sum((g.full_tensor() ** 2).sum() for g in gradients).sqrt()
        before = [p.to_local().clone() for p in parameters]
        with torch.no_grad():
            for p, g in zip(parameters, gradients, strict=True):
                p.to_local().add_(0.3 / norm * g.to_local())
                p.grad = None
        loss(other, x, y)().backward()
        with torch.no_grad():
            for p, b in zip(parameters, before, strict=True):
                p.to_local().copy_(b - 0.1 * p.grad.to_local())
                p.grad = None
    return {"off": off(network, other), "from_sgd": off(network, plain)}


def _vectors(parts):
    """Error of norm and product, relative."""
    a, b = Vector(parts), Vector([part * 2 + 1 for part in parts])
    x = torch.cat([whole(part).reshape(-1) for part in parts])
    y = 2 * x + 1
    return max(abs(a.norm() / float(x.norm()) - 1), abs(a.dot(b) / float(x @ y) - 1))


@case
def norms():
    generator = torch.Generator().manual_seed(3)
    one, two, three = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (5, 1, 4))
    line = init_device_mesh("cpu", (2,))
    tall, wide = init_device_mesh("cpu", (2, 1)), init_device_mesh("cpu", (1, 2))
    rows = [Shard(0)]
    return {
        "uneven": _vectors([distribute_tensor(one, line, rows)]),
        "columns": _vectors([distribute_tensor(one, line, [Shard(1)])]),
        "empty": _vectors([distribute_tensor(two, line, rows), distribute_tensor(three, line, rows)]),
        "replicated": _vectors([distribute_tensor(one, line, [Replicate()])]),
        "mixed": _vectors([one, distribute_tensor(two, line, rows), distribute_tensor(three, line, [Replicate()])]),
        "hsdp": _vectors([distribute_tensor(one, tall, [Replicate(), Shard(0)]), two]),
        "hsdp_across": _vectors([distribute_tensor(one, wide, [Replicate(), Shard(0)]), three]),
        "both_axes": _vectors([distribute_tensor(one, wide, [Shard(0), Shard(0)]), three]),
        "two_meshes": _vectors([distribute_tensor(one, tall, [Replicate(), Shard(0)]), distribute_tensor(two, line, rows)]),
    }  # fmt: skip


@case
def hybrid():
    """HSDP: replicas of shards."""
    found = {}
    for shape in ((2, 1), (1, 2)):
        mesh = init_device_mesh("cpu", shape, mesh_dim_names=("replicate", "shard"))
        network = sharded(mesh=mesh)
        trained(network, MAKERS["momentum"], half(network))
        found[str(shape)] = off(joint(MAKERS["momentum"]), network)
    return found


@case
def tensor_parallel():
    """Both workers see all of the minibatch; rows of one layer, columns of the other."""
    network = model()
    plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
    parallelize_module(network, init_device_mesh("cpu", (2,)), plan)
    trained(network, MAKERS["momentum"], loss(network))
    alone = model()
    trained(alone, MAKERS["momentum"], loss(alone))
    return {"off": off(alone, network)}


@case
def partial_gradients():
    """Terms of a sum on each worker, as tensor parallelism leaves them of parameters that both have."""
    mesh = init_device_mesh("cpu", (2,))
    p = nn.Parameter(distribute_tensor(torch.tensor([3.0, 4.0], dtype=torch.float64), mesh, [Replicate()]))
    optimizer = SAM([p], rho=0.5, lr=0.1)
    share = 0.25 if dist.get_rank() == 0 else 0.75  # of the gradient of |p|^2/2

    def backward():
        p.grad = DTensor.from_local(share * p.detach().to_local(), mesh, [Partial()])

    backward()
    optimizer.first_step()
    backward()
    optimizer.second_step()
    # p - 0.1 (p + 0.5 p/|p|)
    return {"found": p.full_tensor().tolist(), "expected": [3 * 0.89, 4 * 0.89]}


@case
def not_finite_on_one():
    found = {}
    for how in ("nan", "inf"):
        network = sharded()
        optimizer = sam(nonfinite="skip")(network.parameters())

        def closure(network=network, how=how):
            value = half(network)()
            if dist.get_rank() == 1:
                value = value * float("nan") if how == "nan" else value + float("inf")
            return value

        optimizer.step(closure)
        skipped, moved = optimizer.skipped, off(network, net())
        optimizer.step(half(network))
        found[how] = {"skipped": skipped, "moved": moved, "later": off(network, net())}
    return found


@case
def eigen_sam_is_refused():
    network = sharded()
    optimizer = EigenSAM(network.parameters(), rho=0.3, lr=0.1)
    said = raised(lambda: optimizer.step(half(network)))
    return {"said": said, "moved": off(network, net())}


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


run_all()
