#!/bin/sh
# The whole way on the built-in digits: search, derive, train, evaluate, draw. A few minutes on two cores.
#
#   sh examples/pipeline.sh [FOLDER]
#
# Every command prints the path of its result, so that the next one can take it. NASCLI_QUICK=1 makes everything tiny.
set -eu

folder=${1:-demo}
mkdir -p "$folder"
cd "$folder"

small=
if [ -n "${NASCLI_QUICK:-}" ]; then
    small="--epochs 1 --limit-train 200 --layers 3 --channels 4"
fi

# shellcheck disable=SC2086  # $small is several words, or none
{
    run=$(nascli search $small --overwrite -o run.safetensors)
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
