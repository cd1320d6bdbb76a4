"""The steps of PGNAS that its tables share: search, the best candidate as it is, and training on from its weights."""

import json
from dataclasses import dataclass
from pathlib import Path

from ablation import QUICK, Ablation

SPACES = {"EI": "enas-inflated", "E": "enas", "MI": "resnet-mb-inflated", "M": "resnet-mb"}
"""The paper's super-networks, SupNet-EI and so on."""

WIDTHS = {"resnet-mb-inflated": "16", "resnet-mb": "8"}
"""Those that `--small` has, and how narrow they are. A step of the networks of ENAS takes five times as long."""

SMALL = ("--dataset", "digits", "--depth", "1", "--epochs", "20")
"""What it tells a search, besides the width: 420 steps."""

TRAINED = ("--epochs", "20")
"""What it tells a training from new weights."""

CANDIDATES = 50
"""How many it ranks."""


@dataclass(frozen=True)
class Network:
    """A network, its test error in per cent, and how it was found."""

    error: float
    parameters: int
    run: Path
    cell: Path
    seed: int
    held_out: float = 0.0
    probability: float = 0.1
    """Of uniform dropout at the same mean size."""


class Posterior:
    """PGNAS within an ablation."""

    def __init__(self, study: Ablation) -> None:
        self._study = study
        self.spaces = {name: space for name, space in SPACES.items() if space in WIDTHS or not study.small}

    def found(self, space: str, seed: int, *words: str, candidates: int | None = None) -> Network:
        """The best candidate of a search, as it is."""
        study = self._study
        scale = (*SMALL, "--width", WIDTHS[space]) if study.small else ()
        run = study.search("pgnas", seed, "--space", space, *words, scale=scale)
        count = candidates or (CANDIDATES if study.small else None)
        name = study.named(run.stem, count or "best", ending="json")
        model = name.with_suffix(".safetensors")
        chosen = () if count is None else ("--candidates", str(count))
        told = study.nascli("derive", run, *chosen, "--resume", "--json", "-o", name, "--model", model)
        facts = {"accuracy": 0.0, "uniform_probability": 0.1, **json.loads(told)}
        return self._measured(model, run, name, seed, facts["accuracy"], facts["uniform_probability"])

    def tuned(self, network: Network) -> Network:
        """A network after training on from its weights, the search's."""
        model = network.cell.with_name(f"{network.cell.stem}-tuned.safetensors")
        self._train(network.cell, model, network.seed, "--from", str(network.run))
        return self._measured(model, network.run, network.cell, network.seed)

    def trained(self, cell: Path, seed: int) -> Network:
        """A network that is trained from new weights."""
        model = cell.with_suffix(".safetensors")
        self._train(cell, model, seed, *(TRAINED if self._study.small else ()))
        return self._measured(model, cell, cell, seed)

    def _train(self, cell: Path, model: Path, seed: int, *words: str) -> None:
        self._study.nascli("train", cell, *words, *QUICK, "--seed", seed, "--resume", "-o", model)

    def _measured(
        self, model: Path, run: Path, cell: Path, seed: int, held_out: float = 0.0, probability: float = 0.1
    ) -> Network:
        facts = {"top1": 0.0, "parameters": 0, **json.loads(self._study.nascli("eval", model, "--json"))}
        return Network(100 * (1 - facts["top1"]), facts["parameters"], run, cell, seed, held_out, probability)
