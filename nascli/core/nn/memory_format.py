"""The memory format to train and evaluate derived networks in."""

import torch

BEST_MEMORY_FORMAT = torch.channels_last
"""On CPUs and GPUs alike: `network.to(memory_format=BEST_MEMORY_FORMAT)`, and the images likewise.

CPU, measured with `benchmarks/derived_step.py` (forward and backward of the PC-DARTS cell, float32, drop-path, one
thread of an x86 server with AVX-512, torch 2.11, medians of five paired steps): 1.9 times as fast as contiguous maps at
L 5, C 16 on 8x8 images and at L 8, C 16 on 32x32, 1.8 times at L 20, C 36 on 32x32. It needs `concatenate`: without
packed gradients, batch norm's backward pass loses much of the gain.
GPU: not measured; cuDNN's tensor-core convolutions take this format without transposing.
"""
