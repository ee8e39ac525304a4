//! What can go wrong with ONNX Runtime or a model file.

/// An error of the onnx layer.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// ONNX Runtime's library is missing, too old or broken.
    #[error(
        "ONNX Runtime cannot be used: {0}. Run packaging/setup.sh, or set ORT_DYLIB_PATH to its shared library"
    )]
    Runtime(String),
    /// A model file from outside that cannot be read.
    #[error("“{}” cannot be read as a network: {reason}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A model that does not load or run.
    #[error("the model cannot be run: {0}")]
    Model(String),
}
