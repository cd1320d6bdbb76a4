"""Whether images are still those that something was made with."""

from pathlib import Path

from nascli.artifacts.provenance import DataDescription, Provenance

SHOWN = 3
"""Classes that a message names."""


def difference(then: DataDescription, now: DataDescription) -> str:
    """How images differ from those of an earlier time, in words; empty where they are the same."""
    if (then.dataset, then.fingerprint) == (now.dataset, now.fingerprint):
        return ""
    if then.dataset != now.dataset:
        return f"the data set was {then.dataset} and is {now.dataset}"
    parts = []
    if gone := [name for name in then.classes if name not in now.classes]:
        parts.append(f"missing: {_class_names(gone)}")
    if new := [name for name in now.classes if name not in then.classes]:
        parts.append(f"new: {_class_names(new)}")
    if then.train_images != now.train_images:
        parts.append(f"{then.train_images:,} training images then, {now.train_images:,} now")
    return ", ".join(parts) or "other files, or other images in them"


def same_place(then: object, now: Path | None) -> bool:
    """Whether an earlier configuration's `data_dir` is the folder `now`, however either is spelt."""
    if not isinstance(then, str) or now is None:
        return then is None and now is None
    return Path(then).expanduser().resolve() == now.expanduser().resolve()


def changed_since(origin: Provenance, now: DataDescription, data_dir: Path | None) -> str:
    """What has changed in an earlier stage's folder of images since; empty where this is another folder."""
    then = origin.data
    if then is None or then.dataset != now.dataset or not same_place(origin.config.get("data_dir"), data_dir):
        return ""
    return difference(then, now)


def _class_names(classes: list[str]) -> str:
    more = f" and {len(classes) - SHOWN:,} more" if len(classes) > SHOWN else ""
    return f"class{'es' if len(classes) > 1 else ''} {', '.join(map(repr, classes[:SHOWN]))}{more}"
