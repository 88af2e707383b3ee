"""What observables refuse, and when."""

import functools
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape, Quadratic
from eigensam.sde.simulation.networks.network_observables import NetworkObservables

from .small_networks import D, data, landscape, points

INPUTS, TARGETS = data("mlp", 10)
ACCURACY = ["test accuracy"]


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        (["train los"], {}, "unknown observable 'train los'; choose some of: train loss, train accuracy"),
        ([], {}, "found no observable"),
        (["lambda_1", "lambda_1"], {}, "name one twice"),
        (["test loss"], {}, "no test data for test loss"),
        (["lambda_1"], {"tolerance": 0}, "tolerance = 0 is no relative accuracy"),
        (["lambda_1"], {"max_products": 0}, "max_products = 0"),
        (ACCURACY, {"test": INPUTS}, "test data are a Tensor; expected a pair"),
        (ACCURACY, {"test": (INPUTS, TARGETS[:-1])}, r"inputs of shape \(10, 8\) and targets of shape \(9,\)"),
        (ACCURACY, {"test": (INPUTS[:0], TARGETS[:0])}, "at least one"),
        (ACCURACY, {"test": (INPUTS[:, :7], TARGETS)}, r"test inputs have shape \(10, 7\)"),
        (ACCURACY, {"test": (INPUTS.float(), TARGETS)}, "type torch.float32"),
        (ACCURACY, {"test": (INPUTS, TARGETS[:, None])}, r"test targets have shape \(10, 1\)"),
        (ACCURACY, {"test": (INPUTS * math.nan, TARGETS)}, "test inputs hold NaN"),
        (ACCURACY, {"test": (INPUTS, TARGETS + 3)}, "needs the class of each example, 0 to 3; found targets from"),
    ],
)
def test_names_and_test_data(names, options, said):
    with pytest.raises(InputError, match=said):
        NetworkObservables(landscape("mlp"), names, **options)


def test_accuracy_of_what_has_no_classes():
    f = NetworkLandscape(nn.Linear(8, 4).double(), mse_loss, [(INPUTS, torch.zeros(10, 4, dtype=D))])
    with pytest.raises(InputError, match="needs targets that are classes"):
        NetworkObservables(f, ["train accuracy"])
    test = (INPUTS, torch.zeros(10, 4, dtype=D))
    assert "test accuracy" not in NetworkObservables(f, test=test).names
    single = NetworkLandscape(
        nn.Linear(8, 1).double(), lambda z, y: mse_loss(z[:, 0], y.to(z.dtype)), [(INPUTS, TARGETS)]
    )
    with pytest.raises(InputError, match=r"two classes at least; found shape \(10, 1\)"):
        NetworkObservables(single, ["train accuracy"])
    own = NetworkLandscape(
        nn.Linear(8, 4).double(),
        lambda z, batch: cross_entropy(z, batch[1]),
        [(INPUTS, TARGETS)],
        forward=lambda model, batch: model(batch[0]),
    )
    with pytest.raises(InputError, match="a forward function of its own"):
        NetworkObservables(own, ["train accuracy"])
    assert NetworkObservables(own, ["test loss"], test=(INPUTS, TARGETS))(points(own, 2))["test loss"].shape == (2,)


def test_landscapes_that_are_no_networks():
    f = Quadratic([[1.0]], centres=[[0.0]])
    for names, test in ((["train accuracy"], None), (["test loss"], (INPUTS, TARGETS)), (None, (INPUTS, TARGETS))):
        with pytest.raises(InputError, match="is no network"):
            NetworkObservables(f, names, test=test)
    with pytest.raises(InputError, match="a gap needs two eigenvalues"):
        NetworkObservables(f, ["gap"])
    with pytest.raises(InputError, match="'alignment' of path 1 is nan"):
        NetworkObservables(f, ["alignment"])(torch.tensor([[1.0], [0.0]], dtype=D))
    with pytest.raises(InputError, match="the third-order term is 0 there"):
        NetworkObservables(f, ["eigenvalue share"])(torch.tensor([[1.0]], dtype=D))


def test_points():
    f = landscape("mlp")
    observables = NetworkObservables(f, ["train loss"])
    x = points(f, 3)
    with pytest.raises(InputError, match=rf"have shape \({f.dim},\); expected \(paths, {f.dim}\)"):
        observables(x[0])
    with pytest.raises(InputError, match=r"have shape \(3, 1\)"):
        observables(x[:, :1])
    with pytest.raises(InputError, match=r"have shape \(0, "):
        observables(x[:0])
    x[1, 0] = math.inf
    with pytest.raises(InputError, match="the point of path 1 is not finite"):
        observables(x)


def test_a_loss_that_overflows_is_no_accuracy():
    """The largest of outputs that are NaN is none."""
    f = landscape("mlp", torch.float32)
    x = points(f, 2)
    x[1] = 1e38
    with pytest.raises(InputError, match="'train loss' of path 1 is nan"):
        NetworkObservables(f, ["train accuracy"])(x)


def test_an_eigenvalue_that_has_not_converged_names_its_path():
    f = landscape("mlp")
    for memory in (2**30, 1):
        observables = NetworkObservables(f, ["lambda_1"], max_products=3, memory=memory)
        with pytest.raises(InputError, match="lambda_1 of path 0 has not converged after 3 products"):
            observables(points(f, 2))


def test_a_test_loss_must_be_a_mean_in_one_piece_too():
    f = landscape("mlp", loss=functools.partial(cross_entropy, reduction="sum"))
    test = data("mlp", 100)
    for memory in (2**30, 1):
        with pytest.raises(InputError, match="several batches are combined by a mean"):
            NetworkObservables(f, ["test loss"], test=test, memory=memory)
    ignoring = landscape("mlp")
    with pytest.raises(InputError, match="no test example counts"):
        NetworkObservables(ignoring, ["test loss"], test=(test[0], torch.full((100,), -100)), memory=1)


def test_targets_that_do_not_count_in_some_pieces():
    f, (inputs, targets) = landscape("mlp"), data("mlp", 40)
    targets[5:25] = -100
    x = points(f, 3)
    whole = NetworkObservables(f, ["test loss"], test=(inputs, targets))(x)["test loss"]
    pieces = NetworkObservables(f, ["test loss"], test=(inputs, targets), memory=3000)(x)["test loss"]
    torch.testing.assert_close(pieces, whole, rtol=1e-10, atol=0)


def test_perturbations_of_another_shape():
    f = landscape("mlp")
    with pytest.raises(InputError, match="perturbations have shape"):
        NetworkObservables(f, ["alignment"], perturbation=lambda x, g, paths: x)(points(f, 2))
