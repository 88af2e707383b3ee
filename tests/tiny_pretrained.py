"""A small vision transformer that somebody has trained: a network of the registry, and its file in torch's cache."""

import hashlib
import io

import torch
from torchvision.models import VisionTransformer

from eigensam.landscapes import MODELS
from eigensam.landscapes.runs import pretrained_weights
from eigensam.landscapes.runs.pretrained import weights_path
from eigensam.landscapes.runs.pretrained_weights import PretrainedWeights
from eigensam.landscapes.runs.vision_transformer import ImageNetInput

NAME = "vit-tiny"
PUBLISHED_CLASSES = 6


def published(classes=PUBLISHED_CLASSES):
    """One layer of width 16 over patches of 56 pixels, of which nothing is zero or one, as it is at the beginning."""
    network = VisionTransformer(224, 56, 1, 2, 16, 16, num_classes=classes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def tiny(shape, classes):
    return ImageNetInput(VisionTransformer(224, 56, 1, 2, 16, 16, num_classes=classes))


def put(monkeypatch, content):
    """Publish a file under its digest; returns what the registry says of it."""
    if not isinstance(content, bytes):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    weights = PretrainedWeights(f"https://weights.invalid/tiny-{digest[:8]}.pth", "transformer.", "heads.", "conv_proj")
    monkeypatch.setitem(pretrained_weights.PRETRAINED, (NAME, "imagenet"), weights)
    path = weights_path(weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return weights


def prepare(monkeypatch, folder):
    """Weights of the small transformer, published and in the cache; returns them, by the names of the file."""
    monkeypatch.setenv("TORCH_HOME", str(folder))
    list(MODELS)
    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))
    MODELS.register(NAME)(tiny)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        found = published().state_dict()
    put(monkeypatch, found)
    return found
