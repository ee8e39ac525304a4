#!/usr/bin/env bash
# Installs what is missing and runs every test. Arguments go to `cargo test`:
#   ./test.sh                     everything
#   ./test.sh --lib train::       the unit tests of one layer
# Tests that need a display start their own Xvfb.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
packaging/setup.sh --tests
PATH="$PATH:$HOME/.cargo/bin"
cargo test --locked "$@"
