//! The names of architectures in `retrain.py`.

use crate::backbone::Architecture;

/// The architecture for a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// The architecture that is used.
    pub architecture: Architecture,
    /// How it differs from the one that was requested.
    pub note: Option<String>,
}

/// The architecture for a value of `--architecture`: one of this program by its own name, or a name of `retrain.py`
/// such as `mobilenet_1.0_224`, for which `MobileNet` v2 is used.
///
/// # Errors
/// A sentence, for any other name.
pub fn named(text: &str) -> Result<Named, String> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("mobilenet_") {
        return mobilenet(text, rest);
    }
    if text == "inception_v3" {
        return Err(
            "Inception v3 is not included in Salamander; use efficientnet-lite2@260 or another architecture listed by `salamander architectures`, or add it to a project from an ONNX file (`salamander architectures add`)"
                .to_owned(),
        );
    }
    let architecture = text.parse::<Architecture>().map_err(|e| e.to_string())?;
    Ok(Named {
        architecture,
        note: None,
    })
}

/// `1.0_224`, `0.50_192_quantized`: width, input size, and whether the graph was to be quantized.
fn mobilenet(text: &str, rest: &str) -> Result<Named, String> {
    let mut parts = rest.split('_');
    let (width, side) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let quantized = match (parts.next(), parts.next()) {
        (None, None) => false,
        (Some("quantized"), None) => true,
        _ => return Err(format!("“{text}” is not an architecture of retrain.py")),
    };
    if !["1.0", "0.75", "0.50", "0.25"].contains(&width) {
        return Err(format!(
            "“{text}” is not an architecture of retrain.py: its widths were 1.0, 0.75, 0.50 and 0.25"
        ));
    }
    let architecture = format!("mobilenet-v2@{side}");
    let architecture = architecture.parse::<Architecture>().map_err(|_| {
        format!("“{text}”: MobileNet is available at 96, 128, 160, 192 and 224 pixels")
    })?;
    let mut note = format!("{architecture}, of width 1.0, replaces {text}");
    if quantized {
        note.push_str("; for an 8-bit integer model, export the run as tflite-int8");
    }
    Ok(Named {
        architecture,
        note: Some(note),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_retrain_py_are_known() {
        let of = |text| named(text).map(|named| named.architecture.to_string());
        assert_eq!(of("mobilenet_1.0_224"), Ok("mobilenet-v2@224".to_owned()));
        assert_eq!(
            of("mobilenet_0.50_128_quantized"),
            Ok("mobilenet-v2@128".to_owned())
        );
        assert_eq!(
            of("efficientnet-lite0@192"),
            Ok("efficientnet-lite0@192".to_owned())
        );
        let note = named("mobilenet_0.25_96_quantized").map(|named| named.note);
        assert!(note.is_ok_and(|note| note.is_some_and(|note| note.contains("tflite-int8"))));
        for wrong in [
            "inception_v3",
            "mobilenet_1.0_225",
            "mobilenet_2.0_224",
            "mobilenet_1.0_224_int4",
            "mobilenet_",
            "resnet",
        ] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
