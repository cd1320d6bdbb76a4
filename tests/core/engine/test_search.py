"""What a search hands to its method."""

from pathlib import Path

import pytest
import torch

import nascli
from nascli.config import FinetuneConfig, SearchConfig
from nascli.core.engine.destination import Destination
from nascli.core.engine.search import build_method, open_search, open_streams
from nascli.core.runtime import Runtime
from nascli.data import open_data
from nascli.errors import MemoryExhausted, UsageError

CELLS = {"method": "darts", "limit_train": 60, "batch_size": 10, "epochs": 1, "layers": 3, "channels": 2, "nodes": 1}
CPU = Runtime(torch.device("cpu"))


def first_batch(cutout: int) -> torch.Tensor:
    config = SearchConfig(method="pgnas", dataset="digits", limit_train=500, batch_size=400, cutout=cutout)
    streams = open_streams(config, open_data(config, device=CPU.device), CPU)
    return streams["train"].next()[0]


def test_cutout_reaches_the_images() -> None:
    plain, cut = first_batch(0), first_batch(4)
    holes = (cut == 0).float().mean() - (plain == 0).float().mean()
    # The mean area of a 4x4 square around a uniform centre that lies within an 8x8 image, as a share of the image.
    inside = (sum(min(8, c + 2) - max(0, c - 2) for c in range(8)) / 8) ** 2 / 64
    assert float(holes) == pytest.approx(inside, abs=0.02)


def test_a_finetune_splits_the_images_as_the_search_and_draws_anew() -> None:
    """It does not repeat the batches and augmentation of the search's first epoch, but holds out the same images."""
    settings = {"method": "pgnas", "limit_train": 200, "batch_size": 20, "epochs": 1, "seed": 7, "width": 4, "depth": 1}
    search, finetune = SearchConfig(**settings), FinetuneConfig(**settings)
    data = open_data(search, device=CPU.device)
    before, after = (open_streams(config, data, CPU) for config in (search, finetune))
    assert before["train"].next()[1].tolist() != after["train"].next()[1].tolist()
    for name in before:
        parts = [
            {image.numpy().tobytes() for images, _ in streams[name].once() for image in images}
            for streams in (before, after)
        ]
        assert parts[0] == parts[1]
    methods = [
        build_method(config, data.info, streams, CPU) for config, streams in ((search, before), (finetune, after))
    ]
    masks = [torch.rand(5, generator=method._generator("masks", 0)) for method in methods]
    assert masks[0].tolist() != masks[1].tolist()


def test_nor_does_a_finetune_of_a_finetune_repeat_that() -> None:
    cells = {**CELLS, "limit_train": 20}
    config, started = SearchConfig(**cells), []
    start = nascli.search(config)
    for _ in range(3):
        _, job = open_search(FinetuneConfig(**cells), start, CPU)
        started.append(job._streams["train"].next()[0].flatten().tolist())
        start = nascli.finetune(start, FinetuneConfig(**cells)) if len(started) < 3 else start
    assert len(set(map(tuple, started))) == 3


@pytest.mark.parametrize(("method", "varied"), [("pc-darts", False), ("parsec", False), ("pgnas", True)])
def test_colours_vary_only_where_the_weights_are_kept(monkeypatch, method, varied):
    config = SearchConfig(method=method, limit_train=300)
    data, found = open_data(config, device=CPU.device), []
    monkeypatch.setattr(data, "stream", lambda *given, augmentation, **more: found.append(augmentation))
    monkeypatch.setattr(data, "info", data.info.model_copy(update={"image_size": 224, "dataset": "folder"}))
    open_streams(config, data, CPU)
    assert found
    assert {augmentation.color_jitter for augmentation in found} == {varied}


@pytest.mark.parametrize("method", ["darts", "parsec", "random"])
def test_the_learning_rate_of_a_search_rises_over_its_warm_up(method: str) -> None:
    own = {"trials": 1} if method == "random" else {}
    config = SearchConfig(**{**CELLS, "method": method, "epochs": 4, "lr": 0.3, "lr_warmup_epochs": 2, **own})
    _, job = open_search(config, None, CPU)
    rates = []
    for _ in range(3):
        job.step()
        rates.append(job.learning_rate())
    rise = 2 * job.steps_per_epoch
    assert rates == pytest.approx([0.3 * step / rise for step in (1, 2, 3)])


def test_images_too_large_for_the_network_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nascli.core.engine.search.open_data", lambda *_, **__: pytest.fail("the images are read"))
    config = SearchConfig(**{**CELLS, "channels": 4096, "image_size": 4096, "batch_size": 1000})
    with pytest.raises(MemoryExhausted, match="image-size"):
        open_search(config, None, CPU)


def test_a_run_that_exists_is_refused_before_the_images_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result alone is gone: its folder still holds the run."""
    target = Destination(tmp_path / "run.safetensors")
    nascli.search(SearchConfig(**CELLS), target)
    (tmp_path / "run.safetensors").unlink()
    monkeypatch.setattr("nascli.core.engine.search.open_data", lambda *_, **__: pytest.fail("the images are read"))
    with pytest.raises(UsageError, match="holds a run already"):
        nascli.search(SearchConfig(**CELLS), target)
