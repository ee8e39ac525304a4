#!/usr/bin/env bash
# Installs what Salamander needs to be built, and with --tests also what its tests need.
#
#   packaging/setup.sh [--tests]
#
# Safe to run as often as you like; with nothing missing it takes well under a second.
# Says what it installs before it does. Knows apt (Debian 12, Ubuntu 24.04 and later), dnf (Fedora),
# pacman (Arch) and Homebrew (macOS); checked on Debian only. Rust itself it only asks for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tests=no
case "${1:-}" in
    "") ;;
    --tests) tests=yes ;;
    *) echo "usage: packaging/setup.sh [--tests]" >&2; exit 2 ;;
esac

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        die "this needs administrator rights and there is no sudo; run as root: $*"
    fi
}

ffmpeg_is_there() {
    have pkg-config && pkg-config --exists libavcodec libavformat libavfilter libavutil libswscale libswresample
}

# --- The system's packages --------------------------------------------------------------------

packages_apt() {
    local wanted=(
        build-essential pkg-config libclang-dev curl ca-certificates unzip
        libavcodec-dev libavformat-dev libavfilter-dev libavutil-dev libswscale-dev libswresample-dev
        libx11-6 libx11-xcb1 libxcursor1 libxi6 libxrandr2 libxkbcommon0 libxkbcommon-x11-0
        libwayland-client0 libwayland-cursor0 libwayland-egl1 libegl1 libgl1 libgl1-mesa-dri
    )
    if [ "$tests" = yes ]; then
        wanted+=(ffmpeg xvfb xauth xdotool openbox mesa-vulkan-drivers imagemagick fonts-dejavu-core chromium nodejs python3 python3-venv python3-pip)
    fi
    local missing=() name
    # One query for all; it fails if one is unknown, and still tells of the others.
    local installed
    installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null || true)
    installed=" $(sed -n 's/^installed //p' <<<"$installed" | tr '\n' ' ') "
    for name in "${wanted[@]}"; do
        [[ "$installed" == *" $name "* ]] || missing+=("$name")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        say "installing with apt (on a minimal system a minute or two and some 100 MB): ${missing[*]}"
        as_root apt-get update -q
        install_apt "${missing[@]}"
    fi
    if [ "$tests" = yes ] && ! have kotlinc; then kotlin_apt; fi
}

install_apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

# Compiles the programs for Android; not every release of Debian and Ubuntu has it.
kotlin_apt() {
    as_root apt-get update -q
    [ -n "$(apt-cache madison kotlin)" ] || { say "there is no package kotlin here; its test is left out"; return; }
    local wanted=(kotlin)
    have java || wanted+=(default-jre-headless)
    say "installing with apt (about a minute, 200 MB): ${wanted[*]}"
    install_apt "${wanted[@]}"
}

packages_dnf() {
    local wanted=(
        gcc gcc-c++ pkgconf-pkg-config clang-devel curl ca-certificates unzip
        libX11 libX11-xcb libXcursor libXi libXrandr libxkbcommon libxkbcommon-x11
        libwayland-client libwayland-cursor libwayland-egl libglvnd-egl libglvnd-glx mesa-dri-drivers
    )
    # RPM Fusion's ffmpeg-devel does as well as Fedora's own and conflicts with it.
    ffmpeg_is_there || wanted+=(ffmpeg-free-devel)
    if [ "$tests" = yes ]; then
        have ffmpeg || wanted+=(ffmpeg-free)
        wanted+=(xorg-x11-server-Xvfb xorg-x11-xauth xdotool openbox mesa-vulkan-drivers ImageMagick dejavu-sans-fonts chromium nodejs python3 python3-pip)
    fi
    local missing=() name
    for name in "${wanted[@]}"; do
        rpm -q --whatprovides "$name" >/dev/null 2>&1 || missing+=("$name")
    done
    [ "${#missing[@]}" -eq 0 ] && return
    say "installing with dnf: ${missing[*]}"
    as_root dnf install -y "${missing[@]}"
}

packages_pacman() {
    local wanted=(
        base-devel pkgconf clang curl ca-certificates unzip ffmpeg
        libx11 libxcursor libxi libxrandr libxkbcommon libxkbcommon-x11 wayland libglvnd mesa
    )
    if [ "$tests" = yes ]; then
        wanted+=(xorg-server-xvfb xorg-xauth xdotool openbox vulkan-swrast imagemagick ttf-dejavu chromium nodejs python python-pip)
    fi
    local missing
    missing=$(pacman -T "${wanted[@]}" || true)
    [ -z "$missing" ] && return
    say "installing with pacman: ${missing//$'\n'/ }"
    if ! compgen -G '/var/lib/pacman/sync/*.db' >/dev/null; then
        as_root pacman -Syu --noconfirm
    fi
    # shellcheck disable=SC2086  # one argument a package
    as_root pacman -S --needed --noconfirm $missing ||
        die "pacman could not install them; bring the system up to date (pacman -Syu) and try again"
}

packages_brew() {
    xcode-select -p >/dev/null 2>&1 ||
        die "the compiler is missing: run 'xcode-select --install', then this again"
    have brew || die "Homebrew is missing; see https://brew.sh, then run this again"
    local prefix wanted=(ffmpeg pkgconf) missing=() name
    # `brew list` takes a second; the folders it would look at do not.
    prefix="${HOMEBREW_PREFIX:-}"
    [ -n "$prefix" ] || { [ -d /opt/homebrew ] && prefix=/opt/homebrew; } || prefix=/usr/local
    [ "$tests" = yes ] && wanted+=(imagemagick)
    for name in "${wanted[@]}"; do
        [ -d "$prefix/opt/$name" ] || missing+=("$name")
    done
    [ "${#missing[@]}" -eq 0 ] && return
    say "installing with Homebrew: ${missing[*]}"
    brew install "${missing[@]}"
}

install_packages() {
    if [ "$(uname -s)" = Darwin ]; then
        packages_brew
    elif have apt-get; then
        packages_apt
    elif have dnf; then
        packages_dnf
    elif have pacman; then
        packages_pacman
    else
        say "no package manager that this script knows (apt, dnf, pacman, brew)."
        say "wanted: a C compiler, pkg-config, libclang, unzip, curl, FFmpeg's development files"
        say "(libavcodec, libavformat, libavfilter, libavutil, libswscale), libX11, libxkbcommon, EGL."
        ffmpeg_is_there || die "FFmpeg's development files were not found by pkg-config"
    fi
}

# --- ONNX Runtime -----------------------------------------------------------------------------

sha256_of() {
    if have sha256sum; then sha256sum "$1" | cut -d' ' -f1; else shasum -a 256 "$1" | cut -d' ' -f1; fi
}

# Fetches the wheel of the address $1 into the folder $2, by curl or, where only an index of
# one's own can be reached, by pip.
fetch_wheel() {
    local address=$1 folder=$2 file tag
    file=$(basename "$address")
    # A bar for a person, nothing for a log.
    local progress=--silent
    if [ -t 2 ]; then progress=--progress-bar; fi
    curl --fail "$progress" --show-error --location --retry 3 --max-time 600 --output "$folder/$file" "$address" && return
    say "trying pip instead of curl"
    tag=${file%.whl}
    tag=${tag##*-}
    python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.11 --implementation cp \
        --platform "$tag" --dest "$folder" onnxruntime==1.32.0
}

install_onnxruntime() {
    local system place=target/onnxruntime
    case "$(uname -s)-$(uname -m)" in
        Linux-x86_64) system=linux-x86_64 ;;
        Linux-aarch64 | Linux-arm64) system=linux-aarch64 ;;
        Darwin-arm64) system=macos-arm64 ;;
        *)
            say "there is no ONNX Runtime 1.32.0 wheel for $(uname -s) on $(uname -m); set ORT_DYLIB_PATH to a library of your own"
            return
            ;;
    esac
    local hash member name address
    read -r _ hash member name address < <(grep "^$system " packaging/onnxruntime.pins)
    # The stamp names the wheel that was unpacked, so that a new pin replaces the library.
    [ -f "$place/lib/$name" ] && [ "$(cat "$place/wheel.sha256" 2>/dev/null)" = "$hash" ] && return

    say "fetching ONNX Runtime 1.32.0 (27 MB) from PyPI into $place"
    mkdir -p "$place/lib"
    local temporary
    temporary=$(mktemp -d "$place/fetch.XXXXXX")
    # shellcheck disable=SC2064  # the folder as it is now
    trap "rm -rf '$temporary'" EXIT
    fetch_wheel "$address" "$temporary" || die "ONNX Runtime could not be fetched from $address"
    local wheel found
    wheel="$temporary/$(basename "$address")"
    found=$(sha256_of "$wheel")
    [ "$found" = "$hash" ] || die "$(basename "$wheel") has the sha256 $found instead of $hash; nothing was installed"
    unzip -q -o "$wheel" "$member" onnxruntime/LICENSE onnxruntime/ThirdPartyNotices.txt -d "$temporary"
    mv -f "$temporary/onnxruntime/LICENSE" "$temporary/onnxruntime/ThirdPartyNotices.txt" "$place/"
    mv -f "$temporary/$member" "$place/lib/$name"
    printf '%s\n' "$hash" >"$place/wheel.sha256"
    rm -rf "$temporary"
    trap - EXIT
}

# --- ONNX Runtime Web, for web exports ---------------------------------------------------------

install_onnxruntime_web() {
    local place=target/onnxruntime-web version hash address
    read -r version hash address < <(grep -v '^#' packaging/onnxruntime-web.pins)
    # The stamp names the package that was unpacked, and is written last.
    [ "$(cat "$place/package.sha256" 2>/dev/null)" = "$hash" ] && return

    say "fetching ONNX Runtime Web $version (33 MB) from npm into $place"
    mkdir -p "$place"
    local temporary progress=--silent
    if [ -t 2 ]; then progress=--progress-bar; fi
    temporary=$(mktemp -d "$place/fetch.XXXXXX")
    # shellcheck disable=SC2064  # the folder as it is now
    trap "rm -rf '$temporary'" EXIT
    local package="$temporary/package.tgz"
    curl --fail "$progress" --show-error --location --retry 3 --max-time 600 --output "$package" "$address" ||
        { have npm && say "trying npm instead of curl" &&
            npm pack --silent --pack-destination "$temporary" "onnxruntime-web@$version" >/dev/null &&
            mv "$temporary/onnxruntime-web-$version.tgz" "$package"; } ||
        die "ONNX Runtime Web could not be fetched from $address"
    local found name
    found=$(sha256_of "$package")
    [ "$found" = "$hash" ] || die "$(basename "$address") has the sha256 $found instead of $hash; nothing was installed"
    local names=(ort.wasm.min.mjs ort-wasm-simd-threaded.mjs ort-wasm-simd-threaded.wasm)
    tar -xzf "$package" -C "$temporary" "${names[@]/#/package/dist/}"
    for name in "${names[@]}"; do
        mv -f "$temporary/package/dist/$name" "$place/$name"
        chmod 644 "$place/$name"
    done
    # The package has no notices of the libraries in it; they are those of ONNX Runtime.
    if [ -f target/onnxruntime/ThirdPartyNotices.txt ]; then cp target/onnxruntime/ThirdPartyNotices.txt "$place/"; fi
    printf '%s\n' "$hash" >"$place/package.sha256"
    rm -rf "$temporary"
    trap - EXIT
}

# --- Python, for the tests that run exported models elsewhere ---------------------------------

install_python() {
    local place=target/python list=packaging/python-tests.txt
    cmp -s "$list" "$place/installed.txt" && [ -x "$place/bin/python" ] && return
    have python3 || die "python3 is missing; the tests run exported models with ONNX Runtime for Python"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "the tests need Python 3.11 or later; $(python3 --version) is first in PATH"
    say "making a Python environment for the tests in $place (onnxruntime, numpy, pillow and others; up to a minute)"
    rm -rf "$place"
    python3 -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: -r "$list"
    cp "$list" "$place/installed.txt"
}

# --- Ray, for the tests of packaging/cluster ---------------------------------------------------

install_ray() {
    local place=target/ray list=packaging/cluster/requirements.txt
    cmp -s "$list" "$place/installed.txt" && [ -x "$place/bin/python" ] && return
    say "making a Python environment with Ray in $place (90 MB to fetch; up to a minute)"
    rm -rf "$place"
    python3 -m venv "$place"
    # There are no wheels for every system and Python; the program needs none.
    if "$place/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: -r "$list"; then
        cp "$list" "$place/installed.txt"
    else
        say "Ray cannot be installed here; its tests are left out"
    fi
}

# --- Rust -------------------------------------------------------------------------------------

check_rust() {
    # rustup puts it here before a new shell knows.
    have cargo || [ -x "$HOME/.cargo/bin/cargo" ] ||
        die "Rust is missing. Get it from https://rustup.rs:  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
}

check_rust # first, since it is the one thing that has to be done by hand
install_packages
install_onnxruntime
install_onnxruntime_web
if [ "$tests" = yes ]; then
    install_python
    install_ray
fi
