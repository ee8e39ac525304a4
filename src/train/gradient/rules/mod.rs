//! The gradient rules: one function per operator, found by the operator's name.
//!
//! A new rule is a function in one of the files here (or a new file) and a line in [`rule`]; the test beside
//! the walk checks it against finite differences.

mod activation;
mod arithmetic;
mod blocked;
mod conv;
mod linear;
mod loss;
mod moves;
mod norm;
mod pool;
mod reduce;
mod shape;

use crate::onnx::proto::NodeProto;
use crate::onnx::{BLOCKED, OnnxError};

use super::Backward;

#[cfg(test)]
pub(super) use blocked::mask as mask_of_blocked;

/// From a node and the gradients that arrive at its outputs (`None` where none does) to the gradients of its
/// inputs (`None` for inputs that have none, or whose gradient nobody wants).
pub(super) type Rule =
    fn(&mut Backward<'_>, &NodeProto, &[Option<String>]) -> Result<Vec<Option<String>>, OnnxError>;

/// Operators whose results are truth values, indices or shapes.
const IS_CONSTANT: [&str; 16] = [
    "And",
    "ArgMax",
    "ArgMin",
    "Constant",
    "ConstantOfShape",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "Not",
    "Or",
    "Shape",
    "Size",
    "Xor",
];

/// Whether a gradient can go on to that input of a node that has a rule.
pub(super) fn passes_on(node: &NodeProto, input: usize) -> bool {
    match node.op_type() {
        "Where" => input > 0,
        "BatchNormalization" => input < 3,
        "Clip" | "CastLike" | "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin"
        | "Reshape" | "Squeeze" | "Unsqueeze" | "Expand" | "Dropout" | "Split" | "Slice"
        | "Pad" | "Gather" => input == 0,
        operator => !IS_CONSTANT.contains(&operator),
    }
}

/// The rule of an operator of the standard domain.
pub(super) fn rule(operator: &str) -> Option<Rule> {
    Some(match operator {
        "Add" => arithmetic::add,
        "Sub" => arithmetic::sub,
        "Mul" => arithmetic::mul,
        "Div" => arithmetic::div,
        "Sum" => arithmetic::sum,
        "Max" | "Min" => arithmetic::extreme,
        "Where" => arithmetic::choose,
        "Neg" => arithmetic::neg,
        "Abs" => arithmetic::abs,
        "Reciprocal" => arithmetic::reciprocal,
        "Pow" => arithmetic::pow,
        "Exp" => arithmetic::exp,
        "Log" => arithmetic::log,
        "Sqrt" => arithmetic::sqrt,
        "Erf" => arithmetic::erf,
        "Cast" | "CastLike" => arithmetic::cast,
        "Relu" => activation::relu,
        "Clip" => activation::clip,
        "LeakyRelu" => activation::leaky_relu,
        "PRelu" => activation::prelu,
        "HardSigmoid" => activation::hard_sigmoid,
        "HardSwish" => activation::hard_swish,
        "Sigmoid" => activation::sigmoid,
        "Tanh" => activation::tanh,
        "Gelu" => activation::gelu,
        "Conv" => conv::conv,
        "BatchNormalization" => norm::batch,
        "LayerNormalization" => norm::layer,
        "GlobalAveragePool" => pool::global_average,
        "GlobalMaxPool" => pool::global_max,
        "AveragePool" => pool::average,
        "MaxPool" => pool::max,
        "MatMul" => linear::matmul,
        "Gemm" => linear::gemm,
        "Softmax" => loss::softmax,
        "LogSoftmax" => loss::log_softmax,
        "ReduceSum" => reduce::sum,
        "ReduceMean" => reduce::mean,
        "ReduceMax" | "ReduceMin" => reduce::extreme,
        "Identity" => shape::identity,
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => shape::reshape,
        "Transpose" => shape::transpose,
        "Expand" => shape::expand,
        "Dropout" => shape::dropout,
        "Concat" => moves::concat,
        "Split" => moves::split,
        "Slice" => moves::slice,
        "Pad" => moves::pad,
        "Gather" => moves::gather,
        _ if IS_CONSTANT.contains(&operator) => arithmetic::constant,
        _ => return None,
    })
}

/// The rule of a node; none for operators of other domains, whatever they are called, but for those of ONNX
/// Runtime's blocked layout.
pub(super) fn rule_of(node: &NodeProto) -> Option<Rule> {
    match node.domain() {
        "" | "ai.onnx" => rule(node.op_type()),
        BLOCKED => blocked::rule(node.op_type()),
        _ => None,
    }
}

/// Whether a graph can be trained through this operator.
#[must_use]
pub fn has_rule(operator: &str) -> bool {
    rule(operator).is_some()
}

/// The gradient that arrives at a node's only output.
fn arriving(upstream: &[Option<String>]) -> Result<&str, OnnxError> {
    upstream
        .first()
        .and_then(Option::as_deref)
        .ok_or_else(|| OnnxError::Model("no gradient arrives at a node that is visited".into()))
}

/// The name of a node's first output.
fn output(node: &NodeProto) -> Result<&str, OnnxError> {
    node.output
        .first()
        .map(String::as_str)
        .ok_or_else(|| OnnxError::Model(format!("a node “{}” has no output", node.op_type())))
}
