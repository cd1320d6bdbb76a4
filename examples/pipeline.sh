#!/bin/sh
# All stages: search, derive, train, evaluate, draw. On the built-in digits this takes a few minutes on two cores; give
# PICTURES, a folder with a folder of images per class, to use those instead.
#
#   sh examples/pipeline.sh [FOLDER [PICTURES]]
#
# Every command prints the path of its result, so that the next one can take it. NASCLI_QUICK=1 makes everything tiny.
set -eu

folder=${1:-demo}
pictures=${2:-}
set --
if [ -n "$pictures" ]; then
    set -- --dataset folder --data-dir "$(cd "$pictures" && pwd)"
fi
mkdir -p "$folder"
cd "$folder"

small=
if [ -n "${NASCLI_QUICK:-}" ]; then
    small="--epochs 1 --limit-train 200 --batch-size 16 --layers 3 --channels 4"
fi

# shellcheck disable=SC2086  # $small is several words, or none
{
    run=$(nascli search "$@" $small --overwrite -o run.safetensors)
    cell=$(nascli derive "$run" --overwrite -o cell.json)
    model=$(nascli train "$cell" $small --overwrite -o model.safetensors)
}

nascli visualize "$cell" --overwrite -o cell.svg
nascli visualize "$run" --overwrite -o run.svg

echo
nascli visualize "$cell"
echo
nascli eval "$model"
echo
nascli info "$model"
