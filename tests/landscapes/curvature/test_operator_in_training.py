"""Operators inside of training code: mixed precision, modes and statistics, several processes."""

import copy
import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.landscapes import EmpiricalFisher, GaussNewton, Hessian, NetworkFunction

from .dense_truths import BATCHES, INPUTS, TARGETS, D, dense_hessian, network_of, relative


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
@pytest.mark.parametrize("graph_bytes", [0, 2**30])
def test_mixed_precision(operator, graph_bytes):
    """A bfloat16 model is evaluated in float32; a product inside autocast, no_grad or inference_mode is the same."""
    network = network_of("batch norm", "train")
    half = copy.deepcopy(network.model).to(torch.bfloat16)
    batches = [(inputs.to(torch.bfloat16), targets) for inputs, targets in BATCHES]
    single = [(inputs.float(), targets) for inputs, targets in batches]
    truth = operator(NetworkFunction(copy.deepcopy(half).float(), cross_entropy, mode="train"), single)
    found = operator(NetworkFunction(half, cross_entropy, mode="train"), batches, graph_bytes=graph_bytes)
    v = torch.randn(2, network.dim, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found @ v, truth @ v, rtol=1e-5, atol=1e-6)
    for context in (lambda: torch.autocast("cpu", torch.bfloat16), torch.no_grad, torch.inference_mode):
        with context():
            fresh = operator(NetworkFunction(half, cross_entropy, mode="train"), batches, graph_bytes=graph_bytes)
            for matrix in (fresh, found):
                assert torch.equal(matrix @ v, found @ v)
                assert torch.equal(matrix @ v[0].clone(), found @ v[0])


@pytest.mark.parametrize("operator", [Hessian, GaussNewton, EmpiricalFisher])
@pytest.mark.parametrize("training", [True, False])
def test_neither_modes_nor_statistics_change(operator, training):
    model = network_of("batch norm").model.train(training)
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    products = {}
    for mode in ("train", "eval"):
        matrix = operator(NetworkFunction(model, cross_entropy, mode=mode), BATCHES)
        products[mode] = matrix.dense()
        with pytest.raises(RuntimeError, match=r"shapes cannot be multiplied|expected input|size of tensor|unflatten"):
            operator(matrix.network, [(INPUTS[:, :7], TARGETS)]) @ matrix.x
    assert relative(products["train"], products["eval"]) > 0.01
    after = model.state_dict()
    assert {"2.running_mean", "2.num_batches_tracked"} < set(after)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert [m.training for m in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())


WORKER = """
    import sys
    import torch
    import torch.distributed as dist
    from torch import nn
    from eigensam.landscapes import NetworkFunction
    from eigensam.landscapes import (EmpiricalFisher, GaussNewton, Hessian, lanczos)

    torch.set_num_threads(1)
    rank, folder = int(sys.argv[1]), sys.argv[2]
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    data = torch.load(f"{folder}/data.pt", weights_only=True)
    model = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    model.load_state_dict(data["model"])
    network = NetworkFunction(model, nn.functional.cross_entropy)
    x, y = data["inputs"], data["targets"]
    batches = [(x[:3], y[:3]), (x[3:5], y[3:5])] if rank == 0 else [(x[5:], y[5:])]
    found = {}
    for kind in (Hessian, GaussNewton, EmpiricalFisher):
        for graph_bytes in (0, 2**30):
            operator = kind(network, batches, graph_bytes=graph_bytes, group=dist.group.WORLD)
            found[f"{kind.__name__} {graph_bytes}"] = operator @ data["v"], operator @ data["v"][0]
    ignored = (batches[0][0], torch.full_like(batches[0][1], -100)) if rank else batches[0]
    found["share"] = Hessian(network, [ignored], group=dist.group.WORLD) @ data["v"]
    pairs = lanczos(Hessian(network, batches, group=dist.group.WORLD), 2, which="both", tolerance=1e-8)
    found["values"], found["vectors"] = pairs.values, pairs.vectors
    torch.save(found, f"{folder}/found{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()
"""


def test_two_processes_with_their_own_examples(tmp_path):
    """Five and eight examples: both ranks get the products of all thirteen, and the same eigenvalues."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    network = NetworkFunction(model, cross_entropy)
    v = torch.randn(3, network.dim, dtype=D)
    torch.save({"model": model.state_dict(), "inputs": INPUTS, "targets": TARGETS, "v": v}, tmp_path / "data.pt")
    (tmp_path / "worker.py").write_text(textwrap.dedent(WORKER))
    command = [sys.executable, "-W", "ignore", str(tmp_path / "worker.py")]
    workers = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], stderr=subprocess.PIPE, text=True) for rank in (0, 1)
    ]
    errors = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], errors
    found = [torch.load(tmp_path / f"found{rank}.pt", weights_only=True) for rank in (0, 1)]
    for kind in (Hessian, GaussNewton, EmpiricalFisher):
        truth = kind(network, [(INPUTS, TARGETS)])
        for graph_bytes in (0, 2**30):
            rows, single = zip(*(f[f"{kind.__name__} {graph_bytes}"] for f in found), strict=True)
            torch.testing.assert_close(rows[0], truth @ v, rtol=1e-10, atol=1e-13)
            torch.testing.assert_close(single[0], truth @ v[0], rtol=1e-10, atol=1e-13)
            assert torch.equal(rows[0], rows[1])
            assert torch.equal(single[0], single[1])
        # wrong on purpose: one rank's own examples
        assert relative(kind(network, [(INPUTS[:5], TARGETS[:5])]) @ v, truth @ v) > 0.01
    # a process whose targets are all ignored adds nothing
    share = Hessian(network, [(INPUTS[:3], TARGETS[:3])]) @ v
    assert all((f["share"] - share).norm() < 1e-10 * share.norm() for f in found)
    values = torch.linalg.eigvalsh(dense_hessian(network, [(INPUTS, TARGETS)]))
    assert torch.equal(found[0]["values"], found[1]["values"])
    assert torch.equal(found[0]["vectors"], found[1]["vectors"])
    assert found[0]["values"].tolist() == pytest.approx(values[[-1, -2, 0, 1]].tolist(), rel=1e-7)
