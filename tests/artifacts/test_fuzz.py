"""Whatever bytes a reader is given, it reads them or raises ArtifactError: no other exception, no endless work."""

import io
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nascli.artifacts.files import nested, tensors, torch_tensors
from nascli.artifacts.genotypes import published
from nascli.artifacts.genotypes.genotype import GenotypeFile, genotype_bytes, parse_genotype, text_form
from nascli.artifacts.load import load_artifact, read_artifact
from nascli.artifacts.model import load_model_file, model_bytes
from nascli.artifacts.ranking_part import ranking_part_bytes
from nascli.artifacts.runs.checkpoint import checkpoint_bytes, load_checkpoint
from nascli.artifacts.runs.rundir import METRICS_FILE, RunDir
from nascli.artifacts.truth import load_table
from nascli.errors import ArtifactError
from nascli.spaces import cell_space, darts_text
from tests.artifacts.examples import (
    bytes_of,
    categorical,
    channels_genotype,
    channels_model_file,
    mixture,
    model_file,
    posterior,
    provenance,
    trials,
)
from tests.artifacts.test_ranking_part import part

READERS: dict[str, Callable[[bytes, str], object]] = {
    "artifact": read_artifact,
    "genotype": parse_genotype,
    "model": load_model_file,
    "checkpoint": load_checkpoint,
    "tensors": tensors.decode,
    "torch tensors": torch_tensors.decode,
}
GENOTYPE = genotype_bytes(published.load("pc-darts-cifar10"))
CHANNELS = genotype_bytes(GenotypeFile(genotype=channels_genotype(), provenance=provenance(method="pgnas")))
NAS_BENCH = cell_space("nas-bench-201")
ONE_CELL = NAS_BENCH.genotype([3, 0, 1, 4, 2, 3])
OF_NAS_BENCH = genotype_bytes(GenotypeFile(genotype=ONE_CELL, provenance=provenance()))
WHOLE_FILES = {
    "genotype": GENOTYPE,
    "text": text_form(published.load("darts-v2").genotype, "darts"),
    "text of nas-bench-201": text_form(ONE_CELL, "nas-bench-201"),
    "distribution": bytes_of(mixture(3)),
    "categorical": bytes_of(categorical(2)),
    "categorical of nas-bench-201": bytes_of(categorical(space="nas-bench-201")),
    "trials": bytes_of(trials(2)),
    "posterior": bytes_of(posterior()),
    "channels": CHANNELS,
    "model": model_bytes(model_file()),
    "model of channels": model_bytes(channels_model_file()),
    "ranking part": ranking_part_bytes(part()),
    "checkpoint": checkpoint_bytes({"step": 3, "weights": {"a": np.float64(0.5)}, "rows": [1, (2, None)]}),
}

BRIEF = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
BRIEFER = settings(BRIEF, max_examples=30)
"""Of whole files, of which there are many kinds, read in several ways."""

JSON_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(
        [
            "cell",
            "darts",
            "nas-bench-201",
            "none",
            "skip_connect",
            "mixture",
            "tensor",
            "tuple",
            "inf",
            "nascli-genotype",
            "channels",
            "enas",
            "0-3,5",
        ]
    )
)
JSON = st.recursive(
    JSON_LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def survives(read: Callable[[bytes, str], object], data: bytes, name: str = "file") -> None:
    """Read, and raise nothing but ArtifactError, with a readable message that names the file first."""
    try:
        read(data, "file")
    except ArtifactError as error:
        message = str(error)
        assert message.startswith(name)
        assert len(message) < 2000
        assert "\n" not in message


@pytest.mark.parametrize("reader", READERS)
@given(
    data=st.binary(max_size=200)
    | st.text(alphabet="{}[]()\"',:0123456789.eE+-_abGenotyp= \n#\\\0é", max_size=200).map(str.encode)
    | st.builds(lambda body: len(body).to_bytes(8, "little") + body, st.binary(max_size=100).map(lambda b: b"{" + b))
)
@BRIEF
def test_any_bytes(reader: str, data: bytes) -> None:
    survives(READERS[reader], data)


@pytest.mark.parametrize("kind", WHOLE_FILES)
@given(data=st.data())
@BRIEFER
def test_truncated_overwritten_and_spliced_files(kind: str, data: st.DataObject) -> None:
    whole = WHOLE_FILES[kind]
    place = st.integers(0, len(whole))
    start, end = sorted((data.draw(place), data.draw(place)))
    damaged = whole[:start] + data.draw(st.binary(max_size=12) | st.just(whole[start:end] * 2)) + whole[end:]
    for read in READERS.values():
        survives(read, damaged)


def mutated(value: Any, data: st.DataObject) -> Any:
    """A JSON value with one part, anywhere in it, replaced, removed or doubled."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 5)):
        key = data.draw(st.sampled_from(sorted(value)))
        changed = dict(value)
        action = data.draw(st.sampled_from(["into", "into", "into", "drop", "rename"]))
        part = changed.pop(key)
        if action == "into":
            changed[key] = mutated(part, data)
        elif action == "rename":
            changed[data.draw(st.text(max_size=4))] = part
        return changed
    if isinstance(value, list) and value and data.draw(st.integers(0, 5)):
        index = data.draw(st.integers(0, len(value) - 1))
        action = data.draw(st.sampled_from(["into", "into", "drop", "double"]))
        part = [mutated(value[index], data)] if action == "into" else [value[index]] * (2 * (action == "double"))
        return value[:index] + part + value[index + 1 :]
    return data.draw(JSON)


@pytest.mark.parametrize("whole", [GENOTYPE, OF_NAS_BENCH, CHANNELS], ids=["cell", "nas-bench-201", "channels"])
@given(data=st.data())
@BRIEFER
def test_genotypes_with_a_part_of_another_kind(whole: bytes, data: st.DataObject) -> None:
    changed = json.dumps(mutated(json.loads(whole), data)).encode()
    survives(parse_genotype, changed)
    survives(read_artifact, changed)


@pytest.mark.parametrize(
    "kind", sorted(kind for kind in WHOLE_FILES if kind not in ("genotype", "channels") and not kind.startswith("text"))
)
@given(data=st.data())
@BRIEFER
def test_documents_with_a_part_of_another_kind_under_a_right_digest(kind: str, data: st.DataObject) -> None:
    values, document = tensors.decode(WHOLE_FILES[kind], "x")
    changed = mutated(document, data)
    if not isinstance(changed, dict) or "sha256" in changed:
        return
    odd = {"alpha.normal", "beta.reduce", "logits.normal.3", "weights.stem.conv.weight", "accuracy", "odd"}
    names = data.draw(st.sets(st.sampled_from(sorted({*values, *odd}))))
    arrays = {name: values.get(name, np.zeros((2, 3))) for name in names} if data.draw(st.booleans()) else values
    file = tensors.encode(arrays, changed)
    for reader in ("artifact", "model", "checkpoint"):
        survives(READERS[reader], file)


@given(document=JSON)
@BRIEF
def test_nested_documents(document: object) -> None:
    survives(lambda _, where: nested.unpack({}, document, where), b"")


@given(
    text=st.text(max_size=60)
    | st.builds("Genotype({})".format, st.text(alphabet="normalreducct_=[](),'0123 -", max_size=60))
    | st.builds(
        "Genotype(normal={}, normal_concat={}, reduce={}, reduce_concat={})".format,
        *[
            st.sampled_from(
                ["[]", "[('skip_connect', 0)] * 2", "range(9)", "[('skip_connect', 0), ('none', 1)]", "1", "x"]
            )
        ]
        * 4,
    )
)
@BRIEF
def test_darts_text(text: str) -> None:
    survives(lambda data, where: darts_text.parse(data.decode(), where), text.encode())


@given(
    text=st.text(max_size=60)
    | st.text(alphabet="|+~0123none_skip", max_size=60)
    | st.lists(st.sampled_from(["|", "+", "~", "none~0", "skip_connect~1", "nor_conv_3x3~2", "~0", "é"])).map("".join)
)
@BRIEF
def test_text_of_nas_bench_201(text: str) -> None:
    survives(lambda data, where: NAS_BENCH.parse(data.decode(), where), text.encode())


@given(
    data=st.binary(max_size=80)
    | st.lists(
        st.sampled_from(
            [
                b"architecture",
                b"accuracy",
                b",",
                b"\n",
                b"\r\n",
                b'"',
                b"50",
                b"nan",
                NAS_BENCH.example.encode(),
                b"\xff",
            ]
        )
    ).map(b"".join)
    | st.lists(st.sampled_from([b"94.3", b"1e9", b"-1", b"", NAS_BENCH.example.encode(), b"Genotype(normal=[])"])).map(
        lambda fields: b"architecture,accuracy\n" + b",".join(fields)
    )
)
@BRIEF
def test_tables_of_true_accuracies(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    path.write_bytes(data)
    survives(lambda _, __: load_table(path), data, name=str(path))


@given(data=st.binary(max_size=80) | st.lists(st.sampled_from([b'{"epoch":1}\n', b"{", b"\n", b"[]\n"])).map(b"".join))
@BRIEF
def test_metrics_and_configurations(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    run = RunDir(tmp_path_factory.getbasetemp() / "fuzzed.run")
    run.path.mkdir(exist_ok=True)
    (run.path / METRICS_FILE).write_bytes(data)
    (run.path / "config.json").write_bytes(data)
    for read in (run.read_metrics, run.read_config):
        with suppress(ArtifactError):
            read()


def _is_there(source: str) -> bool:
    with suppress(OSError, ValueError):  # too long a name, or a null character
        return Path(source).exists()
    return False


@given(source=st.text(max_size=300))
@BRIEF
def test_any_name_of_a_source(source: str) -> None:
    if source in ("-", *published.names()) or _is_there(source):
        return
    with pytest.raises(ArtifactError):
        load_artifact(source)


@given(data=st.binary(max_size=60))
@BRIEF
def test_standard_input(data: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        with pytest.raises(ArtifactError, match=r"^standard input"):
            load_artifact("-")
