#!/usr/bin/env bash
# Installs what is missing, builds Salamander and starts it. Arguments go to the program:
#   ./run.sh                      the window
#   ./run.sh doctor               what was found on this machine
# What set-up and build say goes to standard error, and with nothing to do they say nothing.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$here/packaging/setup.sh" >&2
PATH="$PATH:$HOME/.cargo/bin"

folder="${CARGO_TARGET_DIR:-$here/target}/release"
program="$folder/salamander"
# Written after each build: which compiler made the program, and when.
stamp="$folder/salamander.built-by"
compiler=$(cd "$here" && rustc --version)

# Whether cargo will probably find nothing to do. Cargo itself decides; this decides whether it may speak.
is_built() {
    [ -x "$program" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$compiler" ] &&
        [ -z "$(find "$here/src" "$here/assets/fonts" "$here/Cargo.toml" "$here/Cargo.lock" -newer "$stamp" -print -quit)" ]
}

quiet=--quiet
if ! is_built; then
    quiet=
    if [ -x "$program" ]; then
        printf 'run: building what has changed\n' >&2
    else
        printf 'run: building Salamander and some 300 libraries: about 7 minutes on two cores, once; after that it starts at once\n' >&2
    fi
fi
# shellcheck disable=SC2086  # no argument at all when it may speak
cargo build --release --locked $quiet --bin salamander --manifest-path "$here/Cargo.toml" >&2
printf '%s\n' "$compiler" >"$stamp"
exec "$program" "$@"
