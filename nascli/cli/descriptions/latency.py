"""The measured times of the network of a genotype or a model, with the machine that they are of."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nascli.cli.commands.env import machine
from nascli.cli.output.latency import shown

if TYPE_CHECKING:
    from nascli.core.engine.latency import Latency


def latency_facts(measured: "Sequence[Latency]") -> dict[str, Any]:
    """The times, and the machine."""
    return {"machine": machine(), "measured": [asdict(one) for one in measured]}


def latency_text(facts: Mapping[str, Any]) -> str:
    """The facts as lines."""
    from nascli.core.engine.latency import Latency

    head = "latency: median (10th to 90th percentile) of passes in turn, after a warm-up"
    return "\n".join([head, *(shown(Latency(**one)) for one in facts["measured"]), facts["machine"]])
