"""PC-DARTS, Figure 3: the share 1/K of the channels that passes through operations, for K of 1, 2, 4 and 8.

    python examples/ablations/pc_darts_k.py FOLDER [--small --table T] [--data-dir DIR]

One search of each on CIFAR-10; `--seeds N` for more. The paper does not say how many it has.
"""

from ablation import Ablation, chance, errors, spread


def main() -> None:
    """Print the table."""
    study = Ablation(__doc__, seeds=1)
    found = {
        k: study.cells("pc-darts", "--partial-channels", k, "--edge-normalization", small="--arch-warmup-epochs 1")
        for k in ("1", "2", "4", "8")
    }
    rows = [
        (
            f"1/{k}",
            spread([one.seconds for one in own], 0),
            spread(errors(own)),
            chance(errors(own), errors(found["1"])),
        )
        for k, own in found.items()
    ]
    study.table("PC-DARTS, Figure 3", ("channels", "search (s)", "test error (%)", "chance, against 1/1"), rows)


if __name__ == "__main__":
    main()
