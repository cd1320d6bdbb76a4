"""What a run would be, without running it: the resolved configuration and the size of its network."""

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from nascli.artifacts.data_info import DataInfo
from nascli.config import SearchConfig, TrainConfig
from nascli.core.engine.inputs import Source, artifact
from nascli.core.engine.search import build_method, open_streams
from nascli.core.engine.sizing import Shape, derived_settings
from nascli.core.methods.protocol import SearchMethod
from nascli.core.nn.measure import count_parameters, measure
from nascli.core.runtime import Runtime, open_runtime
from nascli.data import open_data


def plan_search(config: SearchConfig) -> dict[str, Any]:
    """Configuration, parameters and steps of a search or finetune. Raises as the search would before its first step."""
    runtime = open_runtime(config)
    data = open_data(config, device=runtime.device)
    streams = open_streams(config, data, runtime)
    method = build_method(config, data.info, streams, runtime)
    return {
        "config": config.model_dump(mode="json"),
        "parameters": count_parameters(method.network),
        "multiply_adds": _multiply_adds(method, data.info, runtime),
        "steps": config.epochs * streams["train"].batches_per_pass,
    }


def plan_train(source: Source, config: TrainConfig) -> dict[str, Any]:
    """Configuration, size and steps of a training. Raises as the training itself would before its first step."""
    genotype = artifact(source, "genotype").value.genotype
    info = open_data(config, device=torch.device("cpu")).info
    size = measure(genotype, derived_settings(config, Shape(len(info.classes), info.channels, info.image_size)))
    images = round(info.train_images * (1 - config.validation))
    return {
        "config": config.model_dump(mode="json"),
        "parameters": size.parameters,
        "auxiliary_parameters": size.auxiliary_parameters,
        "multiply_adds": size.macs,
        "steps": config.epochs * (images // config.batch_size),
    }


def _multiply_adds(method: SearchMethod, data: DataInfo, runtime: Runtime) -> int:
    """Multiply-adds of the search network's forward pass for one image, matrix products included."""
    method.network.eval()
    image = torch.zeros(1, data.channels, data.image_size, data.image_size, device=runtime.device)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        method.logits(image.contiguous(memory_format=runtime.memory_format))
    method.network.train()
    return counter.get_total_flops() // 2
