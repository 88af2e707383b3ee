"""Several processes give every process the bits of one."""

import signal
import subprocess
import sys
import textwrap
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.distributed

from eigensam.sde.simulation.ensembles.cells import CELL, Cells
from eigensam.sde.simulation.ensembles.looks import Record
from eigensam.sde.simulation.ensembles.parts import _bounds, part_of
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.simulate import Engine, simulate

from .test_bits import OBSERVED, bits, mixing, pulled, same

PROCESS = """
    import sys
    from datetime import timedelta
    from pathlib import Path
    import numpy as np
    import torch
    from torch import distributed
    from eigensam.tests.sde.simulation.test_bits import bits
    from eigensam.tests.sde.simulation.test_parts import run
    torch.set_num_threads(1)
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    for world in (3, 2):
        if rank < world:
            method = f"file://{folder / f'world{world}'}"
            distributed.init_process_group("gloo", method, timedelta(seconds=60), world, rank)
            found = [run(folder / f"checkpoint{world}") for _ in range(2)]
            assert found[-1].path_steps == 0
            for i, each in enumerate(found):
                np.savez(folder / f"{world}-{rank}-{i}.npz", **bits(each))
            distributed.barrier()  # wait until all are done
            distributed.destroy_process_group()
"""


def run(folder=None):
    """Two cells: of three processes, one has nothing to do. Trajectories are of more paths than the first cell."""
    return simulate(
        SDEProblem(pulled, mixing),
        torch.tensor([1.0, -0.5], dtype=torch.float64),
        dt=0.1,
        steps=4,
        paths=5000,
        chunk=1000,
        record=Record(every=2, observables=OBSERVED, trajectories=4100),
        engine=Engine("eager", checkpoint=folder),
    )


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch has no torch.distributed")
def test_two_and_three_processes(tmp_path):
    """Also of what they kept on disk."""
    code = textwrap.dedent(PROCESS)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(rank), str(tmp_path)], stderr=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for rank in range(3)
    ]
    expected = bits(run())
    said = [process.communicate(timeout=120)[1].decode() for process in started]
    # When all is written, torch's threads now and then abort a process as it leaves.
    assert {process.returncode for process in started} <= {0, -signal.SIGABRT}, said
    files = sorted(tmp_path.glob("*.npz"))
    assert len(files) == 2 * (3 + 2)
    for file in files:
        with np.load(file) as found:
            assert same(dict(found), expected), file


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("paths", [1, CELL, CELL + 1, 5 * CELL - 3, 20 * CELL])
def test_parts_are_whole_cells_of_all_paths(paths, world):
    parts = [_bounds(paths, rank, world) for rank in range(world)]
    assert parts[0][0] == 0
    assert parts[-1][1] == paths
    assert all(first % CELL == 0 and first <= end for first, end in parts)
    assert all(a[1] == b[0] for a, b in pairwise(parts))


def test_one_process_has_all():
    part = part_of(10)
    assert (part.first, part.end, part.share) == (0, 10, 10)
    assert str(part) == "paths 0 to 10"


@pytest.mark.parametrize("first", [0, CELL])
@pytest.mark.parametrize("size", [16, 100, CELL - 1, CELL, CELL + 1, 3 * CELL, 10**6])
def test_cells(first, size):
    """Each path once, in its cell, however they come."""
    end, found = first + 2 * CELL + 7, {}
    cells = Cells(first, end, lambda cell, values: found.update({cell: values["x"]}))
    for begin in range(first, end, size):
        cells.add({"x": torch.arange(begin, min(end, begin + size)).reshape(1, 1, -1)})
        complete = 3 if begin + size >= end else (begin + size - first) // CELL
        assert len(found) == complete  # each as soon as it is there
    assert [each.shape[-1] for each in found.values()] == [CELL, CELL, 7]
    assert [cell * CELL for cell in found] == [int(each[0, 0, 0]) for each in found.values()]
    assert torch.equal(torch.cat(list(found.values()), -1)[0, 0], torch.arange(first, end))


TOGETHER = """
    import sys
    from datetime import timedelta
    from pathlib import Path
    import torch
    from torch import distributed
    from eigensam.ground.errors import InputError
    from eigensam.sde import Engine, SDEProblem, simulate
    torch.set_num_threads(1)
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    distributed.init_process_group("gloo", f"file://{folder / 'world'}", timedelta(seconds=60), 2, rank)
    cubic = SDEProblem(lambda t, x: x**3, None)
    starts = torch.zeros(5000, 1, dtype=torch.float64)
    starts[4500] = 2.0  # the second process's
    for name, x0, seed in (("seeds", starts[0], rank), ("starts", starts, 0)):
        try:
            simulate(cubic, x0, dt=0.5, steps=20, paths=5000, seed=seed, engine=Engine("eager"))
        except InputError as error:
            (folder / f"{name}-{rank}").write_text(str(error))
    distributed.barrier()
    distributed.destroy_process_group()
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch has no torch.distributed")
def test_processes_agree_and_fail_together(tmp_path):
    """Neither of two runs is taken for parts of one, nor does a process wait for one that has refused."""
    command = [sys.executable, "-c", textwrap.dedent(TOGETHER)]
    started = [subprocess.Popen([*command, str(rank), str(tmp_path)], stderr=subprocess.PIPE) for rank in range(2)]
    said = [process.communicate(timeout=120)[1].decode() for process in started]
    found = {path.name: path.read_text() for path in tmp_path.glob("*-*")}
    assert found.keys() == {f"{name}-{rank}" for name in ("seeds", "starts") for rank in range(2)}, said
    assert all("which differs in seed (0 there, 1 here)" in found[f"seeds-{rank}"] for rank in range(2))
    assert "1 of 904 paths so far" in found["starts-1"]
    assert "the first is path 4500" in found["starts-1"]
    assert found["starts-0"] == f"in process 1: {found['starts-1']}"


def test_another_number_of_processes_is_another_run(tmp_path):
    """One process's files are those of the first of several."""
    assert part_of(10).folder(tmp_path) == tmp_path / "part-0"
