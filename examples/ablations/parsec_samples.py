"""PARSEC, Figure 3: the entropy of the distribution and the accuracy of its mode over the epochs, for K of 8 and 16.

    python examples/ablations/parsec_samples.py FOLDER [--small --table T] [--data-dir DIR]

Two searches of each on CIFAR-10, each cell trained for 600 epochs. `nascli visualize FOLDER/….run` draws one search.
"""

from collections.abc import Sequence

from ablation import Ablation, chance, errors, spread

SMALL = "--limit-train 4000 --arch-warmup-epochs 0 --arch-lr 0.05"


def main() -> None:
    """Print the curves at nine epochs, and what was found."""
    study = Ablation(__doc__, seeds=2)
    samples = ("8", "16")
    found = {k: study.cells("parsec", "--samples", k, small=SMALL) for k in samples}
    courses = {
        k: [study.rows(study.named("parsec", "--samples", k, f"seed{seed}")) for seed in study.seeds] for k in samples
    }
    if not study.dry_run:
        last = len(courses["8"][0]) - 1
        shown = sorted({round(last * part / 8) for part in range(9)})
        for title, key, scale in (("Entropy (nats)", "entropy", 1), ("Accuracy of the mode (%)", "mode_accuracy", 100)):
            rows = [(f"K = {k}", *(at(courses[k], epoch, key, scale) for epoch in shown)) for k in samples]
            epochs = (str(courses["8"][0][epoch]["epoch"]) for epoch in shown)
            study.table(f"{title}, after epoch", ("", *epochs), rows)
    rows = [
        (k, spread(errors(own)), spread([one.seconds for one in own], 0), chance(errors(own), errors(found["16"])))
        for k, own in found.items()
    ]
    study.table("The cells", ("K", "test error (%)", "search (s)", "chance, against 16"), rows)


def at(courses: Sequence[list[dict[str, float]]], epoch: int, key: str, scale: float) -> str:
    """The mean of a metric over searches after an epoch, and its deviation."""
    return spread([scale * rows[epoch][key] for rows in courses], 1)


if __name__ == "__main__":
    main()
