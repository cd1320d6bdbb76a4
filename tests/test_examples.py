"""Every example runs, on tiny budgets."""

import os
import runpy
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from nascli.artifacts.truth import load_table
from nascli.config import SearchConfig, TrainConfig
from tests.truth_table import architectures, parsed_once

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    """Tiny budgets, in a folder of the test's own."""
    monkeypatch.setenv("NASCLI_QUICK", "1")
    monkeypatch.chdir(tmp_path)


def test_nothing_in_examples_goes_untested():
    tested = {
        "pipeline.sh",
        "python_api.py",
        "own_pictures.py",
        "smaller_network.py",
        "nas_bench_201_table.py",
    }
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


@pytest.mark.filterwarnings("ignore")  # torch's exporters warn of themselves
def test_own_pictures(tmp_path, monkeypatch, capsys):
    """With cells of a single node and a network of one cell, since exporting large ones to ONNX takes long."""
    pytest.importorskip("onnxscript", reason="needs nascli[export]")
    monkeypatch.setattr("nascli.SearchConfig", partial(SearchConfig, nodes=1))
    monkeypatch.setattr("nascli.TrainConfig", lambda **given: TrainConfig(**given | {"layers": 1, "channels": 2}))
    runpy.run_path(str(EXAMPLES / "own_pictures.py"), run_name="__main__")
    assert len(list((tmp_path / "pictures").glob("*/*.png"))) == 240
    *shares, first, second, third, exported = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in shares} == {"zero", "one", "two", "three"}
    assert [line.split(":")[0] for line in (first, second, third)] == [f"pictures/two/00{n}.png" for n in range(3)]
    assert exported == "net.onnx"
    assert (tmp_path / "net.onnx").stat().st_size > 1000


NOTE = """#!/bin/sh
# Stands for nascli: notes its arguments, one a line, and prints the path of its result.
printf '%s\\n' '$ nascli' "$@" >> "$CALLS"
for argument; do
    [ "${before:-}" != -o ] || echo "$argument"
    before=$argument
done
"""


def test_pipeline(tmp_path, monkeypatch, nascli):
    """On one's own pictures, which are one option more than the built-in digits. The commands of the script are run in
    this process, since most of their time is that of starting; each must print what the script takes as its result.
    """
    pictures, programs, calls = "my pictures", tmp_path / "bin", tmp_path / "calls"
    write_pictures = runpy.run_path(str(EXAMPLES / "own_pictures.py"))["write_pictures"]
    write_pictures(tmp_path / pictures)
    programs.mkdir()
    (programs / "nascli").write_text(NOTE)
    (programs / "nascli").chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "CALLS": str(calls)}
    command = ["sh", str(EXAMPLES / "pipeline.sh"), "demo", pictures]
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=60)
    monkeypatch.chdir("demo")
    shown = ""
    for call in calls.read_text().split("$ nascli\n")[1:]:
        arguments = call.splitlines()
        arguments += ["--nodes", "1"] if arguments[0] == "search" else []  # smaller cells are drawn sooner
        done = nascli(*arguments)
        assert done.code == 0, done.err
        if "-o" in arguments:
            assert done.out == f"{arguments[arguments.index('-o') + 1]}\n"
        shown += done.out
    assert "top-1" in shown
    assert "normal cell" in shown
    assert "folder: 48 test images" in shown
    made = {path.name for path in Path().iterdir()}
    assert {"run.safetensors", "cell.json", "model.safetensors", "cell.svg", "run.svg"} <= made


class Benchmark:
    """What the table's script asks of NAS-Bench-201: accuracies that say which entry they are."""

    def __init__(self):
        self.architectures = architectures()[::-1]

    def __len__(self):
        return len(self.architectures)

    def __iter__(self):
        return iter(self.architectures)

    def get_more_info(self, index, dataset, iepoch=None, hp="12", is_random=True):
        assert iepoch is None
        assert is_random is False
        first = {"cifar10": 10, "cifar100": 20, "ImageNet16-120": 30, "cifar10-valid": 40}[dataset] + int(hp) / 200
        shares = {"test-accuracy": 0.25, "valid-accuracy": 0.5}
        return {name: first + share + index / 1e6 for name, share in shares.items()}


def run_table_script(monkeypatch, *arguments, create=None):
    module = None if create is None else SimpleNamespace(create=create)
    monkeypatch.setitem(sys.modules, "nats_bench", module)
    monkeypatch.setattr(sys, "argv", ["nas_bench_201_table.py", *arguments])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(EXAMPLES / "nas_bench_201_table.py"), run_name="__main__")
    return left.value.code


def test_the_table_of_nas_bench_201_is_written_by_its_interface(tmp_path, monkeypatch, capsys):
    parsed_once(monkeypatch)
    asked, benchmark = [], Benchmark()

    def create(*arguments, **options):
        asked.append((arguments, options))
        return benchmark

    assert run_table_script(monkeypatch, "NATS-tss-simple", "table.csv", create=create) == 0
    assert asked == [(("NATS-tss-simple", "tss"), {"fast_mode": True, "verbose": False})]
    assert capsys.readouterr().out.startswith("table.csv: 15,625 cells of nas-bench-201, cifar10_test, cifar100_test,")
    table = load_table("table.csv")
    first = {column: values[0] for column, values in table.accuracies.items()}
    assert first == {
        "cifar10_test": 11.25,
        "cifar100_test": 21.25,
        "imagenet16_120_test": 31.25,
        "cifar10_test_12_epochs": 10.31,
        "cifar10_valid_12_epochs": 40.56,
        "cifar10_valid": 41.5,
    }
    assert table.space.format(table.genotypes[1]).strip() == benchmark.architectures[1]
    assert table.accuracies["cifar10_test"][-1] == pytest.approx(11.25 + 15_624 / 1e6, abs=1e-4)
    assert (table.column(None, "test"), table.column(None, "valid")) == ("cifar10_test", "cifar10_valid_12_epochs")
    # A second time it would be overwritten.
    before = (tmp_path / "table.csv").read_bytes()
    assert run_table_script(monkeypatch, "NATS-tss-simple", "table.csv", create=create) == 2
    assert (tmp_path / "table.csv").read_bytes() == before


def test_without_the_interface_the_script_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    assert run_table_script(monkeypatch, "NATS-tss-simple", "table.csv") == 2
    assert "pip install nats_bench" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
