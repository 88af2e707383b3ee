"""Training by several processes: that of one, and what is killed goes on."""

import json
import os
import subprocess
import sys

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import Run, load_tensors, read_metrics
from eigensam.optim import train

from .trainings import CASES, OWN, own_network, own_settings
from .workers import HERE, Found

CLOSE = 1e-12  # float64: sums over processes are rounded in another order


def files(directory):
    """All files but the sidecar, which says when the run was made; metrics without the clock."""
    paths = [path for path in directory.rglob("*") if path.is_file() and path.name != "checkpoint.json"]
    found = {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}
    if (directory / "metrics.jsonl").exists():
        lines = (directory / "metrics.jsonl").read_text().splitlines()
        found["metrics.jsonl"] = [{**json.loads(line), "seconds": 0} for line in lines]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trainings")


@pytest.fixture(scope="module")
def found(folder):
    return Found("train_worker.py", folder)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_what_one_does(found, folder, tmp_path, name):
    first, second = found(f"equal/{name}")
    assert first["epochs"] == second["epochs"] == 3
    assert first["accuracy"] == second["accuracy"]
    assert second["progress"] == 0 < first["progress"]
    train(own_settings(name), OWN, tmp_path / "alone", model=own_network())
    ours, theirs, initial = (
        load_tensors(path)
        for path in (
            tmp_path / "alone" / "checkpoint.safetensors",
            folder / name / "checkpoint.safetensors",
            folder / name / "initial.safetensors",
        )
    )
    for part, weights in ours.items():
        assert (weights - theirs[part]).abs().max() < CLOSE
        assert (weights - initial[part]).abs().max() > 1e-3
    alone, both = (
        [*read_metrics(place), *Run(place, own_network()).curvature] for place in (tmp_path / "alone", folder / name)
    )
    for row, other in zip(alone, both, strict=True):
        for each in (row, other):
            each.pop("seconds", None)
            each.pop("curvature_seconds", None)
        assert other == pytest.approx(row, rel=1e-6)  # the eigenvalue is found to 3e-3 from one random start


def test_another_split_of_the_minibatches_differs(folder, found, tmp_path):
    """Wrong on purpose: m-SAM with the parts of another step."""
    train(own_settings("sam"), OWN, tmp_path / "alone", model=own_network())
    ours = load_tensors(tmp_path / "alone" / "checkpoint.safetensors")
    theirs = load_tensors(folder / "m-sam" / "checkpoint.safetensors")
    assert max((ours[part] - theirs[part]).abs().max() for part in ours) > 1e-4


def test_resumed_bit_for_bit_with_masks_of_each_process(found, folder):
    for worker in found("resumed"):
        assert worker == {"step": 3, "states": 2, "same": False}
    found("undisturbed")
    whole = files(folder / "undisturbed")
    assert files(folder / "resumed") == whole
    assert sum(name.startswith("snapshots/") for name in whole) == 3


def test_another_number_of_processes_is_refused_and_leaves_the_run(found, folder):
    found("left_unfinished")
    before = files(folder / "unfinished.partial")
    with pytest.raises(InputError, match=r"differs in processes \(2 there, 1 here\), so .*number of processes"):
        train(own_settings("sam"), OWN, folder / "unfinished", model=own_network(), resume=True)
    assert files(folder / "unfinished.partial") == before
    assert "state.safetensors" in before


def test_refusals(found):
    for worker in found("refusals"):
        said = {name: case["said"] for name, case in worker.items()}
        assert "batch_size = 9, of all processes together, cannot be split evenly among 2 processes;" in said["size"]
        assert "among 2 processes with 2 parts each; give a multiple of 4" in said["parts"]
        assert "process 1 was asked for another run than process 0, which differs in run directory" in said["folder"]
        assert "differs in lr (0.1 there, 1.1 here)" in said["settings"]
        assert "differs in network;" in said["network"]
        assert "exists already" in said["exists"]
        assert "have come to train different networks" in said["diverge"]
        assert "the loss became nan at step 2 of epoch 1" in said["lose"]
        assert all(case["left"] == [] for case in worker.values())


def test_a_killed_process_makes_all_go_on(found, folder):
    """torchrun starts both again, and the command goes on by itself from the state of mid-epoch."""
    found("undisturbed")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    said = subprocess.run(
        [*command, str(HERE / "elastic_worker.py"), "killed"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=folder, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert (folder / "killed").is_dir(), said.stderr[-4000:]
    assert files(folder / "killed") == files(folder / "undisturbed")
    assert said.stdout.count("training dropping on digits with eigen-sam into killed (2 processes, cpu)") == 2
    assert said.stdout.count("finished: train loss") == 1
    assert "exitcode: -9" in said.stderr or "Signal 9" in said.stderr


def test_an_error_is_said_once_and_ends_all_with_exit_code_2(tmp_path):
    """Started as by torchrun, which would not tell the exit codes."""
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    every = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    every |= {"WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "a", "TORCHELASTIC_RESTART_COUNT": "0"}
    every |= {"TORCHELASTIC_USE_AGENT_STORE": "True"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "eigensam", "train", "--out", "r", "--batch-size", "63", "--device", "cpu"],
            cwd=tmp_path, env={**every, "RANK": str(rank), "LOCAL_RANK": str(rank)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]  # fmt: skip
    said = [each.communicate(timeout=200) for each in started]
    assert [each.returncode for each in started] == [2, 2], said
    assert [err.count("eigensam: batch_size = 63") for _, err in said] == [1, 0], said
    assert said[1] == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_draws_of_a_process_are_its_own(digits):
    from eigensam.optim.training.minibatches import Minibatches
    from eigensam.optim.training.ranks import Ranks

    def seen(ranks, epoch=0, closures=1):
        batches = Minibatches(digits, 40, seed=3, ranks=ranks, closures=closures)
        found = [y for _, y in batches.epoch(epoch)]
        return torch.stack(found), torch.rand(9)

    whole, drawn = seen(None)
    parts = [seen(Ranks(rank, 4), closures=2) for rank in range(4)]
    assert all(torch.equal(part.shape and whole.view(-1, 2, 4, 5)[:, :, rank].flatten(1), part)
               for rank, (part, _) in enumerate(parts))  # fmt: skip
    streams = [numbers for _, numbers in parts] + [seen(Ranks(1, 4), epoch=1)[1], seen(Ranks(1, 2))[1]]
    assert torch.equal(streams[0], drawn)
    assert torch.equal(streams[1], streams[-1])
    assert len({tuple(each.tolist()) for each in streams[:-1]}) == 5
