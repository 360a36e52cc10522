#!/usr/bin/env bash
# Makes the comparison on real CT: a store with fixed splits, then every system trained and judged, two at a time.
#
#     MAESIL_CT_DIR=... MAESIL_LPIPS_WEIGHTS=... bash benchmarks/comparison.sh OUTPUT
#
# It can be stopped and run again. OUTPUT/comparison/report.html holds the result.
set -euo pipefail
output="${1:?name a folder for the store and the results}"
mkdir -p "$output"
if [ ! -f "$output/store/datalist.json" ]; then
    python benchmarks/comparison_cases.py --folder "$MAESIL_CT_DIR" --table "$output/cases.csv"
    python -m maesil_monai prepare --folder "$MAESIL_CT_DIR" --cases "$output/cases.csv" --output "$output/store" --workers 2 --nopseudonyms
fi
# A model a line, with its seeds: first the systems, the longest before the others so that both cores end together, then what
# tells them apart: the other rules of training, the loss on all voxels, an autoencoder that sees the holes.
xargs -P 2 -L 1 env OMP_NUM_THREADS=1 bash -c '
    python -m maesil_monai compare --store "$0/store" --output "$0/comparison" --train \
        --overlay bundle/configs/comparison_small.json --learning_rates 0.0005,0.001,0.003 --search_share 0.3 \
        --models "$1" --seeds "$2"' "$output" <<'MODELS'
hi_end_mae 0,1,2
medmae 0
maesil 0,1,2
mae 0,1,2
ae 0,1,2
vae 0
vqvae 0
hi_end_mae@total 0,1,2
medmae@total 0
ae_masked 0
maesil+loss_on_all=true 0
maesil@plane 0
maesil@axis 0
maesil@union 0
MODELS
