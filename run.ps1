# Installs what is missing, builds Salamander and starts it; arguments go to the program.
# Written with care, but never run on Windows by its authors.
#
#   powershell -ExecutionPolicy Bypass -File run.ps1
#   powershell -ExecutionPolicy Bypass -File run.ps1 doctor
$ErrorActionPreference = 'Stop'
$root = $PSScriptRoot
. (Join-Path $root 'packaging\windows\setup.ps1')

$target = if ($env:CARGO_TARGET_DIR) { $env:CARGO_TARGET_DIR } else { Join-Path $root 'target' }
$program = Join-Path $target 'release\salamander.exe'
# Written after each build: which compiler made the program, and when.
$stamp = Join-Path $target 'release\salamander.built-by'
$compiler = (& rustc --version | Out-String).Trim()

# Whether cargo will probably find nothing to do. Cargo itself decides; this decides whether it may speak.
$built = $false
if ((Test-Path $program) -and (Test-Path $stamp) -and ((Get-Content $stamp -Raw).Trim() -eq $compiler)) {
    $since = (Get-Item $stamp).LastWriteTimeUtc
    $inputs = @(Get-ChildItem -Recurse -File (Join-Path $root 'src'), (Join-Path $root 'assets\fonts')) +
        @(Get-Item (Join-Path $root 'Cargo.toml'), (Join-Path $root 'Cargo.lock'))
    $built = -not ($inputs | Where-Object { $_.LastWriteTimeUtc -gt $since } | Select-Object -First 1)
}

$options = @('build', '--release', '--locked', '--bin', 'salamander', '--manifest-path', (Join-Path $root 'Cargo.toml'))
if ($built) {
    $options += '--quiet'
} elseif (Test-Path $program) {
    [Console]::Error.WriteLine('run: building what has changed')
} else {
    [Console]::Error.WriteLine('run: building Salamander and some 300 libraries: about 7 minutes on two cores, once; after that it starts at once')
}
# Cargo speaks on standard error, which Windows PowerShell would otherwise take for a failure.
$ErrorActionPreference = 'Continue'
& cargo @options
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
Set-Content -Path $stamp -Value $compiler
& $program @args
exit $LASTEXITCODE
