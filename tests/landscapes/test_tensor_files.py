"""Tensors in files: what was written is read; a cut file and a pickle are refused."""

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import load_tensors, save_tensors


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "t.safetensors"
    save_tensors(path, {"a": torch.arange(6).view(2, 3).T, "b": torch.ones(2, dtype=torch.bfloat16)})
    again = load_tensors(path)
    assert again["a"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert again["b"].dtype == torch.bfloat16


def test_cut_files_and_pickles_are_refused(tmp_path):
    path = tmp_path / "t.safetensors"
    save_tensors(path, {"a": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="is not a complete safetensors file"):
        load_tensors(path)
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(InputError, match="pickles are refused"):
        load_tensors(path)
    with pytest.raises(InputError, match="cannot read"):
        load_tensors(tmp_path / "nothing")
