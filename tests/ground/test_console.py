"""What the commands share."""

from fractions import Fraction

import pytest
import torch
import typer

from eigensam.ground import InputError
from eigensam.ground.console import check_count, parse_number, read_file_path, read_path
from eigensam.ground.device import find_device


@pytest.mark.parametrize(
    ("text", "value"), [("1/3", Fraction(1, 3)), ("0.5", Fraction(1, 2)), ("1e-3", Fraction(1, 1000))]
)
def test_numbers(text, value):
    assert parse_number("--x", text) == value


@pytest.mark.parametrize("text", ["a third", "1/0", "", "nan", "1e400", "1e99999999", "1/1e-999"])
def test_not_numbers(text):
    with pytest.raises(InputError, match=r"--x '.*' is not a number; give e.g. 1/3"):
        parse_number("--x", text)


def test_devices():
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type in ("cpu", "cuda", "mps", "xpu")
    for name in ("tpu9", "cuda:99", "meta", "hpu", "xla", "privateuseone", ""):
        with pytest.raises(InputError, match=f"no usable device '{name}'"):
            find_device(name)


def test_counts():
    check_count("--seed", 0, low=0)
    for value in (0, -1, 10**30):
        with pytest.raises(InputError, match=r"--batch-size .* is out of range; give a number from 1"):
            check_count("--batch-size", value)


@pytest.mark.parametrize("text", ["", " ", "a\0b"])
def test_not_paths(text):
    with pytest.raises(typer.BadParameter, match="is not a path"):
        read_path(text)


def test_a_folder_is_no_file():
    assert read_path("a/").name == "a"
    with pytest.raises(typer.BadParameter, match="a/ is a folder; give a file"):
        read_file_path("a/")
