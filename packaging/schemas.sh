#!/usr/bin/env bash
# Makes the code of file formats (src/onnx/proto.rs) from their schemas, which stand beside it.
#
#   packaging/schemas.sh            writes what has changed
#   packaging/schemas.sh --check    writes nothing; fails if something would change
#
# The generator is the crate packaging/schemas, with a Cargo.lock of its own: the same schema gives the same bytes
# everywhere. Nothing but cargo is needed. A new schema is one more line in its table.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PATH:$HOME/.cargo/bin"
export CARGO_TARGET_DIR=$PWD/target/schemas
exec cargo run --quiet --locked --manifest-path packaging/schemas/Cargo.toml -- "$@"
