"""All that passes between stages: genotypes, distributions, models, run directories, and the files that hold them."""
