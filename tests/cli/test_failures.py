"""What is said of a failure that nobody foresaw: of packages that are too old before anything else."""

import sys
from importlib import metadata

import pytest

from nascli.cli import failures
from nascli.cli.failures import explained, outdated
from nascli.errors import UsageError


def test_these_packages_are_the_ones_that_nascli_is_made_for():
    assert outdated() == ""
    assert str(explained(ValueError("a  fault"))).startswith("internal error: ValueError: a fault\n")


@pytest.mark.parametrize(("there", "said"), [("0.5.3", "safetensors is 0.5.3"), (None, "safetensors is not installed")])
def test_an_old_package_is_named_in_one_line_with_what_to_do(monkeypatch, there, said):
    version = metadata.version

    def installed(name):
        if name != "safetensors":
            return version(name)
        if there is None:
            raise metadata.PackageNotFoundError(name)
        return there

    monkeypatch.setattr(failures.metadata, "version", installed)
    error = explained(ImportError("cannot import name 'TensorSpec'"))
    assert isinstance(error, UsageError)
    assert "\n" not in str(error)
    assert str(error).startswith(f"{said}, not >=0.8: pip install 'safetensors>=0.8' (ImportError: cannot import")


def test_without_what_reads_versions_that_is_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert outdated() == "packaging is not installed: pip install packaging"


def test_without_metadata_nothing_is_claimed(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(failures.metadata, "requires", missing)
    assert outdated() == ""
