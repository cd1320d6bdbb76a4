"""The facts about an artifact: a dictionary for machines, and its text for people."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from nascli.artifacts.detector import DetectorFile
from nascli.artifacts.distributions.distribution import DistributionFile
from nascli.artifacts.genotypes.genotype import Genotype, GenotypeFile
from nascli.artifacts.load import Artifact, LoadedArtifact
from nascli.artifacts.model import ModelFile
from nascli.artifacts.provenance import Provenance
from nascli.artifacts.ranking_part import RankingPartFile
from nascli.cli.descriptions.detector import detector_facts, maps_text, size_text
from nascli.cli.descriptions.truth import truth_table
from nascli.cli.options.of_file import inherited_method
from nascli.cli.output.printing import aligned
from nascli.config import Config, TrainConfig, describe
from nascli.errors import UsageError
from nascli.registry import DATASETS
from nascli.spaces.network_settings import DataShape, NetworkSettings

FALLBACK_DATASET = "cifar10"
"""The data set whose training recipe sizes a network if neither --dataset nor the descent names a known one."""

SHORT_DIGEST = 12


def describe_artifact(found: LoadedArtifact[Artifact], dataset: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Kind, content, sizes and descent. `dataset` and `given` choose the network in which a genotype is measured."""
    if found.kind != "genotype" and (dataset or given):
        raise UsageError(
            f"{found.where} is a {found.kind}; --dataset, --layers and so on size the network of a genotype"
        )
    match found.value:
        case DetectorFile():
            content = detector_facts(found.value)
        case GenotypeFile():
            content = _genotype(found, found.value, dataset, given)
        case DistributionFile(distribution=distribution):
            content = distribution.facts()
        case RankingPartFile():
            content = _part(found.value)
        case ModelFile(genotype=genotype, network=network):
            content = {
                **genotype.facts(network),
                "settings": network.model_dump(mode="json"),
                "data": found.value.data.model_dump(mode="json"),
                **_kept_epoch(found.value.metrics),
                "metrics": dict(found.value.metrics),
            }
    return {
        "file": found.where,
        "artifact": found.kind,
        "sha256": found.sha256,
        **content,
        "provenance": found.provenance.model_dump(mode="json"),
    }


def _part(file: RankingPartFile) -> dict[str, Any]:
    """Which part of which division it is, and how many of the ranking's networks are in it."""
    return {
        "shard": str(file.shard),
        "candidates": file.provenance.config.get("candidates"),
        "networks": file.networks,
        "scored": len(file.scores),
        "images": file.images,
        "in_a_pass": file.together,
    }


def _kept_epoch(metrics: Mapping[str, float]) -> dict[str, str]:
    """Which epoch the weights are of, where a training kept the best."""
    if "epochs_done" not in metrics:
        return {}
    return {"weights": f"of epoch {metrics['epoch']:g} of {metrics['epochs_done']:g}, the best on validation images"}


def _genotype(
    found: LoadedArtifact[Artifact], file: GenotypeFile, dataset: str | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    name = dataset or _searched_on(found.provenance)
    probability = {} if file.log_probability is None else {"log_probability": file.log_probability}
    sized = _sized_by_recipe if file.genotype.leaves_open is NetworkSettings else _sized_by_genotype
    try:
        settings, auxiliary = sized(found, file.genotype, name, given)
        content = {**file.genotype.facts(settings), **auxiliary, "settings": settings.model_dump(mode="json")}
    except ValidationError as error:
        raise UsageError(describe(error)) from None
    return {**content, **probability, "dataset": name}


def _sized_by_recipe(
    found: LoadedArtifact[Artifact], genotype: Genotype, dataset: str, given: Mapping[str, Any]
) -> tuple[DataShape, dict[str, int]]:
    """The settings of the network that the training recipe would build, and the parameters of its auxiliary tower."""
    from nascli.core.engine.sizing import derived_network, known_shape

    own = {key: value for key, value in given.items() if key in TrainConfig.model_fields}
    config = TrainConfig(dataset=dataset, space=genotype.space, **inherited_method(found), **own)
    settings, graph = derived_network(genotype, config, known_shape(config, classes=given.get("classes")))
    return settings, {"auxiliary_parameters": graph.tower_parameters if settings.auxiliary else 0}


def _sized_by_genotype(
    found: LoadedArtifact[Artifact], genotype: Genotype, dataset: str, given: Mapping[str, Any]
) -> tuple[DataShape, dict[str, int]]:
    """For a genotype that fixes its network's size: the shape of the images and classes, and nothing about a tower."""
    if cells := [f"--{name}" for name in ("layers", "channels") if name in given]:
        raise UsageError(f"{' and '.join(cells)} size a network of cells; {found.where} has its size already")
    from nascli.core.engine.sizing import known_shape

    searched = found.provenance.data is not None and found.provenance.data.dataset == dataset
    sides = [origin.config.get("image_size") for origin in found.provenance.descent()] if searched else []
    side = given.get("image_size", next(filter(None, sides), None))
    return known_shape(Config(dataset=dataset, image_size=side), classes=given.get("classes")), {}


def _searched_on(provenance: Provenance) -> str:
    known = provenance.data is not None and provenance.data.dataset in DATASETS
    name = provenance.data.dataset if known and provenance.data is not None else FALLBACK_DATASET
    return name if DATASETS[name].classes is not None else FALLBACK_DATASET


def text(found: LoadedArtifact[Artifact], facts: Mapping[str, Any]) -> str:
    """The facts as lines: figures, then the text of `nascli visualize`, then the descent as a tree."""
    from nascli.visualize import described
    from nascli.visualize.sources import drawable
    from nascli.visualize.text import plain

    origin = facts["provenance"]["config"]
    rows = [(LABELS[key], _FORMS.get(key, _shown)(value)) for key, value in facts.items() if key in LABELS]
    rows += [(label, _shown(origin[key])) for key, label in _BY_TABLE.items() if key in origin]
    settings = facts.get("settings", {})
    rows += [(key.replace("_", " "), _shown(value)) for key, value in settings.items() if key != "auxiliary"]
    parts = [f"{facts['file']}: {facts['artifact']}", aligned(rows)]
    if not isinstance(found.value, RankingPartFile) or found.value.scores:
        parts.append(plain(described(drawable(found))).rstrip())
    if "latency" in facts:
        from nascli.cli.descriptions.latency import latency_text

        parts.append(latency_text(facts["latency"]))
    if "truth" in facts:
        parts.append(truth_table(facts["truth"]))
    parts.append("\n".join(_descent(facts["sha256"], facts["artifact"], facts["provenance"])))
    return "\n\n".join(parts)


LABELS = {
    "kind": "kind",
    "space": "space",
    "supernet": "super-network",
    "width": "width",
    "stages": "blocks of its stages",
    "pooling_paths": "pooling paths",
    "nodes": "nodes",
    "operations": "operations",
    "log_probability": "log-probability",
    "parameters": "parameters",
    "multiply_adds": "multiply-adds",
    "of_supernet": "of the super-network's",
    "dropped_channels": "channels dropped",
    "dropped_operations": "operations dropped",
    "dropped_convolutions": "convolutions dropped",
    "gone_convolutions": "convolutions gone",
    "auxiliary_parameters": "auxiliary tower",
    "backbone": "of these the backbone",
    "maps": "boxes on maps of",
    "default_boxes": "default boxes",
    "weights": "weights",
    "metrics": "metrics",
    "dataset": "sized for",
    "shard": "part",
    "candidates": "candidates of the ranking",
    "networks": "different networks",
    "scored": "of these here",
    "images": "held-out images",
    "in_a_pass": "in a forward pass",
}
"""The facts in the first lines of the text, with their labels; the text of `nascli visualize` says the rest."""

_BY_TABLE = {"choose_by": "chosen by", "column": "reported"}
"""Columns of the table of true accuracies that a search used."""


def _percent(shares: float | Mapping[str, float]) -> str:
    if isinstance(shares, float):
        return f"{shares:.1%}"
    return ", ".join(f"{LABELS[key]} {share:.1%}" for key, share in shares.items())


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


_SHARES = ("of_supernet", "dropped_channels", "dropped_operations")

_FORMS: Mapping[str, Callable[[Any], str]] = {
    **dict.fromkeys(_SHARES, _percent),
    "maps": maps_text,
    "backbone": size_text,
}
"""How facts are shown that are more than a number, a name or a list of them: _SHARES are of a whole."""


def _descent(digest: str, artifact: str, provenance: Mapping[str, Any] | None) -> Iterator[str]:
    """A line per generation, the youngest first, each below the one that was made from it."""
    yield f"{artifact} {digest[:SHORT_DIGEST]}  {_origin(provenance)}"
    named = (("weights of ", "weights_from"), ("", "made_from"))
    parents = [(words, provenance[key]) for words, key in named if provenance and provenance.get(key)]
    for number, (words, parent) in enumerate(parents, start=1):
        branch, below = ("└─ ", "   ") if number == len(parents) else ("├─ ", "│  ")
        first, *older = _descent(parent["sha256"], parent["artifact"], parent["provenance"])
        yield f"{branch}{words}{first}"
        yield from (f"{below}{line}" for line in older)


def _origin(provenance: Mapping[str, Any] | None) -> str:
    if provenance is None:
        return "(older generations are not recorded)"
    parts = [provenance["stage"]]
    if provenance["nascli"]:
        parts[0] += f" (nascli {provenance['nascli']})"
    if provenance["method"]:
        parts.append(f"by {provenance['method']}")
    if provenance["data"]:
        data = provenance["data"]
        parts.append(f"on {data['dataset']} ({data['train_images']:,} images, {data['fingerprint'][:SHORT_DIGEST]})")
    if provenance["seed"] is not None:
        parts.append(f"seed {provenance['seed']}")
    parts += _choice(provenance["config"])
    return " ".join(parts) + (f": {provenance['note']}" if provenance["note"] else "")


def _choice(config: Mapping[str, Any]) -> list[str]:
    """Which genotype of its distribution this is, if it is not the mode, and what limited the choice."""
    names = ("rank", "candidates", "seed", "number", "held_out_accuracy")
    known = {name.replace("_", " "): config[name] for name in names if name in config}
    which = ", ".join(f"{name} {_shown(value) if isinstance(value, float) else value}" for name, value in known.items())
    chosen = [f"({config['choice']}: {which})"] if config.get("choice") in ("top", "sample", "ranked") else []
    chosen += _limits(config)
    others = config.get("mean_with", [])
    return [*chosen, f"(of the mean with {len(others)} more)"] if others else chosen


def _limits(config: Mapping[str, Any]) -> list[str]:
    """The limits that cells were searched or chosen within, as options."""
    given = {**config, **(config.get("settings") or {})}
    found = ["--without-none"] if given.get("without_none") else []
    limits = {"--max-skips": "max_skips", "--max-params": "max_params", "--max-macs": "max_macs"}
    found += [f"{name} {given[key]:,}" for name, key in limits.items() if given.get(key) is not None]
    return [f"(within {' and '.join(found)})"] if found else []
