"""One function loads every artifact: content tells what a file is, and an error says how to make the right one."""

import io
import pickle
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.files import tensors
from nascli.artifacts.genotypes import published
from nascli.artifacts.genotypes.genotype import CellGenotype, GenotypeFile, as_text, genotype_bytes
from nascli.artifacts.load import load_artifact
from nascli.artifacts.model import ModelFile, model_bytes
from nascli.artifacts.provenance import ArtifactKind
from nascli.artifacts.runs.checkpoint import checkpoint_bytes
from nascli.errors import ArtifactError
from nascli.spaces import cell_space
from tests.artifacts.examples import bytes_of, mixture, model_file, provenance

FILES: dict[ArtifactKind, bytes] = {
    "distribution": bytes_of(mixture()),
    "genotype": genotype_bytes(published.load("enas")),
    "model": model_bytes(model_file()),
}


def put(tmp_path: Path, data: bytes, name: str = "file") -> str:
    path = tmp_path / name
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize("kind", FILES)
def test_the_kind_comes_from_the_content_not_the_name(tmp_path: Path, kind: ArtifactKind) -> None:
    source = put(tmp_path, FILES[kind], "whatever.txt")
    loaded = load_artifact(source, expect={kind})
    assert (loaded.kind, loaded.where, loaded.sha256) == (kind, source, sha256(FILES[kind]).hexdigest())
    ancestor = loaded.ancestor()
    assert (ancestor.artifact, ancestor.sha256, ancestor.provenance) == (kind, loaded.sha256, loaded.provenance)


def test_darts_text_is_a_genotype(tmp_path: Path) -> None:
    genotype = published.load("darts-v2").genotype
    source = put(tmp_path, b"DARTS_V2 = " + as_text(genotype).encode(), "their_genotype.txt")
    assert load_artifact(source).value.genotype == genotype  # type: ignore[union-attr]


def texts() -> list[CellGenotype]:
    return [published.load("darts-v2").genotype, cell_space("nas-bench-201").genotype([3, 1, 0, 4, 2, 3])]


@pytest.mark.parametrize("genotype", texts(), ids=lambda genotype: genotype.space)
def test_a_text_is_a_source_and_a_file_and_a_pipe(
    genotype: CellGenotype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The genotype itself, in the text form of its space, which says nothing about its origin."""
    monkeypatch.chdir(tmp_path)
    text = as_text(genotype)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    for source in (text, f"\n{text}  ", put(tmp_path, text.encode()), "-"):
        loaded = load_artifact(source, expect={"genotype"})
        assert loaded.value.genotype == genotype  # type: ignore[union-attr]
        assert (
            loaded.provenance.note == f"read from the text form of {genotype.space}, which says nothing of its origin"
        )
        assert loaded.provenance.method is None
    assert load_artifact(text).sha256 == sha256(text.encode()).hexdigest()


def test_a_file_and_a_folder_named_like_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = as_text(texts()[1])
    Path(text).mkdir()
    assert load_artifact(text).value.genotype == texts()[1]  # type: ignore[union-attr]
    Path(text).rmdir()
    put(tmp_path, FILES["genotype"], text)
    assert load_artifact(text).value == published.load("enas"), "a file goes before a text"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "|nor_conv_3x3~0|+|skip_connect~0|none~1|",
            "a cell of nas-bench-201 needs 3 nodes (parts between '+'), and this one has 2",
        ),
        (
            "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|none~1|skip_conect~2|",
            "node 3, edge 2: unknown op 'skip_conect': did you mean 'skip_connect'?",
        ),
        (
            "|nor_conv_3x3~0|+|skip_connect~1|none~0|+|none~0|none~1|none~2|",
            "node 2, edge 0: must come from ~0, not from ~1; node 2, edge 1: must come from ~1, not from ~0",
        ),
        ("Genotype(normal=[], reduce=[])", "Genotype: normal_concat, reduce_concat are missing"),
        ("Genotype(", "is cut off: a bracket of Genotype( is never closed"),
        ("|" * 8192, "a cell of nas-bench-201 needs 3 nodes (parts between '+'), and this one has 1"),
    ],
)
def test_a_text_with_a_fault_is_named_by_itself(source: str, message: str) -> None:
    """The message quotes it, or the beginning of a long one."""
    with pytest.raises(ArtifactError) as caught:
        load_artifact(source)
    name = source if len(source) <= 60 else source[:59] + "…"
    assert str(caught.value).startswith(f"{name}: {message}")


def test_a_cell_of_nas_bench_201_within_a_line_of_a_log() -> None:
    text = as_text(texts()[1])
    log = f"[2020-01-08 11:29:42] genotype : Structure(4 nodes with {text}), loss 0.3 | lr 0.01"
    assert load_artifact(log).value.genotype == texts()[1]  # type: ignore[union-attr]
    assert load_artifact(f"{log}\n{log}").value.genotype == texts()[1]  # type: ignore[union-attr]
    with pytest.raises(ArtifactError, match="has 2 genotypes: keep the line of one"):
        load_artifact(f"{log}\n{log.replace('nor_conv_3x3', 'none')}")


def test_json_is_a_source_as_it_stands_in_a_file() -> None:
    """Pasted in quotes, or by the shell's $(cat cell.json)."""
    text = FILES["genotype"].decode()
    assert load_artifact(text).value == published.load("enas")
    with pytest.raises(ArtifactError) as caught:
        load_artifact(text[:200])
    assert str(caught.value).startswith(r"'{\n")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    with pytest.raises(ArtifactError, match="UTF-8"):
        load_artifact('{"caf\udce9"')


@pytest.mark.parametrize("source", ["x" * 300, "x" * 9000, "two\nlines", "caf\udce9.safetensors"])
def test_a_name_that_no_file_can_have_is_not_there(source: str) -> None:
    with pytest.raises(ArtifactError, match="^no such file") as caught:
        load_artifact(source)
    assert "\n" not in str(caught.value)


def test_published_names_work_wherever_a_path_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_artifact("enas").value == published.load("enas")
    (tmp_path / "enas").mkdir()
    assert load_artifact("enas").value == published.load("enas")
    (tmp_path / "darts-v1").write_bytes(FILES["genotype"])
    assert load_artifact("darts-v1").value == published.load("enas"), "a file goes before a name"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FILES["distribution"])))
    loaded = load_artifact("-")
    assert (loaded.kind, loaded.where) == ("distribution", "standard input")
    assert isinstance(loaded.value, DistributionFile)
    assert loaded.value.distribution.tensors().keys() == mixture().tensors().keys()
    assert loaded.provenance == provenance()


@pytest.mark.parametrize(
    ("have", "want", "message"),
    [
        ("distribution", {"genotype"}, "holds a distribution, not a genotype: make one with 'nascli derive {0}'"),
        ("distribution", {"model"}, "holds a distribution, not a model: make one with 'nascli derive {0}', then"),
        ("genotype", {"model"}, "holds a genotype, not a model: make one with 'nascli train {0}'"),
        ("genotype", {"distribution"}, "holds a genotype, not a distribution: make one with 'nascli search'"),
        ("model", {"genotype"}, "holds a model, not a genotype: give the one that it was trained from"),
        ("distribution", {"genotype", "model"}, "holds a distribution, not a genotype or a model: make one with"),
    ],
)
def test_wrong_kind(tmp_path: Path, have: ArtifactKind, want: set[ArtifactKind], message: str) -> None:
    source = put(tmp_path, FILES[have])
    with pytest.raises(ArtifactError) as caught:
        load_artifact(source, expect=want)
    assert str(caught.value).startswith(f"{source} {message.format(source)}")
    assert caught.value.exit_code == 3


def test_what_a_file_holds_is_known_once_it_is_asked_for(tmp_path: Path) -> None:
    genotype = load_artifact(put(tmp_path, FILES["genotype"]))
    held = genotype.holding(GenotypeFile)
    assert held == genotype
    assert held.kind == "genotype"
    with pytest.raises(ArtifactError, match="holds a genotype, not a model: make one with 'nascli train"):
        genotype.holding(ModelFile)


def test_what_is_not_there_is_answered_with_what_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, b"", "run.safetensors")
    (tmp_path / "pool.run").mkdir()
    for source, message in {
        "pc-dart-cifar10": "^no such file, and unknown published genotype 'pc-dart-cifar10': did you mean 'pc-darts",
        "runn.safetensors": r"^no such file: runn\.safetensors; did you mean run\.safetensors\?",
        "pool.json": r"^no such file: pool\.json$",
        "pool.rum": r"^no such file: pool\.rum; did you mean pool\.run\?$",
        "some/where/cell.json": "^no such file: some/where/cell.json$",
    }.items():
        with pytest.raises(ArtifactError, match=message):
            load_artifact(source)


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("data.pkl"), b"")  # without the time of day, which would be part of a name
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (pickle.dumps({"normal": 1}), "is a pickle"),
        (zipped(), "is a pickle"),
        (FILES["model"][:6], "is damaged, cut short, or not a file of nascli"),
        (FILES["model"][:-6], "is cut short: 6 of"),
        (FILES["model"][: len(FILES["model"]) // 2], "is cut short"),
        (FILES["genotype"][:200], "is not valid JSON"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is damaged, cut short, or not a file of nascli"),
        (
            b"# notes\nhello world",
            r"is neither JSON nor a genotype as text, which looks like Genotype\(.*\(nas-bench-201\)",
        ),
        (b"{}", "is not a file of nascli"),
        (checkpoint_bytes({"step": 3}), "is the checkpoint of a run: go on with --resume"),
        (
            tensors.encode({}, {"format": "nascli-supernet", "version": 1}),
            "format: 'nascli-supernet' is none of nascli's",
        ),
        (tensors.encode({}, {"format": "nascli-model", "version": 9}), "was written by a newer nascli"),
    ],
)
def test_what_is_no_artifact(tmp_path: Path, data: bytes, message: str) -> None:
    source = put(tmp_path, data)
    with pytest.raises(ArtifactError, match=message) as caught:
        load_artifact(source)
    assert str(caught.value).startswith(source)
    assert "\n" not in str(caught.value)


def test_a_header_whose_length_looks_like_a_pickle(tmp_path: Path) -> None:
    """Headers are padded to 8 bytes, so that one of 640 = 0x0280 begins like protocol 2 of pickle."""
    for padding in range(2000):
        data = tensors.encode({}, {"format": "nascli-model", "version": 9, "note": "x" * padding})
        if data.startswith(b"\x80\x02"):
            break
    assert data.startswith(b"\x80\x02")
    with pytest.raises(ArtifactError, match="newer nascli"):
        load_artifact(put(tmp_path, data))
