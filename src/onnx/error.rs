//! Errors of ONNX Runtime and of model files.

/// An error of the onnx layer.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// ONNX Runtime's library is missing, too old or broken.
    #[error(
        "ONNX Runtime cannot be used: {0}. Run packaging/setup.sh, or set ORT_DYLIB_PATH to its shared library"
    )]
    Runtime(String),
    /// A model file that cannot be read.
    #[error("“{}” cannot be read as a network: {reason}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// The reason.
        reason: String,
    },
    /// A model that cannot be loaded or run.
    #[error("the model cannot be run: {0}")]
    Model(String),
}
