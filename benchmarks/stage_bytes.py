"""The sha256 of what every stage writes and prints, for short seeded runs of every method on the built-in digits.

A change that is not meant to change results must not change this list:

    python benchmarks/stage_bytes.py before > before.txt   # on the old checkout
    python benchmarks/stage_bytes.py after > after.txt     # on the new one
    diff before.txt after.txt

The digests depend on the processor and on the version of torch, so both lists must come from one machine.
"""

import argparse
import contextlib
import hashlib
import io
import os
import re
import shlex
from pathlib import Path

os.environ.setdefault("COLUMNS", "100")
os.environ.setdefault("NO_COLOR", "1")

TINY = "--layers 3 --channels 4 --nodes 2 --epochs 2 --limit-train 120 --batch-size 16"
NARROW = "--epochs 2 --limit-train 120 --batch-size 16 --width 4 --depth 1"
SEARCHES = {
    "pc": f"--method pc-darts {TINY}",
    "pc-random": f"--method pc-darts {TINY} --channel-sampling random --recompute --cutout 2",
    "darts": f"--method darts {TINY}",
    "darts-2": f"--method darts --order 2 {TINY}",
    "parsec": f"--method parsec {TINY} --samples 4 --arch-warmup-epochs 1",
    "parsec-centred": f"--method parsec {TINY} --samples 4 --centred-weights --adaptive-samples --network derived",
    "spos": f"--method spos {TINY}",
    "pgnas": f"--method pgnas {NARROW}",
    "pgnas-enas": f"--method pgnas --space enas {NARROW} --drop-path 0.2 --schedule restarts --restart-epochs 1",
    "random": f"--method random {TINY} --trials 2",
    "nb-pc": "--method pc-darts --space nas-bench-201 --layers 3 --channels 4 --epochs 1 --limit-train 120",
    "nb-parsec": "--method parsec --space nas-bench-201 --layers 3 --channels 4 --epochs 1 --limit-train 120",
    "nb-random": "--method random --space nas-bench-201 --layers 3 --channels 4 --epochs 2 --limit-train 120 "
    "--trials 2",
}
TRAIN = "--epochs 2 --limit-train 120 --batch-size 16"
SMALL = "--layers 3 --channels 4"
COMMANDS = [
    *(f"search {options} -o {name}.safetensors" for name, options in SEARCHES.items()),
    f"finetune pc.safetensors {TINY} --channels 8 -o pc-tuned.safetensors",
    f"finetune parsec.safetensors {TINY} -o parsec-tuned.safetensors",
    f"finetune parsec.safetensors --method random {TINY} --trials 2 -o parsec-random.safetensors",
    f"finetune pgnas.safetensors {NARROW} -o pgnas-tuned.safetensors",
    f"finetune random.safetensors {TINY} --trials 1 -o random-tuned.safetensors",
    "derive pc.safetensors -o pc.json",
    "derive pc.safetensors pc-random.safetensors --max-skips 1 -o pc-mean.json",
    "derive parsec.safetensors -o parsec.json",
    "derive parsec.safetensors --top 3 -o parsec-top.json",
    "derive parsec.safetensors --sample 3 --seed 5 -o parsec-sample.json",
    "derive spos.safetensors --candidates 6 --shortlist 3 -o spos.json",
    "derive pgnas.safetensors --candidates 6 --recalibrate -o pgnas-recalibrated.json",
    "derive parsec.safetensors --candidates 6 --seed 3 -o parsec-ranked.json",
    "derive pc.safetensors --candidates 4 -o pc-ranked.json",
    "derive pgnas.safetensors --candidates 6 --shortlist 3 --model pgnas-found.safetensors -o pgnas.json",
    "derive pgnas-enas.safetensors --candidates 4 --top 2 -o pgnas-enas.json",
    "derive pgnas.safetensors --sample 2 -o pgnas-sample.json",
    "derive random.safetensors -o random.json",
    "derive nb-pc.safetensors -o nb-pc.json",
    f"train pc.json {TRAIN} {SMALL} --auxiliary 0.4 --drop-path 0.2 -o pc-model.safetensors",
    f"train pc.json random.json --method random {TRAIN} {SMALL} --seeds 0,1 -o several.safetensors",
    f"train pgnas.json {TRAIN} -o pgnas-model.safetensors",
    f"train pgnas.json --from pgnas.safetensors {TRAIN} -o pgnas-inherited.safetensors",
    f"train parsec.json {TRAIN} {SMALL} -o parsec-model.safetensors",
    f"train nb-pc.json {TRAIN} {SMALL} -o nb-model.safetensors",
    "eval pc-model.safetensors --json",
    "eval several-1-seed0.safetensors several-1-seed1.safetensors",
    "eval pgnas-found.safetensors --json",
]
OTHERS = ["pc.json", "pgnas.json", "pgnas-model.safetensors"]
GENOTYPES = ["pc.json", "pgnas.json", "nb-pc.json"]
SHOWN = ["pc", "darts-2", "parsec", "spos", "pgnas", "random", "nb-pc"]
READINGS = [
    *(f"info {name}.safetensors{json}" for name in SHOWN for json in ("", " --json")),
    *(
        f"info {name}{json}"
        for name in ("pc.json", "pgnas.json", "pgnas-model.safetensors")
        for json in ("", " --json")
    ),
    *(f"visualize {name}.safetensors" for name in SHOWN),
    *(f"visualize {name}.safetensors --overwrite -o {name}.svg" for name in SHOWN),
    *(
        f"visualize {name} --overwrite -o {Path(name).stem}-cell.svg"
        for name in ("pc.json", "pgnas.json", "nb-pc.json")
    ),
    "visualize pc.json",
    "visualize pgnas.json",
    *(f"visualize {name}.run" for name in SHOWN),
    *(f"visualize {name}.run --overwrite -o {name}-run.svg" for name in SHOWN),
    *(f"list {what}" for what in ("methods", "spaces", "datasets", "recipes", "genotypes")),
    *(f"{stage} --help" for stage in ("search", "finetune", "derive", "train", "eval", "visualize", "info")),
    *(f"search {options} --dry-run" for options in (SEARCHES["pc"], SEARCHES["parsec"], SEARCHES["pgnas"])),
    "search --method parsec --samples 1",
    "search --method pgnas --samples 4",
    "search --method pc-darts --channel-sampling none",
    "search --method parsec --train-fraction 0.7 --search-fraction 0.7",
    "search --method random --layer 4",
    "finetune pgnas.safetensors --method parsec",
    "finetune pc.safetensors --method parsec",
]
UNSTABLE = re.compile(
    r".*(memory|MiB|images/s|seconds| s each| in a pass).*\n"  # a line of a text
    r'|,?"(seconds|images_per_second)":[^,}]*',  # a value of JSON
    re.IGNORECASE,
)
"""Times and memory, which differ from run to run."""


def stable(text: str) -> str:
    """The digest of a text without the parts that differ from run to run."""
    return hashlib.sha256(UNSTABLE.sub("", text).encode()).hexdigest()[:16]


def main() -> None:
    """Run everything in FOLDER and print a line for every file and every output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the results go; must not exist")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True)
    from nascli.cli.main import run

    os.chdir(folder)
    printed: list[tuple[str, str]] = []
    for line in [*COMMANDS, *READINGS]:
        text = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            code = run(shlex.split(line))
        text.seek(0)
        shown = text.read()
        with Path("printed.txt").open("a", encoding="utf-8") as file:
            file.write(f"$ nascli {line}\n{shown}\n")
        quiet = line.split()[0] in ("search", "finetune", "derive", "train") and line in COMMANDS
        printed.append((f"{code} {line}", "" if quiet else shown))
    for file in sorted(Path().rglob("*")):
        if file.suffix in (".safetensors", ".json", ".svg"):
            print(hashlib.sha256(file.read_bytes()).hexdigest()[:16], file)
        if file.suffix == ".jsonl":
            print(stable(file.read_text(encoding="utf-8")), file)
    for line, shown in printed:
        print(stable(shown), line)


if __name__ == "__main__":
    main()
