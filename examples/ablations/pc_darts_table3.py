"""PC-DARTS, Table 3: partial channels and edge normalisation, each with and without the other.

    python examples/ablations/pc_darts_table3.py FOLDER [--small --table T] [--dataset imagenet] [--data-dir DIR]

Five searches of each on CIFAR-10, whose cells are trained for 600 epochs. Without partial channels K is 1, all else is
as in the recipe. The paper's other half is `--dataset imagenet --seeds 1`: K of 2, and trainings of 100 epochs.
"""

from ablation import Ablation, chance, errors, spread


def main() -> None:
    """Print the table."""
    study = Ablation(__doc__, seeds=5)
    partial, trained = ("2", "--epochs 100") if study.dataset == "imagenet" else ("4", "")
    warm_up = "--arch-warmup-epochs 1"
    found = {
        (k, edges): study.cells("pc-darts", "--partial-channels", k, edges, small=warm_up, trained=trained)
        for k in ("1", partial)
        for edges in ("--no-edge-normalization", "--edge-normalization")
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


if __name__ == "__main__":
    main()
