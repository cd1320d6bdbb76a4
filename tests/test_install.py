"""The package as users get it: built as a wheel, and installed from the checkout; the published cells are in both."""

import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from nascli.artifacts.genotypes import published

ROOT = Path(__file__).parent.parent
LIST = "from nascli.artifacts.genotypes import published; print(published._folder()); print(*published.names())"


def built(kind: str, folder: Path) -> Path:
    """A wheel of the checkout. `kind`: "wheel" or "editable"."""
    make = f"import sys; from hatchling.build import build_{kind}; print(build_{kind}(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", make, str(folder)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_published_cells_are_found_in_every_kind_of_install(kind: str, tmp_path: Path) -> None:
    """As an installer lays them out, and looked for from a folder that is not the checkout."""
    site = tmp_path / "site"
    with zipfile.ZipFile(built(kind, tmp_path)) as wheel:
        wheel.extractall(site)
    # -S: what this environment has installed of nascli itself is not to be seen, only what it depends on.
    paths = f"import site, sys; sys.path.append({sysconfig.get_path('purelib')!r}); site.addsitedir({str(site)!r})"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"{paths}; {LIST}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    folder, names = done.stdout.splitlines()
    assert names.split() == list(published.names())
    place = site / "nascli" / "genotypes" if kind == "wheel" else ROOT / "genotypes"
    assert Path(folder).resolve() == place.resolve()


def test_the_source_archive_has_them_beside_the_package(tmp_path: Path) -> None:
    make = "import sys; from hatchling.build import build_sdist; print(build_sdist(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", make, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / done.stdout.split()[-1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"genotypes/{name}.json" for name in published.names()} <= names
    assert not [name for name in names if name.startswith("nascli/genotypes")]
