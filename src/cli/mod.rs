//! The command line: one file per subcommand, each a thin shell over the library.

use std::process::ExitCode;

/// Reads the arguments and runs; without arguments opens the window.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
