//! The `salamander` program: without arguments the window, otherwise the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    salamander::cli::main()
}
