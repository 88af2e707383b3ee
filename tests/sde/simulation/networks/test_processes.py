"""The rule and its SDEs on a small network: plain loops, the engine's other integrator, orders of the theory."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape
from eigensam.sde import coefficients, derive, find_rule, truncate
from eigensam.sde.rules.bindings import bind
from eigensam.sde.simulation.networks.directions import Directions
from eigensam.sde.simulation.networks.eigenvectors import EigenvectorEstimate
from eigensam.sde.simulation.networks.minibatch_fields import ExactField, MinibatchField, SDEField
from eigensam.sde.simulation.networks.processes import FieldProcess, Process, RuleChain, drawn
from eigensam.sde.simulation.networks.step_noise import StepNoise
from eigensam.sde.simulation.splitting import splitting_path

from .small_networks import perceptron

RHO, ETA, SAM = 0.3, 0.1, find_rule("sam")


def run(process: Process, x: Tensor, noise: StepNoise, steps: int) -> Tensor:
    state = process.start(x)
    for k in range(steps):
        state = process.advance(state, k, noise.draw(k))
    return process.points(state)


def sam_step(f: NetworkLandscape, x: Tensor, m: int) -> Tensor:
    """As one would write it by hand."""

    def gradient(y: Tensor) -> Tensor:
        leaf = y.clone().requires_grad_(True)
        return torch.autograd.grad(f.minibatch_loss(leaf, m), leaf)[0]

    g = gradient(x)
    return x - ETA * gradient(x + RHO * g / g.norm())


@pytest.fixture(scope="module")
def f() -> NetworkLandscape:
    return perceptron()


@pytest.fixture(scope="module")
def starts(f: NetworkLandscape) -> Tensor:
    return torch.stack([f.point(), 1.1 * f.point(), 0.8 * f.point()])


@pytest.mark.parametrize("sampling", ["independent", "reshuffled"])
def test_the_rule_is_a_plain_loop_over_the_drawn_minibatches(
    f: NetworkLandscape, starts: Tensor, sampling: str
) -> None:
    noise, steps = StepNoise(3, 3, 2, f.size), 9
    found = run(RuleChain(f, SAM, {"rho": RHO}, Directions(SAM), ETA, sampling), starts, noise, steps)  # type: ignore[arg-type]
    points, left = list(starts), [set(range(f.size)) for _ in starts]
    for k in range(steps):
        z = noise.draw(k).sum(1)
        for i in range(3):
            m = max(left[i], key=lambda m, row=z[i]: float(row[m]))  # type: ignore[misc]
            if sampling == "reshuffled":
                left[i] = left[i] - {m} or set(range(f.size))
            points[i] = sam_step(f, points[i], m)
    torch.testing.assert_close(found, torch.stack(points), rtol=1e-10, atol=1e-12)


def test_an_epoch_takes_every_minibatch_once_in_an_order_of_its_own() -> None:
    """All orders are as likely: 24 of four minibatches, within five standard errors. Wrong: with replacement."""
    paths, size = 24_000, 4
    noise = StepNoise(0, paths, 1, size)

    def orders(sampling: str, first: int) -> tuple[Tensor, Tensor]:
        used, taken = torch.zeros(paths, size, dtype=torch.bool), []
        for k in range(first, first + size):
            gamma, used = drawn(noise.draw(k), used, sampling)  # type: ignore[arg-type]
            taken.append(gamma)
        return torch.stack(taken, 1), used

    first, used = orders("reshuffled", 0)
    assert not bool(used.any())  # a new epoch
    assert bool((first.sort(1).values == torch.arange(size)).all())
    again, _ = orders("reshuffled", size)
    assert 0.03 < float((first == again).all(1).double().mean()) < 0.055  # 1 / 24 of the paths
    codes = (first * torch.tensor([64, 16, 4, 1])).sum(1)
    counts = codes.unique(return_counts=True)[1].double()
    assert len(counts) == math.factorial(size)
    assert float((counts - 1000).abs().max()) < 5 * 1000**0.5
    independent, _ = orders("independent", 0)
    assert not bool((independent.sort(1).values == torch.arange(size)).all())


@pytest.mark.parametrize("substeps", [1, 2])
@pytest.mark.parametrize("kind", ["drift order 3", "weak order 2", "exact drift"])
def test_the_integrator_is_the_one_of_verified_orders(
    f: NetworkLandscape, starts: Tensor, substeps: int, kind: str
) -> None:
    steps, noise = 3, StepNoise(1, 3, substeps, f.size)
    sde = derive(SAM, 2, "2/3") if kind == "weak order 2" else truncate(SAM, "1/3", 3)
    field: MinibatchField = ExactField(f, SAM, ETA) if kind == "exact drift" else SDEField(f, sde, ETA)
    found = run(FieldProcess(field, {"rho": RHO}, Directions(SAM), substeps=substeps), starts, noise, steps)

    def exact(y: Tensor) -> Tensor:
        return torch.stack([torch.stack([(sam_step(f, p, m) - p) / ETA for m in range(f.size)]) for p in y])

    def drift(y: Tensor) -> Tensor:
        return exact(y).mean(1) if kind == "exact drift" else coefficients(f, sde, y[:, None], RHO).drift(ETA)

    def columns(y: Tensor) -> Tensor:
        if kind == "exact drift":
            return exact(y) - exact(y).mean(1, keepdim=True)
        return coefficients(f, sde, y[:, None], RHO).columns()

    z = torch.cat([noise.draw(k) for k in range(steps)], 1)
    wanted = splitting_path(drift, columns, starts, z, eta=ETA, step=ETA / substeps)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


def test_euler_and_maruyama(f: NetworkLandscape, starts: Tensor) -> None:
    sde, noise = truncate(SAM, "1/3", 2), StepNoise(1, 3, 2, f.size)
    process = FieldProcess(SDEField(f, sde, ETA), {"rho": RHO}, Directions(SAM), scheme="euler-maruyama", substeps=2)
    x = starts
    for z in noise.draw(0).unbind(1):
        here = coefficients(f, sde, x[:, None], RHO)
        kick = torch.einsum("pm,pmd->pd", z, here.columns()) / f.size**0.5
        x = x + ETA / 2 * here.drift(ETA) + (ETA * ETA / 2) ** 0.5 * kick
    torch.testing.assert_close(run(process, starts, noise, 1), x)


def distances(names: Sequence[str], changed: Callable[[SDEField], None] = lambda field: None) -> dict[str, list[float]]:
    """Of flows to the rule at time 1, without noise: one minibatch; ``rho = eta^{1/3}``."""
    f = perceptron(1, points_per_pass=1)
    x, found = 2 * f.point()[None], {}
    for eta in (0.025, 0.0125):
        values = {"rho": eta ** (1 / 3)}
        noise, steps, directions = StepNoise(0, 1, 1, 1), round(1 / eta), Directions(SAM)
        end = run(RuleChain(f, SAM, values, directions, eta), x, noise, steps)
        fields: dict[str, MinibatchField] = {
            f"{order}": SDEField(f, truncate(SAM, "1/3", order), eta) for order in (1, 2, 3)
        }
        fields["exact"] = ExactField(f, SAM, eta)
        changed(fields["3"])  # type: ignore[arg-type]
        for name in names:
            other = run(FieldProcess(fields[name], values, directions), x, noise, steps)
            found.setdefault(name, []).append(float((other - end).norm()))
    return found


def last_slope(errors: list[float]) -> float:
    return math.log2(errors[-2] / errors[-1])


def test_the_distance_falls_as_the_proof_says() -> None:
    """Orders 1/3, 2/3, 1 of the truncations for ``rho = c eta^{1/3}``, and 1 of the exact drift."""
    found = distances(["1", "2", "3", "exact"])
    for name, order in {"1": 1 / 3, "2": 2 / 3, "3": 1, "exact": 1}.items():
        assert abs(last_slope(found[name]) - order) < 0.08, (name, found[name])


def test_half_of_the_third_term_has_the_order_of_none() -> None:
    """Wrong on purpose."""

    def halve(field: SDEField) -> None:
        whole, second = field._code[True, False], SDEField(field.landscape, truncate(SAM, "1/3", 2), field.eta)._code

        def code(*given):  # type: ignore[no-untyped-def]
            a, b, c = whole(*given)
            return (a + second[True, False](*given)[0]) / 2, b, c

        field._code[True, False] = code

    assert abs(last_slope(distances(["3"], halve)["3"]) - 2 / 3) < 0.1


def test_coupled_paths_stay_close(f: NetworkLandscape) -> None:
    """With the noise of another path they do not."""
    x = f.point().expand(60, -1).clone()
    steps, noise, other = 8, StepNoise(0, 60, 1, f.size), StepNoise(1, 60, 1, f.size)
    chain = run(RuleChain(f, SAM, {"rho": RHO}, Directions(SAM), ETA), x, noise, steps)
    process = FieldProcess(SDEField(f, truncate(SAM, "1/3", 3), ETA), {"rho": RHO}, Directions(SAM))
    coupled, free = (float((run(process, x, each, steps) - chain).norm(dim=1).mean()) for each in (noise, other))
    assert coupled < 0.75 * free


def test_an_eigenvector_of_every_minibatch_is_that_of_the_drawn_one(f: NetworkLandscape, starts: Tensor) -> None:
    """Eigen-SAM: estimated on the drawn minibatch alone, and on all of them; to rounding the same step."""
    rule, size = find_rule("eigen-sam"), f.size
    vector = torch.nn.functional.normalize(torch.ones(f.dim, dtype=torch.float64), dim=0)
    values = bind(rule, f, RHO, {"alpha": 0.3, "v": vector})
    noise = StepNoise(0, 3, 1, size)
    ends = []
    for alone in (True, False):
        chain = RuleChain(f, rule, values, Directions(rule, EigenvectorEstimate(f, "minibatch", 40)), ETA)
        chain._alone = alone
        ends.append(run(chain, starts, noise, 1))
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-8, atol=1e-10)
    given = run(RuleChain(f, rule, values, Directions(rule), ETA), starts, noise, 1)
    assert float((given - ends[0]).abs().max()) > 1e-4


def test_directions_that_cannot_be_estimated_are_refused() -> None:
    f = perceptron(1)
    with pytest.raises(InputError, match="rule 'sam' has the directions none; one is estimated"):
        Directions(SAM, EigenvectorEstimate(f, "step"))
