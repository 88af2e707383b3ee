"""Sources of examples: the same ones in every pass, or a refusal."""

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, TensorDataset, WeightedRandomSampler

from eigensam.ground import InputError
from eigensam.landscapes.curvature.batches import ExampleBatches

GENERATOR = torch.Generator().manual_seed(0)
INPUTS, TARGETS = torch.randn(10, 2, 3, generator=GENERATOR), torch.arange(10) % 3
DATA = TensorDataset(INPUTS, TARGETS)
PAIRS = [(INPUTS[:4], TARGETS[:4]), (INPUTS[4:], TARGETS[4:])]


class Augmented(Dataset):
    """Another picture in every pass."""

    def __init__(self, change):
        self.change = change

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return self.change(INPUTS[index % 10]), TARGETS[index % 10]


def passes(batches, grouped=False, count=3):
    examples = ExampleBatches(batches, grouped=grouped)
    for _ in range(count):
        for _ in examples:
            pass
    return examples


@pytest.mark.parametrize("grouped", [False, True])
def test_lists_and_loaders_give_all_examples(grouped):
    sources = [
        PAIRS,
        tuple(PAIRS),
        DataLoader(DATA, 4),
        DataLoader(DATA, 4, drop_last=True),
        DataLoader(DATA, batch_sampler=BatchSampler(range(10), 3, False)),
        [(INPUTS[:3] > 0, TARGETS[:3].bool()), (INPUTS[:2].to(torch.uint8), TARGETS[:2].float())],
    ]
    for source, count in zip(sources, [10, 10, 10, 8, 10, 5], strict=True):
        assert passes(source, grouped).count == count
    assert ExampleBatches(PAIRS, grouped=grouped).count == 10  # looks itself


def test_another_order_is_the_same_mean_unless_batches_matter():
    loader = DataLoader(DATA, 4, shuffle=True, generator=torch.Generator().manual_seed(0))
    assert passes(loader).count == 10
    for source in (
        loader,
        DataLoader(DATA, 4, sampler=RandomSampler(DATA)),
        DataLoader(DATA, batch_sampler=BatchSampler(RandomSampler(DATA), 4, False)),
        DataLoader(DATA, 4, sampler=torch.utils.data.SubsetRandomSampler(range(10))),
    ):
        with pytest.raises(InputError, match=r"the data loader shuffles.*give it shuffle=False, or a list"):
            ExampleBatches(source, grouped=True)
    with pytest.raises(InputError, match="the data loader shuffles"):
        ExampleBatches(DataLoader(DATA, 4, shuffle=True, drop_last=True), grouped=False)


def test_a_loaders_state_is_left_alone():
    """Looking at it must start no workers and draw no random numbers."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    ExampleBatches(DataLoader(DATA, 4, shuffle=True), grouped=False)
    assert torch.equal(torch.get_rng_state(), before)


class Regrouped:
    """The same examples in other batches: seen by nobody who adds up all of them."""

    def __init__(self):
        self.generator = torch.Generator().manual_seed(0)

    def __iter__(self):
        for part in torch.randperm(10, generator=self.generator).split(5):
            yield INPUTS[part], TARGETS[part]


def test_a_source_of_ones_own_that_regroups():
    assert passes(Regrouped(), grouped=False).count == 10
    with pytest.raises(InputError, match="the data changed between two passes"):
        passes(Regrouped(), grouped=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x + 1e-3 * torch.randn(x.shape),
        lambda x: x.flip(-1) if torch.rand(()) < 0.5 else x,  # the same numbers at other places
        lambda x: x.roll(int(torch.randint(3, ())), -1),
    ],
)
def test_random_augmentation_is_found(change):
    torch.manual_seed(0)
    with pytest.raises(InputError, match=r"changed between two passes \(random augmentation.*give fixed batches"):
        passes(DataLoader(Augmented(change), 8))
    assert passes(list(DataLoader(Augmented(change), 8))).count == 40


def test_random_targets_and_samples_are_found():
    torch.manual_seed(0)

    class Noisy:
        def __iter__(self):
            yield INPUTS, torch.randint(3, (10,))

    with pytest.raises(InputError, match="the data changed"):
        passes(Noisy())
    with pytest.raises(InputError, match="the data changed"):
        passes(DataLoader(DATA, 4, sampler=WeightedRandomSampler(torch.ones(10), 10)))


def test_a_pass_that_is_broken_off_counts_for_nothing():
    examples = ExampleBatches(PAIRS, grouped=False)
    for _ in examples:
        break
    assert examples.count == 10


def test_bad_input():
    exhausted = (pair for pair in PAIRS)
    for source in (exhausted, iter(PAIRS), zip(INPUTS, TARGETS, strict=True)):
        with pytest.raises(InputError, match="an iterator, which ends after one pass; give a list"):
            ExampleBatches(source, grouped=False)
    with pytest.raises(InputError, match=r"the tensors of one batch.*give a list, \[\(inputs, targets\)\]"):
        ExampleBatches((INPUTS, TARGETS), grouped=False)
    with pytest.raises(InputError, match="the batches are a int; give a list or a data loader"):
        ExampleBatches(3, grouped=False)
    for empty in ([], DataLoader(TensorDataset(INPUTS[:0], TARGETS[:0]), 2), DataLoader(DATA, 20, drop_last=True)):
        with pytest.raises(InputError, match="there is no batch; the data set or loader is empty"):
            passes(empty)
    with pytest.raises(InputError, match="a batch has 4 inputs and 3 targets; expected as many, at least one"):
        passes([(INPUTS[:4], TARGETS[:3])])
    with pytest.raises(InputError, match="a batch has 0 inputs and 0 targets"):
        passes([(INPUTS[:0], TARGETS[:0])])
    with pytest.raises(InputError, match="a batch is a tuple; expected a pair of tensors"):
        passes([(INPUTS, TARGETS, TARGETS)])
    with pytest.raises(InputError, match="a batch holds a dict and a Tensor; expected tensors"):
        passes([({"ids": INPUTS}, TARGETS)])
    for inputs, targets in ((INPUTS * float("nan"), TARGETS), (INPUTS, TARGETS.float() / 0 * 0)):
        with pytest.raises(InputError, match="the data holds NaN; leave out or mend such examples"):
            passes([(inputs, targets)])
