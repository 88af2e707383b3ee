"""Cases of sharded parameters: FSDP2, HSDP, tensor parallelism; one of two workers."""

import fsdp_states  # noqa: F401 (its cases)
import torch
import torch.distributed as dist
from cases import X, Y, case, half, loss, model, off, own, raised, run_all, sam, trained, whole
from sharded_net import MAKERS, net, sharded
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from eigensam.optim import (
    SAM,
    AwarePerturbation,
    DetSAM,
    EigenSAM,
    FriendlySAM,
    FrobSAM,
    MomentumSAM,
    SmoothedPerturbation,
)
from eigensam.optim.vector import Vector


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
def other_methods():
    """What they keep and draw is sharded like the parameters."""
    found = {}
    for kind, own_settings in (
        (FriendlySAM, {"sigma": 0.7}),
        (MomentumSAM, {"momentum": 0.9}),
        (MomentumSAM, {"decay": 0.8}),
        (SmoothedPerturbation, {"tolerance": 0.5}),
        (AwarePerturbation, {"tolerance": 0.5}),
        (FrobSAM, {"weight": 0.05, "samples": 3}),
        (DetSAM, {"samples": 2}),
    ):

        def make(p, kind=kind, settings=own_settings):
            return kind(p, rho=0.3, lr=0.1, **settings)

        network = sharded()
        trained(network, make, half(network), 4)
        found[f"{kind.__name__} {own_settings}"] = off(joint(make, 4), network)
    return found


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
        "two_meshes": _vectors(
            [distribute_tensor(one, tall, [Replicate(), Shard(0)]), distribute_tensor(two, line, rows)]),
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


run_all()
