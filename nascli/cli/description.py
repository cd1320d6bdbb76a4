"""What is worth knowing of an artifact: one dictionary for machines, and its text for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from nascli.artifacts.distribution import CategoricalDistribution, MixtureDistribution, RankingDistribution
from nascli.artifacts.genotype import Genotype, GenotypeFile
from nascli.artifacts.load import LoadedArtifact
from nascli.artifacts.model import ModelFile
from nascli.artifacts.provenance import Provenance
from nascli.cli.categorical_description import categorical_facts, likeliest_table
from nascli.cli.inherit import inherited_method
from nascli.cli.printing import aligned
from nascli.config import TrainConfig, describe
from nascli.errors import UsageError
from nascli.registry import DATASETS

FALLBACK_DATASET = "cifar10"
"""Whose training recipe sizes a network where neither --dataset nor the genotype's descent names known data."""

SHORT_DIGEST = 12
RANKS_SHOWN = 20


def describe_artifact(found: LoadedArtifact, dataset: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Kind, content, sizes and descent. `dataset` and `given` choose the network that a genotype is measured in."""
    if found.kind != "genotype" and (dataset or given):
        raise UsageError(
            f"{found.where} is a {found.kind}; --dataset, --layers and so on size the network of a genotype"
        )
    match found.value:
        case GenotypeFile():
            content = _genotype(found, found.value, dataset, given)
        case MixtureDistribution():
            content = _mixture(found.value)
        case CategoricalDistribution():
            content = categorical_facts(found.value)
        case RankingDistribution():
            content = _ranking(found.value)
        case ModelFile():
            content = _model(found.value)
    return {
        "file": found.where,
        "artifact": found.kind,
        "sha256": found.sha256,
        **content,
        "provenance": found.provenance.model_dump(mode="json"),
    }


def _genotype(
    found: LoadedArtifact, file: GenotypeFile, dataset: str | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    from nascli.core.engine.sizing import derived_settings, known_shape
    from nascli.core.nn.measure import measure

    name = dataset or _searched_on(found.provenance)
    own = {key: value for key, value in given.items() if key in TrainConfig.model_fields}
    try:
        config = TrainConfig(dataset=name, **inherited_method(found), **own)
        shape = known_shape(config, classes=given.get("classes"))
        settings = derived_settings(config, shape)
    except ValidationError as error:
        raise UsageError(describe(error)) from None
    size = measure(file.genotype, settings)
    probability = {} if file.log_probability is None else {"log_probability": file.log_probability}
    return {
        **_cell(file.genotype),
        **probability,
        "parameters": size.parameters,
        "macs": size.macs,
        "auxiliary_parameters": size.auxiliary_parameters,
        "dataset": name,
        "settings": settings.model_dump(mode="json"),
    }


def _searched_on(provenance: Provenance) -> str:
    known = provenance.data is not None and provenance.data.dataset in DATASETS
    name = provenance.data.dataset if known and provenance.data is not None else FALLBACK_DATASET
    return name if DATASETS[name].classes is not None else FALLBACK_DATASET


def _cell(genotype: Genotype) -> dict[str, Any]:
    return {"kind": genotype.kind, "space": genotype.space, "nodes": len(genotype.normal.nodes)}


def _mixture(value: MixtureDistribution) -> dict[str, Any]:
    return {
        "kind": value.kind,
        "space": value.space,
        "nodes": value.nodes,
        "operations": list(value.operations),
        "edge_weights": value.beta is not None,
        "entropy": {cell: value.entropy(cell) for cell in value.alpha},
    }


def _ranking(value: RankingDistribution) -> dict[str, Any]:
    return {
        "kind": value.kind,
        "space": value.space,
        "nodes": value.nodes,
        "cells": len(value.candidates),
        "waiting": len(value.waiting),
        "ranking": [
            {
                "rank": rank,
                "number": candidate.number,
                "accuracy": candidate.accuracy,
                "loss": candidate.loss,
                "skips": candidate.genotype.share("skip_connect"),
            }
            for rank, candidate in enumerate(value.candidates, 1)
        ],
    }


def _model(value: ModelFile) -> dict[str, Any]:
    from nascli.core.nn.measure import measure

    size = measure(value.genotype, value.network)
    return {
        **_cell(value.genotype),
        "parameters": size.parameters,
        "macs": size.macs,
        "settings": value.network.model_dump(mode="json"),
        "data": value.data.model_dump(mode="json"),
        "metrics": dict(value.metrics),
    }


def text(facts: Mapping[str, Any]) -> str:
    """The facts as lines: figures first, then the descent as a tree."""
    rows = [(label, _shown(facts[key])) for key, label in _SHOWN.items() if key in facts]
    settings = facts.get("settings", {})
    rows += [(key.replace("_", " "), _shown(value)) for key, value in settings.items() if key != "auxiliary"]
    heading = f"{facts['file']}: {facts['artifact']}"
    parts = [heading, aligned(rows)]
    if facts.get("ranking"):
        parts.append(_ranking_table(facts["ranking"]))
    if "likeliest" in facts:
        parts.append(likeliest_table(facts["likeliest"]))
    parts.append("\n".join(_descent(facts["sha256"], facts["artifact"], facts["provenance"])))
    return "\n\n".join(parts)


def _ranking_table(ranking: Sequence[Mapping[str, Any]]) -> str:
    """The best cells of a ranking, a line each; JSON has all."""
    rows = [("rank", "number", "accuracy", "loss", "skips")]
    rows += [
        (
            f"{row['rank']:>4}",
            f"{row['number']:>6}",
            f"{row['accuracy']:8.2%}",
            f"{row['loss']:.4f}",
            f"{row['skips']:5.0%}",
        )
        for row in ranking[:RANKS_SHOWN]
    ]
    more = f"\nand {len(ranking) - RANKS_SHOWN} more" if len(ranking) > RANKS_SHOWN else ""
    return aligned(rows) + more


_SHOWN = {
    "kind": "kind",
    "space": "space",
    "nodes": "nodes",
    "cells": "cells ranked",
    "waiting": "cells waiting",
    "operations": "operations",
    "entropy": "entropy (nats)",
    "largest_entropy": "at most",
    "mode_probability": "mode's probability",
    "mode_log_probability": "its logarithm",
    "log_probability": "log-probability",
    "parameters": "parameters",
    "macs": "multiply-adds",
    "auxiliary_parameters": "auxiliary tower",
    "metrics": "metrics",
    "dataset": "sized for",
}
"""Facts that the text shows, in this order, each with its label."""


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


def _descent(digest: str, artifact: str, provenance: Mapping[str, Any] | None, depth: int = 0) -> Iterator[str]:
    """A line per generation, the youngest first, each under what was made from it."""
    indent = "   " * (depth - 1) + "└─ " if depth else ""
    yield f"{indent}{artifact} {digest[:SHORT_DIGEST]}  {_origin(provenance)}"
    parent = provenance["made_from"] if provenance else None
    if parent:
        yield from _descent(parent["sha256"], parent["artifact"], parent["provenance"], depth + 1)


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
    """Which of a distribution's genotypes this is, where it is not the mode."""
    which = ", ".join(f"{name} {config[name]}" for name in ("rank", "seed", "number") if name in config)
    return [f"({config['choice']}: {which})"] if config.get("choice") in ("top", "sample") else []
