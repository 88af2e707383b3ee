"""Products over a kept graph, graphs that are cut, and where a graph leads."""

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes.derivatives.reverse_products import (
    check_backward,
    check_dependence,
    linearised_gradient,
    reaches,
)

D = torch.float64


def leaves():
    return [torch.tensor([1.0, 2.0], dtype=D, requires_grad=True), torch.tensor(3.0, dtype=D, requires_grad=True)]


def test_products_may_be_taken_again_and_again():
    x, y = leaves()
    product = linearised_gradient((x**3).sum() * y, [x, y])
    dense = torch.stack([product(v) for v in torch.eye(3, dtype=D)])
    truth = torch.tensor([[18.0, 0, 3], [0, 36, 12], [3, 12, 0]], dtype=D)
    torch.testing.assert_close(dense, truth)
    assert not linearised_gradient(x.sum() + y, [x, y])(torch.ones(3, dtype=D)).any()  # linear
    part = linearised_gradient(x.square().sum() + y, [x, y])  # linear in one of them
    assert part(torch.ones(3, dtype=D)).tolist() == [2.0, 2.0, 0.0]


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return 2 * ctx.saved_tensors[0] * grad


def test_cut_graphs():
    for function, cut in ((lambda x: x**2, False), (Once.apply, True)):
        x, _ = leaves()
        loss = function(x).sum()
        weight = torch.ones_like(loss, requires_grad=True)
        gradients = torch.autograd.grad(loss, [x], weight, create_graph=True)
        if cut:
            with pytest.raises(NotImplementedError, match="not differentiable twice"):
                check_backward(gradients, weight)
        else:
            check_backward(gradients, weight)


def test_where_a_graph_leads():
    x, y = leaves()
    deep = x.sum()
    for _ in range(2000):  # no recursion
        deep = deep + 1
    assert reaches(deep, [x])
    assert not reaches(deep, [y])
    assert reaches(x, [x])
    assert not reaches(x.detach().sum(), [x])
    with pytest.raises(InputError, match=r"does not depend on the parameters \(a, b, c, \.\.\.\)"):
        check_dependence(torch.ones(()), ["a", "b", "c", "d"])
