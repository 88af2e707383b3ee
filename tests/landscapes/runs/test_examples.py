"""Subset, validation part and label noise: their laws against exact ones, and what is no such choice."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.stats import chi2

from eigensam.ground import InputError
from eigensam.landscapes import DataSet, Examples, Split, load_tensors, save_tensors

SEEDS = 2000


def _data(count: int, classes: int = 5) -> DataSet:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.arange(float(count)).reshape(count, 1, 1, 1)
    targets = torch.randint(classes, (count,), generator=generator)
    return DataSet("made", inputs, targets, inputs[:2], targets[:2], classes, augmentable=False)


def _draw(seed: int, count: int = 40, **options: float) -> Examples:
    return Examples.draw(_data(count), **options, seed=seed)


def _is_share(frequency: torch.Tensor, share: float) -> bool:
    """Whether frequencies over all seeds are those of independent coins: five deviations, fixed in advance."""
    return bool((frequency - share).abs().max() < 5 * (share * (1 - share) / SEEDS) ** 0.5)


def test_every_example_is_equally_likely_used_kept_and_noisy():
    """A choice by position fails, and so does noise that prefers one class."""
    data, counts = _data(40), torch.zeros(3, 40)
    for seed in range(SEEDS):
        found = Examples.draw(data, subset=30, validation_fraction=1 / 3, label_noise=0.4, seed=seed)
        counts[0, torch.cat([found.train, found.validation])] += 1
        counts[1, found.validation] += 1
        counts[2, found.train[found.targets != found.clean]] += 1
    for count, share in zip(counts / SEEDS, (30 / 40, 10 / 40, 8 / 40), strict=True):
        assert _is_share(count, share)
        assert not _is_share((torch.arange(40) < 40 * share).float(), share)
    prefers = 8 / 40 * (data.train_targets == 0) / (data.train_targets == 0).float().mean()
    assert not _is_share(prefers, 8 / 40)


def _chi_square(shifts: torch.Tensor, classes: int) -> float:
    """Of the steps from the clean to the noisy class: 1 to C - 1 equally often, never 0."""
    counts = torch.bincount(shifts, minlength=classes)[1:].double()
    expected = counts.sum() / (classes - 1)
    return float(((counts - expected) ** 2 / expected).sum())


def _noise_is_symmetric(clean: torch.Tensor, noisy: torch.Tensor, share: float, classes: int) -> bool:
    """Exactly the share is wrong, and within each true class every other one is equally frequent."""
    shifts = (noisy - clean) % classes
    wrong = shifts > 0
    limit = chi2.ppf(1 - 1e-3 / classes, classes - 2)  # one comparison for each class
    return int(wrong.sum()) == round(share * len(clean)) and all(
        _chi_square(shifts[wrong & (clean == label)], classes) < limit for label in range(classes)
    )


def test_noise_is_another_class_each_equally_often():
    data, share, classes = _data(20_000), 0.3, 5
    found = Examples.draw(data, label_noise=share, seed=1)
    assert torch.equal(found.clean, data.train_targets)
    assert _noise_is_symmetric(found.clean, found.targets, share, classes)

    generator = torch.Generator().manual_seed(2)
    chosen = torch.randperm(20_000, generator=generator)[:6000]
    may_keep, next_class, by_coins = (found.clean.clone() for _ in range(3))
    may_keep[chosen] = torch.randint(classes, (6000,), generator=generator)  # its own class among them
    next_class[chosen] = (found.clean[chosen] + 1) % classes
    coins = torch.rand(20_000, generator=generator) < share  # about the share only
    by_coins[coins] = (by_coins[coins] + torch.randint(1, classes, (int(coins.sum()),), generator=generator)) % classes
    for wrong in (may_keep, next_class, by_coins):
        assert not _noise_is_symmetric(found.clean, wrong, share, classes)


def _related(first: torch.Tensor, second: torch.Tensor, count: int) -> bool:
    """Whether two halves of ``count`` positions have more or less in common than drawn ones: hypergeometric."""
    common = int(torch.isin(first, second).sum())
    deviation = (count / 16) ** 0.5  # of the overlap of two random halves, up to 1/count
    return abs(common - count / 4) > 5 * deviation


def test_draws_of_one_seed_and_of_neighbours_are_unrelated():
    """The same seed is the split's, the permutations' and the initialisation's; a generator without a hash fails."""
    count, data = 4000, _data(4000)
    halves = []
    for seed in (3, 4):
        noisy = Examples.draw(data, label_noise=0.5, seed=seed)
        halves += [
            Examples.draw(data, subset=2000, seed=seed).train,
            Examples.draw(data, validation_fraction=0.5, seed=seed).validation,
            noisy.train[noisy.targets != noisy.clean],
            Split.draw(count, 0.5, seed).prior,
            torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003))[:2000],
        ]
    pairs = [(a, b) for i, a in enumerate(halves) for b in halves[:i]]
    assert len(pairs) == 45
    assert not any(_related(a, b, count) for a, b in pairs)
    unhashed = torch.randperm(count, generator=torch.Generator().manual_seed(3))[:2000]
    assert _related(unhashed, Split.draw(count, 0.5, 3).prior, count)


def test_sizes_parts_and_clean_labels():
    data = _data(101)
    found = Examples.draw(data, subset=90, validation_fraction=0.2, label_noise=0.25, seed=5)
    assert (len(found.train), len(found.validation), found.replaced) == (72, 18, 18)
    assert len({*found.train.tolist(), *found.validation.tolist()}) == 90  # disjoint
    assert found.train.tolist() == sorted(found.train.tolist())
    assert torch.equal(found.clean, data.train_targets[found.train])
    part, (inputs, targets) = found.training_part(data), found.validation_part(data)
    assert torch.equal(part.train_inputs.flatten(), found.train.float())
    assert torch.equal(part.train_targets, found.targets)
    assert torch.equal(inputs.flatten(), found.validation.float())
    assert torch.equal(targets, data.train_targets[found.validation])
    assert torch.equal(part.test_targets, data.test_targets)
    again = Examples.draw(data, subset=90, validation_fraction=0.2, label_noise=0.25, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(again.to_tensors().values(), found.to_tensors().values(), strict=True))


def test_one_option_leaves_anothers_draw_alone():
    """Smaller in larger, and the same example becomes the same class; a draw after a draw would not."""
    data = _data(400)

    def noise(**options: float) -> dict[int, int]:
        found = Examples.draw(data, **options, seed=7)
        changed = found.targets != found.clean
        return dict(zip(found.train[changed].tolist(), found.targets[changed].tolist(), strict=True))

    small, large = (set(Examples.draw(data, subset=m, seed=7).train.tolist()) for m in (100, 300))
    assert small < large
    assert noise(label_noise=0.1).items() < noise(label_noise=0.3).items()
    plain, with_validation = noise(label_noise=0.3), noise(label_noise=0.3, validation_fraction=0.25)
    common = plain.keys() & with_validation.keys()
    assert len(common) > 60  # of about 90: all but those that are now validated
    assert all(plain[i] == with_validation[i] for i in common)
    found = Examples.draw(data, validation_fraction=0.25, seed=7)
    still = {i for i in plain if i in found.train.tolist()}  # their number may differ, their order not
    assert still <= with_validation.keys() or with_validation.keys() <= still
    noisy = Examples.draw(data, validation_fraction=0.25, label_noise=0.3, seed=7)
    assert torch.equal(found.train, noisy.train)
    assert torch.equal(found.validation, noisy.validation)


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    _draw(1, subset=20, validation_fraction=0.2, label_noise=0.2)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": 41}, "subset = 41 of 40 training examples of made; give a number from 1 to 40, or 0 for all"),
        ({"subset": -1}, "subset = -1 of 40"),
        ({"validation_fraction": 1.0}, r"validation_fraction = 1.0 must lie in \[0, 1\)"),
        ({"validation_fraction": float("nan")}, "validation_fraction = nan must lie"),
        ({"validation_fraction": 0.001}, "leaves 40 to train on and 0 for validation; give a fraction such as 0.1"),
        ({"validation_fraction": 0.999}, "leaves 0 to train on and 40 for validation"),
        ({"subset": 1, "validation_fraction": 0.4}, "0.4 of 1 examples leaves 1 to train on and 0"),
        ({"label_noise": -0.1}, "label_noise = -0.1 must lie"),
        ({"label_noise": 1.0}, "label_noise = 1.0 must lie"),
        ({"label_noise": 0.01}, "label_noise = 0.01 changes 0 of 40 labels of 5 classes"),
    ],
)
def test_refused_draws(options, message):
    with pytest.raises(InputError, match=message):
        _draw(0, **options)


def test_noise_needs_another_class():
    with pytest.raises(InputError, match="changes 20 of 40 labels of 1 classes"):
        Examples.draw(_data(40, classes=1), label_noise=0.5, seed=0)


def _tensors(**changes: list[float]) -> dict[str, torch.Tensor]:
    good = {"train": [0, 2, 3], "validation": [1], "targets": [0, 1, 1], "clean": [0, 1, 2]} | changes
    return {name: torch.tensor(values, dtype=torch.int64) for name, values in good.items()}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (_tensors(validation=[2]), "1 examples are both trained on and kept for validation"),
        (_tensors(train=[0, 2, 2]), "the training positions repeat or are not in increasing order"),
        (_tensors(validation=[4, 1]), "the validation positions repeat"),
        (
            _tensors(train=[-1, 2, 3]),
            r"'train' of the chosen examples has type torch.int64, shape \(3,\): need integers",
        ),
        (_tensors(targets=[0, 1, -1]), "'targets' of the chosen examples"),
        (_tensors(targets=[0, 1]), "3 training examples have 2 labels, 3 before the noise"),
        (_tensors(train=[], targets=[], clean=[]), "0 training examples have 0 labels"),
        (_tensors() | {"targets": torch.zeros(3)}, "'targets' of the chosen examples has type torch.float32"),
        (_tensors() | {"train": torch.zeros(1, 3, dtype=torch.int64)}, r"shape \(1, 3\)"),
        ({"train": torch.zeros(1)}, "nowhere holds train, no chosen examples; train again"),
        ({}, "nowhere holds nothing, no chosen examples"),
    ],
)
def test_no_chosen_examples(tensors, message):
    with pytest.raises(InputError, match=message):
        Examples.from_tensors(tensors, Path("nowhere"))


def test_there_and_back(tmp_path):
    for options in ({"validation_fraction": 0.2, "label_noise": 0.5}, {"subset": 7}):
        found = _draw(2, **options)
        save_tensors(tmp_path / "e", found.to_tensors())
        back = Examples.from_tensors(load_tensors(tmp_path / "e"), tmp_path / "e")
        for name, tensor in found.to_tensors().items():
            assert torch.equal(getattr(back, name), tensor)


def test_other_data():
    found, data = _draw(2, subset=30, validation_fraction=0.2, label_noise=0.2), _data(40)
    with pytest.raises(InputError, match=r"go up to position \d+, made has 20 training examples; give the data of the"):
        found.training_part(_data(20))
    with pytest.raises(InputError, match="other labels than those of made at their positions"):
        found.training_part(replace(data, train_targets=data.train_targets.roll(1)))
    with pytest.raises(InputError, match="other labels than those of made"):
        found.validation_part(replace(data, classes=2))
