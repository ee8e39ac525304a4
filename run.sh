#!/usr/bin/env bash
# Installs what is missing, builds Salamander and starts it. Arguments go to the program:
#   ./run.sh                      the window
#   ./run.sh doctor               what was found on this machine
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$here/packaging/setup.sh" >&2
PATH="$PATH:$HOME/.cargo/bin"
cargo build --release --locked --quiet --manifest-path "$here/Cargo.toml"
exec "${CARGO_TARGET_DIR:-$here/target}/release/salamander" "$@"
