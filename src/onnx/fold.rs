//! Making constants of what is computed from whole numbers and known shapes alone.
//!
//! Exporters write pads, axes and targets of reshapes as chains of nodes. Whoever must know the shapes in a
//! network before it runs must know those numbers.

use std::collections::HashSet;

use super::proto::{NodeProto, ValueInfoProto};
use super::wire::element_of_data_type;
use super::{
    Dim, ElementType, Graph, OnnxError, Session, Shapes, Tensor, constant_value, tensor_to_proto,
    value_info,
};

impl Graph {
    /// Replaces nodes by their results where these depend on integers and known shapes alone. ONNX Runtime
    /// computes them. Weights, and what is made of them, stay as they are.
    pub fn fold_integers(&mut self) -> Result<(), OnnxError> {
        // A shape that has become known makes further ones known.
        while self.fold_integers_once()? {}
        Ok(())
    }

    fn fold_integers_once(&mut self) -> Result<bool, OnnxError> {
        let shapes = self.shapes();
        let outputs: HashSet<&str> = self.outputs.iter().map(ValueInfoProto::name).collect();
        let mut known: HashSet<String> = self
            .initializers
            .iter()
            .filter(|tensor| element_of_data_type(tensor.data_type()).is_some_and(is_whole))
            .map(|tensor| tensor.name().to_owned())
            .collect();
        let mut told: Vec<(String, Tensor)> = Vec::new();
        let mut folded = Self::new("integers");
        folded.opset = self.opset;
        let mut gone = HashSet::new();
        for (at, node) in self.nodes.iter().enumerate() {
            if node
                .output
                .iter()
                .any(|name| outputs.contains(name.as_str()))
            {
                continue;
            }
            if let (Some(value), Some(name)) = (read(node, &shapes), node.output.first()) {
                told.push((name.clone(), value));
            } else if can_fold(node)
                && node
                    .input
                    .iter()
                    .all(|name| name.is_empty() || known.contains(name))
            {
                folded.nodes.push(node.clone());
            } else {
                continue;
            }
            known.extend(node.output.iter().cloned());
            gone.insert(at);
        }
        if gone.is_empty() {
            return Ok(false);
        }
        let mut at = 0;
        self.nodes.retain(|_| {
            at += 1;
            !gone.contains(&(at - 1))
        });
        for (name, value) in &told {
            self.initializers.push(tensor_to_proto(name, value));
        }
        let computed = self.compute(folded)?;
        for (name, value) in &computed {
            self.initializers.push(tensor_to_proto(name, value));
        }
        Ok(true)
    }

    /// The results of the nodes of `folded` that nodes of this graph read.
    fn compute(&self, mut folded: Self) -> Result<Vec<(String, Tensor)>, OnnxError> {
        let results: HashSet<&String> = folded.nodes.iter().flat_map(|node| &node.output).collect();
        let wanted: HashSet<&String> = self
            .nodes
            .iter()
            .flat_map(|node| &node.input)
            .filter(|name| results.contains(name))
            .collect();
        let wanted: Vec<String> = wanted.into_iter().cloned().collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let needed: HashSet<&String> = folded.nodes.iter().flat_map(|node| &node.input).collect();
        let needed: HashSet<&str> = needed.into_iter().map(String::as_str).collect();
        let roots = self.initializers.iter();
        let roots = roots.filter(|tensor| needed.contains(tensor.name()));
        folded.initializers = roots.cloned().collect();
        folded.outputs = wanted
            .iter()
            .map(|name| {
                // Neither type nor shape need be told.
                let mut info = value_info(name, ElementType::I64, &[] as &[Dim]);
                info.r#type = None;
                info
            })
            .collect();
        let mut session = Session::from_bytes(&folded.to_bytes(), 1)?;
        let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let values = session.run(&[], &names)?;
        Ok(wanted.into_iter().zip(values).collect())
    }
}

/// What a node says that needs no computing: a constant of whole numbers, or a known shape.
fn read(node: &NodeProto, shapes: &Shapes) -> Option<Tensor> {
    match node.op_type() {
        "Constant" => constant_value(node).filter(|value| is_whole(value.data.element_type())),
        "Shape" if node.attribute.is_empty() => {
            let shape = shapes.get(node.input.first()?)?;
            let lens: Vec<i64> = shape
                .iter()
                .map(|dim| dim.fixed().map(|len| len as i64))
                .collect::<Option<_>>()?;
            Some(Tensor::new([lens.len()], lens))
        }
        _ => None,
    }
}

fn is_whole(element: ElementType) -> bool {
    matches!(
        element,
        ElementType::I64 | ElementType::I32 | ElementType::Bool
    )
}

/// Whether a node gives the same result each time, and has no graph inside.
fn can_fold(node: &NodeProto) -> bool {
    !node.input.is_empty()
        && node.domain().is_empty()
        && !node.op_type().starts_with("Random")
        && !matches!(node.op_type(), "Bernoulli" | "Multinomial")
        && node.attribute.iter().all(|attribute| attribute.g.is_none())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]
mod tests {
    use super::*;
    use crate::onnx::Attribute;

    #[test]
    fn chains_of_integers_become_constants_and_make_shapes_known() {
        let mut graph = Graph::new("chains");
        let x = graph.input("x", ElementType::F32, &[2.into(), 6.into(), 4.into()]);
        let weight = graph.initializer("weight", &Tensor::new([1], vec![3.0_f32]));
        // Pads as an exporter of PyTorch writes them.
        let four = graph.ints(&[4]);
        let zeros = graph.op_with(
            "ConstantOfShape",
            &[&four],
            &[("value", Attribute::Tensor(Tensor::new([1], vec![0_i64])))],
        );
        graph.node(
            "Constant",
            &[],
            &["ends"],
            &[("value_ints", Attribute::Ints(vec![1, 2]))],
        );
        let pads = graph.op_with("Concat", &[&zeros, "ends"], &[("axis", Attribute::Int(0))]);
        let x = graph.op("Pad", &[&x, &pads]);
        // The target of a reshape from a shape that is known only once the pads are.
        let shape = graph.op("Shape", &[&x]);
        let last = graph.ints(&[-1]);
        let last = graph.op("Gather", &[&shape, &last]);
        let rest = graph.ints(&[-1]);
        let target = graph.op_with("Concat", &[&rest, &last], &[("axis", Attribute::Int(0))]);
        let x = graph.op("Reshape", &[&x, &target]);
        let scale = graph.op("Neg", &[&weight]);
        let y = graph.op("Mul", &[&x, &scale]);
        graph.output(
            &y,
            ElementType::F32,
            &[Dim::Free("rows".into()), Dim::Free("row".into())],
        );
        let value = Tensor::new([2, 6, 4], (0..48_i16).map(f32::from).collect::<Vec<_>>());
        let run = |graph: &Graph| {
            let mut session = Session::from_bytes(&graph.to_bytes(), 1).unwrap();
            session.run(&[("x", &value)], &[&y]).unwrap()
        };
        let before = run(&graph);
        assert!(!graph.shapes().contains_key(&x));
        graph.fold_integers().unwrap();
        let operators: Vec<&str> = graph.nodes.iter().map(NodeProto::op_type).collect();
        assert_eq!(operators, ["Pad", "Reshape", "Neg", "Mul"]);
        assert_eq!(graph.shapes()[&x], [14.into(), 6.into()]);
        assert_eq!(run(&graph), before);
    }
}
