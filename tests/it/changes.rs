//! Files changed at random, from seeds: documents by their values, models and tensors by their structure, all files
//! also byte by byte.

use std::path::Path;

use prost::Message as _;
use salamander::onnx::proto::{AttributeProto, ModelProto, TensorProto};
use serde_json::{Value, json};

/// `SplitMix64` (Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// JSON pointers to all values within a JSON value.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                places(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                places(value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// The number of [`odd_value`]'s values that are numbers; they come first.
const NUMBERS: usize = 13;

/// An unexpected value in place of another; for most numbers a number.
fn odd_value(of: &Value, random: &mut Random) -> Value {
    let all = [
        json!(0),
        json!(1),
        json!(-1),
        json!(255),
        json!(65_536),
        json!(u32::MAX),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e-308),
        json!(1e308),
        json!(-1e308),
        json!(0.5),
        json!(null),
        json!(true),
        json!(""),
        json!("\u{202e}\u{1b}[31m\n"),
        json!("../../../etc/passwd"),
        json!("/dev/zero"),
        json!("x".repeat(70_000)),
        json!([]),
        json!({}),
        json!([[[[]]]]),
        json!({"a": {"b": 1}}),
    ];
    if of.is_number() && random.below(4) > 0 {
        return random.one(&all[..NUMBERS]).clone();
    }
    random.one(&all).clone()
}

/// A JSON document with one to three values changed or removed.
fn json_changed(value: &mut Value, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let mut all = Vec::new();
        places(value, "", &mut all);
        all.retain(|place| !place.is_empty());
        if all.is_empty() {
            return;
        }
        let place = random.one(&all).clone();
        if random.below(6) == 0 {
            let (above, key) = place.rsplit_once('/').unwrap();
            match value.pointer_mut(above) {
                Some(Value::Object(fields)) => {
                    fields.remove(&key.replace("~1", "/").replace("~0", "~"));
                }
                Some(Value::Array(items)) => {
                    items.remove(key.parse().unwrap());
                }
                _ => {}
            }
        } else if let Some(found) = value.pointer_mut(&place) {
            *found = odd_value(found, random);
        }
    }
}

/// Bytes with bits flipped, numbers replaced, or a piece lost, doubled or moved.
fn bytes_changed(bytes: &mut Vec<u8>, random: &mut Random) {
    // Headers matter more than the middle of weights.
    let at = |random: &mut Random, length: usize| match random.below(2) {
        0 => random.below(length.min(512)),
        _ => random.below(length),
    };
    for _ in 0..=random.below(4) {
        let length = bytes.len();
        if length == 0 {
            return;
        }
        let place = at(random, length);
        match random.below(6) {
            0 | 1 => bytes[place] ^= 1 << random.below(8),
            2 => bytes[place] = *random.one(&[0, 1, 0x7f, 0x80, 0xff]),
            3 => {
                let number = random.one(&[0_u64, 1, u64::MAX, 1 << 31, 1 << 40, u64::MAX >> 1]);
                for (byte, new) in bytes.iter_mut().skip(place).zip(number.to_le_bytes()) {
                    *byte = new;
                }
            }
            4 => bytes.truncate(place),
            _ => {
                let end = (place + random.below(64)).min(length);
                let piece = bytes[place..end].to_vec();
                let to = at(random, length);
                bytes.splice(to..to, piece);
            }
        }
    }
}

/// Unexpected numbers for a model.
fn odd_number(random: &mut Random) -> i64 {
    *random.one(&[
        0,
        1,
        -1,
        2,
        7,
        255,
        65_536,
        1 << 31,
        1 << 40,
        i64::MAX,
        i64::MIN,
    ])
}

fn attribute_changed(attribute: &mut AttributeProto, random: &mut Random) {
    if !attribute.ints.is_empty() {
        let at = random.below(attribute.ints.len());
        match random.below(4) {
            0 => drop(attribute.ints.remove(at)),
            1 => attribute.ints.push(odd_number(random)),
            _ => attribute.ints[at] = odd_number(random),
        }
    } else if attribute.f.is_some() {
        attribute.f = Some(*random.one(&[0.0, -1.0, 1e38, f32::NAN, f32::INFINITY]));
    } else {
        attribute.i = Some(odd_number(random));
    }
}

fn tensor_changed(tensor: &mut TensorProto, random: &mut Random) {
    match random.below(4) {
        0 => tensor.data_type = Some(random.below(18) as i32),
        1 if !tensor.dims.is_empty() => {
            let at = random.below(tensor.dims.len());
            tensor.dims[at] = odd_number(random);
        }
        2 => tensor.dims.push(odd_number(random)),
        _ => match &mut tensor.raw_data {
            Some(raw) => bytes_changed(raw, random),
            None => tensor.dims.clear(),
        },
    }
}

/// An ONNX file with one to three of its nodes, attributes, weights, shapes or texts changed.
fn model_changed(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut model = ModelProto::decode(bytes).unwrap();
    for _ in 0..=random.below(3) {
        let graph = model.graph.as_mut().unwrap();
        if graph.node.is_empty() || graph.initializer.is_empty() {
            break;
        }
        let at = random.below(graph.node.len());
        let names: Vec<String> = graph
            .node
            .iter()
            .flat_map(|node| node.output.clone())
            .collect();
        let node = &mut graph.node[at];
        match random.below(8) {
            0 | 1 if !node.attribute.is_empty() => {
                let at = random.below(node.attribute.len());
                attribute_changed(&mut node.attribute[at], random);
            }
            2 if !node.input.is_empty() => {
                let at = random.below(node.input.len());
                node.input[at].clone_from(random.one(&names));
            }
            3 => {
                let kinds = [
                    "Add", "Concat", "Reshape", "Loop", "Conv", "Resize", "Tile", "Softmax",
                ];
                node.op_type = Some((*random.one(&kinds)).to_owned());
            }
            4 => drop(graph.node.remove(at)),
            5 | 6 => {
                let at = random.below(graph.initializer.len());
                tensor_changed(&mut graph.initializer[at], random);
            }
            _ => {
                for text in &mut model.metadata_props {
                    let value = text.value.as_deref().unwrap_or_default();
                    if let Ok(mut json) = serde_json::from_str::<Value>(value) {
                        json_changed(&mut json, random);
                        text.value = Some(json.to_string());
                    }
                }
            }
        }
    }
    model.encode_to_vec()
}

/// A safetensors file whose header has other values.
fn header_changed(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    json_changed(&mut header, random);
    let header = header.to_string();
    let mut new = (header.len() as u64).to_le_bytes().to_vec();
    new.extend(header.as_bytes());
    new.extend(tensors);
    new
}

/// The changed contents of a file, never equal to the original.
pub fn changed(path: &Path, random: &mut Random) -> Vec<u8> {
    let old = std::fs::read(path).unwrap();
    let ends_with = |ending: &str| path.extension().is_some_and(|name| name == ending);
    let (is_json, is_lines) = (ends_with("json"), ends_with("jsonl"));
    loop {
        let mut new = old.clone();
        // Some files of the cache end with a hash.
        let value = serde_json::from_slice::<Value>(&old);
        if let Ok(mut value) = value
            && is_json
            && random.below(5) > 0
        {
            json_changed(&mut value, random);
            new = serde_json::to_vec(&value).unwrap();
        } else if is_lines && random.below(5) > 0 {
            let text = String::from_utf8(old.clone()).unwrap();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if !lines.is_empty() {
                let at = random.below(lines.len());
                let mut value: Value = serde_json::from_str(&lines[at]).unwrap();
                json_changed(&mut value, random);
                lines[at] = value.to_string();
            }
            new = lines.join("\n").into_bytes();
            new.push(b'\n');
        } else if ends_with("onnx") && random.below(3) > 0 {
            new = model_changed(&old, random);
        } else if ends_with("safetensors") && random.below(2) > 0 {
            new = header_changed(&old, random);
        } else {
            bytes_changed(&mut new, random);
        }
        if new != old {
            return new;
        }
    }
}
