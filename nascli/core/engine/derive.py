"""From a distribution to a genotype. Needs no torch where the distribution needs none."""

from nascli import __version__
from nascli.artifacts.darts_text import render
from nascli.artifacts.files import check_output
from nascli.artifacts.genotype import GenotypeFile, genotype_bytes
from nascli.artifacts.load import LoadedArtifact
from nascli.artifacts.provenance import Provenance
from nascli.core.engine.inputs import Source, artifact, made
from nascli.core.engine.session import Destination


def derive(source: Source, destination: Destination = Destination(), *, format: str = "json") -> LoadedArtifact:
    """The most probable genotype of a distribution; written as JSON or as DARTS's text. Raises ArtifactError."""
    if destination.output is not None:
        check_output(destination.output, destination.overwrite)
    start = artifact(source, "distribution")
    origin = start.value.provenance
    result = GenotypeFile(
        genotype=start.value.mode(),
        provenance=Provenance(
            nascli=__version__,
            stage="derive",
            method=origin.method,
            seed=origin.seed,
            config={},
            data=origin.data,
            made_from=start.ancestor(),
        ),
    )
    content = genotype_bytes(result)
    path = destination.write(render(result.genotype).encode() if format == "darts" else content)
    return made(content, path)
