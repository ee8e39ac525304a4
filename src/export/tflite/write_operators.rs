//! Writes each operator: its number, version and options, and parameters that the format has as constant inputs.
//!
//! The version is the oldest with the features used, so that old phones load the file; operators on int8 need a newer
//! one.

use crate::export::nhwc::{Activation, Binary, Kind, Operator, Padding, Reduction, Unary};

use crate::onnx::ElementType;

use super::schema::tflite as fb;
use super::write::{Options, Writer, index, type_of};

use fb::{ActivationFunctionType as Function, BuiltinOperator as Code, BuiltinOptions as Kinds};

impl Writer<'_> {
    /// The number, version and options of an operator. Parameters that the format has as inputs are appended to
    /// `inputs`.
    pub fn options(
        &mut self,
        operator: &Operator,
        inputs: &mut Vec<i32>,
    ) -> ((Code, i32), Options) {
        let ((code, version), options) = self.of_numbers(operator, inputs);
        let first = operator.inputs.first().map(|id| self.program.info(*id));
        let version = match first.map(|info| info.element) {
            Some(ElementType::I8) => of_int8(code),
            _ => version,
        };
        ((code, version), options)
    }

    /// The same with the version for floats.
    fn of_numbers(&mut self, operator: &Operator, inputs: &mut Vec<i32>) -> ((Code, i32), Options) {
        let program = self.program;
        let name = &program.info(operator.output).name;
        let none = (Kinds::NONE, None);
        match &operator.kind {
            Kind::Conv { slide, activation } => {
                let args = fb::Conv2DOptionsArgs {
                    padding: padding(slide.padding),
                    stride_h: index(slide.strides[0]),
                    stride_w: index(slide.strides[1]),
                    fused_activation_function: function(*activation),
                    dilation_h_factor: index(slide.dilations[0]),
                    dilation_w_factor: index(slide.dilations[1]),
                };
                let options = fb::Conv2DOptions::create(&mut self.fbb, &args).as_union_value();
                ((Code::CONV_2D, 1), (Kinds::Conv2DOptions, Some(options)))
            }
            Kind::DepthwiseConv {
                slide,
                multiplier,
                activation,
            } => {
                let args = fb::DepthwiseConv2DOptionsArgs {
                    padding: padding(slide.padding),
                    stride_h: index(slide.strides[0]),
                    stride_w: index(slide.strides[1]),
                    depth_multiplier: index(*multiplier),
                    fused_activation_function: function(*activation),
                    dilation_h_factor: index(slide.dilations[0]),
                    dilation_w_factor: index(slide.dilations[1]),
                };
                let options = fb::DepthwiseConv2DOptions::create(&mut self.fbb, &args);
                // Dilations need version 2.
                let version = if slide.dilations == [1, 1] { 1 } else { 2 };
                (
                    (Code::DEPTHWISE_CONV_2D, version),
                    (
                        Kinds::DepthwiseConv2DOptions,
                        Some(options.as_union_value()),
                    ),
                )
            }
            Kind::AveragePool {
                slide,
                window,
                activation,
            }
            | Kind::MaxPool {
                slide,
                window,
                activation,
            } => {
                let args = fb::Pool2DOptionsArgs {
                    padding: padding(slide.padding),
                    stride_h: index(slide.strides[0]),
                    stride_w: index(slide.strides[1]),
                    filter_height: index(window[0]),
                    filter_width: index(window[1]),
                    fused_activation_function: function(*activation),
                };
                let options = fb::Pool2DOptions::create(&mut self.fbb, &args).as_union_value();
                let code = if matches!(operator.kind, Kind::MaxPool { .. }) {
                    Code::MAX_POOL_2D
                } else {
                    Code::AVERAGE_POOL_2D
                };
                ((code, 1), (Kinds::Pool2DOptions, Some(options)))
            }
            Kind::FullyConnected { activation } => {
                let args = fb::FullyConnectedOptionsArgs {
                    fused_activation_function: function(*activation),
                };
                let options = fb::FullyConnectedOptions::create(&mut self.fbb, &args);
                (
                    (Code::FULLY_CONNECTED, 1),
                    (Kinds::FullyConnectedOptions, Some(options.as_union_value())),
                )
            }
            Kind::Binary { binary, activation } => self.binary(*binary, function(*activation)),
            Kind::Unary(unary) => self.unary(*unary, operator),
            Kind::Prelu => ((Code::PRELU, 1), none),
            Kind::Softmax => {
                let args = fb::SoftmaxOptionsArgs { beta: 1.0 };
                let options = fb::SoftmaxOptions::create(&mut self.fbb, &args).as_union_value();
                ((Code::SOFTMAX, 1), (Kinds::SoftmaxOptions, Some(options)))
            }
            Kind::Concat { axis } => {
                let args = fb::ConcatenationOptionsArgs {
                    axis: index(*axis),
                    fused_activation_function: Function::NONE,
                };
                let options = fb::ConcatenationOptions::create(&mut self.fbb, &args);
                (
                    (Code::CONCATENATION, 1),
                    (Kinds::ConcatenationOptions, Some(options.as_union_value())),
                )
            }
            Kind::Reduce {
                reduction,
                axes,
                keep,
            } => {
                let axes: Vec<i32> = axes.iter().map(|axis| index(*axis)).collect();
                let axes = self.ints(&format!("{name}/axes"), &[axes.len()], &axes);
                inputs.push(axes);
                let args = fb::ReducerOptionsArgs { keep_dims: *keep };
                let options = fb::ReducerOptions::create(&mut self.fbb, &args).as_union_value();
                let code = match reduction {
                    Reduction::Mean => Code::MEAN,
                    Reduction::Sum => Code::SUM,
                    Reduction::Max => Code::REDUCE_MAX,
                    Reduction::Min => Code::REDUCE_MIN,
                };
                ((code, 1), (Kinds::ReducerOptions, Some(options)))
            }
            Kind::Pad { pads, value } => {
                let widths: Vec<i32> = pads.iter().flatten().map(|width| index(*width)).collect();
                let widths = self.ints(&format!("{name}/widths"), &[pads.len(), 2], &widths);
                inputs.push(widths);
                let Some(value) = value else {
                    return ((Code::PAD, 1), none);
                };
                let value = self.number(&format!("{name}/value"), *value, operator.output);
                inputs.push(value);
                ((Code::PADV2, 1), none)
            }
            Kind::Slice { begin } => {
                let ints =
                    |all: &[usize]| -> Vec<i32> { all.iter().map(|at| index(*at)).collect() };
                let size = program.shape(operator.output);
                let begin = self.ints(&format!("{name}/begin"), &[begin.len()], &ints(begin));
                let size = self.ints(&format!("{name}/size"), &[size.len()], &ints(size));
                inputs.extend([begin, size]);
                ((Code::SLICE, 1), none)
            }
            Kind::Reshape => {
                let shape = program.shape(operator.output).iter();
                let shape: Vec<i32> = shape.map(|len| index(*len)).collect();
                let wanted = self.ints(&format!("{name}/shape"), &[shape.len()], &shape);
                inputs.push(wanted);
                let new_shape = Some(self.fbb.create_vector(&shape));
                let args = fb::ReshapeOptionsArgs { new_shape };
                let options = fb::ReshapeOptions::create(&mut self.fbb, &args).as_union_value();
                ((Code::RESHAPE, 1), (Kinds::ReshapeOptions, Some(options)))
            }
            Kind::Transpose { perm } => {
                let perm: Vec<i32> = perm.iter().map(|dim| index(*dim)).collect();
                let perm = self.ints(&format!("{name}/order"), &[perm.len()], &perm);
                inputs.push(perm);
                ((Code::TRANSPOSE, 1), none)
            }
            Kind::Quantize => ((Code::QUANTIZE, 1), none),
            Kind::Dequantize => ((Code::DEQUANTIZE, 1), none),
        }
    }

    fn binary(&mut self, binary: Binary, activation: Function) -> ((Code, i32), Options) {
        let fbb = &mut self.fbb;
        let fused_activation_function = activation;
        let (code, kind, options) = match binary {
            Binary::Add => {
                let args = fb::AddOptionsArgs {
                    fused_activation_function,
                };
                let options = fb::AddOptions::create(fbb, &args).as_union_value();
                (Code::ADD, Kinds::AddOptions, options)
            }
            Binary::Sub => {
                let args = fb::SubOptionsArgs {
                    fused_activation_function,
                };
                let options = fb::SubOptions::create(fbb, &args).as_union_value();
                (Code::SUB, Kinds::SubOptions, options)
            }
            Binary::Mul => {
                let args = fb::MulOptionsArgs {
                    fused_activation_function,
                };
                let options = fb::MulOptions::create(fbb, &args).as_union_value();
                (Code::MUL, Kinds::MulOptions, options)
            }
            Binary::Div => {
                let args = fb::DivOptionsArgs {
                    fused_activation_function,
                };
                let options = fb::DivOptions::create(fbb, &args).as_union_value();
                (Code::DIV, Kinds::DivOptions, options)
            }
            Binary::Maximum => return ((Code::MAXIMUM, 1), (Kinds::NONE, None)),
            Binary::Minimum => return ((Code::MINIMUM, 1), (Kinds::NONE, None)),
        };
        ((code, 1), (kind, Some(options)))
    }

    fn unary(&mut self, unary: Unary, operator: &Operator) -> ((Code, i32), Options) {
        let code = match unary {
            Unary::Clamp(Activation::ReluN1To1) => Code::RELU_N1_TO_1,
            Unary::Clamp(Activation::Relu6) => Code::RELU6,
            Unary::Clamp(Activation::Relu | Activation::None) => Code::RELU,
            Unary::HardSwish => Code::HARD_SWISH,
            Unary::Logistic => Code::LOGISTIC,
            Unary::Tanh => Code::TANH,
            Unary::Exp => Code::EXP,
            Unary::Log => Code::LOG,
            Unary::Sqrt => Code::SQRT,
            Unary::Neg => Code::NEG,
            Unary::Abs => Code::ABS,
            Unary::LeakyRelu { alpha } => {
                let args = fb::LeakyReluOptionsArgs { alpha };
                let options = fb::LeakyReluOptions::create(&mut self.fbb, &args);
                let options = Some(options.as_union_value());
                return ((Code::LEAKY_RELU, 1), (Kinds::LeakyReluOptions, options));
            }
            Unary::Cast => {
                let element = |id| type_of(self.program.info(id).element);
                let from = operator.inputs.first().copied().map(element);
                let args = fb::CastOptionsArgs {
                    in_data_type: from.unwrap_or_default(),
                    out_data_type: element(operator.output),
                };
                let options = fb::CastOptions::create(&mut self.fbb, &args).as_union_value();
                return ((Code::CAST, 1), (Kinds::CastOptions, Some(options)));
            }
        };
        ((code, 1), (Kinds::NONE, None))
    }
}

/// The first version of an operator for int8. For `FULLY_CONNECTED` it has one scale for all its weights.
fn of_int8(code: Code) -> i32 {
    match code {
        Code::CONV_2D | Code::DEPTHWISE_CONV_2D => 3,
        Code::FULLY_CONNECTED => 4,
        Code::RESHAPE | Code::HARD_SWISH | Code::PRELU | Code::RELU_N1_TO_1 | Code::QUANTIZE => 1,
        _ => 2,
    }
}

fn padding(padding: Padding) -> fb::Padding {
    match padding {
        Padding::Same => fb::Padding::SAME,
        Padding::Valid => fb::Padding::VALID,
    }
}

fn function(activation: Activation) -> Function {
    match activation {
        Activation::None => Function::NONE,
        Activation::Relu => Function::RELU,
        Activation::ReluN1To1 => Function::RELU_N1_TO_1,
        Activation::Relu6 => Function::RELU6,
    }
}
