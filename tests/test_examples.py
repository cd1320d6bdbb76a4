"""Every example runs, on tiny budgets."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    """Tiny budgets, in a folder of the test's own."""
    monkeypatch.setenv("NASCLI_QUICK", "1")
    monkeypatch.chdir(tmp_path)


def test_nothing_in_examples_goes_untested():
    tested = {"pipeline.sh", "python_api.py", "own_pictures.py", "smaller_network.py"}
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix in (".sh", ".py")} == tested


def test_python_api(tmp_path, capsys):
    runpy.run_path(str(EXAMPLES / "python_api.py"), run_name="__main__")
    assert (tmp_path / "model.safetensors").exists()
    assert capsys.readouterr().out.splitlines()[-1].endswith(" parameters")


def test_smaller_network(tmp_path, capsys):
    runpy.run_path(str(EXAMPLES / "smaller_network.py"), run_name="__main__")
    assert (tmp_path / "cell.json").exists()
    posterior, uniform, evaluated, parameters = capsys.readouterr().out.splitlines()
    assert [posterior.split(":")[0], uniform.split(":")[0]] == ["posterior", "uniform"]
    assert f"{int(parameters.split()[0]):,} parameters" in evaluated


def test_own_pictures(tmp_path, capsys):
    runpy.run_path(str(EXAMPLES / "own_pictures.py"), run_name="__main__")
    assert len(list((tmp_path / "pictures").glob("*/*.png"))) == 240
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {"zero", "one", "two", "three"}


@pytest.mark.slow
def test_pipeline(tmp_path):
    # The program that belongs to this interpreter, whatever else is on the path.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["sh", str(EXAMPLES / "pipeline.sh"), "demo"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "top-1" in done.stdout
    assert "normal cell" in done.stdout
    made = {path.name for path in (tmp_path / "demo").iterdir()}
    assert {"run.safetensors", "cell.json", "model.safetensors", "cell.svg", "run.svg"} <= made
