"""Replaced inside, for this thread; as before for others and afterwards, in whatever order threads come and go."""

import threading

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from eigensam.landscapes.derivatives.plain_evaluation import plain_evaluation, without_autocast
from eigensam.landscapes.derivatives.thread_patch import ThreadPatch


class _Owner:
    @staticmethod
    def double(x):
        return 2 * x

    def method(self, x):
        return x + 1


def test_nested_and_after_an_exception():
    before = _Owner.double
    patch = ThreadPatch(_Owner, "double", lambda original, x: original(x) + 100)
    with patch.inside():
        with pytest.raises(ZeroDivisionError), patch.inside():
            raise ZeroDivisionError
        assert _Owner.double(1) == 102
    assert _Owner.double is before
    method = ThreadPatch(_Owner, "method", lambda original, self, x: -original(self, x))
    with method.inside():
        assert _Owner().method(1) == -2
    assert _Owner().method(1) == 2


def test_threads_that_overlap():
    """A enters, B enters, A leaves, B leaves; a third one never sees it."""
    before = _Owner.double
    patch = ThreadPatch(_Owner, "double", lambda original, x: -x)
    entered, left, found = threading.Event(), threading.Event(), []

    def other():
        with patch.inside():
            entered.set()
            left.wait(10)
            found.append(_Owner.double(3))
        found.append(_Owner.double(3))

    thread = threading.Thread(target=other)
    with patch.inside():
        thread.start()
        entered.wait(10)
        assert _Owner.double(3) == -3
    assert _Owner.double(3) == 6
    left.set()
    thread.join()
    assert found == [-3, 6]
    assert _Owner.double is before


def test_other_threads_have_autocast_and_checkpointing():
    found = []

    def other():
        with torch.autocast("cpu", torch.bfloat16):
            found.append((torch.eye(2) @ torch.eye(2)).dtype)
        x = torch.ones(2, requires_grad=True)
        found.append(checkpoint(torch.sin, x, use_reentrant=True).grad_fn.name())

    with plain_evaluation(), without_autocast(torch.device("cpu")):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        with torch.autocast("cpu", torch.bfloat16):
            assert (torch.eye(2) @ torch.eye(2)).dtype == torch.float32
    assert found == [torch.bfloat16, "CheckpointFunctionBackward"]
