#!/usr/bin/env bash
# Packs the program into target/salamander_<version>_<architecture>.deb.
#
#   packaging/linux/deb.sh [PROGRAM]         without PROGRAM it is built first
#
# The package holds what stage.sh lays out below /usr, ONNX Runtime and its licence with it. FFmpeg's libraries come
# from the system, so it installs on the Debian or Ubuntu release that it was built on.
set -euo pipefail
program=${1:+$(realpath "$1")}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
for tool in dpkg-deb dpkg-shlibdeps; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install dpkg-dev" >&2; exit 1; }
done

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
architecture=$(dpkg --print-architecture)
# Same content, same package.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
export SOURCE_DATE_EPOCH
stage="target/deb/salamander_${version}_$architecture"
rm -rf "$stage"
packaging/linux/stage.sh "$stage/usr" ${program:+"$program"}
strip --strip-unneeded --remove-section=.comment --remove-section=.note \
    "$stage/usr/bin/salamander" "$stage/usr/lib/salamander/libonnxruntime.so"

# --- Documents, as Debian wants them --------------------------------------------------------------

doc="$stage/usr/share/doc/salamander"
# Debian has the Apache licence in /usr/share/common-licenses; the copyright file holds the others' texts.
rm "$doc/LICENSE-MIT" "$doc/LICENSE-APACHE" "$doc/Inter-OFL.txt" "$stage"/usr/share/salamander/models/LICENSE*
# The lines of a licence as a paragraph of a copyright file: indented, an empty line as a dot.
paragraph() { sed -e 's/[[:space:]]*$//' -e 's/^$/./' -e 's/^/ /' "$1"; }
{
    cat packaging/linux/copyright
    printf '\nLicense: Expat\n'
    paragraph LICENSE-MIT
    printf '\nLicense: OFL-1.1\n'
    paragraph assets/fonts/OFL.txt
    printf '\nLicense: BSD-3-Clause\n'
    paragraph models/LICENSE-mobilenet-v2
} >"$doc/copyright"
{
    printf 'salamander (%s) stable; urgency=medium\n\n  * The changes are in CHANGELOG.md.gz.\n\n' "$version"
    printf ' -- The Salamander authors <salamander@users.noreply.github.com>  %s\n' "$(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")"
} | gzip -n -9 >"$doc/changelog.gz"
gzip -n -9 <CHANGELOG.md >"$doc/CHANGELOG.md.gz"
gzip -n -9 "$doc/rust-crates-licences.txt" "$doc/onnxruntime-ThirdPartyNotices.txt"
# ONNX Runtime comes as its makers built it, with the libraries that they put into it.
mkdir -p "$stage/usr/share/lintian/overrides"
printf 'salamander: embedded-library *libonnxruntime.so*\n' >"$stage/usr/share/lintian/overrides/salamander"
chmod 644 "$stage/usr/share/lintian/overrides/salamander"

# --- What it needs --------------------------------------------------------------------------------

# Libraries that it is linked to, in the versions whose symbols it uses.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/debian"
printf 'Source: salamander\n\nPackage: salamander\nArchitecture: any\n' >"$work/debian/control"
here=$PWD
linked=$(cd "$work" && dpkg-shlibdeps -O -e"$here/$stage/usr/bin/salamander" -e"$here/$stage/usr/lib/salamander/libonnxruntime.so")
linked=${linked#shlibs:Depends=}
# Libraries that it opens when it starts a window, on X11 or on Wayland.
opened="libegl1, libgl1, libx11-6, libx11-xcb1, libxcursor1, libxi6, libxkbcommon0, libxkbcommon-x11-0, libxrandr2, libwayland-client0, libwayland-cursor0, libwayland-egl1"
# Without these it works: the system's file dialogs, fonts for other scripts.
recommended="libdbus-1-3, libfontconfig1, xdg-desktop-portal | zenity, xdg-utils"

# --- The package ----------------------------------------------------------------------------------

mkdir "$stage/DEBIAN"
cat >"$stage/DEBIAN/control" <<CONTROL
Package: salamander
Version: $version
Architecture: $architecture
Maintainer: The Salamander authors <salamander@users.noreply.github.com>
Installed-Size: $(du -k --apparent-size -s "$stage/usr" | cut -f1)
Depends: $linked, $opened
Recommends: $recommended
Section: science
Priority: optional
Description: studio that turns videos into image classifiers
 Drop videos in, get an image classifier out. Salamander takes frames from
 videos, sorts them into classes, trains a pretrained network on them and
 exports a model that runs elsewhere.
 .
 It needs neither Python nor a graphics card, and nothing leaves the machine.
 What the window does can also be done from the command line.
CONTROL
(cd "$stage" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$stage/DEBIAN/md5sums"
find "$stage" -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

package="target/$(basename "$stage").deb"
dpkg-deb --root-owner-group --build "$stage" "$package" >&2
echo "$package, $(du -m "$package" | cut -f1) MB"
