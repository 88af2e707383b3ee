"""Batches as collators make them: dicts, tuples of inputs, three parts; and a language model from a config."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import (
    EmpiricalFisher,
    GaussNewton,
    Hessian,
    NetworkFunction,
    NetworkLandscape,
    eigenvalue_gradient,
    lanczos,
    top_eigenpairs,
    unflatten,
)

D = torch.float64
GENERATOR = torch.Generator().manual_seed(0)
A, B = (torch.randn(8, 3, generator=GENERATOR, dtype=D) for _ in range(2))
Y = torch.arange(8) % 3


class Two(nn.Module):
    """Takes two inputs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.left, self.right, self.head = nn.Linear(3, 4), nn.Linear(3, 4), nn.Linear(4, 3)

    def forward(self, a, b):
        return self.head(torch.tanh(self.left(a) * self.right(b)))


class Joined(Two):
    def forward(self, x):
        return super().forward(x[:, :3], x[:, 3:])


FORMS = {
    "dict": (lambda rows: {"a": A[rows], "b": B[rows], "y": Y[rows]}, lambda m, d: m(d["a"], d["b"]), lambda d: d["y"]),
    "tuple of inputs": (lambda rows: ((A[rows], B[rows]), Y[rows]), lambda m, d: m(*d[0]), lambda d: d[1]),
    "three parts": (lambda rows: (A[rows], B[rows], Y[rows]), lambda m, d: m(d[0], d[1]), lambda d: d[2]),
}
ROWS = [slice(0, 4), slice(4, 8)]


@pytest.mark.parametrize("chunk_size", [None, 3])
@pytest.mark.parametrize("form", FORMS)
def test_landscapes_and_operators_of_any_batches(form, chunk_size):
    """Beside a twin that takes pairs."""
    make, forward, targets = FORMS[form]
    model, twin = Two().double(), Joined().double()
    pairs = [(torch.cat([A[rows], B[rows]], 1), Y[rows]) for rows in ROWS]

    def loss(outputs, batch):
        return cross_entropy(outputs, targets(batch))

    loader = [make(rows) for rows in ROWS]
    f = NetworkLandscape.from_loader(model, loss, iter(loader), forward=forward, chunk_size=chunk_size)
    g = NetworkLandscape(twin, cross_entropy, pairs)
    x = f.point()
    u = torch.randn(f.dim, generator=torch.Generator().manual_seed(1), dtype=D)
    torch.testing.assert_close(f.gradients(x), g.gradients(x))
    torch.testing.assert_close(f.third_products(x, u), g.third_products(x, u), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(top_eigenpairs(f, x).values, top_eigenpairs(g, x).values)
    network, plain = NetworkFunction(model, loss, forward=forward), NetworkFunction(twin, cross_entropy)
    for operator in (Hessian, GaussNewton, EmpiricalFisher):
        for graph_bytes in (0, 2**30):
            found = operator(network, loader, graph_bytes=graph_bytes) @ u
            torch.testing.assert_close(found, operator(plain, pairs) @ u, rtol=1e-9, atol=1e-12)


def test_without_forward_other_batches_are_refused_with_the_repair():
    batch = FORMS["dict"][0](ROWS[0])
    for given, found in ((batch, "a dict"), ((A, B, Y), "a tuple of 3 parts")):
        with pytest.raises(InputError, match=rf"a batch is {found}; .*forward=lambda model, batch"):
            NetworkLandscape.from_loader(Two(), cross_entropy, [given])
        with pytest.raises(InputError, match=r"a batch is .*forward=lambda model, batch"):
            Hessian(NetworkFunction(Two(), cross_entropy), [given]) @ torch.ones(47)
    uneven = {"a": A, "b": B[:5], "y": Y}
    with pytest.raises(InputError, match="first axes of different lengths"):
        NetworkLandscape(Two(), cross_entropy, [uneven], forward=FORMS["dict"][1], chunk_size=2)


@pytest.fixture(scope="module")
def language_model():
    """Llama with 5520 parameters, its rotary positions and root mean squares in float32 whatever one asks for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers = pytest.importorskip("transformers")
        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            vocab_size=50,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            max_position_embeddings=16,
            bos_token_id=1,
            eos_token_id=2,
        )
        model = transformers.LlamaForCausalLM(config)
        tokens = [torch.randint(3, 50, (length,)).tolist() for length in (10, 6, 7, 6, 10, 9, 10, 9)]
        # What its collators return: a mapping with attributes, padded, the padding's labels ignored.
        batches = []
        for part in (tokens[:4], tokens[4:]):
            ids = torch.tensor([row + [0] * (10 - len(row)) for row in part])
            mask = torch.tensor([[1] * len(row) + [0] * (10 - len(row)) for row in part])
            fields = {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}
            batches.append(transformers.BatchEncoding(fields))
    return model, batches


def forward(model, batch):
    return model(**batch)


def loss(outputs, batch):
    return outputs.loss


def test_a_language_model(language_model):
    """The mean over minibatches, as training sees it: eigenvalue and its gradient against differences in float64."""
    model, batches = language_model
    f = NetworkLandscape.from_loader(model, loss, batches, forward=forward)
    x = f.point()
    pairs = top_eigenpairs(f, x, tolerance=1e-5)
    assert pairs.converged
    assert pairs.checked.startswith("within ")
    assert pairs.checked.endswith("(float64, 4 examples)")
    exact, v = f.network.in_double(), pairs.vectors[0].double()
    minibatches = [NetworkLandscape(model, loss, [batch], forward=forward) for batch in batches]

    def value(p):
        losses = [exact.loss(unflatten(p, f.network.shapes), batch) for batch in batches]
        return sum(losses) / len(losses)

    h = 1e-3
    with torch.no_grad():
        d = [value(x.double() + k * h * v) for k in (-2, -1, 0, 1, 2)]
    second = (16 * (d[1] + d[3]) - (d[0] + d[4]) - 30 * d[2]) / (12 * h**2)
    assert pairs.values.item() == pytest.approx(second.item(), rel=1e-4)
    third = (d[4] - 2 * d[3] + 2 * d[1] - d[0]) / (2 * h**3)
    slope = eigenvalue_gradient(f, x, pairs.vectors[0]) @ pairs.vectors[0]
    assert slope.item() == pytest.approx(third.item(), rel=2e-2)
    assert sum(m.loss(x).item() for m in minibatches) / 2 == pytest.approx(f.loss(x).item())


def test_means_over_tokens_of_a_language_model(language_model):
    """Batches with different numbers of padded tokens: refused, or weighted by what each averages."""
    model, batches = language_model
    with pytest.raises(InputError, match="count=lambda batch"):
        lanczos(Hessian(NetworkFunction(model, loss, forward=forward), batches))

    def count(batch):
        return (batch["labels"][:, 1:] != -100).sum()

    network = NetworkFunction(model, loss, forward=forward, count=count)
    whole = {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}
    found = [lanczos(Hessian(network, given), tolerance=1e-5).values.item() for given in (batches, [whole])]
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    unweighted = lanczos(Hessian(network, batches, weights=[1.0, 1.0]), tolerance=1e-5).values.item()
    assert unweighted != pytest.approx(found[1], rel=1e-3)


def test_logits_of_a_language_model_have_a_gauss_newton_matrix(language_model):
    model, batches = language_model
    network = NetworkFunction(
        model,
        lambda logits, batch: cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten()),
        forward=lambda model, batch: model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits,
        count=lambda batch: (batch["labels"][:, 1:] != -100).sum(),
    )
    own = NetworkFunction(model, loss, forward=forward, count=network.count_function)
    values = [lanczos(Hessian(given, batches), tolerance=1e-4).values.item() for given in (network, own)]
    assert values[0] == pytest.approx(values[1], rel=1e-3)
    # v^T G v is the variance of J v under the model's own distribution, meaned over the tokens that count.
    exact, x = network.in_double(), network.point().double()
    v = torch.randn(network.dim, generator=torch.Generator().manual_seed(2), dtype=D)
    total, tokens = 0.0, 0.0
    with torch.no_grad():
        for batch in batches:
            z, above, below = (
                exact.outputs(unflatten(x + s * v, network.shapes), batch)[:, :-1] for s in (0.0, 1e-6, -1e-6)
            )
            slope, p = (above - below) / 2e-6, z.softmax(-1)
            variance = (p * slope**2).sum(-1) - (p * slope).sum(-1) ** 2
            counted = batch["labels"][:, 1:] != -100
            total, tokens = total + variance[counted].sum().item(), tokens + counted.sum().item()
    found = (GaussNewton(network, batches) @ v) @ v
    assert found.item() == pytest.approx(total / tokens, rel=1e-4)
