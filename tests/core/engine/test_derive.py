"""What is derived, under which name, with which provenance; and that nothing is written unless all can be."""

import json
import re
from pathlib import Path

import pytest

import nascli
from nascli.artifacts.distributions.categorical import CategoricalDistribution
from nascli.artifacts.distributions.distribution import Distribution
from nascli.artifacts.distributions.limits import CellLimits
from nascli.artifacts.files.disk import sha256
from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import LoadedArtifact, read_artifact
from nascli.core.engine.derive import Choice, Mode, Sample, Top, derive, derive_each, derive_several
from nascli.core.engine.destination import Destination
from nascli.core.engine.offers import MOST
from nascli.errors import ArtifactError, UsageError
from nascli.spaces.darts import Darts
from tests.artifacts.examples import bytes_of, categorical, mixture, posterior, trials


def loaded(distribution: Distribution) -> LoadedArtifact:
    return read_artifact(bytes_of(distribution), "run.safetensors")


def file(result: LoadedArtifact) -> GenotypeFile:
    assert isinstance(result.value, GenotypeFile)
    return result.value


CATEGORICAL, MIXTURE, TRIALS = loaded(categorical()), loaded(mixture()), loaded(trials(3, done=3))


def test_the_mode_with_its_probability() -> None:
    made = file(derive(CATEGORICAL))
    assert made.genotype == categorical().mode()
    assert made.log_probability == categorical().log_probability(made.genotype)
    assert made.provenance.config == {"choice": "mode"}
    assert made.provenance.made_from is not None
    assert made.provenance.made_from.sha256 == CATEGORICAL.sha256
    assert (made.provenance.stage, made.provenance.method, made.provenance.seed) == ("derive", "parsec", 3)
    assert file(derive(MIXTURE)).log_probability is None
    assert derive_several(CATEGORICAL, Mode()) == (derive(CATEGORICAL),)


def test_the_top_in_order() -> None:
    made = [file(result) for result in derive_several(CATEGORICAL, Top(5))]
    assert [(one.genotype, one.log_probability) for one in made] == list(categorical().top(5))
    assert [one.provenance.config for one in made] == [{"choice": "top", "rank": rank} for rank in range(1, 6)]
    assert {one.provenance.seed for one in made} == {3}, "the search's seed"
    ranked = [file(result) for result in derive_several(TRIALS, Top(2))]
    assert [one.genotype for one in ranked] == [row.genotype for row in trials(3, done=3).done[:2]]
    assert {one.log_probability for one in ranked} == {None}


def test_samples_are_those_of_their_seed_and_number() -> None:
    made = [file(result) for result in derive_several(CATEGORICAL, Sample(4, seed=9))]
    assert [one.genotype for one in made] == [categorical().sample(9, number) for number in (1, 2, 3, 4)]
    assert made[2].provenance.config == {"choice": "sample", "seed": 9, "number": 3}
    assert made[2].log_probability == categorical().log_probability(made[2].genotype)
    assert [file(r) for r in derive_several(CATEGORICAL, Sample(2, seed=9))] == made[:2]
    assert derive_several(CATEGORICAL, Sample(4, seed=8)) != derive_several(CATEGORICAL, Sample(4, seed=9))


def test_the_package_offers_it() -> None:
    assert nascli.derive_several(CATEGORICAL, nascli.Top(2)) == derive_several(CATEGORICAL, Top(2))
    assert nascli.Sample(3) == Sample(3, seed=0)


@pytest.mark.parametrize(
    ("count", "names"),
    [
        (1, ["cell.json"]),
        (3, ["cell-1.json", "cell-2.json", "cell-3.json"]),
        (10, ["cell-01.json", *(f"cell-0{n}.json" for n in range(2, 10)), "cell-10.json"]),
    ],
)
def test_names_and_bytes_of_the_files(count: int, names: list[str], tmp_path: Path) -> None:
    results = derive_several(CATEGORICAL, Top(count), Destination(tmp_path / "cell.json"))
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for result, name in zip(results, names, strict=True):
        assert result.where == str(tmp_path / name)
        assert result.sha256 == sha256((tmp_path / name).read_bytes())
        assert nascli.load_artifact(tmp_path / name) == result


def test_names_without_an_ending_or_with_several() -> None:
    def outputs(output: str | None, count: int) -> list[object]:
        return [target.output for target in Destination(output).numbered(count)]

    assert outputs("some.dir/cell", 2) == [Path("some.dir/cell-1"), Path("some.dir/cell-2")]
    assert outputs("a.b.json", 2) == [Path("a.b-1.json"), Path("a.b-2.json")]
    assert outputs(None, 2) == [None, None]
    assert outputs("-", 1) == ["-"]


def test_darts_text_is_numbered_too_and_its_digest_is_the_files(tmp_path: Path) -> None:
    first, second = derive_several(CATEGORICAL, Top(2), Destination(tmp_path / "cell.txt"), format="darts")
    assert (tmp_path / "cell-2.txt").read_text().startswith("Genotype(normal=[")
    assert second.sha256 == sha256((tmp_path / "cell-2.txt").read_bytes()) != first.sha256
    assert file(nascli.load_artifact(tmp_path / "cell-2.txt")).genotype == file(second).genotype


def test_the_text_of_one_edge_after_the_other(tmp_path: Path) -> None:
    of_edges = categorical(space="nas-bench-201")
    made = derive(loaded(of_edges), Destination(tmp_path / "cell.txt"), format="nas-bench-201")
    text = (tmp_path / "cell.txt").read_text()
    ops = [pick.op for pick in of_edges.mode().picks()]
    assert text == "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|\n".format(*ops)
    assert made.sha256 == sha256(text.encode())
    assert file(nascli.load_artifact(text)).genotype == file(made).genotype == of_edges.mode()


def test_a_text_form_is_that_of_the_cells_own_space(tmp_path: Path) -> None:
    for source, other in ((CATEGORICAL, "nas-bench-201"), (loaded(mixture(space="nas-bench-201")), "darts")):
        with pytest.raises(UsageError, match=f"the text form of {other} is for its cells, not for a genotype of the"):
            derive(source, Destination(tmp_path / "cell.txt"), format=other)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_unless_all_can_be(tmp_path: Path) -> None:
    (tmp_path / "cell-3.json").write_text("mine")
    target = Destination(tmp_path / "cell.json")
    with pytest.raises(UsageError, match=r"cell-3\.json exists: .* --overwrite"):
        derive_several(CATEGORICAL, Top(3), target)
    assert [path.name for path in tmp_path.iterdir()] == ["cell-3.json"]
    derive_several(CATEGORICAL, Top(3), Destination(target.output, overwrite=True))
    assert json.loads((tmp_path / "cell-3.json").read_text())["provenance"]["config"]["rank"] == 3


@pytest.mark.parametrize(
    ("source", "choice", "message"),
    [
        (TRIALS, Mode(max_params=9), "a random search has no operations to choose from: leave --max-params 9 out"),
        (TRIALS, Top(2, CellLimits(max_skips=1)), "no operations to choose from: leave --max-skips 1 out"),
        (
            TRIALS,
            Sample(2),
            "a random search has nothing to draw from (--sample); it offers its mode, its best (--top)",
        ),
        (TRIALS, Top(4), "4 cells were asked for, but the search has tried 3"),
    ],
)
def test_choices_that_a_distribution_does_not_offer(
    source: LoadedArtifact, choice: Choice, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        derive_several(source, choice, Destination(tmp_path / "cell.json"))
    assert not list(tmp_path.iterdir())


def test_more_networks_than_a_tiny_space_has() -> None:
    """One node, two inputs, one operation: 2 * 3 / 2 pairs in either cell, 9 networks."""

    class Tiny(Darts):
        operations = ("none", "skip_connect")

    few = CategoricalDistribution.uniform(Tiny(1))
    assert len({chosen.genotype.network() for chosen in Top(9).of(few)}) == 9
    with pytest.raises(UsageError, match="10 networks were asked for; the distribution has only 9"):
        list(Top(10).of(few))


def test_bounds() -> None:
    for count in (0, -1, MOST + 1):
        for make in (Top, Sample):
            with pytest.raises(UsageError, match="from 1 to 10,000 genotypes"):
                make(count)
    with pytest.raises(UsageError, match="the seed must be from 0"):
        Sample(1, seed=-1)
    with pytest.raises(UsageError, match="standard output takes one genotype"):
        derive_several(CATEGORICAL, Top(2), Destination("-"))
    with pytest.raises(ArtifactError, match="no such file"):
        derive("missing.safetensors")


def test_several_into_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder: name a file in it"):
        derive_several(CATEGORICAL, Top(2), Destination(tmp_path))


def test_the_genotype_of_each_of_several_searches(tmp_path: Path) -> None:
    """As if each were derived alone, in one call; searches of different kinds, too."""
    starts = [CATEGORICAL, MIXTURE]
    made = derive_each(starts, destination=Destination(tmp_path / "cell.json"))
    assert [Path(one.where).name for one in made] == ["cell-1.json", "cell-2.json"]
    alone = [derive(start, Destination(tmp_path / f"{number}.json")) for number, start in enumerate(starts)]
    assert [one.sha256 for one in made] == [one.sha256 for one in alone]
    limited = derive_each([MIXTURE], Mode(max_skips=0))
    assert file(limited[0]).genotype == file(derive_several(MIXTURE, Mode(max_skips=0))[0]).genotype


def test_of_several_searches_nothing_is_written_unless_all_can_be(tmp_path: Path) -> None:
    posterior_has_no_mode = read_artifact(bytes_of(posterior()), "posterior.safetensors")
    with pytest.raises(UsageError, match="no mode"):
        derive_each([MIXTURE, posterior_has_no_mode], destination=Destination(tmp_path / "cell.json"))
    (tmp_path / "cell-2.json").write_text("mine")
    with pytest.raises(UsageError, match=r"cell-2\.json exists"):
        derive_each([MIXTURE, CATEGORICAL], destination=Destination(tmp_path / "cell.json"))
    assert [path.name for path in tmp_path.iterdir()] == ["cell-2.json"]
