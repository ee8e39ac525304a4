//! Converts graphs to other versions of ONNX's operators, for older and newer runtimes.

use std::ops::RangeInclusive;

use crate::graph::ops::{
    Activation, Elementwise, Moves, Norm, PadMode, Pool, PoolKind, Reduce, ReduceKind, Reshaping,
};
use crate::graph::structure::Node;
use crate::graph::{Graph, GraphError, Op};

/// The versions that graphs are converted between. In version 13 the last of the operators used here got its present
/// meaning (`Softmax` along one axis); 21 is the newest that two-year-old releases of ONNX Runtime read. Files of
/// older and newer versions are brought into this range by [`Graph::plain`].
pub const OPSETS: RangeInclusive<i64> = 13..=21;

impl Graph {
    /// Converts the graph to another version of the standard operators.
    ///
    /// # Errors
    /// [`GraphError::Model`] names the first operator that this version does not have.
    pub fn to_opset(&self, version: i64) -> Result<Self, GraphError> {
        if version == self.opset {
            return Ok(self.clone());
        }
        for version in [self.opset, version] {
            if !OPSETS.contains(&version) {
                return Err(GraphError::Model(format!(
                    "operators are converted from and to versions {} to {}, not {version}",
                    OPSETS.start(),
                    OPSETS.end()
                )));
            }
        }
        let mut graph = self.clone();
        graph.opset = version;
        for index in 0..graph.nodes.len() {
            let Some(node) = graph.nodes.get(index).cloned() else {
                continue;
            };
            let since = since(&node);
            if since.is_none_or(|since| since > version) {
                let name = graph.name_of_node(&node).to_owned();
                return Err(GraphError::Model(match since {
                    Some(since) => format!(
                        "“{name}” is the operator {}, which needs version {since} or later, but version {version} was requested",
                        node.op.op_type()
                    ),
                    None => format!(
                        "“{name}” is the operator {}, which is not converted and only supported in version {}",
                        node.op.op_type(),
                        self.opset
                    ),
                }));
            }
            let spelled = graph.respelled(node, version)?;
            if let Some(place) = graph.nodes.get_mut(index) {
                *place = spelled;
            }
        }
        graph.prune();
        Ok(graph)
    }

    /// A node in the form of a version: attributes become inputs, or inputs attributes.
    fn respelled(&mut self, mut node: Node, version: i64) -> Result<Node, GraphError> {
        match &mut node.op {
            // The axes are an attribute of `ArgMax` and `ArgMin` in all versions, and an input of `ReduceSum` in all
            // from 13 on.
            Op::Reduce(reduce) if !is_index(reduce.kind) && reduce.kind != ReduceKind::Sum => {
                if version >= 18 {
                    if let Some(axes) = reduce.axes.take() {
                        let axes = self.ints(&axes);
                        node.inputs.truncate(1);
                        node.inputs.push(Some(axes));
                    }
                } else if let Some(given) = node.inputs.get(1).copied().flatten() {
                    let Some(axes) = self.ints_of(given) else {
                        let name = self.name_of(given);
                        return Err(GraphError::Model(format!(
                            "the axes “{name}” are computed, which version {version} does not support"
                        )));
                    };
                    reduce.axes = Some(axes.to_vec());
                    node.inputs.truncate(1);
                }
            }
            Op::Moves(Moves::Split { count, .. })
                if node.inputs.get(1).copied().flatten().is_none() =>
            {
                // For equal parts, their number is an attribute since 18; before, it is the number of outputs.
                *count = (version >= 18).then_some(node.outputs.len() as i64);
            }
            _ => {}
        }
        Ok(node)
    }
}

fn is_index(kind: ReduceKind) -> bool {
    matches!(kind, ReduceKind::ArgMax | ReduceKind::ArgMin)
}

/// The first version, at least 13, that has this operator with these attributes and types; `None` if it is unknown.
fn since(node: &Node) -> Option<i64> {
    let given = |at: usize| node.inputs.get(at).copied().flatten().is_some();
    Some(match &node.op {
        Op::Other(_) | Op::Blocked(_) => return None,
        Op::Activation(Activation::HardSwish)
        | Op::Norm(Norm::Batch { training: true, .. })
        | Op::Reshaping(Reshaping::Reshape { allow_zero: true }) => 14,
        Op::Activation(Activation::Gelu { .. }) => 20,
        Op::Elementwise(Elementwise::CastLike) => 15,
        Op::Norm(Norm::Layer { .. }) => 17,
        Op::Reshaping(Reshaping::Shape { start, end }) if start.is_some() || end.is_some() => 15,
        Op::Moves(Moves::ScatterElements { add: true, .. }) => 16,
        Op::Moves(Moves::Pad {
            mode: PadMode::Wrap,
            ..
        }) => 19,
        Op::Moves(Moves::Pad { .. }) if given(3) => 18,
        Op::Pool(Pool {
            kind: PoolKind::Average { .. },
            sliding,
            ..
        }) if sliding.dilations.iter().any(|dilation| *dilation != 1) => 19,
        Op::Reduce(Reduce {
            none_without_axes: true,
            kind,
            ..
        }) if *kind != ReduceKind::Sum => 18,
        _ => 13,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use crate::graph::Dim;
    use crate::onnx::{ElementType, Session, Tensor};

    use super::*;

    fn run(graph: &Graph) -> Vec<Tensor> {
        let values: Vec<f32> = (0..24).map(|value| value as f32 / 3.0 - 4.0).collect();
        let input = Tensor::new([2, 3, 4], values);
        let outputs: Vec<&str> = graph
            .outputs()
            .iter()
            .map(|id| graph.name_of(*id))
            .collect();
        let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
        session.run(&[("x", &input)], &outputs).unwrap()
    }

    fn with_input() -> (Graph, crate::graph::ValueId) {
        let mut graph = Graph::new("test");
        let shape = [2, 3, 4].map(Dim::Fixed);
        let x = graph.input("x", ElementType::F32, &shape);
        (graph, x)
    }

    /// Reductions, whose axes are an attribute or an input depending on the version, and a split into equal parts.
    #[test]
    fn what_is_an_attribute_in_one_version_is_an_input_in_another() {
        let (mut graph, x) = with_input();
        let mean = graph.op(Reduce::along(ReduceKind::Mean, &[1, -1], false), &[x]);
        let largest = graph.op(Reduce::along(ReduceKind::Max, &[-2], true), &[x]);
        let sum = graph.reduce_sum(x, &[0], true);
        let at = graph.op(Reduce::along(ReduceKind::ArgMax, &[2], false), &[x]);
        let split = Moves::Split {
            axis: 2,
            lens: None,
            count: None,
        };
        let halves = graph.op_many(split, &[x], 2);
        for value in [mean, largest, sum, at, halves[0], halves[1]] {
            graph.output(value);
        }
        let expected = run(&graph);
        for version in OPSETS {
            let converted = graph.to_opset(version).unwrap();
            assert_eq!(run(&converted), expected, "{version}");
            // Converted back.
            assert_eq!(run(&converted.to_opset(17).unwrap()), expected, "{version}");
        }
    }

    #[test]
    fn an_operator_that_the_version_does_not_have_is_named() {
        let (mut graph, x) = with_input();
        let y = graph.op_named(Activation::HardSwish, &[x], "swished");
        graph.output(y);
        let error = graph.to_opset(13).unwrap_err().to_string();
        assert!(
            error.contains("“swished”") && error.contains("HardSwish"),
            "{error}"
        );
        assert!(error.contains("needs version 14"), "{error}");
        assert_eq!(graph.to_opset(14).unwrap().opset, 14);
    }
}
