"""Tensors and their document come back bit for bit, and no changed bit goes unnoticed."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nascli.artifacts.files import tensors, torch_tensors
from nascli.errors import ArtifactError
from tests.artifacts.examples import mixture

DTYPES = [np.bool_, np.uint8, np.int16, np.int64, np.uint64, np.float16, np.float32, np.float64, np.complex64]


@given(
    st.dictionaries(
        st.text(min_size=1).filter(lambda name: name != "__metadata__"),
        st.sampled_from(DTYPES).flatmap(
            lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0))
        ),
        max_size=4,
    )
)
@settings(max_examples=60)
def test_round_trip_is_exact_and_the_bytes_don_t_depend_on_order(values: dict[str, np.ndarray]) -> None:
    document = {"format": "test", "numbers": [1, 2.5, None], "text": 'ü"\\'}
    data = tensors.encode(values, document)
    read, again = tensors.decode(data, "x")
    assert again == document
    assert list(read) == sorted(values)
    for name, value in values.items():
        assert (read[name].dtype, read[name].shape) == (value.dtype, value.shape)
        assert read[name].tobytes() == value.tobytes()
    assert tensors.encode(dict(reversed(values.items())), document) == data


def test_the_file_is_an_ordinary_safetensors_file() -> None:
    import safetensors.numpy

    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    data = tensors.encode({"weight": weight}, {"format": "test"})
    np.testing.assert_array_equal(safetensors.numpy.load(data)["weight"], weight)


def test_memory_layouts_don_t_matter() -> None:
    plain = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    turned = np.asfortranarray(plain)
    assert tensors.encode({"a": turned}, {}) == tensors.encode({"a": plain}, {})
    assert tensors.encode({"a": plain.astype(">f4")}, {}) == tensors.encode({"a": plain}, {})
    strided = torch.from_numpy(plain.copy()).permute(2, 0, 1)
    assert tensors.encode({"a": strided}, {}) == tensors.encode(
        {"a": np.ascontiguousarray(plain.transpose(2, 0, 1))}, {}
    )


def test_torch_types_come_back_as_they_were() -> None:
    values = {
        "bf16": torch.tensor([1.0, -2.5, 3.140625], dtype=torch.bfloat16),
        "half": torch.tensor([[0.5]], dtype=torch.float16),
        "flag": torch.tensor(True),
        "none": torch.empty(0, 3, dtype=torch.int32),
        "conj": torch.tensor([1 + 2j], dtype=torch.complex64).conj(),
        "grad": torch.ones(2, requires_grad=True),
    }
    data = tensors.encode(values, {})
    read, _ = torch_tensors.decode(data, "x")
    for name, value in values.items():
        assert read[name].dtype == value.dtype
        assert torch.equal(read[name], value.detach().resolve_conj()), name
    # numpy has no bfloat16: the same values as float32.
    widened = tensors.decode(data, "x")[0]["bf16"]
    np.testing.assert_array_equal(widened, np.array([1.0, -2.5, 3.140625], dtype=np.float32))


def test_what_a_file_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="object"):
        tensors.encode({"a": np.array([None])}, {})
    with pytest.raises(ValueError, match="float8"):
        tensors.encode({"a": torch.zeros(1).to(torch.float8_e5m2)}, {})
    with pytest.raises(ValueError, match="JSON"):
        tensors.encode({}, {"loss": float("nan")})
    with pytest.raises(ValueError, match="sha256"):
        tensors.encode({}, {"sha256": ""})


def test_every_flipped_bit_is_found() -> None:
    data = tensors.encode({"alpha": np.arange(4, dtype=np.float32)}, {"format": "test", "seed": 1})
    tensors.decode(data, "x")
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(ArtifactError):
            tensors.decode(bytes(damaged), "x")


@given(st.data())
@settings(max_examples=150)
def test_flipped_bits_of_a_real_artifact_are_found(data: st.DataObject) -> None:
    whole = tensors.encode(mixture().tensors(), {"format": "test"})
    damaged = bytearray(whole)
    for bit in data.draw(st.sets(st.integers(0, 8 * len(whole) - 1), min_size=1, max_size=3)):
        damaged[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(ArtifactError):
        tensors.decode(bytes(damaged), "x")


def test_every_truncation_and_extension_is_found() -> None:
    data = tensors.encode({"alpha": np.arange(4, dtype=np.float32)}, {"format": "test"})
    for length in range(len(data)):
        with pytest.raises(ArtifactError):
            tensors.decode(data[:length], "x")
    with pytest.raises(ArtifactError, match="damaged"):
        tensors.decode(data + b"\0", "x")
    with pytest.raises(ArtifactError, match=r"x: is cut short: 1 of [\d,]+ bytes are missing"):
        tensors.decode(data[:-1], "x")


def with_header(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\x01", "is not a safetensors file"),
        (b"\xff" * 100, "is not a safetensors file"),
        ((1 << 40).to_bytes(8, "little") + b"{", "is not a safetensors file"),
        ((1 << 20).to_bytes(8, "little") + b"{", "its header alone has 1,048,584 bytes"),
        (with_header(b"{"), "header: is not valid JSON"),
        (with_header(b"[]"), "header: is JSON, but not an object"),
        (with_header({}), "is a safetensors file, but not one that nascli wrote"),
        (with_header({"__metadata__": []}), "not one that nascli wrote"),
        (with_header({"__metadata__": {"nascli": 3}}), "not one that nascli wrote"),
        (with_header({"__metadata__": {"nascli": "{"}}), "document: is not valid JSON"),
        (with_header({"__metadata__": {"nascli": "{}"}}), "is damaged"),
        (with_header({"__metadata__": {"nascli": '{"sha256": "{"}'}}), "is damaged"),
        (with_header({"__metadata__": {"nascli": '{"sha256": "' + "0" * 64 + '"}'}}), "is damaged"),
    ],
)
def test_malformed_files(data: bytes, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        tensors.decode(data, "x")


def signed(header: dict[str, Any], body: bytes) -> bytes:
    """A file with any header, and a matching digest."""
    import hashlib

    header = {"__metadata__": {"nascli": json.dumps({"sha256": "0" * 64})}, **header}
    data = with_header(header, body)
    return data.replace(b"0" * 64, hashlib.sha256(data).hexdigest().encode(), 1)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2**70], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2**31, 2**31, 2**31], "data_offsets": [0, 8]},
        {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F8_E5M2", "shape": [8], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [2], "data_offsets": []},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 2**70]},
        {"dtype": "F32", "shape": "2", "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2]},
        {},
        7,
    ],
)
def test_headers_that_lie_under_a_right_digest(entry: object) -> None:
    good = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    read, _ = tensors.decode(signed({"a": good}, bytes(8)), "x")
    assert read["a"].tolist() == [0.0, 0.0]
    for decode in (tensors.decode, torch_tensors.decode):
        with pytest.raises(ArtifactError):
            decode(signed({"a": entry}, bytes(8)), "x")
