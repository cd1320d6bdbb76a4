"""Whole files on a disk, and what is in them: JSON, tensors, state of any nesting."""
