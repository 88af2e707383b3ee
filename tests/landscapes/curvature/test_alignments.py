"""The cosine of an angle."""

import torch

from eigensam.landscapes import Quadratic
from eigensam.landscapes.curvature.alignments import alignment, mean_alignment


def test_alignment():
    v = torch.tensor([0.0, 1.0])
    assert alignment(torch.tensor([[0.0, -2.0], [5.0, 0.0]]), v).tolist() == [1.0, 0.0]
    assert alignment(torch.tensor([3.0, 4.0]), v).item() == torch.tensor(0.8).item()


def test_mean_over_minibatches():
    """Gradients along both axes: |cos| 1 and 0; a rule that turns them all to the first axis: 1."""
    f = Quadratic([[1.0, 0.0], [0.0, 1.0]], centres=[[2.0, 0.0], [0.0, 2.0]])
    x, v = torch.zeros(2, dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert mean_alignment(f, x, v) == 0.5
    assert mean_alignment(f, x, v, lambda g: -3 * v) == 1
