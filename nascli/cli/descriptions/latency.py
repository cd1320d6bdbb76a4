"""The measured times of the network of a genotype or a model."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import Artifact, LoadedArtifact
from nascli.artifacts.model import ModelFile
from nascli.cli.commands.env import machine
from nascli.cli.output.latency import shown
from nascli.config import Config
from nascli.core.latency import Latency, measure_latency
from nascli.core.nn.build import build_network
from nascli.core.runtime import memory_errors, open_runtime
from nascli.errors import UsageError


def latency_facts(
    found: LoadedArtifact[Artifact], settings: Mapping[str, Any], batch_size: int, device: str
) -> dict[str, Any]:
    """The latency of one image and of a batch, with the machine. `settings`: those of the network, as described.

    Weights do not change it, so they are fresh ones. Raises UsageError for a distribution; MemoryExhausted.
    """
    if not isinstance(found.value, GenotypeFile | ModelFile):
        raise UsageError(
            f"{found.where} is a {found.kind}: --latency measures a genotype or a model, such as what derive writes"
        )
    shape = found.value.genotype.leaves_open(**settings)
    runtime = open_runtime(Config(device=device))
    with memory_errors(batch_size):
        network = runtime.place(build_network(found.value.genotype.graph(shape), seed=0)).eval()
        measured = measure_latency(network, shape, runtime, (1, batch_size))
    return {"machine": machine(), "device": str(runtime.device), "measured": [asdict(one) for one in measured]}


def latency_text(facts: Mapping[str, Any]) -> str:
    """The facts as lines."""
    lines = [shown(Latency(**one)) for one in facts["measured"]]
    return "\n".join(
        ["latency: median (10th to 90th percentile) of passes in turn, after a warm-up", *lines, facts["machine"]]
    )
