"""From a folder of your own pictures, with a folder per class, to a network that needs no nascli.

    pip install 'nascli[export]'
    python examples/own_pictures.py

To have such a folder, this writes some pictures as PNG files first. NASCLI_QUICK=1 makes everything tiny.
"""

import os
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import nascli

NAMES = ("zero", "one", "two", "three")
PICTURES = 60 if os.environ.get("NASCLI_QUICK") else 150
EPOCHS = 1 if os.environ.get("NASCLI_QUICK") else 15


def write_pictures(folder: Path) -> None:
    """Write `folder/<class>/<number>.png`, up to PICTURES per class, of 16x16 pixels."""
    digits = load_digits()
    for label, name in enumerate(NAMES):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, pixels in enumerate(digits.images[digits.target == label][:PICTURES]):
            picture = Image.fromarray((pixels * 255 / 16).astype("uint8"))
            picture.resize((16, 16), Image.Resampling.BICUBIC).save(folder / name / f"{number:03d}.png")


def main() -> None:
    """Search, train, evaluate, predict and export on a folder of pictures."""
    folder = Path("pictures")
    write_pictures(folder)

    # A fifth of the pictures of each class is held out for the evaluation, because the folder has no test/ inside.
    pictures = {"dataset": "folder", "data_dir": folder}
    size = {"layers": 3, "channels": 8, "epochs": EPOCHS, "batch_size": 16}
    warmup = {"arch_warmup_epochs": EPOCHS // 3}

    run = nascli.search(nascli.SearchConfig(**pictures, **size, **warmup))
    model = nascli.train(nascli.derive(run), nascli.TrainConfig(**pictures, **size))
    result = nascli.evaluate(model)
    for name, share in result.per_class.items():
        print(f"{name:6} {share:.0%}")

    for prediction in nascli.predict(model, sorted((folder / "two").iterdir())[:3]):
        print(f"{prediction.path}: {prediction.classes[0]} ({prediction.probabilities[0]:.0%})")
    nascli.export(model, "net.onnx")
    print("net.onnx")


if __name__ == "__main__":
    main()
