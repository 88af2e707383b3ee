"""Every model runs on small images and has the published size."""

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import MODELS, build_model

SIZES = {  # parameters on 3x32x32 and 10 classes
    "mlp": (3072 + 1) * 288 + 289 * 288 + 289 * 10,
    "linear": (3072 + 1) * 10,
    "mlp32": (3072 + 1) * 32 + 33 * 10,
    "mlp32-bn": (3072 + 1) * 32 + 2 * 32 + 33 * 10,
    "cnn2": (27 + 1) * 8 + (72 + 1) * 16 + (1024 + 1) * 10,
    "cnn2-bn": (27 + 1) * 8 + 2 * 8 + (72 + 1) * 16 + 2 * 16 + (1024 + 1) * 10,
    "cnn4": (27 + 1) * 16 + (144 + 1) * 32 + (2048 + 1) * 128 + 129 * 10,
    "random-filters": (147 + 1) * 64 + 7 * 7 * 64 * 10 + 10,
    "cnn6": (27 + 1) * 32 + (288 + 1) * 32 + (288 + 1) * 64 + (576 + 1) * 64 + (4096 + 1) * 128 + 129 * 10,
    "resnet18": 11_173_962,  # the CIFAR ResNet-18 of the literature
    "resnet50": 23_520_842,
    "wrn28-10": 36_479_194,  # "36.5M" in the paper of Zagoruyko and Komodakis
    # patches, class token, positions, four layers, norm, head
    "vit-small": (48 + 1) * 64 + 64 + 65 * 64 + 4 * (65 * 192 + 65 * 64 + 65 * 128 + 129 * 64 + 256) + 128 + 65 * 10,
    "vit-b-16": 85_806_346,  # torchvision's 86,567,656 less the 1000-class head, plus ours
}


@pytest.mark.parametrize("name", MODELS)
def test_shape_and_size(name):
    torch.manual_seed(0)
    with torch.device("meta"):
        model = build_model(name, (3, 32, 32), 10)
    assert sum(p.numel() for p in model.parameters()) == SIZES[name]
    assert model(torch.zeros(2, 3, 32, 32, device="meta")).shape == (2, 10)


@pytest.mark.parametrize(
    "name",
    [
        "linear",
        "mlp",
        "mlp32",
        "mlp32-bn",
        "cnn2",
        "cnn2-bn",
        "cnn4",
        "cnn6",
        "resnet18",
        "random-filters",
        "vit-small",
    ],
)
def test_grey_images(name):
    model = build_model(name, (1, 8, 8), 7).eval()
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 7)


def test_the_stem_keeps_the_resolution():
    model = build_model("resnet18", (3, 32, 32), 10)
    assert model.maxpool(model.conv1(torch.zeros(1, 3, 32, 32))).shape == (1, 64, 32, 32)


def test_mlp_has_one_hundred_thousand_parameters_on_digits():
    assert 1e5 <= sum(p.numel() for p in build_model("mlp", (1, 8, 8), 10).parameters()) < 1.1e5


def test_unknown_name():
    with pytest.raises(InputError, match="unknown model 'alexnet'; choose one of: mlp"):
        build_model("alexnet", (1, 8, 8), 10)


@pytest.mark.parametrize(("side", "patches"), [(32, 64), (28, 49), (8, 64), (14, 49), (7, 49)])
def test_patches_of_a_small_transformer(side, patches):
    transformer = build_model("vit-small", (1, side, side), 10).transformer
    assert transformer.encoder.pos_embedding.shape == (1, patches + 1, 64)


@pytest.mark.parametrize("shape", [(1, 8, 9), (3, 5, 5), (3, 62, 62), (1, 97, 97)])
def test_images_that_have_no_patches(shape):
    """A side with few divisors would make hundreds of patches, or thousands: hours for a step."""
    with pytest.raises(InputError, match="vit-small cuts square images into 7 x 7 to 16 x 16 equal patches"):
        build_model("vit-small", shape, 10)


@pytest.mark.parametrize("name", ["cnn2", "cnn2-bn"])
def test_images_that_cannot_be_halved_twice(name):
    with pytest.raises(InputError, match=r"cnn2 halves images twice, found shape \(1, 3, 8\)"):
        build_model(name, (1, 3, 8), 10)
