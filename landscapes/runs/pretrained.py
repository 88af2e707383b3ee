"""Weights that others have trained: found in torch's cache, compared with their digest, given to a network."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...ground.errors import InputError
from ...ground.input_file import read_input
from .pretrained_weights import PretrainedWeights

__all__ = ["check_weights", "load_pretrained", "weights_path"]

Statistics = tuple[Sequence[float], Sequence[float]]


def weights_path(weights: PretrainedWeights) -> Path:
    """Where torch's hub, and so torchvision, keeps the file; ``TORCH_HOME`` moves it.

    Example:
        >>> from eigensam.landscapes.runs.pretrained_weights import find_pretrained
        >>> weights_path(find_pretrained("vit-b-16", "imagenet")).parts[-2:]
        ('checkpoints', 'vit_b_16-c867db91.pth')
    """
    return Path(torch.hub.get_dir()) / "checkpoints" / weights.file_name


def check_weights(weights: PretrainedWeights, *, download: bool = False) -> str:
    """The SHA-256 of the file, which is there and is the published one.

    Args:
        weights: which.
        download: fetch it if it is missing.

    Raises:
        InputError: it is missing, or another file, or cannot be fetched.
    """
    path = weights_path(weights)
    if download and not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(weights.url, str(path), weights.sha256_start, progress=False)
        except Exception as error:  # of network and files, and RuntimeError of another digest
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"cannot fetch {weights.url} to {path}: {reason}; check the network and that the folder is writable"
            ) from None
    return hashlib.sha256(_content(weights)).hexdigest()


def _content(weights: PretrainedWeights) -> bytes:
    path = weights_path(weights)
    if not path.exists():
        raise InputError(
            f"the pretrained weights are missing: fetch {weights.url} and put it to {path}, or add --download, which "
            "does that"
        )
    content = read_input(path)
    if not (found := hashlib.sha256(content).hexdigest()).startswith(weights.sha256_start):
        raise InputError(
            f"{path} is not the published file: its SHA-256 begins with {found[: len(weights.sha256_start)]}, not "
            f"{weights.sha256_start}; remove it and fetch {weights.url} again, with --download"
        )
    return content


def load_pretrained(model: nn.Module, weights: PretrainedWeights, statistics: Statistics | None = None) -> None:
    r"""Give a network the weights of a file, all but those of its head, which stays as it is.

    The network's inputs :math:`x` are images standardised by :math:`(m, s)`, those that the weights were trained on by
    :math:`(\mu, \sigma)`, so the first layer has to see :math:`(s x + m - \mu)/\sigma`. It is a convolution without
    padding, hence this is the same as

    .. math:: W'_{oc} = W_{oc}\, s_c / \sigma_c, \qquad
        b'_o = b_o + \sum_{c} \frac{m_c - \mu_c}{\sigma_c} \sum_{i,j} W_{ocij},

    which is written into it: the network has no other layers or parameters than one that starts anew. A resize before
    the layer does not matter, as its weights sum to one.

    Args:
        model: of the architecture that the weights belong to.
        weights: which.
        statistics: mean and standard deviation :math:`(m, s)` of each channel, or of all, of images in [0, 1]; None:
            they are those of the weights.

    Raises:
        InputError: the file is missing or another one, or holds anything but such weights (other names, shapes or
            types, numbers that are not finite); then the network is as it was.
    """
    path, found = weights_path(weights), _tensors(weights)
    head = weights.wrapped + weights.head
    expected = {name: value for name, value in model.state_dict().items() if not name.startswith(head)}
    given = {weights.wrapped + name: value for name, value in found.items() if not name.startswith(weights.head)}
    if wrong := sorted(expected.keys() ^ given.keys()):
        what = "has no tensor" if wrong[0] in expected else "has an unknown tensor"
        raise InputError(f"{path} {what} '{wrong[0]}': it is of another architecture than {type(model).__name__}")
    for name, value in expected.items():
        if (given[name].shape, given[name].dtype) != (value.shape, value.dtype):
            raise InputError(
                f"{path}: '{name}' has shape {tuple(given[name].shape)} and type {given[name].dtype}, the network "
                f"needs {tuple(value.shape)} and {value.dtype}: it is of another architecture"
            )
        if not bool(given[name].isfinite().all()):
            raise InputError(f"{path}: '{name}' has numbers that are not finite; remove the file and fetch it again")
    if statistics is not None:
        weight, bias = (f"{weights.wrapped}{weights.first}.{kind}" for kind in ("weight", "bias"))
        given[weight], given[bias] = _converted(given[weight], given[bias], weights, statistics)
    model.load_state_dict(given, strict=False)  # names were compared: what is missing is the head


def _tensors(weights: PretrainedWeights) -> dict[str, Tensor]:
    """Those of the file; what was compared with the digest is what is read, and nothing in it is executed."""
    path = weights_path(weights)
    try:
        found: Any = torch.load(io.BytesIO(_content(weights)), map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # of any content
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is no file of tensors ({reason:.100}); remove it and fetch it again") from None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError(f"{path} is no file of named tensors; remove it and fetch {weights.url} again")
    return found


def _converted(
    weight: Tensor, bias: Tensor, weights: PretrainedWeights, statistics: Statistics
) -> tuple[Tensor, Tensor]:
    """The first layer for inputs of other statistics, computed in float64."""
    mean, std = (torch.tensor(each, dtype=torch.float64) for each in statistics)
    trained_mean, trained_std = (torch.tensor(each, dtype=torch.float64) for each in (weights.mean, weights.std))
    scale, shift = std / trained_std, (mean - trained_mean) / trained_std
    wide = weight.double()
    moved = bias.double() + (wide.sum((2, 3)) * shift).sum(1)
    return (wide * scale[:, None, None]).to(weight.dtype), moved.to(bias.dtype)
