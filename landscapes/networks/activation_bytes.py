"""How much memory the graph of a network's loss holds."""

import torch
from torch import Tensor

from ..derivatives.flat import unflatten
from .batch_rows import tensors_of
from .network_function import Batch, NetworkFunction
from .route_comparison import loss_of_few

__all__ = ["activation_bytes"]


def activation_bytes(network: NetworkFunction, x: Tensor, batch: Batch) -> int:
    """What a gradient of one batch's loss at ``x`` (``(d,)``) has to save, parameters aside, as a few examples say.

    Example:
        Two outputs of ``tanh`` and the differences of a squared loss, of 100 examples in double precision; the first
        evaluation of a network copies its inputs, to see whether it writes to them:

        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh()).double()
        >>> network = NetworkFunction(model, lambda outputs, targets: (outputs - targets).square().mean())
        >>> batch = torch.ones(100, 3).double(), torch.zeros(100, 2).double()
        >>> loss = network.loss([p.detach() for p in model.parameters()], batch)
        >>> activation_bytes(network, network.point(), batch)
        3200
    """
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    leaves = [part.detach().requires_grad_() for part in unflatten(x, network.shapes)]
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        _, share = loss_of_few(network, leaves, batch)
    model = network.model
    given = (x, *tensors_of(batch), *model.parameters(), *model.buffers())
    own = {t.untyped_storage().data_ptr() for t in given}
    return int(sum(size for pointer, size in sizes.items() if pointer not in own) / share)
