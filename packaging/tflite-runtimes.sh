#!/usr/bin/env bash
# Proves TensorFlow Lite files in the runtimes that phones have: the old one (2.14), MediaPipe's and the Task Library's
# image classifiers. By hand: they take some 300 MB in target/tflite-runtimes, and Python 3.9 to 3.11.
#
#   packaging/tflite-runtimes.sh                    installs what is missing and runs the tests of TensorFlow Lite with it
#   packaging/tflite-runtimes.sh EXPORT             runs all models of an exported folder on its golden inputs
#   packaging/tflite-runtimes.sh EXPORT IMAGES      and on all images of a folder, beside the app, on the same pixels
set -euo pipefail
[ $# -lt 1 ] || export SALAMANDER_TEST_EXPORT=$(realpath "$1")
[ $# -lt 2 ] || export SALAMANDER_TEST_IMAGES=$(realpath "$2")
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

if [ $# = 0 ]; then
    cargo test --locked --test it tflite -- --nocapture
    cargo test --locked --test it int8_is_found_and_certified -- --nocapture
    exit
fi
status=0
for runtime in litert tflite mediapipe task; do
    venv=target/tflite-runtimes/$runtime
    # LiteRT is part of what tests need: packaging/setup.sh --tests.
    [ $runtime != litert ] || venv=target/python
    "$venv/bin/python" packaging/tflite_golden.py $runtime "$SALAMANDER_TEST_EXPORT" 2>"target/tflite-runtimes/$runtime.log" || {
        tail -n 5 "target/tflite-runtimes/$runtime.log"
        status=1
    }
done
[ $# = 1 ] || cargo test --locked --test it an_export_agrees_on_a_folder_of_images -- --ignored --nocapture || status=1
exit $status
