"""The cosine of an angle."""

import torch

from eigensam.landscapes.curvature.alignment import alignment


def test_alignment():
    v = torch.tensor([0.0, 1.0])
    assert alignment(torch.tensor([[0.0, -2.0], [5.0, 0.0]]), v).tolist() == [1.0, 0.0]
    assert alignment(torch.tensor([3.0, 4.0]), v).item() == torch.tensor(0.8).item()
