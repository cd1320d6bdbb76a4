"""Whether a pass is being recorded rather than run."""

import torch


def is_traced() -> bool:
    """Whether torch.compile, torch.export or torch.jit.trace records the operators of this pass.

    Then modules use torch's operators alone: autograd functions of our own would be recorded as calls into Python, or
    with wrong gradients.
    """
    return torch.compiler.is_compiling() or is_traced_by_jit()


def is_traced_by_jit() -> bool:
    """Whether torch.jit.trace, or torch.onnx's older exporter, records the operators of this pass."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined]  # documented, but not listed
