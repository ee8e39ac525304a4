#!/usr/bin/env bash
# Proves frozen graphs in TensorFlow itself. By hand: it takes 1.6 GB in target/tensorflow, which may be removed afterwards.
#
#   packaging/tensorflow-proof.sh [FOLDER]    installs what is missing and runs the tests of frozen graphs with it; FOLDER has
#                                             photos in a folder for each class, of which half become a test set
set -euo pipefail
[ $# -eq 0 ] || { SALAMANDER_PHOTOS=$(realpath "$1"); export SALAMANDER_PHOTOS; }
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PATH:$HOME/.cargo/bin"

venv=target/tensorflow/venv
packages=(tensorflow-cpu==2.21.0 numpy==2.4.6)
if [ "$(cat "$venv/installed.txt" 2>/dev/null)" != "${packages[*]}" ]; then
    echo "installing ${packages[*]} into $venv"
    "${PYTHON:-python3}" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: "${packages[@]}"
    echo "${packages[*]}" >"$venv/installed.txt"
fi

cargo test --locked --test it frozen_graph:: -- --nocapture
