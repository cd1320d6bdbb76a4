"""A smaller network from a large one, in Python: search with PGNAS on the built-in digits, rank and evaluate.

    python examples/smaller_network.py

NASCLI_QUICK=1 makes everything tiny.
"""

import os

import nascli

QUICK = {"epochs": 1, "limit_train": 200, "width": 4} if os.environ.get("NASCLI_QUICK") else {}


def main() -> None:
    """Search, rank candidates on the images that the search held out, and look at the best one."""
    run = nascli.search(nascli.SearchConfig(method="pgnas", dataset="digits", **QUICK))
    # Without a configuration, the recipe for the method and the images gives the number of candidates.
    found = nascli.rank(run, destination=nascli.Destination("cell.json", overwrite=True), model="slim.safetensors")
    for population in ("posterior", "uniform"):
        accuracies = [score.accuracy for score in found.rounds[-1].of(population)]
        print(f"{population}: mean {sum(accuracies) / len(accuracies):.1%}, best {max(accuracies):.1%}")

    result = nascli.evaluate("slim.safetensors")
    print(f"{result.top1:.1%} of {result.images} test images, {result.parameters:,} parameters")
    network = nascli.load_network("slim.safetensors")  # a plain torch module
    print(sum(parameter.numel() for parameter in network.parameters()), "parameters, not trained any further")


if __name__ == "__main__":
    main()
