"""PGNAS's Tables 3 to 6 on a small scale: on digits, or on 4,000 images of CIFAR-10 as files.

    python benchmarks/pgnas_tables.py FOLDER [--cifar DIR] [--tables 3 p 4 5 6] [--seeds 0 1 2] [--candidates 200]
        [--recalibrated 100] [--prior 100] [--epochs N]

The results of every step stay in FOLDER and are not made again. All accuracies are in per cent. DIR has `train/` and
`test/`, each with a folder per class.

Table 3: candidates of the posterior, compared on the held-out images with candidates of uniform dropout at equal
expected size. The latter come from a search whose dropout was uniform and fixed at that size from the beginning (Bender
et al.), and from the search itself, whose batch-norm statistics are not theirs. A further comparison is a posterior
whose probabilities are shuffled among its groups. "Own statistics" means `derive --recalibrate`. Then test errors: of
the best candidate as it is and trained from scratch, and of the full super-network as the search left it (its inputs
times 1 - p), trained alone, and trained alone with the decay of the search's prior, l^2 / N, all on as many images as
the search; and of the best candidate trained on all images, from the inherited weights ("w/ FT") and from scratch.
Table p: how far p agrees between seeds, and with a search on shuffled labels, where only the prior decides.
Table 4: the prior l^2. Table 5: the temperature. Table 6: the number of candidates.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from nascli.artifacts.distributions.distribution import DistributionFile  # noqa: E402
from nascli.artifacts.distributions.posterior import PosteriorDistribution  # noqa: E402
from nascli.artifacts.genotypes.channels import ChannelsGenotype  # noqa: E402
from nascli.artifacts.genotypes.genotype import GenotypeFile, genotype_bytes  # noqa: E402
from nascli.artifacts.load import (  # noqa: E402
    File,
    LoadedArtifact,
    LoadedDistribution,
    LoadedGenotype,
    LoadedModel,
    load_artifact,
)
from nascli.artifacts.model import ModelFile  # noqa: E402
from nascli.config import DeriveConfig, SearchConfig, TrainConfig  # noqa: E402
from nascli.core.engine.destination import Destination  # noqa: E402
from nascli.core.engine.evaluate import evaluate  # noqa: E402
from nascli.core.engine.ranking.rank import rank  # noqa: E402
from nascli.core.engine.search import build_method, open_streams, search  # noqa: E402
from nascli.core.engine.train import train  # noqa: E402
from nascli.core.nn.build import inherited_network  # noqa: E402
from nascli.core.runtime import fitting_threads, open_runtime  # noqa: E402
from nascli.data import open_data  # noqa: E402


@dataclass(frozen=True)
class Budget:
    """The data, and what differs from their recipe in searches, in trainings, and in those from searched weights."""

    data: Mapping[str, Any]
    search: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    inherited: Mapping[str, Any] = field(default_factory=dict)

    def search_config(self, **settings: Any) -> SearchConfig:
        """The configuration of a search within this budget."""
        return SearchConfig(**{**self.data, **self.search, **settings})


def digits() -> Budget:
    """The recipe for digits as it is."""
    return Budget({"method": "pgnas", "dataset": "digits"})


def cifar(folder: str) -> Budget:
    """A twelfth of the images and a super-network of a 170th of the size, which a core trains in about ten minutes.

    N counts each image once and p moves faster, as in the recipe for digits and for the same reason: few steps.
    """
    steps = {"epochs": 25, "batch_size": 64, "cutout": 8, "lr": 0.05}
    return Budget(
        {"method": "pgnas", "dataset": "folder", "data_dir": folder, "limit_train": 4000},
        {
            **steps,
            "width": 16,
            "depth": 1,
            "weight_prior": 100.0,
            "effective_images": 3600.0,
            "arch_lr_scale": 20.0,
            "arch_warmup_epochs": 5,
        },
        {**steps, "weight_decay": 1e-3},
        {"epochs": 6, "batch_size": 64, "cutout": 8, "lr": 0.005, "weight_decay": 1e-3},
    )


PRIORS = (0.2, 0.5, 1.0, 2.0)
"""The values of Table 4, as multiples of the recipe's l^2."""

TEMPERATURES = (2 / 3, 0.2)
COUNTS = (50, 500, 1500)

Rows = list[dict[str, Any]]


class Runs:
    """Searches, rankings and trainings, each done once; the results stay in a folder."""

    def __init__(self, folder: Path, budget: Budget, epochs: int | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.budget = folder, budget
        self.epochs = {} if epochs is None else {"epochs": epochs}
        kept, mine = folder / "settings.json", json.dumps([asdict(budget), self.epochs], indent=1)
        if kept.exists() and kept.read_text() != mine:
            sys.exit(f"{folder} holds what other settings made: give another folder")
        kept.write_text(mine)

    def search(self, name: str, seed: int, **settings: Any) -> LoadedDistribution:
        """The posterior of a search."""
        config = self.config(seed, **settings)
        return self._made(f"{name}.safetensors", lambda target: search(config, target), DistributionFile)

    def config(self, seed: int, **settings: Any) -> SearchConfig:
        """The configuration of a search."""
        return self.budget.search_config(**self.epochs, seed=seed, **settings)

    def rank(self, run: LoadedDistribution, name: str, count: int, *, recalibrate: bool = False) -> dict[str, Any]:
        """The best of `count` candidates of both populations: their scores, and the probability of the uniform ones."""
        name += "-recalibrated" if recalibrate else ""
        path = self.folder / f"{name}-{count}.scores"
        if not path.exists():
            print(f"… {path.name}", file=sys.stderr, flush=True)
            model = path.with_suffix(".safetensors")
            target = Destination(path.with_suffix(".json"), overwrite=True)
            found = rank(
                run, DeriveConfig(**self.budget.data, candidates=count, recalibrate=recalibrate), target, model=model
            )
            scores = [score.row() for score in found.rounds[-1].scores]
            path.write_text(json.dumps({"probability": found.probability, "scores": scores}))
        known = json.loads(path.read_text())
        return {
            **{
                kind: [row for row in known["scores"] if row["population"] == kind] for kind in ("posterior", "uniform")
            },
            "probability": known["probability"],
            "genotype": load_artifact(path.with_suffix(".json")).holding(GenotypeFile),
            "model": load_artifact(path.with_suffix(".safetensors")).holding(ModelFile),
        }

    def train(
        self, name: str, genotype: LoadedGenotype, seed: int, start: LoadedDistribution | None = None, **more: Any
    ) -> LoadedModel:
        """A trained model, by the recipe for inherited weights where it starts from a run."""
        budget = self.budget
        settings = {**budget.inherited, "weights": "inherited"} if start else {**budget.train, **self.epochs}
        config = TrainConfig(**{**budget.data, **settings, **more, "seed": seed})
        return self._made(f"{name}.safetensors", lambda target: train(genotype, config, target, start=start), ModelFile)

    def _made(self, name: str, make: Any, file: type[File]) -> LoadedArtifact[File]:
        path = self.folder / name
        if not path.exists():
            print(f"… {name}", file=sys.stderr, flush=True)
            make(Destination(path, overwrite=True))
        return load_artifact(path).holding(file)


def columns(rows: Rows) -> str:
    """Mean and deviation of the accuracy, the best, and the mean of the parameters."""
    accuracies = [100 * row["accuracy"] for row in rows]
    size = mean(row["parameters"] for row in rows)
    return f"{mean(accuracies):.2f} ± {stdev(accuracies):.2f} | {max(accuracies):.2f} | {size:,.0f}"


def table3(runs: Runs, seeds: Sequence[int], count: int, recalibrated: int) -> None:
    print("### Table 3\n\n| seed | candidates | mean ± sd | best | mean parameters |\n|---|---|---|---|---|")
    errors = []
    for seed in seeds:
        run = runs.search(f"seed{seed}", seed)
        ranked = runs.rank(run, f"seed{seed}", count)
        fixed = runs.search(f"fixed{seed}", seed, initial_dropout=ranked["probability"], arch_lr_scale=0.0)
        own = runs.rank(run, f"seed{seed}", recalibrated, recalibrate=True)
        at_first = runs.rank(fixed, f"fixed{seed}", recalibrated, recalibrate=True)
        other = runs.rank(shuffled(run, seed), f"dealt{seed}", recalibrated, recalibrate=True)
        rows = {
            "posterior": ranked["posterior"],
            "uniform from the beginning": runs.rank(fixed, f"fixed{seed}", count)["posterior"],
            "posterior, own statistics": own["posterior"],
            "uniform from the beginning, own statistics": at_first["posterior"],
            "uniform, weights of the search, own statistics": own["uniform"],
            "posterior, its p dealt out anew, own statistics": other["posterior"],
            "uniform, weights of the search": ranked["uniform"],
        }
        for name, candidates in rows.items():
            print(f"| {seed} | {name} | {columns(candidates)} |", flush=True)
        errors.append(test_errors(runs, seed, run, ranked))
    print("\n| network | test error, by seed | parameters |\n|---|---|---|")
    for name in errors[0]:
        shown = " / ".join(f"{row[name][0]:.2f}" for row in errors)
        sizes = " / ".join(f"{row[name][1]:,}" for row in errors)
        print(f"| {name} | {shown} | {sizes} |")


def table_p(runs: Runs, seeds: Sequence[int]) -> None:
    posteriors = [runs.search(f"seed{seed}", seed).distribution for seed in seeds]
    for (i, one), (j, other) in itertools.combinations(zip(seeds, posteriors, strict=True), 2):
        agreement = np.corrcoef(logits_of(one), logits_of(other))[0, 1]
        print(f"\ncorrelation of logit p between seeds {i} and {j}: {agreement:.2f}")
    blind = without_meaning(runs.config(seeds[0]))
    agreement = np.corrcoef(logits_of(posteriors[0]), logits_of(blind))[0, 1]
    kept = 1 - blind.probabilities.mean()
    print(
        f"\nlabels dealt out at random, seed {seeds[0]}: keeps {kept:.1%}, correlation with the search {agreement:.2f}"
    )


def without_meaning(config: SearchConfig) -> PosteriorDistribution:
    """The posterior of a search on images with shuffled labels."""
    runtime = open_runtime(config)
    data = open_data(config, device=runtime.device)
    streams = open_streams(config, data, runtime)
    feed = data._train.feed
    feed.labels = feed.labels[torch.randperm(len(feed.labels), generator=torch.Generator().manual_seed(config.seed))]
    method = build_method(config, data.info, streams, runtime)
    with fitting_threads(runtime, config.batch_size * data.info.image_size**2):
        for _ in range(config.epochs * streams["train"].batches_per_pass):
            method.step(streams)
    found = method.distribution()
    assert isinstance(found, PosteriorDistribution)
    return found


def logits_of(posterior: PosteriorDistribution) -> np.ndarray:
    """The logits of all groups, in the order of the network. [groups]"""
    return np.concatenate([posterior.logits[conv] for conv in posterior.graph.masked])


def shuffled(run: LoadedDistribution, seed: int) -> LoadedDistribution:
    """The same posterior with its probabilities shuffled among the groups."""
    posterior = run.distribution
    assert isinstance(posterior, PosteriorDistribution)
    groups = [(conv, source) for conv, values in posterior.logits.items() for source in range(len(values))]
    order = np.random.default_rng(seed).permutation(len(groups))
    logits = {conv: values.copy() for conv, values in posterior.logits.items()}
    for (conv, source), taken in zip(groups, order, strict=True):
        other, place = groups[taken]
        logits[conv][source] = posterior.logits[other][place]
    file = DistributionFile(replace(posterior, logits=logits), run.provenance)
    return LoadedArtifact(file, run.sha256, run.where)


def test_errors(runs: Runs, seed: int, run: LoadedDistribution, ranked: dict[str, Any]) -> dict[str, tuple[float, int]]:
    """Test error and parameters of the networks of one seed."""
    cell, prior = ranked["genotype"], runs.config(seed).settings
    whole, held_out = full(runs, cell), prior["held_out"]
    decay = prior["weight_prior"] / prior["effective_images"]
    models = {
        "full super-network, trained alone": runs.train(f"full{seed}", whole, seed, validation=held_out),
        "the same with the decay of the search": runs.train(
            f"decayed{seed}", whole, seed, validation=held_out, weight_decay=decay
        ),
        "full super-network of the search": searched(runs, run, ranked),
        "best candidate, as it is": ranked["model"],
        "best candidate, from scratch": runs.train(f"scratch{seed}", cell, seed, validation=held_out),
        "best candidate, trained on": runs.train(f"tuned{seed}", cell, seed, run),
        "best candidate, from scratch, all images": runs.train(f"scratch-all{seed}", cell, seed),
    }
    found = {name: evaluate(model) for name, model in models.items()}
    return {name: (100 * (1 - result.top1), result.parameters) for name, result in found.items()}


def full(runs: Runs, cell: LoadedGenotype) -> LoadedGenotype:
    """The genotype that keeps every channel of a cell's super-network."""
    genotype = cell.value.genotype
    assert isinstance(genotype, ChannelsGenotype)
    shape = ranked_shape(runs)
    kept = {name: range(sum(conv.sources)) for name, conv in genotype.whole(shape).masked.items()}
    whole = ChannelsGenotype.of(genotype.supernet, genotype.width, genotype.stages, kept)
    path = runs.folder / "full.json"
    path.write_bytes(genotype_bytes(cell.value.model_copy(update={"genotype": whole})))
    return load_artifact(path).holding(GenotypeFile)


def searched(runs: Runs, run: LoadedDistribution, ranked: dict[str, Any]) -> LoadedModel:
    """The model that keeps every channel, with the weights of the search and every input times 1 - p."""
    genotype, posterior, model = full(runs, ranked["genotype"]).value.genotype, run.distribution, ranked["model"].value
    assert isinstance(posterior, PosteriorDistribution)
    network = inherited_network(genotype, posterior, run.where, seed=0)
    kept = torch.from_numpy(1 - posterior.probabilities).float()
    for name, entries in posterior.graph.mask_ranges.items():
        network.get_parameter(f"{name}.weight").data.mul_(kept[entries.start : entries.stop, None, None])
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    value = replace(model, genotype=genotype, weights=weights)
    return LoadedArtifact(value, ranked["model"].sha256, run.where)


def ranked_shape(runs: Runs) -> Any:
    """The shape of the images and classes of these runs."""
    posterior = load_artifact(next(runs.folder.glob("seed?.safetensors"))).distribution
    assert isinstance(posterior, PosteriorDistribution)
    return posterior.shape


def sweep(runs: Runs, seeds: Sequence[int], count: int, setting: str, values: Sequence[float]) -> None:
    """Candidates, the best one and its test error, by one setting, over all seeds. Table 3 has the recipe's."""
    usual = runs.config(0).settings.model_dump()[setting]
    print(f"\n| {setting} | seed | mean ± sd | best | mean parameters | test error of the best | its parameters |")
    print("|---|---|---|---|---|---|---|")
    for value, seed in itertools.product(values, seeds):
        name = f"seed{seed}" if value == usual else f"{setting}{value:.3g}-seed{seed}"
        ranked = runs.rank(runs.search(name, seed, **{setting: value}), name, count)
        result = evaluate(ranked["model"])
        shown = f"{100 * (1 - result.top1):.2f} | {result.parameters:,}"
        print(f"| {value:.3g} | {seed} | {columns(ranked['posterior'])} | {shown} |", flush=True)


def table6(runs: Runs, seeds: Sequence[int]) -> None:
    print("\n| candidates | seed | mean ± sd | best | mean parameters | test error of the best |")
    print("|---|---|---|---|---|---|")
    for count, seed in itertools.product(COUNTS, seeds):
        ranked = runs.rank(runs.search(f"seed{seed}", seed), f"seed{seed}", count)
        error = 100 * (1 - evaluate(ranked["model"]).top1)
        print(f"| {count:,} | {seed} | {columns(ranked['posterior'])} | {error:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cifar", metavar="DIR")
    parser.add_argument("--tables", nargs="+", default=list("3p456"), choices=list("3p456"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--candidates", type=int, default=200)
    parser.add_argument("--recalibrated", type=int, default=100, help="candidates with their own statistics")
    parser.add_argument("--prior", type=float, help="l^2 instead of the recipe's, or with --cifar of this script's")
    parser.add_argument("--epochs", type=int)
    given = parser.parse_args()
    budget = cifar(given.cifar) if given.cifar else digits()
    if given.prior is not None:
        budget = replace(budget, search={**budget.search, "weight_prior": given.prior})
    runs = Runs(given.folder, budget, given.epochs)
    if "3" in given.tables:
        table3(runs, given.seeds, given.candidates, given.recalibrated)
    if "p" in given.tables:
        table_p(runs, given.seeds)
    if "4" in given.tables:
        usual = runs.config(0).settings.model_dump()["weight_prior"]
        print("\n### Table 4")
        sweep(runs, given.seeds, given.candidates, "weight_prior", [usual * multiple for multiple in PRIORS])
    if "5" in given.tables:
        print("\n### Table 5")
        sweep(runs, given.seeds, given.candidates, "temperature", TEMPERATURES)
    if "6" in given.tables:
        print("\n### Table 6")
        table6(runs, given.seeds)


if __name__ == "__main__":
    main()
