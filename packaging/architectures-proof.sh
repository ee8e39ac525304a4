#!/usr/bin/env bash
# Proves the adding of architectures on networks of torchvision and timm, with random weights. By hand: PyTorch takes 5 GB in
# target/architectures-proof, which may be removed afterwards.
#
#   packaging/architectures-proof.sh PROGRAM IMAGES [NETWORK…]   PROGRAM is a salamander; IMAGES has a folder for each class
#
# Prints for each network what it costs, how far its bottlenecks are from those of the whole network in PyTorch, at which depths
# it is trained, how far derivatives are from those of PyTorch, and in which formats it is exported, or why not.
set -euo pipefail
program=$(realpath "$1") images=$(realpath "$2")
shift 2
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=${WORK:-$PWD/target/architectures-proof}
venv=${VENV:-$work/venv}
packages=(torch==2.5.1 torchvision==0.20.1 timm==1.0.31 onnx==1.17.0 numpy==1.26.4 pillow==13.0.0 safetensors==0.8.0)
if [ -z "${VENV:-}" ] && [ "$(cat "$venv/installed.txt" 2>/dev/null)" != "${packages[*]}" ]; then
    "${PYTHON:-python3}" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
    echo "${packages[*]}" >"$venv/installed.txt"
fi
exec "$venv/bin/python" packaging/architectures_proof.py "$program" "$images" "$work" "$@"
