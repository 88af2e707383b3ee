"""One convolution with random zero-mean filters, and a linear layer."""

from typing import TYPE_CHECKING

from ..registries import MODELS, Shape

if TYPE_CHECKING:
    from torch import nn

__all__ = ["random_filters"]

_THRESHOLD = 2.0  # ours: chosen among 0 to 2.5 by a bound on MNIST's training set; 0 has twice the Gibbs risk


@MODELS.register("random-filters", order=7)
def random_filters(shape: Shape, classes: int) -> "nn.Module":
    """64 filters (side 7, or 3 on small images), of which few respond at each place; pooling by 4; a linear layer.

    Good features before any training, as single random layers are (Coates, Ng, Lee 2011), for certificates with a
    prior that has seen no data. Each filter has mean 0 and norm 1, so that the background gives nothing. At each place
    a filter counts by what it exceeds twice the mean size of all responses by, relative to the length of what is left;
    after pooling the mean over filters is taken out, and each image's features have length 1.
    """
    import torch
    from torch import Tensor, nn
    from torch.nn.functional import relu

    channels, height, width = shape
    side = 7 if min(height, width) >= 16 else 3

    class Strongest(nn.Module):
        """Responses above a threshold at each place."""

        def forward(self, responses: Tensor) -> Tensor:
            strong = relu(responses - _THRESHOLD * responses.abs().mean(1, keepdim=True))
            lengths = (strong.square().sum(1, keepdim=True) + 1e-12).sqrt()  # with a derivative at 0
            sparse: Tensor = strong / (lengths + 1)
            return sparse

    class Centred(nn.Module):
        """Takes the mean over filters out, and makes each image's features of length 1."""

        def forward(self, images: Tensor) -> Tensor:
            centred = images - images.mean(1, keepdim=True)
            lengths: Tensor = centred.flatten(1).norm(dim=1).clamp_min(1e-6)
            normed: Tensor = centred / lengths[:, None, None, None]
            return normed

    convolution = nn.Conv2d(channels, 64, side)
    with torch.no_grad():
        filters = convolution.weight
        filters -= filters.mean((2, 3), keepdim=True)
        filters /= filters.flatten(1).norm(dim=1)[:, None, None, None]
        assert convolution.bias is not None
        convolution.bias.zero_()
    pooled = [-(-(size - side + 1) // 4) for size in (height, width)]
    return nn.Sequential(
        convolution,
        Strongest(),
        nn.AvgPool2d(4, ceil_mode=True),
        Centred(),
        nn.Flatten(),
        nn.Linear(64 * pooled[0] * pooled[1], classes),
    )
