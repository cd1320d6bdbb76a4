"""A trained model in a form that other programs run, checked before it is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from nascli.artifacts.files.disk import (
    check_output,
    check_output_folder,
    is_pipe,
    refuse_overwriting,
    write_folder,
    write_output,
)
from nascli.artifacts.load import LoadedModel
from nascli.artifacts.model import ModelFile
from nascli.core.engine.evaluate import load_network
from nascli.core.engine.export import folder, onnx_file, program
from nascli.core.engine.export.checked import Answers, largest_difference
from nascli.core.engine.export.metadata import FILE, metadata
from nascli.core.engine.export.normalised import Pixels, normalised
from nascli.core.engine.export.pictures import check_pictures
from nascli.core.engine.inputs import Source, artifact
from nascli.data.augmentation import Normalization
from nascli.errors import UsageError

Form = Literal["onnx", "pt2", "folder"]

_ENDINGS: dict[str, Form] = {".onnx": "onnx", ".pt2": "pt2", "": "folder"}
_FOLDER = (folder.CODE, folder.WEIGHTS, folder.EXAMPLE, FILE)


@dataclass(frozen=True)
class Exported:
    """What was written, and how it was checked.

    checked_on: which pictures, in words. largest_difference: of any logit, from those of the model.
    """

    path: str
    form: Form
    input: Pixels
    checked_on: str
    largest_difference: float


def export(
    model: Source,
    output: str | Path,
    *,
    input: Pixels = "uint8",
    check: str | Path | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a model as `net.onnx`, as `net.pt2` (torch.export), or as a folder with code that needs torch alone.

    input: whether the network takes images as integers from 0 to 255 or as numbers from 0 to 1; it normalises them. The
    result is run on pictures before it is written: those in the folder `check`, else the model's test images, else
    noise. Every logit must be within 1e-4 of the model's.

    Raises UsageError (another ending, an output that exists, missing packages), ArtifactError, DataError, and
    NascliError for an export that answers otherwise than the model.
    """
    form, path = check_target(output, overwrite, [model] if isinstance(model, str | Path) else [])
    if input not in ("uint8", "float"):
        raise UsageError(f"input is 'uint8' or 'float', not {input!r}")
    loaded = artifact(model, ModelFile)
    pictures = check_pictures(loaded, Path(check) if check is not None else None)
    images = pictures.images if input == "uint8" else pictures.images / 255
    network, facts = normalised(loaded, input), metadata(loaded, input)
    answers: Answers
    if form == "folder":
        files = folder.folder_files(loaded, network, facts)
        answers = torch.inference_mode()(folder.load_folder(files))
    else:
        traced = program.program_of(network, images.new_zeros((2, *images.shape[1:])))
        make, load = (
            (onnx_file.onnx_bytes, onnx_file.runtime_of) if form == "onnx" else (program.pt2_bytes, program.load_pt2)
        )
        content = make(traced, facts)
        answers = load(content)
    expected = _model_answers(loaded)
    worst = largest_difference(answers, expected, images, f"the exported network ({form})")
    if form == "folder":
        write_folder(path, files, overwrite)
    else:
        write_output(path, content, overwrite)
    return Exported(str(path), form, input, pictures.source, worst)


def check_target(output: str | Path, overwrite: bool, inputs: list[str | Path]) -> tuple[Form, Path]:
    """The form that the name of a result stands for, and its path. Raises UsageError for one that cannot be written."""
    if is_pipe(output):
        raise UsageError("an export goes to a file or a folder, not to standard output: name one with -o")
    path = Path(output)
    form: Form | None = "folder" if str(output).endswith("/") else _ENDINGS.get(path.suffix.lower())
    if form is None:
        raise UsageError(
            f"{path}: no form of a network is called {path.suffix}; name NAME.onnx, NAME.pt2, or a folder as NAME/"
        )
    refuse_overwriting([path], inputs)
    if form == "folder":
        check_output_folder(path, overwrite, _FOLDER)
    else:
        check_output(path, overwrite, ending=f".{form}")
    if form == "onnx":
        onnx_file.check_packages()
    return form, path


def _model_answers(loaded: LoadedModel) -> Answers:
    """The logits of the model for images of either kind, as `nascli eval` computes them."""
    data, network = loaded.value.data, load_network(loaded)
    normalise = Normalization(data.mean, data.std, torch.device("cpu"))

    @torch.inference_mode()
    def answers(images: Tensor) -> Tensor:
        pixels = images if images.dtype == torch.uint8 else (images * 255).round()
        logits: Tensor = network(normalise(pixels, torch.channels_last))
        return logits

    return answers
