//! Writes each operator with operations that exist since the first versions of TensorFlow, so that the libraries of
//! old apps know them. Dilated convolutions and newer activations are composed of older operations.

use crate::export::nhwc::{
    Activation, Binary, Kind, Operator, Padding, Reduction, Slide, TensorId, Unary, transposed,
};
use crate::onnx::{ElementType, Tensor};

use super::FrozenGraphError;
use super::schema::attr_value::{ListValue, Value};
use super::write::{NodeDraft, Writer, type_of};

type Attributes = Vec<(&'static str, Value)>;

/// The attribute for 32-bit floats.
fn floats() -> (&'static str, Value) {
    ("T", type_of(ElementType::F32))
}

/// The attribute `name` for indices and lengths of 32-bit integers.
fn indexed_by(name: &'static str) -> (&'static str, Value) {
    (name, type_of(ElementType::I32))
}

impl Writer<'_> {
    /// Adds the nodes of an operator.
    pub fn operator(&mut self, operator: &Operator) -> Result<(), FrozenGraphError> {
        // Kernels and biases are not among them: `convolution` and `bias` write those in TensorFlow's order.
        let wanted = match operator.kind {
            Kind::Conv { .. } | Kind::DepthwiseConv { .. } => 1,
            Kind::FullyConnected { .. } => 2,
            _ => operator.inputs.len(),
        };
        let inputs = operator.inputs.iter().take(wanted);
        let inputs: Vec<String> = inputs.map(|id| self.tensor(*id)).collect();
        let name = self.tensor(operator.output);
        let Some(first) = inputs.first().cloned() else {
            return self.refuse(operator, "has no inputs");
        };
        let steps = match &operator.kind {
            Kind::Quantize | Kind::Dequantize => {
                return self.refuse(
                    operator,
                    "computes with integers, which frozen graphs do not support",
                );
            }
            Kind::Conv { slide, activation }
            | Kind::DepthwiseConv {
                slide, activation, ..
            } => {
                let steps = self.convolution(operator, slide, &name)?;
                self.with(steps, *activation, &name)
            }
            Kind::FullyConnected { activation } => {
                let weights = inputs.get(1).map_or("", String::as_str);
                let attributes = vec![
                    floats(),
                    ("transpose_a", Value::B(false)),
                    ("transpose_b", Value::B(true)),
                ];
                let mut steps = vec![NodeDraft::new("MatMul", &[weights], attributes)];
                steps.extend(self.bias(operator));
                self.with(steps, *activation, &name)
            }
            Kind::AveragePool {
                slide,
                window,
                activation,
            } => self.with(vec![pool("AvgPool", slide, *window)], *activation, &name),
            Kind::MaxPool {
                slide,
                window,
                activation,
            } => self.with(vec![pool("MaxPool", slide, *window)], *activation, &name),
            Kind::Binary { binary, activation } => {
                let op = match binary {
                    Binary::Add => "Add",
                    Binary::Sub => "Sub",
                    Binary::Mul => "Mul",
                    Binary::Div => "RealDiv",
                    Binary::Maximum => "Maximum",
                    Binary::Minimum => "Minimum",
                };
                let other = inputs.get(1).map_or("", String::as_str);
                let steps = vec![NodeDraft::new(op, &[other], vec![floats()])];
                self.with(steps, *activation, &name)
            }
            Kind::Unary(unary) => {
                self.unary(operator, *unary, &first, &name);
                return Ok(());
            }
            Kind::Prelu => {
                let slope = inputs.get(1).cloned().unwrap_or_default();
                self.sloped(&first, &slope, &name);
                return Ok(());
            }
            Kind::Softmax => self.softmax(operator, &name),
            // TensorFlow requires at least two inputs.
            Kind::Concat { .. } if inputs.len() == 1 => {
                vec![NodeDraft::new(
                    "Identity",
                    &[],
                    vec![self.of(operator.output)],
                )]
            }
            Kind::Concat { axis } => {
                let axis = self.ints(&format!("{name}/axis"), &[], &[*axis]);
                let count = inputs.len() as i64;
                let mut others: Vec<&str> = inputs.iter().skip(1).map(String::as_str).collect();
                others.push(&axis);
                let attributes = vec![
                    self.of(operator.output),
                    ("N", Value::I(count)),
                    indexed_by("Tidx"),
                ];
                vec![NodeDraft::new("ConcatV2", &others, attributes)]
            }
            Kind::Reduce {
                reduction,
                axes,
                keep,
            } => {
                let op = match reduction {
                    Reduction::Mean => "Mean",
                    Reduction::Sum => "Sum",
                    Reduction::Max => "Max",
                    Reduction::Min => "Min",
                };
                let axes = self.ints(&format!("{name}/reduction_indices"), &[axes.len()], axes);
                let attributes = vec![floats(), indexed_by("Tidx"), ("keep_dims", Value::B(*keep))];
                vec![NodeDraft::new(op, &[&axes], attributes)]
            }
            Kind::Pad { pads, value } => {
                let widths: Vec<usize> = pads.iter().flatten().copied().collect();
                let widths = self.ints(&format!("{name}/paddings"), &[pads.len(), 2], &widths);
                let attributes = vec![self.of(operator.output), indexed_by("Tpaddings")];
                match value {
                    None => vec![NodeDraft::new("Pad", &[&widths], attributes)],
                    Some(value) => {
                        let value = self.scalar(&format!("{name}/value"), *value);
                        vec![NodeDraft::new("PadV2", &[&widths, &value], attributes)]
                    }
                }
            }
            Kind::Slice { begin } => {
                let size = self.program.shape(operator.output).to_vec();
                let begin = self.ints(&format!("{name}/begin"), &[begin.len()], begin);
                let size = self.ints(&format!("{name}/size"), &[size.len()], &size);
                let attributes = vec![self.of(operator.output), indexed_by("Index")];
                vec![NodeDraft::new("Slice", &[&begin, &size], attributes)]
            }
            Kind::Reshape => vec![self.reshape(operator.output, &name)],
            Kind::Transpose { perm } => {
                let perm = self.ints(&format!("{name}/perm"), &[perm.len()], perm);
                let attributes = vec![self.of(operator.output), indexed_by("Tperm")];
                vec![NodeDraft::new("Transpose", &[&perm], attributes)]
            }
        };
        self.chain(first, steps, &name);
        Ok(())
    }

    /// The type of a tensor, as the attribute of most operations.
    fn of(&self, id: TensorId) -> (&'static str, Value) {
        ("T", type_of(self.program.info(id).element))
    }

    fn scalar(&mut self, name: &str, value: f32) -> String {
        self.constant(name, &Tensor::scalar(value))
    }

    fn reshape(&mut self, to: TensorId, name: &str) -> NodeDraft {
        let shape = self.program.shape(to).to_vec();
        self.reshape_to(&shape, self.of(to), name)
    }

    fn reshape_to(
        &mut self,
        shape: &[usize],
        element: (&'static str, Value),
        name: &str,
    ) -> NodeDraft {
        let shape = self.ints(&format!("{name}/shape"), &[shape.len()], shape);
        NodeDraft::new("Reshape", &[&shape], vec![element, indexed_by("Tshape")])
    }

    /// The addition of the third input to each channel; `None` if it is all zeros.
    fn bias(&mut self, operator: &Operator) -> Option<NodeDraft> {
        let id = *operator.inputs.get(2)?;
        let values = self.program.floats(id);
        if values.is_some_and(|values| values.iter().all(|value| *value == 0.0)) {
            return None;
        }
        let bias = self.tensor(id);
        Some(NodeDraft::new("BiasAdd", &[&bias], vec![floats()]))
    }

    fn convolution(
        &mut self,
        operator: &Operator,
        slide: &Slide,
        name: &str,
    ) -> Result<Vec<NodeDraft>, FrozenGraphError> {
        let (Some(x), Some(kernels)) = (operator.inputs.first(), operator.inputs.get(1)) else {
            return self.refuse(operator, "has no kernels");
        };
        let shape = self.program.shape(*kernels).to_vec();
        let (Some(values), &[first, height, width, last]) =
            (self.program.floats(*kernels), shape.as_slice())
        else {
            return self.refuse(operator, "has kernels that are not constants");
        };
        let (op, kernel) = if let Kind::DepthwiseConv { multiplier, .. } = operator.kind {
            let channels = last / multiplier.max(1);
            let kernel = Tensor::new([height, width, channels, multiplier], values.to_vec());
            ("DepthwiseConv2dNative", kernel)
        } else {
            // From [output, height, width, input].
            let kernel = transposed(&[first, height, width, last], values, &[1, 2, 3, 0]);
            ("Conv2D", kernel)
        };
        let kernel_name = self.program.info(*kernels).name.clone();
        let kernel = self.constant(&kernel_name, &kernel);
        let lens = self.program.shape(*x).to_vec();
        let [_, rows, columns, _] = *lens.as_slice() else {
            return self.refuse(operator, "does not work on an image");
        };
        let place = Place {
            lens: [rows, columns],
            taps: [height, width],
            output: self.program.shape(operator.output).to_vec(),
            name,
        };
        let convolution = |[vertical, horizontal]: [usize; 2], padding| {
            let attributes = vec![
                floats(),
                ("strides", list(&[1, vertical, horizontal, 1])),
                ("padding", text(padding)),
                ("data_format", Value::S(b"NHWC".to_vec())),
            ];
            NodeDraft::new(op, &[&kernel], attributes)
        };
        let unlike = op != "Conv2D" && slide.strides[0] != slide.strides[1];
        let mut steps = if slide.dilations != [1, 1] {
            if slide.strides != [1, 1] {
                return self.refuse(
                    operator,
                    "has both stride and dilation, which TensorFlow does not support",
                );
            }
            self.with_holes(slide, &place, convolution([1, 1], Padding::Valid))
        } else if unlike {
            self.step_by_step(slide, &place, convolution([1, 1], Padding::Valid))
        } else {
            vec![convolution(slide.strides, slide.padding)]
        };
        steps.extend(self.bias(operator));
        Ok(steps)
    }

    /// A depthwise convolution with different strides in the two directions, which TensorFlow lacks: computed with
    /// stride 1, then subsampled.
    fn step_by_step(
        &mut self,
        slide: &Slide,
        place: &Place,
        convolution: NodeDraft,
    ) -> Vec<NodeDraft> {
        let Place { output, name, .. } = place;
        let (mut paddings, mut ends) = (vec![0, 0], vec![0; output.len()]);
        for at in 0..2 {
            let count = output.get(at + 1).copied().unwrap_or(1);
            let covered = (count - 1) * slide.strides[at] + place.taps[at];
            let around = match slide.padding {
                Padding::Same => covered.saturating_sub(place.lens[at]),
                Padding::Valid => 0,
            };
            paddings.extend([around / 2, around - around / 2]);
        }
        paddings.extend([0, 0]);
        for (at, end) in ends.iter_mut().enumerate() {
            let count = output.get(at).copied().unwrap_or(1);
            *end = match at {
                1 | 2 => (count - 1) * slide.strides[at - 1] + 1,
                _ => count,
            };
        }
        let [vertical, horizontal] = slide.strides;
        let mut steps = Vec::new();
        if paddings.iter().any(|padding| *padding > 0) {
            let paddings = self.ints(&format!("{name}/paddings"), &[4, 2], &paddings);
            let attributes = vec![floats(), indexed_by("Tpaddings")];
            steps.push(NodeDraft::new("Pad", &[&paddings], attributes));
        }
        steps.push(convolution);
        let begin = self.ints(&format!("{name}/begin"), &[4], &[0; 4]);
        let end = self.ints(&format!("{name}/end"), &[4], &ends);
        let strides = self.ints(
            &format!("{name}/strides"),
            &[4],
            &[1, vertical, horizontal, 1],
        );
        let mut attributes = vec![floats(), indexed_by("Index")];
        attributes.extend(MASKS.map(|mask| (mask, Value::I(0))));
        steps.push(NodeDraft::new(
            "StridedSlice",
            &[&begin, &end, &strides],
            attributes,
        ));
        steps
    }

    /// A dilated convolution as in TensorFlow 1: pixels at the distance of the dilation are gathered into images of
    /// their own.
    fn with_holes(
        &mut self,
        slide: &Slide,
        place: &Place,
        convolution: NodeDraft,
    ) -> Vec<NodeDraft> {
        let name = place.name;
        let mut paddings = Vec::new();
        let mut crops = Vec::new();
        for at in 0..2 {
            let holes = slide.dilations[at];
            let around = match slide.padding {
                Padding::Same => (place.taps[at] - 1) * holes,
                Padding::Valid => 0,
            };
            let before = around / 2;
            let length = place.lens[at] + around;
            let rest = length.next_multiple_of(holes) - length;
            paddings.extend([before, around - before + rest]);
            crops.extend([0, rest]);
        }
        let block = self.ints(&format!("{name}/block_shape"), &[2], &slide.dilations);
        let paddings = self.ints(&format!("{name}/paddings"), &[2, 2], &paddings);
        let crops = self.ints(&format!("{name}/crops"), &[2, 2], &crops);
        let attributes = |margin| vec![floats(), indexed_by("Tblock_shape"), indexed_by(margin)];
        vec![
            NodeDraft::new(
                "SpaceToBatchND",
                &[&block, &paddings],
                attributes("Tpaddings"),
            ),
            convolution,
            NodeDraft::new("BatchToSpaceND", &[&block, &crops], attributes("Tcrops")),
        ]
    }

    /// Old versions accept only matrices.
    fn softmax(&mut self, operator: &Operator, name: &str) -> Vec<NodeDraft> {
        let softmax = NodeDraft::new("Softmax", &[], vec![floats()]);
        let shape = self.program.shape(operator.output).to_vec();
        if shape.len() == 2 {
            return vec![softmax];
        }
        let columns = shape.last().copied().unwrap_or(1);
        let rows = shape.iter().product::<usize>() / columns.max(1);
        let flat = self.reshape_to(&[rows, columns], floats(), &format!("{name}/flat"));
        vec![flat, softmax, self.reshape(operator.output, name)]
    }

    fn unary(&mut self, operator: &Operator, unary: Unary, x: &str, name: &str) {
        let simple = |op| vec![NodeDraft::new(op, &[], vec![floats()])];
        let steps = match unary {
            Unary::Clamp(activation) => match self.with(Vec::new(), activation, name) {
                steps if steps.is_empty() => simple("Identity"),
                steps => steps,
            },
            Unary::LeakyRelu { alpha } => {
                let slope = self.scalar(&format!("{name}/slope"), alpha);
                self.sloped(x, &slope, name);
                return;
            }
            Unary::HardSwish => {
                // x · relu6(x + 3) / 6.
                let three = self.scalar(&format!("{name}/three"), 3.0);
                let sixth = self.scalar(&format!("{name}/sixth"), 1.0 / 6.0);
                let sum = self.between(&format!("{name}/sum"), "Add", &[x, &three], vec![floats()]);
                let gate = self.between(&format!("{name}/relu6"), "Relu6", &[&sum], vec![floats()]);
                let inputs = [&gate, sixth.as_str()];
                let gate = self.between(&format!("{name}/gate"), "Mul", &inputs, vec![floats()]);
                vec![NodeDraft::new("Mul", &[&gate], vec![floats()])]
            }
            Unary::Logistic => simple("Sigmoid"),
            Unary::Tanh => simple("Tanh"),
            Unary::Exp => simple("Exp"),
            Unary::Log => simple("Log"),
            Unary::Sqrt => simple("Sqrt"),
            Unary::Neg => simple("Neg"),
            Unary::Abs => simple("Abs"),
            Unary::Cast => {
                let input = operator.inputs.first().copied().unwrap_or(operator.output);
                let (_, from) = self.of(input);
                let (_, to) = self.of(operator.output);
                vec![NodeDraft::new(
                    "Cast",
                    &[],
                    vec![("SrcT", from), ("DstT", to)],
                )]
            }
        };
        self.chain(x.to_owned(), steps, name);
    }

    /// The steps followed by the activation.
    fn with(
        &mut self,
        mut steps: Vec<NodeDraft>,
        activation: Activation,
        name: &str,
    ) -> Vec<NodeDraft> {
        match activation {
            Activation::None => {}
            Activation::Relu => steps.push(NodeDraft::new("Relu", &[], vec![floats()])),
            Activation::Relu6 => steps.push(NodeDraft::new("Relu6", &[], vec![floats()])),
            Activation::ReluN1To1 => {
                for (op, bound) in [("Maximum", -1.0), ("Minimum", 1.0)] {
                    let bound = self.scalar(&format!("{name}/bound"), bound);
                    steps.push(NodeDraft::new(op, &[&bound], vec![floats()]));
                }
            }
        }
        steps
    }

    /// `x` where it is positive, `slope · x` elsewhere.
    fn sloped(&mut self, x: &str, slope: &str, name: &str) {
        let zero = self.scalar(&format!("{name}/zero"), 0.0);
        let above = self.between(&format!("{name}/above"), "Relu", &[x], vec![floats()]);
        let below = format!("{name}/below");
        let below = self.between(&below, "Minimum", &[x, &zero], vec![floats()]);
        let steps = vec![
            NodeDraft::new("Mul", &[slope], vec![floats()]),
            NodeDraft::new("Add", &[&above], vec![floats()]),
        ];
        self.chain(below, steps, name);
    }
}

/// Sizes and names around a convolution.
struct Place<'a> {
    /// Height and width of its input.
    lens: [usize; 2],
    /// Height and width of its kernels.
    taps: [usize; 2],
    /// The shape of its result.
    output: Vec<usize>,
    /// The name of its result.
    name: &'a str,
}

/// Attributes of a `StridedSlice` that are optional but always written.
const MASKS: [&str; 5] = [
    "begin_mask",
    "end_mask",
    "ellipsis_mask",
    "new_axis_mask",
    "shrink_axis_mask",
];

fn pool(op: &'static str, slide: &Slide, window: [usize; 2]) -> NodeDraft {
    let attributes: Attributes = vec![
        floats(),
        ("ksize", list(&[1, window[0], window[1], 1])),
        ("strides", list(&[1, slide.strides[0], slide.strides[1], 1])),
        ("padding", text(slide.padding)),
        ("data_format", Value::S(b"NHWC".to_vec())),
    ];
    NodeDraft::new(op, &[], attributes)
}

fn text(padding: Padding) -> Value {
    let text: &[u8] = match padding {
        Padding::Same => b"SAME",
        Padding::Valid => b"VALID",
    };
    Value::S(text.to_vec())
}

fn list(values: &[usize]) -> Value {
    Value::List(ListValue {
        i: values.iter().map(|value| *value as i64).collect(),
    })
}
