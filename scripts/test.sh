#!/usr/bin/env bash
# Runs lint, types and tests in .venv (made if need be) or in the active environment. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
extras=test
source scripts/environment.sh

ruff check .
ruff format --check .
mypy
python -m pytest -m "not long" --cov=maesil_monai --cov-report=term "$@"
