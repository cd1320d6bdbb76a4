"""PC-DARTS, Table 3: partial channels and edge normalisation, each with and without the other.

    python examples/ablations/pc_darts_table3.py FOLDER [--small --table T] [--dataset imagenet] [--data-dir DIR]

Five searches of each on CIFAR-10, whose cells are trained for 600 epochs. Without partial channels K is 1, all else is
as in the recipe. The paper's other half is `--dataset imagenet --seeds 1`: K of 2, and trainings of 100 epochs.
"""

from ablation import Ablation, chance, errors, paired, spread

EDGES = ("--no-edge-normalization", "--edge-normalization")


def main() -> None:
    """Print the table."""
    study = Ablation(__doc__, seeds=5)
    partial, trained = ("2", "--epochs 100") if study.dataset == "imagenet" else ("4", "")
    warm_up = "--arch-warmup-epochs 1"
    found = {
        (k, edges): study.cells("pc-darts", "--partial-channels", k, edges, small=warm_up, trained=trained)
        for k in ("1", partial)
        for edges in EDGES
    }
    neither = errors(found["1", "--no-edge-normalization"])
    rows = [
        (
            "no" if k == "1" else f"K = {k}",
            "no" if "no" in edges.split("-") else "yes",
            spread(errors(own)),
            spread([one.seconds for one in own], 0),
            chance(errors(own), neither),
        )
        for (k, edges), own in found.items()
    ]
    head = ("partial channels", "edge normalisation", "test error (%)", "search (s)", "chance, against neither")
    study.table("PC-DARTS, Table 3", head, rows)
    # Searches of one seed have the same halves of the images and first weights.
    by_edges = [[error for (_, edges), own in found.items() if edges == of for error in errors(own)] for of in EDGES]
    channels = ("1", partial)
    by_channels = [[error for (k, _), own in found.items() if k == of for error in errors(own)] for of in channels]
    gains = {"edge normalisation": by_edges, "partial channels": by_channels}
    differences = [(what, paired(present, absent)) for what, (absent, present) in gains.items()]
    study.table("What each changes, pairs of a seed", ("", "difference of the test error"), differences)


if __name__ == "__main__":
    main()
