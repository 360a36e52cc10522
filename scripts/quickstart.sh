#!/usr/bin/env bash
# Trains a small masked autoencoder on generated CT-like scans for at most five minutes and shows what it learnt.
# Arguments are overrides of the bundle's configuration, for instance: bash scripts/quickstart.sh --max_epochs 4
set -euo pipefail
cd "$(dirname "$0")/.."
extras=""
source scripts/environment.sh

python -m monai.bundle run training \
    --config_file "['bundle/configs/train.json','bundle/configs/quickstart.json']" \
    --bundle_root "$(pwd)/bundle" --output_dir "$(pwd)/output/quickstart" "$@"
