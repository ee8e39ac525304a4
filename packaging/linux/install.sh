#!/usr/bin/env bash
# Copies Salamander from the unpacked archive to a prefix, by default the user's own.
#
#   ./install.sh [PREFIX]         default: ~/.local;  sudo ./install.sh /usr/local  for everybody
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
prefix="${1:-$HOME/.local}"
mkdir -p "$prefix"
prefix="$(cd "$prefix" && pwd)"
for folder in bin lib share; do
    mkdir -p "$prefix/$folder"
    cp -R "$here/$folder/." "$prefix/$folder/"
done
# Where the desktop looks for programs is not always where PATH does.
entry="$prefix/share/applications/salamander.desktop"
sed -i "s|^Exec=.*|Exec=\"$prefix/bin/salamander\" %F|" "$entry"
echo "installed in $prefix; start it with: $prefix/bin/salamander"

missing=$(ldd "$prefix/bin/salamander" | sed -n 's/^[[:space:]]*\([^ ]*\) => not found$/\1/p' | tr '\n' ' ')
if [ -n "$missing" ]; then
    echo "these libraries are missing and have to be installed first (they are FFmpeg's, of the version it was built with): $missing" >&2
    exit 1
fi
