"""All stages in Python: search, derive, train and evaluate on the built-in digits.

    python examples/python_api.py

NASCLI_QUICK=1 makes everything tiny.
"""

import os

import nascli

QUICK = {"epochs": 1, "limit_train": 200, "layers": 3, "channels": 4} if os.environ.get("NASCLI_QUICK") else {}


def main() -> None:
    """Search on digits, train the cell that was found, and print its accuracy."""
    # Settings that are not given come from the recipe for the method and the data set.
    run = nascli.search(nascli.SearchConfig(dataset="digits", seed=1, **QUICK))
    cell = nascli.derive(run)
    print(cell.value.genotype)

    # A destination writes the result to a file, and checkpoints for resuming into a folder beside it.
    model = nascli.train(
        cell,
        nascli.TrainConfig(dataset="digits", **QUICK),
        nascli.Destination("model.safetensors", overwrite=True),
    )
    result = nascli.evaluate(model)
    print(f"{result.top1:.1%} of {result.images} test images, {result.parameters:,} parameters")


if __name__ == "__main__":
    main()
