#!/usr/bin/env bash
# Proves TensorFlow Lite files in the runtimes that phones have: the old one (2.14), MediaPipe's and the Task Library's
# image classifiers. By hand: they take some 300 MB in target/tflite-runtimes, and Python 3.9 to 3.11.
#
#   packaging/tflite-runtimes.sh        installs what is missing and runs the tests of TensorFlow Lite with it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PATH:$HOME/.cargo/bin"
python=${PYTHON:-python3}

install() {
    local venv=target/tflite-runtimes/$1
    shift
    [ "$(cat "$venv/installed.txt" 2>/dev/null)" = "$*" ] && return
    echo "installing $* into $venv"
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: "$@"
    echo "$*" >"$venv/installed.txt"
}
install tflite tflite-runtime==2.14.0 numpy==1.26.4
install mediapipe mediapipe==1.2.3
install task tflite-support==0.4.4 numpy==1.26.4

cargo test --locked --test it tflite:: -- --nocapture
