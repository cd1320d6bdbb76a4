"""Independent seeds for independent uses of randomness, all from the one seed that the user gives."""

import hashlib


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, such as `derive_seed(seed, "permutation", 3)`.

    With a counter in the purpose no generator's state needs to be saved: the step determines the draw, so a run that
    is resumed at a step draws what it would have drawn without the interruption.
    """
    text = "\x1f".join([str(seed), *(str(part) for part in purpose)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1
