"""Several processes that work on one run: torch.distributed, as torchrun starts it."""
