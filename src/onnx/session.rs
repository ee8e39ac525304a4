//! Running a graph: plain tensors in, plain tensors out, and bound loops for training.

use super::OnnxError;

/// Contents of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Element {
    /// 32-bit float.
    F32(Vec<f32>),
    /// 64-bit integer.
    I64(Vec<i64>),
    /// 8-bit unsigned.
    U8(Vec<u8>),
}

/// A tensor in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its contents, as many as the shape says.
    pub data: Element,
}

/// A loaded graph.
pub struct Session {}

impl Session {
    /// Loads a serialised model to run on `threads` threads.
    pub fn from_bytes(model: &[u8], threads: usize) -> Result<Self, OnnxError> {
        todo!("{} {threads}", model.len())
    }

    /// Runs the graph on named inputs and returns the named outputs in that order.
    pub fn run(
        &mut self,
        inputs: &[(&str, &Tensor)],
        outputs: &[&str],
    ) -> Result<Vec<Tensor>, OnnxError> {
        let _ = inputs;
        todo!("{outputs:?}")
    }

    /// The graph's custom metadata.
    pub fn metadata(&self) -> Result<Vec<(String, String)>, OnnxError> {
        todo!()
    }
}
