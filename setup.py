"""The list of packages, read off the folders: what pyproject.toml cannot say of a root that is itself a package."""

from setuptools import find_packages, setup

inner = find_packages(exclude=["benchmarks*", "build*", "tests*"])
packages = ["eigensam", *(f"eigensam.{name}" for name in inner)]
setup(script_name="setup.py", packages=packages)  # the wheel leaves out the script that is named
