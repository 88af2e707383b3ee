"""Which data a result was computed from, whatever the data set is called and wherever its files lie."""

import hashlib

import torch

from .data_set import DataSet

__all__ = ["data_digest"]


def data_digest(data: DataSet) -> str:
    """SHA-256 of all images and classes, a second for CIFAR-10.

    Example:
        >>> import dataclasses
        >>> from eigensam.landscapes import load_data
        >>> data = load_data("digits")
        >>> data_digest(data) == data_digest(dataclasses.replace(data, test_inputs=data.test_inputs[:1]))
        False
    """
    digest = hashlib.sha256()
    for tensor in (data.train_inputs, data.train_targets, data.test_inputs, data.test_targets):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)  # numpy has no bfloat16
    return digest.hexdigest()
