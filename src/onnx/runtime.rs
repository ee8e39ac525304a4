//! Finding and loading ONNX Runtime's shared library.

use std::path::PathBuf;

use super::OnnxError;

/// What was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// The library.
    pub path: PathBuf,
    /// "1.32.0".
    pub version: String,
    /// Execution providers built into it.
    pub providers: Vec<String>,
}

/// Loads the library on first use (`ORT_DYLIB_PATH`, beside the executable, `../lib/salamander`, the build
/// folder) and says what it is. Never panics when it is missing.
pub fn runtime_info() -> Result<&'static RuntimeInfo, OnnxError> {
    todo!()
}
