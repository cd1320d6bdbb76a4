"""A genotype of channels as a picture: its super-network, with every convolution filled by its kept share."""

from nascli.artifacts.genotypes.channels import ChannelsGenotype
from nascli.visualize.supernets.kept import of_genotype
from nascli.visualize.supernets.supernet import draw_supernet


def draw_channels(genotype: ChannelsGenotype, form: str, title: str | None) -> bytes:
    """The kept share of every convolution; what is dropped is dashed. `form`: svg, png or pdf."""
    return draw_supernet(of_genotype(genotype), form, title)
