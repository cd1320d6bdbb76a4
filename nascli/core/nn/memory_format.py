"""The memory format to train and evaluate derived networks in."""

import torch

BEST_MEMORY_FORMAT = torch.channels_last
"""On CPUs and GPUs alike: `network.to(memory_format=BEST_MEMORY_FORMAT)`, and the images likewise.

CPU, measured with `benchmarks/derived_step.py` (forward and backward of the PC-DARTS cell, float32, drop-path, one
thread): a plain network is 1.3 to 1.9 times as fast as with contiguous maps at L 5, C 16 on 8x8 images, 1.6 to 1.7
times at L 8, C 16 and 1.4 to 1.5 times at L 20, C 36 on 32x32. It needs packed gradients (`sum_of_paths`): without
them, batch norm's backward pass loses much of the gain.
GPU: not measured; cuDNN's tensor-core convolutions take this format without transposing.
"""
