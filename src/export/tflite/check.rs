//! Checks that a model file computes in integers, by the types of each operator in its tables, whoever wrote it.
//!
//! A model that is called int8 but has float layers is slow and large, and accelerators for integers cannot run it.
//! Neither its name nor its input shows that.

use super::TfliteError;
use super::read::{lens, open, places, unreadable};
use super::schema::tflite as fb;

use fb::{BuiltinOperator as Code, TensorType as Type};

/// The number of operators in a file that computes in integers.
///
/// # Errors
/// [`TfliteError::NotIntegers`] names the first float operator, or one with scales that kernels reject.
pub fn integers(bytes: &[u8]) -> Result<usize, TfliteError> {
    let model = open(bytes)?;
    let Some(graph) = model.subgraphs().filter(|all| all.len() == 1) else {
        return unreadable("it holds no graph, or several");
    };
    let graph = graph.get(0);
    let outputs = places(graph.outputs());
    let inputs = places(graph.inputs());
    let tensor = |place: i32| {
        let all = graph.tensors();
        let at = usize::try_from(place).ok();
        let found = at.and_then(|at| all.filter(|all| at < all.len()).map(|all| all.get(at)));
        found.map_or_else(
            || unreadable("it refers to a tensor that does not exist"),
            Ok,
        )
    };
    let mut count = 0;
    for operator in graph.operators().iter().flatten() {
        count += 1;
        let code = model
            .operator_codes()
            .filter(|codes| (operator.opcode_index() as usize) < codes.len())
            .map(|codes| codes.get(operator.opcode_index() as usize));
        let Some(code) = code else {
            return unreadable("it has an operator without a number");
        };
        let code = Code(i32::from(code.deprecated_builtin_code()).max(code.builtin_code().0));
        let reads = places(operator.inputs());
        let [made] = places(operator.outputs())[..] else {
            return unreadable("it has an operator with several outputs");
        };
        let result = tensor(made)?;
        let wrong = |what: &str| {
            let name = result.name().unwrap_or_default();
            Err(TfliteError::NotIntegers(format!(
                "“{name}” (operator {}) {what}",
                code.0
            )))
        };
        let kind_of = |place: i32| tensor(place).map(|tensor| tensor.type_());
        let first = kind_of(reads.first().copied().unwrap_or(-1))?;
        match code {
            // Pixels are converted to int8 and back to bytes; only outputs of the model are dequantized.
            Code::QUANTIZE => {
                let is_pixels = first == Type::UINT8 && inputs.contains(&reads[0]);
                let is_output = result.type_() == Type::UINT8 && outputs.contains(&made);
                if !(is_pixels || first == Type::INT8)
                    || !(is_output || result.type_() == Type::INT8)
                {
                    return wrong("converts something other than integers");
                }
            }
            Code::DEQUANTIZE => {
                if first != Type::INT8
                    || result.type_() != Type::FLOAT32
                    || !outputs.contains(&made)
                {
                    return wrong("computes floats before its end");
                }
            }
            _ => {
                if result.type_() != Type::INT8 {
                    return wrong("does not give 8-bit integers");
                }
                let is_layer = is_layer(code);
                for (at, place) in reads.iter().enumerate() {
                    let wanted = match (is_layer, at) {
                        (true, 2) => Type::INT32,
                        (true, _) | (_, 0) => Type::INT8,
                        _ if takes_indices(code, at) => Type::INT32,
                        _ => Type::INT8,
                    };
                    if kind_of(*place)? != wanted {
                        return wrong("does not read integers");
                    }
                }
                if is_layer {
                    let [x, weights, bias] = reads[..] else {
                        return wrong("has no bias");
                    };
                    let fault = layer(code, [tensor(x)?, tensor(weights)?, tensor(bias)?, result])?;
                    if let Some(fault) = fault {
                        return wrong(fault);
                    }
                }
            }
        }
        for place in reads.iter().copied().chain([made]) {
            let one = tensor(place)?;
            let is_quantized = matches!(one.type_(), Type::INT8 | Type::UINT8);
            if is_quantized && scales(one).is_empty() {
                return wrong("reads or gives integers without a scale");
            }
        }
    }
    if count == 0 {
        return unreadable("it has no operators");
    }
    Ok(count)
}

fn is_layer(code: Code) -> bool {
    matches!(
        code,
        Code::CONV_2D | Code::DEPTHWISE_CONV_2D | Code::FULLY_CONNECTED
    )
}

/// Whether an input of an operator has axes, widths or shapes.
fn takes_indices(code: Code, at: usize) -> bool {
    match code {
        Code::PAD
        | Code::PADV2
        | Code::MEAN
        | Code::SUM
        | Code::REDUCE_MAX
        | Code::REDUCE_MIN
        | Code::RESHAPE
        | Code::TRANSPOSE => at == 1,
        Code::SLICE => at == 1 || at == 2,
        _ => false,
    }
}

fn scales(tensor: fb::Tensor<'_>) -> Vec<f32> {
    let scales = tensor.quantization().and_then(|known| known.scale());
    scales.map(|all| all.iter().collect()).unwrap_or_default()
}

/// The fault in the scales of a layer's input, weights, bias and result, if there is one.
fn layer(
    code: Code,
    [x, weights, bias, result]: [fb::Tensor<'_>; 4],
) -> Result<Option<&'static str>, TfliteError> {
    let channels = lens(bias)?.iter().product::<usize>();
    let (of_x, of_weights, of_bias) = (scales(x), scales(weights), scales(bias));
    let [of_x] = *of_x.as_slice() else {
        return Ok(Some("reads integers of several scales"));
    };
    let [of_result] = scales(result)[..] else {
        return Ok(Some("gives integers of several scales"));
    };
    // A limit of XNNPACK: runtimes that use it would not load the file.
    if of_weights
        .iter()
        .any(|scale| scale * of_x / of_result >= 256.0)
    {
        return Ok(Some("has results too small for the scale of its products"));
    }
    let known = weights.quantization();
    let axis = known.map(|known| known.quantized_dimension());
    let wanted_axis = i32::from(code == Code::DEPTHWISE_CONV_2D) * 3;
    if of_weights.len() > 1 {
        if code == Code::FULLY_CONNECTED {
            return Ok(Some(
                "has a scale for each row of its matrix, which old phones do not load",
            ));
        }
        if of_weights.len() != channels || axis != Some(wanted_axis) {
            return Ok(Some("has scales that are not those of its channels"));
        }
    }
    let zeros = known.and_then(|known| known.zero_point());
    if zeros.iter().flatten().any(|zero| zero != 0) {
        return Ok(Some("has weights with a zero point other than 0"));
    }
    if of_bias.len() != of_weights.len() {
        return Ok(Some("has a bias of other scales than its weights"));
    }
    let is_product = |(own, weight): (&f32, &f32)| {
        let product = weight * of_x;
        (own - product).abs() <= product * 1e-3
    };
    if !of_bias.iter().zip(&of_weights).all(is_product) {
        return Ok(Some(
            "has a bias at another scale than that of its products",
        ));
    }
    Ok(None)
}
