import resource
import sys
import threading
from pathlib import Path

import pytest
import torch

from nascli.config import SearchConfig, TrainConfig
from nascli.core import memory_guard, runtime
from nascli.core.runtime import SERIAL_PIXELS, Runtime, check_memory, fitting_threads, memory_errors, open_runtime
from nascli.distributed.ranks import Ranks, joined
from nascli.errors import MemoryExhausted, UsageError

CPU = Runtime(torch.device("cpu"))


def test_an_allocation_that_fails_names_the_batch_size_to_try():
    with pytest.raises(MemoryExhausted, match="at batch size 96: try --batch-size 48") as caught, memory_errors(96):
        torch.empty(2**60, dtype=torch.uint8)
    assert caught.value.exit_code == 5


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_memory_that_is_not_there_is_refused_and_not_granted(monkeypatch):
    """Untouched memory costs nothing, and Linux grants it; whoever then uses it is killed."""
    torch.empty(2**28)
    monkeypatch.setattr(memory_guard, "available_memory", lambda: 2**28)
    monkeypatch.setattr(memory_guard, "LEAST", 2**28)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with (
        pytest.raises(MemoryExhausted, match="at batch size 1: use a smaller --image-size or network"),
        memory_errors(1),
    ):
        torch.empty(2**28)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_the_limit_is_what_is_allocated_and_what_is_left(monkeypatch):
    """At least what libraries imported later need; the smaller of nested limits; no limit set in other threads."""
    monkeypatch.setattr(memory_guard, "_allocated", lambda: 2**34)
    limits = []

    def guarded(available):
        monkeypatch.setattr(memory_guard, "available_memory", lambda: available)
        with memory_guard.guarded_memory():
            limits.append(resource.getrlimit(resource.RLIMIT_DATA)[0])

    before = resource.getrlimit(resource.RLIMIT_DATA)
    guarded(2**33)
    guarded(1)
    with memory_guard.guarded_memory():
        guarded(2**33)
    thread = threading.Thread(target=guarded, args=(2**33,))
    thread.start()
    thread.join()
    monkeypatch.setattr(memory_guard, "_allocated", lambda: None)
    guarded(2**33)
    least = 2**34 + memory_guard.LEAST
    assert limits == [2**34 + 2**33, least, least, before[0], before[0]]
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.skipif(sys.platform != "linux", reason="the figures are Linux's")
def test_available_memory_is_what_the_system_and_the_container_leave(monkeypatch, tmp_path):
    """In a container cached files count as used, but are dropped when memory is needed."""
    values = memory_guard._values
    system = {"MemAvailable": 3 * 2**20, "SwapFree": 2**20}
    monkeypatch.setattr(memory_guard, "_values", lambda path: system if path.name == "meminfo" else values(path))
    monkeypatch.setattr(memory_guard, "CONTAINER", tmp_path)
    assert memory_guard.available_memory() == 4 * 2**30
    (tmp_path / "memory.current").write_text(f"{900 * 2**20}\n")
    (tmp_path / "memory.stat").write_text(f"anon 7\ninactive_file {800 * 2**20}\n")
    (tmp_path / "memory.max").write_text(f"{1000 * 2**20}\n")
    assert memory_guard.available_memory() == 900 * 2**20
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_guard.available_memory() == 4 * 2**30
    monkeypatch.undo()
    assert memory_guard._values(Path("/proc/meminfo"))["MemAvailable"] > 0
    assert memory_guard._allocated() > 2**20


def test_other_failures_pass_through():
    with pytest.raises(RuntimeError, match="shape"), memory_errors(96):
        torch.zeros(2) @ torch.zeros(3, 4)


def test_a_network_that_cannot_fit_is_refused_before_it_is_made():
    check_memory(10**6, CPU.device)
    with pytest.raises(MemoryExhausted, match="38,691,983,370 parameters takes 432 GiB"):
        check_memory(38_691_983_370, CPU.device)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"compile": True}, "--compile is for one process: leave it out under torchrun"),
        ({"cuda_graphs": True, "compile": True}, "--compile and --cuda-graphs are for one process"),
        ({"skip_corrupt": True}, "--skip-corrupt is for one process: repair or remove the images"),
        ({"batch_size": 2}, "a batch of 2 cannot be spread over 3 processes: start fewer, or give --batch-size 3"),
        ({"device": "cuda:0"}, "--device cuda:0 is one GPU, and each process takes one: give --device cuda"),
    ],
)
def test_what_several_processes_cannot_do_is_refused(given, message):
    with joined(Ranks(1, 3)), pytest.raises(UsageError, match=message):
        open_runtime(SearchConfig(**given))


def test_small_steps_use_one_thread_and_only_while_they_last():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with fitting_threads(CPU, SERIAL_PIXELS - 1):
            assert torch.get_num_threads() == 1
        with fitting_threads(CPU, SERIAL_PIXELS):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_random_numbers_are_the_cpus_on_every_device():
    own = Runtime(torch.device("cuda")).generator(7, "a", 1)
    assert own.device.type == "cpu"
    assert torch.rand(3, generator=own).tolist() == torch.rand(3, generator=CPU.generator(7, "a", 1)).tolist()


def test_generators_of_different_purposes_and_steps_differ_and_repeat():
    def draw(*purpose):
        return torch.rand(3, generator=CPU.generator(7, *purpose)).tolist()

    assert draw("a", 1) == draw("a", 1)
    assert len({tuple(draw(*purpose)) for purpose in (("a", 1), ("a", 2), ("b", 1), ("a", 11), ("a1", 1))}) == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [({"device": "tpu9"}, "unknown device 'tpu9'"), ({"precision": "fp16", "device": "cpu"}, "fp16 needs a GPU")],
)
def test_what_this_machine_cannot_do_is_a_usage_error(given, message):
    with pytest.raises(UsageError, match=message):
        open_runtime(TrainConfig(dataset="digits", **given))


def test_bf16_is_autocast():
    with Runtime(torch.device("cpu"), "bf16").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with CPU.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_search_step_on_a_gpu_agrees_with_the_cpu(monkeypatch):
    import nascli

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    tiny = {"epochs": 1, "limit_train": 128, "layers": 3, "channels": 8, "arch_warmup_epochs": 0, "batch_size": 64}
    found = [nascli.search(nascli.SearchConfig(device=device, **tiny)) for device in ("cpu", "cuda")]
    for cell in ("normal", "reduce"):
        there, here = (torch.tensor(one.distribution.alpha[cell]) for one in reversed(found))
        torch.testing.assert_close(there, here, rtol=0, atol=1e-3)


def test_full_precision_holds_within_half_precision_and_lets_go_of_tf32():
    runtime = Runtime(torch.device("cpu"), "bf16")
    matrix = torch.ones(2, 2)
    before = torch.backends.cudnn.allow_tf32
    with runtime.autocast():
        with runtime.full_precision():
            assert (matrix @ matrix).dtype == torch.float32
            assert not torch.backends.cudnn.allow_tf32
        assert (matrix @ matrix).dtype == torch.bfloat16
    with pytest.raises(ArithmeticError), runtime.full_precision():
        raise ArithmeticError
    assert torch.backends.cudnn.allow_tf32 == before


@pytest.mark.parametrize(
    ("side", "precision", "fits"), [(100, "fp32", True), (4000, "fp32", False), (4000, "bf16", True)]
)
def test_maps_that_no_machine_holds_are_refused_before_they_are_made(monkeypatch, side, precision, fits):
    """64 images of 16 channels and 4000 x 4000 pixels: 61 GiB in four bytes a number, half of it in two."""
    monkeypatch.setattr(runtime, "_whole_memory", lambda device: 60 * 2**30)
    own = Runtime(torch.device("cpu"), precision)
    if fits:
        runtime.check_maps(64, 16 * side**2, side, own)
        return
    with pytest.raises(MemoryExhausted) as caught:
        runtime.check_maps(64, 16 * side**2, side, own, "cifar")
    assert str(caught.value) == (
        "a layer alone takes 61 GiB for 64 images of 4000 pixels, the cpu has 60 GiB: use a smaller --image-size or "
        "--batch-size, or --stem imagenet"
    )


@pytest.mark.parametrize("words", [["search"], ["search", "--method", "parsec"], ["train", "darts-v2"]])
def test_images_of_4000_pixels_are_refused_before_one_is_enlarged(words, nascli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runtime, "_whole_memory", lambda device: 24 * 2**30)
    refused = nascli(*words, "--image-size", 4000)
    assert (refused.code, refused.out, refused.err.count("\n")) == (5, "", 1)
    assert "images of 4000 pixels" in refused.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("space", ["resnet-mb", "densenet121"])
def test_a_super_network_is_refused_for_images_that_no_machine_holds(monkeypatch, space):
    import nascli

    monkeypatch.setattr(runtime, "_whole_memory", lambda device: 60 * 2**30)
    config = nascli.SearchConfig(method="pgnas", space=space, dataset="digits", image_size=4000, batch_size=256)
    with pytest.raises(
        MemoryExhausted, match="256 images of 4000 pixels.*: use a smaller --image-size or --batch-size$"
    ):
        nascli.search(config)


def test_compiling_for_a_cpu_is_told_before_and_needs_a_compiler(monkeypatch):
    import nascli

    config = nascli.SearchConfig(compile=True, device="cpu")
    monkeypatch.setattr(runtime.shutil, "which", lambda name: "/usr/bin/g++" if name == "g++" else None)
    monkeypatch.delenv("CXX", raising=False)
    assert "takes minutes before the first step" in open_runtime(config).compile_notice
    assert not CPU.compile_notice
    monkeypatch.setattr(runtime.shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match=r"needs the C\+\+ compiler g\+\+: install it"):
        open_runtime(config)
