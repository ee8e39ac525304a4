# Installs what is missing, builds Salamander and starts it; arguments go to the program.
# Written with care, but never run on Windows by its authors.
#
#   powershell -ExecutionPolicy Bypass -File run.ps1
#   powershell -ExecutionPolicy Bypass -File run.ps1 doctor
$ErrorActionPreference = 'Stop'
$root = $PSScriptRoot
. (Join-Path $root 'packaging\windows\setup.ps1')
& cargo build --release --locked --quiet --manifest-path (Join-Path $root 'Cargo.toml')
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
& (Join-Path $root 'target\release\salamander.exe') @args
exit $LASTEXITCODE
