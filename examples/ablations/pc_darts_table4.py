"""PC-DARTS, Table 4: how stable DARTS (orders 1 and 2) and PC-DARTS are over seeds, epochs and nodes.

    python examples/ablations/pc_darts_table4.py FOLDER [--small --table T] [--data-dir DIR]

Five searches of each method on CIFAR-10; then one of 50, 75, 100 and 125 epochs, and one in cells of three, four and
five intermediate nodes, which are "5, 6 and 7 nodes" in the paper, since it counts the two inputs. `--small` has two
searches instead of one, and of the second order two in the first part alone. For the nodes it is on digits, since the
cells of NAS-Bench-201 have one size.
"""

from ablation import Ablation, errors, spread

Method = tuple[str, ...]

FIRST: Method = ("darts", "--order", "1")
SECOND: Method = ("darts", "--order", "2")
PARTIAL: Method = ("pc-darts", "--partial-channels", "4", "--edge-normalization")
METHODS = {"DARTS-v1": FIRST, "DARTS-v2": SECOND, "PC-DARTS": PARTIAL}


def main() -> None:
    """Print the three parts."""
    study = Ablation(__doc__, seeds=5)
    few = 2 if study.small else 1

    def found(method: Method, *words: str, seeds: int = 0, by_table: bool = True) -> list[float]:
        small = "--arch-warmup-epochs 1" if method == PARTIAL else ""
        return errors(study.cells(*method, *words, seeds=seeds, by_table=by_table, small=small))

    rows = []
    for name, method in METHODS.items():
        own = found(method, seeds=few if study.small and method == SECOND else 0)
        each = [f"{error:.2f}" for error in own]
        rows.append((name, *each, *[""] * (len(study.seeds) - len(each)), spread(own)))
    study.table("Runs: test error (%)", ("method", *(f"seed {seed}" for seed in study.seeds), "mean"), rows)

    fewer = {name: method for name, method in METHODS.items() if not (study.small and method == SECOND)}
    usual, *more = ("4", "6", "8") if study.small else ("50", "75", "100", "125")
    lengths = {usual: (), **{count: ("--epochs", count) for count in more}}
    rows = [
        (name, *(spread(found(method, *words, seeds=few)) for words in lengths.values()))
        for name, method in fewer.items()
    ]
    study.table("Epochs: test error (%)", ("method", *lengths), rows)

    rows = [
        (name, *(spread(found(method, "--nodes", nodes, seeds=few, by_table=False)) for nodes in ("3", "4", "5")))
        for name, method in fewer.items()
    ]
    study.table("Nodes, the inputs counted: test error (%)", ("method", "5", "6", "7"), rows)


if __name__ == "__main__":
    main()
