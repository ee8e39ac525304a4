//! Non-files, endless files and impossible numbers: refused in one sentence, quickly.
#![cfg(unix)]

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use prost::Message as _;
use salamander::backbone::{Architecture, Fit};
use salamander::evaluate::{InputKind, Recipe};
use salamander::onnx::proto::attribute_proto::AttributeType;
use salamander::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};
use salamander::onnx::{ElementType, Tensor, cast_target, tensor_to_proto};

use crate::cli_program::{Place, Ran};

/// Runs a command with a timeout: a program that is still running after a minute hangs.
fn ended(place: &Place, args: &[&str]) -> Output {
    let mut command = place.command(args);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_mins(1) {
            child.kill().unwrap();
            panic!("{args:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn pipes_devices_and_sockets_are_not_read() {
    let place = Place::new();
    assert_eq!(place.line("new p").code, Some(0));
    let pipe = place.path("pipe.onnx");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let socket = place.path("socket.mp4");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::os::unix::fs::symlink("/dev/zero", place.path("zero.jpg")).unwrap();
    for special in [
        "pipe.onnx",
        "socket.mp4",
        "zero.jpg",
        "/dev/zero",
        "/dev/urandom",
    ] {
        for args in [
            vec!["predict", special, "zero.jpg"],
            vec!["import", "p", special],
            vec!["verify", special],
            vec!["architectures", "add", "p", special],
            vec!["features", special, "--out", "x.npy"],
            vec!["classes", special],
            vec!["serve", "p", "--run", special],
            vec!["evaluate", "p", "--run", special],
        ] {
            let message = Ran::of(&ended(&place, &args)).failure(&format!("{args:?}"));
            assert!(!message.is_empty());
        }
    }
    // Instead of a file that the project reads.
    std::fs::remove_file(place.path("p/project.json")).unwrap();
    std::fs::rename(&pipe, place.path("p/project.json")).unwrap();
    Ran::of(&ended(&place, &["classes", "p"])).failure("a pipe as project.json");
}

#[test]
fn what_is_too_large_is_not_read() {
    let place = Place::new();
    assert_eq!(place.line("new p").code, Some(0));
    // A sparse file: it takes no space on the disk.
    let huge = std::fs::File::create(place.path("huge.onnx")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let message = Ran::of(&ended(&place, &["predict", "huge.onnx", "x.jpg"])).failure("huge");
    assert!(
        message.contains("huge.onnx") && message.contains("MB"),
        "{message}"
    );
    Ran::of(&ended(&place, &["verify", "huge.onnx"])).failure("huge");
    Ran::of(&ended(&place, &["architectures", "add", "p", "huge.onnx"])).failure("huge");
    let document = std::fs::File::create(place.path("p/project.json")).unwrap();
    document.set_len(1 << 40).unwrap();
    let message = Ran::of(&ended(&place, &["classes", "p"])).failure("a huge project.json");
    assert!(message.contains("project.json"), "{message}");
}

/// A value with this many free dimensions.
fn value(name: &str, element: ElementType, free: usize) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dim = |at: usize| Dimension {
        value: Some(Value::DimParam(format!("{name}_{at}"))),
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(cast_target(element) as i32),
        shape: Some(TensorShapeProto {
            dim: (0..free).map(dim).collect(),
        }),
    };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
        }),
    }
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

/// An export whose model doubles its image forty times.
fn doubling() -> Vec<u8> {
    let mut concat = node("Concat", &["in", "in"], "out");
    concat.attribute = vec![AttributeProto {
        name: Some("axis".into()),
        r#type: Some(AttributeType::Int as i32),
        i: Some(0),
        ..AttributeProto::default()
    }];
    let body = GraphProto {
        name: Some("body".into()),
        node: vec![node("Identity", &["go"], "goes"), concat],
        input: vec![
            value("i", ElementType::I64, 0),
            value("go", ElementType::Bool, 0),
            value("in", ElementType::F32, 4),
        ],
        output: vec![
            value("goes", ElementType::Bool, 0),
            value("out", ElementType::F32, 4),
        ],
        ..GraphProto::default()
    };
    let mut turns = node("Loop", &["most", "yes", "image"], "probabilities");
    turns.attribute = vec![AttributeProto {
        name: Some("body".into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(body),
        ..AttributeProto::default()
    }];
    let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
    let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
    let labels = ["a", "b"].map(str::to_owned);
    let kind = InputKind::Float32Nchw;
    let recipe = Recipe::new(kind, &preprocessing, &architecture, &labels);
    let model = ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto {
            version: Some(17),
            ..OperatorSetIdProto::default()
        }],
        graph: Some(GraphProto {
            name: Some("doubling".into()),
            node: vec![turns],
            initializer: vec![
                tensor_to_proto("most", &Tensor::scalar(40_i64)),
                tensor_to_proto("yes", &Tensor::scalar(true)),
            ],
            input: vec![value("image", ElementType::F32, 4)],
            output: vec![value("probabilities", ElementType::F32, 4)],
            ..GraphProto::default()
        }),
        metadata_props: vec![StringStringEntryProto {
            key: Some("preprocessing".into()),
            value: Some(serde_json::to_string(&recipe).unwrap()),
        }],
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

/// The program limits its own memory to that of the computer; a lower limit that was set before is kept, so that the
/// test needs less than all memory.
#[cfg(target_os = "linux")]
#[test]
fn a_model_that_takes_all_memory_is_refused() {
    let place = Place::new();
    std::fs::write(place.path("doubling.onnx"), doubling()).unwrap();
    image::RgbImage::new(64, 64)
        .save(place.path("x.png"))
        .unwrap();
    let limits = rustix::process::getrlimit(rustix::process::Resource::Data);
    let low = rustix::process::Rlimit {
        current: Some(3 << 30),
        maximum: limits.maximum,
    };
    let mut command = place.command(&["predict", "doubling.onnx", "x.png"]);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap());
    rustix::process::prlimit(id, rustix::process::Resource::Data, low).unwrap();
    let message = Ran::of(&child.wait_with_output().unwrap()).failure("doubling");
    assert!(message.contains("alloc"), "{message}");
}
