# Sourced by the other scripts: makes or reuses a Python environment with this package and the extras that they name in $extras
# (no argument: a sourced script without any sees its caller's). An active virtual or conda environment is used as it is;
# otherwise .venv in the clone.

python="${PYTHON:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "Python 3.10 or newer is needed, '$python' is $("$python" --version 2>&1). Name another one: PYTHON=python3.11 bash $0" >&2
    exit 1
}
if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]; then
    echo "Using the active environment ${VIRTUAL_ENV:-$CONDA_PREFIX}"
    stamp="${VIRTUAL_ENV:-$CONDA_PREFIX}/.maesil-monai-installed"
else
    if [ ! -x .venv/bin/python ]; then
        echo "Making .venv"
        "$python" -m venv .venv
    fi
    # shellcheck disable=SC1091
    source .venv/bin/activate
    stamp=".venv/.maesil-monai-installed"
fi
wanted="$extras $(pwd) $(cat setup.cfg pyproject.toml | cksum)"
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
    if ! python -c 'import torch' 2> /dev/null; then
        echo "Installing PyTorch, MONAI and the rest: up to 3 GB to download and 7 GB on disk on Linux, because the standard"
        echo "PyTorch brings CUDA. Without a GPU, stop here (Ctrl-C) and install the CPU build of torch and torchvision into"
        echo "the environment first (about 200 MB, see pytorch.org); then run this script again."
    fi
    python -m pip install --quiet --disable-pip-version-check --editable ".${extras:+[$extras]}"
    echo "$wanted" > "$stamp"
fi
