"""Data sets that items share."""

from ..landscapes.runs.data import load_data
from ..landscapes.runs.data_set import DataSet
from ..landscapes.runs.registries import DATA
from .resources import Resources

__all__ = ["used_data"]


def used_data(name: str, resources: Resources) -> DataSet:
    """A data set, loaded once; one that is built in needs no data root.

    Raises:
        InputError: it is not there: what to download, or which flag.
    """
    if ("data", name) not in resources.loaded:
        built_in = DATA[name].built_in
        root = None if built_in else resources.data_root
        resources.loaded["data", name] = load_data(name, root, download=resources.download and not built_in)
    found: DataSet = resources.loaded["data", name]
    return found
