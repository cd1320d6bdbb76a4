"""`nascli derive` with a ranking: writes the best candidates, and prints how they and uniform ones scored."""

import sys
from collections.abc import Mapping, Sequence
from math import fsum, sqrt
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from nascli.artifacts.files.disk import is_pipe
from nascli.artifacts.load import LoadedDistribution
from nascli.cli.options.of_config import INHERITED, resolve
from nascli.cli.options.of_file import inherited
from nascli.cli.output.printing import aligned, print_json
from nascli.cli.session import Session
from nascli.config import DeriveConfig
from nascli.errors import UsageError

if TYPE_CHECKING:
    from nascli.core.engine.destination import Destination
    from nascli.core.engine.ranking.rank import Ranking
    from nascli.core.engine.ranking.rounds import Round

HISTOGRAM_LINES = 10


def rank_candidates(
    session: Session,
    start: LoadedDistribution,
    given: Mapping[str, Any],
    target: "Destination",
    *,
    count: int | None,
    model: Path | None,
    file: Path | None,
    dry_run: bool,
    json: bool,
) -> None:
    """Rank candidates and print the paths of the results; the table goes to standard error.

    count: the number of genotypes to write; None: the best alone. dry_run: only print the plan.
    """
    from nascli.cli.output.progress import progress
    from nascli.core.engine.ranking.rank import rank

    check_pipes(model, json=json)
    config = ranking_config(start, given, target, file)
    if dry_run:
        from nascli.cli.output.dry_run import print_ranking_plan
        from nascli.core.engine.ranking.plan import plan_rank

        with progress(session) as reporter:
            plan = plan_rank(start, config, reporter, target, count=1 if count is None else count)
        print_ranking_plan(plan, stage=config.stage, json=json)
        return
    with progress(session) as reporter:
        result = rank(start, config, target, reporter, count=1 if count is None else count, model=model)
    print_ranking(session, result, target, count=count, model=model, json=json)


def check_pipes(model: Path | None, *, json: bool) -> None:
    """Raise UsageError if the model and the JSON about the result would share standard output."""
    if json and model is not None and is_pipe(model):
        raise UsageError("--json and '--model -' both need standard output: give --model a file")


def ranking_config(
    start: LoadedDistribution,
    given: Mapping[str, Any],
    target: "Destination",
    file: Path | None,
    known: Mapping[str, Any] | None = None,
) -> DeriveConfig:
    """The configuration of a ranking. known: the settings of its parts, in place of what the search says."""
    from nascli.core.engine.destination import stored_config
    from nascli.core.engine.ranking.held_out import rankable

    rankable(start)  # reports a fault of the file before any fault of its recipe
    stored = dict(_inherited(start, given) if known is None else known)
    stored |= stored_config(target, DeriveConfig.stage) if target.resume else {}
    return resolve(DeriveConfig, given, file=file, stored=stored)


def print_ranking(
    session: Session, result: "Ranking", target: "Destination", *, count: int | None, model: Path | None, json: bool
) -> None:
    """Print the paths of the results, or JSON about them; the table goes to standard error."""
    if not session.quiet:
        print(table(result), file=sys.stderr)
    if json:
        facts = _facts(result)
        print_json(facts if count is not None else facts[0])
    elif not target.is_pipe and (model is None or not is_pipe(model)):
        for made in result.genotypes:
            print(made.where)
        if result.model is not None:
            print(result.model.where)


def _inherited(start: LoadedDistribution, given: Mapping[str, Any]) -> dict[str, Any]:
    """The method and the data of the search. The seed is not inherited: here it is that of the drawn networks."""
    known = inherited(start, given)
    found = {name: known[name] for name in INHERITED[DeriveConfig] if name in known}
    if (data := start.distribution.data) is not None:
        found["image_size"] = data.image_size  # decides on the recipe for a folder
    return found


def table(result: "Ranking") -> str:
    """A line per population and round, the histogram of the last round, and the winner."""
    from nascli.cli.output.latency import shown
    from nascli.visualize.runs.candidates_text import histogram
    from nascli.visualize.runs.scored import Candidates

    header = ("population", "candidates", "images", "best", "mean ± sd", "parameters")
    rows = [(name, *_row(ranked, name)) for ranked in result.rounds for name in _populations(ranked)]
    candidates = Candidates.of(result.rounds[-1].scores)
    best = result.best[0]
    lines = [
        aligned([header, *rows]),
        "",
        "accuracy (%) on held-out images",
        *histogram(candidates, HISTOGRAM_LINES),
        "",
    ]
    lines.append(
        f"best: number {best.number} of {result.candidates:,}, {best.accuracy:.2%}, {best.parameters:,} parameters, "
        f"{best.multiply_adds:,} multiply-adds"
    )
    if result.latencies:
        lines[-1] += f", {shown(result.latencies[0])}"
    if result.probability is not None:
        lines.append(f"uniform: every channel dropped with probability {result.probability:.4f}{_foreign(result)}")
    return "\n".join(lines)


def _foreign(result: "Ranking") -> str:
    """A remark if the uniform networks look worse than they are."""
    if result.genotypes[0].provenance.config.get("recalibrate"):
        return ""
    return (
        "; these networks use the batch-norm statistics of the posterior's networks, which costs them accuracy: "
        "--recalibrate gives every network its own"
    )


def _populations(ranked: "Round") -> list[str]:
    return list(dict.fromkeys(score.population for score in ranked.scores))


def _row(ranked: "Round", population: str) -> tuple[str, ...]:
    summary = _summary(ranked, population)
    return (
        f"{summary['scored']:,}",
        f"{ranked.images:,}",
        f"{summary['best_accuracy']:.2%}",
        f"{summary['mean_accuracy']:.2%} ± {summary['accuracy_deviation']:.2%}",
        f"{summary['mean_parameters']:,.0f}",
    )


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and the standard deviation of a sample (0 for a single value)."""
    mean = fmean(values)
    return mean, sqrt(fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1))


def _summary(ranked: "Round", population: str) -> dict[str, Any]:
    scores = ranked.of(population)
    mean, deviation = mean_and_deviation([score.accuracy for score in scores])
    return {
        "population": population,
        "images": ranked.images,
        "scored": len(scores),
        "best_accuracy": max(score.accuracy for score in scores),
        "mean_accuracy": mean,
        "accuracy_deviation": deviation,
        "mean_parameters": fmean(score.parameters for score in scores),
        "mean_multiply_adds": fmean(score.multiply_adds for score in scores),
    }


def _facts(result: "Ranking") -> list[dict[str, Any]]:
    """The file and score of each genotype; the first also has the model's path and the populations' figures."""
    facts: list[dict[str, Any]] = [
        {"path": made.where, "artifact": made.kind, "sha256": made.sha256, **score.row()}
        for made, score in zip(result.genotypes, result.best, strict=True)
    ]
    for fact, latency in zip(facts, result.latencies, strict=False):
        fact["latency_ms"] = latency.median_ms
    facts[0] |= {
        "model": result.model.where if result.model else None,
        "candidates": result.candidates,
        "uniform_probability": result.probability,
        "populations": [_summary(ranked, name) for ranked in result.rounds for name in _populations(ranked)],
    }
    return facts
