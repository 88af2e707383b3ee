"""Wide residual network for small images (Zagoruyko & Komodakis 2016), which torchvision does not have."""

from collections.abc import Iterator

from torch import Tensor, nn

__all__ = ["WideResNet"]


class _Block(nn.Module):
    """Pre-activation block: batch norm, ReLU, 3x3 convolution, twice, plus a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.relu = nn.ReLU()
        self.projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        activated = self.relu(self.norm1(x))
        shortcut = x if self.projection is None else self.projection(activated)
        hidden: Tensor = self.conv2(self.relu(self.norm2(self.conv1(activated))))
        return hidden + shortcut


def _group(inputs: int, outputs: int, blocks: int, stride: int) -> Iterator[_Block]:
    yield _Block(inputs, outputs, stride)
    for _ in range(blocks - 1):
        yield _Block(outputs, outputs, 1)


class WideResNet(nn.Module):
    """WRN-depth-width: three groups of ``(depth - 4) / 6`` blocks with ``16 w, 32 w, 64 w`` channels.

    Args:
        channels: of the input images.
        classes: number of outputs.
        depth: ``6 n + 4``; 28 in the paper.
        width: widening factor; 10 in the paper (36.5 million parameters).

    Example:
        >>> sum(p.numel() for p in WideResNet(3, 10, depth=28, width=10).parameters())
        36479194
    """

    def __init__(self, channels: int, classes: int, *, depth: int, width: int) -> None:
        super().__init__()
        blocks = (depth - 4) // 6
        widths = [16, 16 * width, 32 * width, 64 * width]
        self.stem = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.groups = nn.Sequential(
            *_group(widths[0], widths[1], blocks, 1),
            *_group(widths[1], widths[2], blocks, 2),
            *_group(widths[2], widths[3], blocks, 2),
        )
        self.norm = nn.BatchNorm2d(widths[3])
        self.relu = nn.ReLU()
        self.head = nn.Linear(widths[3], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Class scores, shape ``(batch, classes)``, of images ``(batch, C, H, W)``."""
        features = self.relu(self.norm(self.groups(self.stem(images)))).mean((2, 3))
        scores: Tensor = self.head(features)
        return scores
