"""Upper ends of Lipschitz constants of single layers, proved up to a stated rounding margin."""

import math

import torch
from torch import Tensor, nn

__all__ = ["ROUNDING", "convolution_norm", "layer_constant", "matrix_norm", "slopes"]

ROUNDING = 1 + 1e-9
"""Singular values in float64 of matrices of at most some thousand rows are right to about ``1e-12``, relatively."""

_MOST_ENTRIES = 30_000_000  # ours: of all blocks of a convolution, half a gigabyte

_GELU = (-0.1289042, 1.1289042)  # its slope at -sqrt(2) and sqrt(2), rounded outward
_SILU = (-0.0998394, 1.0998394)  # likewise, at its inflections


def slopes(module: nn.Module) -> tuple[float, float] | None:
    """An interval for the slope of an activation that acts on each entry; None for any other module.

    Example:
        >>> slopes(nn.Tanh()), slopes(nn.LeakyReLU(0.1)), slopes(nn.Linear(1, 1))
        ((0.0, 1.0), (0.1, 1.0), None)
    """
    kind = type(module)
    if kind is nn.GELU:
        return _GELU if module.approximate == "none" else None
    if isinstance(module, nn.LeakyReLU):
        slope = float(module.negative_slope)
        return min(slope, 1.0), max(slope, 1.0)
    known: dict[type[nn.Module], tuple[float, float]] = {
        nn.ReLU: (0.0, 1.0),
        nn.ReLU6: (0.0, 1.0),
        nn.Tanh: (0.0, 1.0),
        nn.Hardtanh: (0.0, 1.0),
        nn.Softsign: (0.0, 1.0),
        nn.Softplus: (0.0, 1.0),
        nn.LogSigmoid: (0.0, 1.0),
        nn.Tanhshrink: (0.0, 1.0),
        nn.Sigmoid: (0.0, 0.25),
        nn.SiLU: _SILU,
    }
    return known.get(kind)


def matrix_norm(matrix: Tensor) -> float:
    """The largest singular value, rounded up."""
    return float(torch.linalg.matrix_norm(matrix.detach().double().cpu(), 2)) * ROUNDING


def convolution_norm(layer: nn.Conv2d, height: int, width: int) -> float:
    """An upper end of the norm of a convolution with zero padding on images of a size.

    On a torus that is larger than the image by the kernel, the convolution with zeros around the image is the circular
    one of the image, of which padding and stride keep some outputs. The circular one is block-diagonal in Fourier
    space, so that its norm is the largest singular value of the blocks. Of a large layer the norms of the kernel's
    pixels are added instead, which is more.

    Reference:
        Sedghi, Gupta, Long, The Singular Values of Convolutional Layers, ICLR 2019: the blocks.

    Example:
        >>> layer = nn.Conv2d(1, 1, 3, padding=1)
        >>> _ = nn.init.ones_(layer.weight)
        >>> 8 < convolution_norm(layer, 8, 8) < 9.001
        True
    """
    weight = layer.weight.detach().double().cpu()
    outputs, inputs, rows, columns = weight.shape  # inputs of one group
    dilation_y, dilation_x = layer.dilation
    sizes = height + (rows - 1) * dilation_y, width + (columns - 1) * dilation_x
    if outputs * inputs * math.prod(sizes) > _MOST_ENTRIES:
        parts = weight.view(layer.groups, outputs // layer.groups, inputs, rows * columns)
        return float(torch.linalg.matrix_norm(parts.movedim(-1, 0), 2).amax(1).sum()) * ROUNDING
    kernel = weight.new_zeros(outputs, inputs, *sizes)
    kernel[:, :, : (rows - 1) * dilation_y + 1 : dilation_y, : (columns - 1) * dilation_x + 1 : dilation_x] = weight
    blocks = torch.fft.fft2(kernel).permute(2, 3, 0, 1).flatten(0, 1)
    groups = blocks.view(len(blocks), layer.groups, outputs // layer.groups, inputs)
    return float(torch.linalg.matrix_norm(groups, 2).max()) * ROUNDING


def _pooling_constant(module: nn.Module) -> float | None:
    """Of a mean or maximum over windows: each input lies in at most so many of them."""
    if not isinstance(module, nn.AvgPool2d | nn.MaxPool2d):
        return None
    sizes, strides = _pair(module.kernel_size), _pair(module.stride)
    if isinstance(module, nn.MaxPool2d):
        if _pair(module.dilation) != (1, 1):
            return None
        cover = [math.ceil(k / s) for k, s in zip(sizes, strides, strict=True)]
        return math.sqrt(math.prod(cover)) * ROUNDING
    if _pair(module.padding) != (0, 0) or module.ceil_mode or module.divisor_override is not None:
        return None  # means over fewer pixels weigh more
    cover = [math.ceil(k / s) for k, s in zip(sizes, strides, strict=True)]
    return math.sqrt(math.prod(cover) / math.prod(sizes)) * ROUNDING


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def layer_constant(module: nn.Module, shape: tuple[int, ...]) -> float | None:
    """An upper end of a layer's Lipschitz constant on inputs of a shape (without batch); None where none is known.

    Example:
        >>> layer_constant(nn.Flatten(), (1, 8, 8)), round(layer_constant(nn.AvgPool2d(2), (1, 8, 8)), 6)
        (1.0, 0.5)
    """
    kind = type(module)
    if kind in (nn.Flatten, nn.Identity, nn.Dropout, nn.Dropout2d):  # dropout does nothing in eval mode
        return 1.0
    if isinstance(module, nn.Linear):
        return matrix_norm(module.weight)
    if isinstance(module, nn.Conv2d):
        return convolution_norm(module, shape[1], shape[2]) if module.padding_mode == "zeros" else None
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_var is not None:
        scale = torch.ones(()) if module.weight is None else module.weight.detach().double()
        factors = scale / (module.running_var.double() + module.eps).sqrt()
        return float(factors.abs().max()) * ROUNDING
    if (found := slopes(module)) is not None:
        return max(map(abs, found)) * ROUNDING
    return _pooling_constant(module)
