"""Compiled kernels: the same bits for chunks and calls of any size, and what eager operations give, up to rounding."""

import os
import shutil

import pytest
import torch

from eigensam.ground.errors import InputError
from eigensam.sde.simulation.ensembles.looks import Record
from eigensam.sde.simulation.kernels import stepper
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.simulate import Engine, simulate

from .test_bits import mixing, pulled

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="there is no C++ compiler"
)
STEPS = 2
PLANE = SDEProblem(pulled, mixing), torch.tensor([1.0, -0.5])
LINE = SDEProblem(lambda t, x: -x, lambda t, x: torch.ones_like(x)[:, None], "additive"), torch.ones(1)
SORTED = SDEProblem(lambda t, x: -x.sort().values, lambda t, x: torch.ones_like(x)[:, None], "additive"), torch.ones(1)
"""Has no code in components."""


def run(chunk, every, backend="compiled", problem=PLANE, **engine):
    return simulate(
        *problem,
        dt=0.1,
        steps=STEPS,
        paths=40,
        seed=5,
        chunk=chunk,
        record=Record(every=every),
        engine=Engine(backend, **engine),
    )


@needs_compiler
def test_the_same_bits_and_nearly_those_of_eager_operations():
    """Calls of two steps and of one, chunks of 16 paths and of 48."""
    whole, eager = run(None, STEPS), run(None, STEPS, "eager")
    assert (whole.backend, eager.backend) == ("compiled", "eager")
    for chunk, every in ((7, STEPS), (None, 1)):
        other = run(chunk, every)
        assert torch.equal(other.final, whole.final)
    assert other.statistics["x"].moments.mean[-1].tobytes() == whole.statistics["x"].moments.mean[-1].tobytes()
    torch.testing.assert_close(whole.final, eager.final, rtol=1e-5, atol=1e-5)


@needs_compiler
def test_a_checkpoint_is_continued_by_the_same_backend_only(tmp_path):
    found = run(None, STEPS, checkpoint=tmp_path)
    assert torch.equal(run(None, STEPS, checkpoint=tmp_path).final, found.final)
    with pytest.raises(InputError, match="another run, which differs in backend"):
        run(None, STEPS, "eager", checkpoint=tmp_path)


@pytest.fixture
def _no_compiler():
    """And code that no test has compiled."""

    def forget():
        stepper._compiled_moves.cache_clear()
        stepper._compiled_group.cache_clear()
        torch._dynamo.reset()

    forget()
    with (
        torch._inductor.config.patch({"cpp.cxx": ("/none/c++",), "fx_graph_cache": False}),
        torch._functorch.config.patch(enable_autograd_cache=False),
    ):
        yield
    forget()


@pytest.mark.usefixtures("_no_compiler")
@pytest.mark.parametrize("problem", [LINE, SORTED], ids=["components", "batches"])
def test_without_a_compiler_operations_are_eager(monkeypatch, problem):
    monkeypatch.setattr(stepper, "_EAGER_PER_OPERATION", 10.0)  # so that compilation would pay
    found = run(None, STEPS, "auto", problem)
    assert found.backend == "eager"
    assert "nothing compiles it (" in found.how
    assert "C++ compiler" in found.how
    assert torch.equal(found.final, run(None, STEPS, "eager", problem).final)
    with pytest.raises(InputError, match=r"nothing compiles it \(.*install a C\+\+ compiler"):
        run(None, STEPS, "compiled", problem)


def test_a_short_run_is_eager():
    found = run(None, STEPS, "auto")
    assert found.backend == "eager"
    assert "eager operations would take about" in found.how
