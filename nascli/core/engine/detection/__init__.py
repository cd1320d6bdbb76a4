"""Detectors: the network of a genotype as the backbone of an SSD, trained, measured and used."""
