"""The descent of a file: complete, bounded, and free of what differs between two runs."""

from nascli.artifacts.genotypes.genotype import GenotypeFile, genotype_bytes
from nascli.artifacts.load import read_artifact
from nascli.artifacts.provenance import LONGEST_DESCENT, Ancestor, Provenance
from tests.artifacts.examples import mixture, provenance


def chain(length: int) -> Provenance:
    """A provenance of this many generations, whose seeds count down to 0 at the oldest."""
    oldest = provenance(seed=0)
    for seed in range(1, length):
        ancestor = Ancestor(sha256=f"{seed:064x}", artifact="distribution", provenance=oldest)
        oldest = provenance(seed=seed, stage="finetune", made_from=ancestor)
    return oldest


def test_descent_goes_back_to_the_first() -> None:
    assert [generation.seed for generation in chain(4).descent()] == [3, 2, 1, 0]


def test_a_cut_keeps_the_nearest_generations_and_the_last_ones_digest() -> None:
    cut = chain(5).cut(2)
    assert [generation.seed for generation in cut.descent()] == [4, 3]
    last = cut.descent()[-1].made_from
    assert last is not None
    assert (last.sha256, last.provenance) == (f"{3:064x}", None)
    assert chain(3).cut(3) == chain(3)


def test_endless_finetuning_still_gives_files_that_can_be_read() -> None:
    made_from: Ancestor | None = None
    for _ in range(3 * LONGEST_DESCENT):
        file = GenotypeFile(genotype=mixture().mode(), provenance=provenance(stage="finetune", made_from=made_from))
        loaded = read_artifact(genotype_bytes(file), "cell.json")
        assert loaded.value == file
        made_from = loaded.ancestor()
    assert len(loaded.provenance.descent()) == LONGEST_DESCENT + 1
