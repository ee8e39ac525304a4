//! What rules use to append nodes and constants.

use crate::onnx::proto::NodeProto;
use crate::onnx::{Attribute, Dim, OnnxError, Tensor, cast_target};

use super::Backward;

impl Backward<'_> {
    /// Adds a node and returns its output.
    pub fn op(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.op_with(operator, inputs, &[])
    }

    /// Adds a node with attributes and returns its output.
    pub fn op_with(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> String {
        let output = self.graph.op_with(operator, inputs, attributes);
        if let Some(node) = self.graph.nodes.last().cloned() {
            self.graph.infer(&node, &mut self.shapes);
        }
        output
    }

    /// Adds a node of ONNX Runtime's blocked layout and returns its output.
    pub fn blocked_op(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> String {
        let output = self.graph.blocked_op(operator, inputs, attributes);
        if let Some(node) = self.graph.nodes.last().cloned() {
            self.graph.infer(&node, &mut self.shapes);
        }
        output
    }

    /// Adds a node like `node` that has another first input, and returns its first output.
    pub fn repeated(&mut self, node: &NodeProto, first: &str) -> String {
        let output = self.graph.unique(node.op_type());
        let mut twin = node.clone();
        twin.name = None;
        if let Some(input) = twin.input.first_mut() {
            first.clone_into(input);
        }
        twin.output = vec![output.clone()];
        self.graph.infer(&twin, &mut self.shapes);
        self.graph.nodes.push(twin);
        output
    }

    /// A scalar constant of the type that is differentiated in.
    pub fn number(&mut self, value: f64) -> String {
        let tensor = Tensor::floats(self.element, [], vec![value]);
        let name = self.graph.constant(&tensor);
        self.shapes.insert(name.clone(), Vec::new());
        name
    }

    /// A constant of the type that is differentiated in.
    pub fn tensor(&mut self, shape: &[usize], values: Vec<f64>) -> String {
        let tensor = Tensor::floats(self.element, shape, values);
        let name = self.graph.constant(&tensor);
        let shape = shape.iter().map(|len| Dim::Fixed(*len)).collect();
        self.shapes.insert(name.clone(), shape);
        name
    }

    /// The second output of a node of the graph, which gets one where it has none.
    pub fn second_output(&mut self, node: &NodeProto) -> Result<String, OnnxError> {
        if let Some(name) = node.output.get(1).filter(|name| !name.is_empty()) {
            return Ok(name.clone());
        }
        let name = self.graph.unique(node.op_type());
        let known = self
            .graph
            .nodes
            .iter_mut()
            .find(|known| known.output.first() == node.output.first())
            .ok_or_else(|| {
                OnnxError::Model(format!("a node “{}” has no output", node.op_type()))
            })?;
        known.output.truncate(1);
        known.output.push(name.clone());
        Ok(name)
    }

    /// A constant integer without dimensions.
    pub fn scalar_int(&mut self, value: i64) -> String {
        let name = self.graph.constant(&Tensor::scalar(value));
        self.shapes.insert(name.clone(), Vec::new());
        name
    }

    /// A value in the type that is differentiated in.
    pub fn cast(&mut self, value: &str) -> String {
        let to = Attribute::Int(cast_target(self.element));
        self.op_with("Cast", &[value], &[("to", to)])
    }

    /// A one-dimensional constant of integers.
    pub fn ints(&mut self, values: &[i64]) -> String {
        let name = self.graph.ints(values);
        self.shapes
            .insert(name.clone(), vec![Dim::Fixed(values.len())]);
        name
    }

    /// Gives `value` the shape `target`, in which one length may be -1.
    pub fn reshape(&mut self, value: &str, target: &[i64]) -> String {
        let shape = self.ints(target);
        self.op("Reshape", &[value, &shape])
    }

    /// Puts the dimensions of `value` into another order.
    pub fn transpose(&mut self, value: &str, perm: &[i64]) -> String {
        let perm = Attribute::Ints(perm.to_vec());
        self.op_with("Transpose", &[value], &[("perm", perm)])
    }

    /// Cuts `starts..ends` with `steps` out of the dimensions `axes`.
    pub fn slice(
        &mut self,
        value: &str,
        axes: &[i64],
        starts: &[i64],
        ends: &[i64],
        steps: &[i64],
    ) -> String {
        let [starts, ends, axes, steps] = [starts, ends, axes, steps].map(|ints| self.ints(ints));
        self.op("Slice", &[value, &starts, &ends, &axes, &steps])
    }

    /// Sums over `axes` (indices from the front).
    pub fn reduce_sum(&mut self, value: &str, axes: &[i64], keep: bool) -> String {
        let axes = self.ints(axes);
        self.op_with(
            "ReduceSum",
            &[value, &axes],
            &[("keepdims", Attribute::Int(i64::from(keep)))],
        )
    }

    /// Gives `value` the shape of `like`, which has as many elements.
    pub fn reshape_like(&mut self, value: &str, like: &str) -> String {
        self.shaped_like("Reshape", value, like)
    }

    /// Applies `operator`, which takes a value and the shape it is to have; nothing to do where the
    /// shapes are known to agree, and a constant where they are known.
    fn shaped_like(&mut self, operator: &str, value: &str, like: &str) -> String {
        if let (Some(have), Some(want)) = (self.shape(value), self.shape(like))
            && have == want
        {
            return value.to_owned();
        }
        let fixed: Option<Vec<i64>> = self.shape(like).and_then(|shape| {
            shape
                .iter()
                .map(|dim| dim.fixed().map(|len| len as i64))
                .collect()
        });
        let shape = match fixed {
            Some(shape) => self.ints(&shape),
            None => self.op("Shape", &[like]),
        };
        let output = self.op(operator, &[value, &shape]);
        self.copy_shape(like, &output);
        output
    }

    /// Notes that two values have the same shape.
    pub fn copy_shape(&mut self, from: &str, to: &str) {
        if let Some(shape) = self.shapes.get(from).cloned() {
            self.shapes.insert(to.to_owned(), shape);
        }
    }

    /// Sums a gradient in the shape of an operation's result over the dimensions that were broadcast, so that
    /// it gets the shape of the operand `like`. With shapes that are known only when the graph runs, the axes
    /// are found there.
    pub fn unbroadcast(&mut self, gradient: &str, like: &str) -> String {
        let (Some(have), Some(want)) = (self.shape(gradient), self.shape(like)) else {
            return self.unbroadcast_at_run_time(gradient, like);
        };
        if have == want {
            return gradient.to_owned();
        }
        let missing = have.len().saturating_sub(want.len());
        let mut axes: Vec<i64> = (0..missing as i64).collect();
        for (at, (have, want)) in have.iter().skip(missing).zip(want).enumerate() {
            match (have, want) {
                (have, want) if have == want => {}
                (_, Dim::Fixed(1)) => axes.push((at + missing) as i64),
                // Lengths that are equal or 1, which is known only when the graph runs.
                _ => return self.unbroadcast_at_run_time(gradient, like),
            }
        }
        let summed = self.reduce_sum(gradient, &axes, true);
        if missing == 0 {
            summed
        } else {
            self.reshape_like(&summed, like)
        }
    }

    fn unbroadcast_at_run_time(&mut self, gradient: &str, like: &str) -> String {
        let have = self.op("Shape", &[gradient]);
        let want = self.op("Shape", &[like]);
        let have_rank = self.op("Shape", &[&have]);
        let want_rank = self.op("Shape", &[&want]);
        let missing = self.op("Sub", &[&have_rank, &want_rank]);
        let ones = self.op_with(
            "ConstantOfShape",
            &[&missing],
            &[("value", Attribute::Tensor(Tensor::new([1], vec![1_i64])))],
        );
        let padded = self.op_with("Concat", &[&ones, &want], &[("axis", Attribute::Int(0))]);
        let same = self.op("Equal", &[&have, &padded]);
        let differs = self.op("Not", &[&same]);
        let at = self.op("NonZero", &[&differs]);
        let flat = self.ints(&[-1]);
        let axes = self.op("Reshape", &[&at, &flat]);
        let summed = self.op_with(
            "ReduceSum",
            &[gradient, &axes],
            &[
                ("keepdims", Attribute::Int(1)),
                ("noop_with_empty_axes", Attribute::Int(1)),
            ],
        );
        let output = self.op("Reshape", &[&summed, &want]);
        self.copy_shape(like, &output);
        output
    }

    /// The sum of the gradients that arrive at one value.
    pub(super) fn sum(&mut self, parts: &[String]) -> String {
        match parts {
            [one] => one.clone(),
            [first, rest @ ..] => rest
                .iter()
                .fold(first.clone(), |sum, part| self.op("Add", &[&sum, part])),
            [] => self.number(0.0),
        }
    }

    /// Repeats `value` along dimensions of length 1 until it has the shape of `like`.
    pub fn expand_like(&mut self, value: &str, like: &str) -> String {
        self.shaped_like("Expand", value, like)
    }

    /// Zeros in the shape of a value.
    pub fn zeros_like(&mut self, name: &str) -> String {
        let zero = self.number(0.0);
        self.expand_like(&zero, name)
    }
}
