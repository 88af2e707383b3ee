"""The list of packages, read off the folders: what pyproject.toml cannot say of a root that is itself a package."""

from setuptools import find_packages, setup

inner = find_packages(exclude=["benchmarks*", "build*", "tests*"])
setup(script_name="setup.py", packages=["eigensam", *(f"eigensam.{name}" for name in inner)])  # named, it is left out of the wheel
