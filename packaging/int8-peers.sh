#!/usr/bin/env bash
# int8 beside others: the same runs, the same images to calibrate on, the same test images, in Salamander, in
# onnxruntime.quantization and in ai-edge-quantizer. By hand: it takes some 200 MB in target/int8-peers, and minutes.
#
#   packaging/int8-peers.sh PROGRAM PROJECT RUN…      PROGRAM is a salamander, best a release build; RUN as `--run` takes it
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
venv=$here/target/int8-peers
pins="onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 pillow==13.0.0 sympy==1.14.0 ai-edge-quantizer==0.10.0 ai-edge-litert==2.3.0"
if [ "$(cat "$venv/installed.txt" 2>/dev/null)" != "$pins" ]; then
    "$python" -m venv --clear "$venv"
    # shellcheck disable=SC2086
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $pins
    echo "$pins" >"$venv/installed.txt"
fi
exec "$venv/bin/python" "$here/packaging/int8_peers.py" "$@"
