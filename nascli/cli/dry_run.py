"""`--dry-run`: the resolved configuration and the size of the network, without any work."""

from typing import Any

from nascli.artifacts.genotype import GenotypeFile
from nascli.artifacts.load import LoadedArtifact
from nascli.cli.printing import print_json, toml
from nascli.config import SearchConfig, TrainConfig
from nascli.core.engine.sizing import search_size, train_size


def print_search_plan(config: SearchConfig, json: bool) -> None:
    """Say what a search would do."""
    size = search_size(config)
    sizes = {"parameters": size.parameters, "macs": size.macs}
    _print(config, sizes, "the search network", json)


def print_train_plan(found: LoadedArtifact, config: TrainConfig, json: bool) -> None:
    """Say what a training of this genotype would do."""
    assert isinstance(found.value, GenotypeFile)
    size = train_size(found.value.genotype, config)
    sizes = {"parameters": size.parameters, "macs": size.macs, "auxiliary_parameters": size.auxiliary_parameters}
    _print(config, sizes, "the network without its auxiliary tower", json)


def _print(config: SearchConfig | TrainConfig, sizes: dict[str, Any], what: str, json: bool) -> None:
    values = config.model_dump(mode="json")
    if json:
        print_json({"stage": config.stage, "config": values, **sizes})
        return
    flat = {**values, **values.pop("settings", {})}
    flat.pop("settings", None)
    print(f"# nascli {config.stage}: this is a file for --config")
    print(toml(flat))
    print(f"# {what}:")
    print(f"# {sizes['parameters']:,} parameters, {sizes['macs']:,} multiply-adds for one image")
    if sizes.get("auxiliary_parameters"):
        print(f"# {sizes['auxiliary_parameters']:,} parameters more in the auxiliary tower, while it trains")
