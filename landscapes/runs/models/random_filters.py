"""One convolution with random zero-mean filters, and a linear layer."""

from typing import TYPE_CHECKING

from ..registries import MODELS, Shape

if TYPE_CHECKING:
    from torch import nn

__all__ = ["random_filters"]


@MODELS.register("random-filters", order=7)
def random_filters(shape: Shape, classes: int) -> "nn.Module":
    """64 filters (side 7, or 3 on small images), ReLU, mean over filters taken out, pooling by 4, a linear layer.

    Good features before any training, as single random layers are (Coates, Ng, Lee 2011): each filter has mean 0 and
    norm 1, so that the background gives nothing, and at each place what all filters share is taken out, so that
    features are hardly correlated. For certificates with a prior that has seen no data.
    """
    import torch
    from torch import nn

    channels, height, width = shape
    side = 7 if min(height, width) >= 16 else 3

    class Centred(nn.Module):
        """Takes the mean over channels out, and makes each image's features of length 1."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            centred = images - images.mean(1, keepdim=True)
            lengths: torch.Tensor = centred.flatten(1).norm(dim=1).clamp_min(1e-6)
            normed: torch.Tensor = centred / lengths[:, None, None, None]
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
        nn.ReLU(),
        nn.AvgPool2d(4, ceil_mode=True),
        Centred(),
        nn.Flatten(),
        nn.Linear(64 * pooled[0] * pooled[1], classes),
    )
