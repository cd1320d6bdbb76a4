"""The file of a part of a ranking keeps every score to the last bit, and says what it is a part of."""

import re

import numpy as np
import pytest

from nascli.artifacts.files import tensors
from nascli.artifacts.genotypes.genotype import GenotypeFile
from nascli.artifacts.load import read_artifact
from nascli.artifacts.ranking_part import RankingPartFile, Shard, ranking_part_bytes
from nascli.artifacts.runs.scores import Scored
from nascli.errors import ArtifactError, UsageError
from tests.artifacts.examples import provenance

SCORES = (
    Scored("posterior", 3, 1 / 3, 0.1 + 0.2, 1_000, 2_000),
    Scored("uniform", 1, 1.0, 5e-324, 2**40, 2**53 + 1),
)


def part(scores: tuple[Scored, ...] = SCORES) -> RankingPartFile:
    return RankingPartFile(Shard(number=2, count=3), scores, 24, 5, 30, provenance(stage="derive"))


@pytest.mark.parametrize("scores", [SCORES, ()])
def test_round_trip(scores):
    file = part(scores)
    data = ranking_part_bytes(file)
    assert read_artifact(data, "part").holding(RankingPartFile).value == file
    assert ranking_part_bytes(read_artifact(data, "part").holding(RankingPartFile).value) == data


def test_every_bit_is_checked():
    data = bytearray(ranking_part_bytes(part()))
    data[-1] ^= 1
    with pytest.raises(ArtifactError, match="part: is damaged"):
        read_artifact(bytes(data), "part")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda values, it: it["shard"].update(number=4), "there is no part 4 of 3"),
        (lambda values, it: it["shard"].update(number=0), "shard.number"),
        (lambda values, it: it.pop("together"), "together: is missing"),
        (lambda values, it: it.update(version=2), "newer nascli"),
        (lambda values, it: it.update(populations=["posterior"]), "a row is not that of a candidate"),
        (lambda values, it: values.pop("loss"), "its columns are not those"),
        (lambda values, it: values.update(loss=values["loss"][:1]), "its columns are not those"),
        (lambda values, it: values.update(loss=values["loss"].astype(np.float32)), "its columns are not those"),
        (lambda values, it: values.update(loss=values["loss"] * np.nan), "a row is not that of a candidate"),
        (lambda values, it: values.update(accuracy=values["accuracy"] + 1), "a row is not that of a candidate"),
    ],
)
def test_what_is_wrong_is_refused_in_a_line(change, told):
    values, document = tensors.decode(ranking_part_bytes(part()), "x")
    values = dict(values)
    change(values, document)
    with pytest.raises(ArtifactError, match=f"x: .*{told}") as error:
        read_artifact(tensors.encode(values, document), "x")
    assert "\n" not in str(error.value)


def test_a_part_where_a_genotype_is_wanted_says_what_to_do():
    told = "p holds a ranking part, not a genotype: put all parts together with 'nascli derive RUN --join"
    with pytest.raises(ArtifactError, match=re.escape(told)):
        read_artifact(ranking_part_bytes(part()), "p").holding(GenotypeFile)


def test_a_shard_as_text():
    assert [str(Shard.parse(text)) for text in ("1/1", "7/8", "08/08")] == ["1/1", "7/8", "8/8"]
    for text in ("", "1", "0/3", "4/3", "-1/3", "1/3 ", "1/0", "1/100001", "1/1e3", "٣/٤", "1/9999999999"):
        with pytest.raises(UsageError, match="is no part of a whole: give i/n"):
            Shard.parse(text)
