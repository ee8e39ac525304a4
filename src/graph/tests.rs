//! Graphs as a whole: reading and writing, folding, joining, extracting parts.

#![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

use prost::Message;

use super::ops::{Conv, Elementwise, Moves, ReduceKind, Reshaping};
use super::value::Fact;
use super::*;
use crate::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
    attribute_proto::AttributeType,
};
use crate::onnx::{ElementType, Session, Tensor};

fn run(graph: &Graph, inputs: &[(&str, &Tensor)], output: &str) -> Tensor {
    let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
    session.run(inputs, &[output]).unwrap().remove(0)
}

fn op_types(graph: &Graph) -> Vec<&str> {
    graph.nodes().iter().map(|node| node.op.op_type()).collect()
}

/// `y = x · 2` for `x` of `[n, 2]`, and its sum, with metadata.
fn doubling() -> Graph {
    let mut graph = Graph::new("doubling");
    let x = graph.input("x", ElementType::F32, &["n".into(), Dim::Fixed(2)]);
    let two = graph.number(2.0);
    let y = graph.mul(x, two);
    graph.output_as(y, "y");
    let sum = graph.reduce_all(ReduceKind::Sum, y);
    graph.output_as(sum, "sum");
    graph.set_metadata("labels", "katt\nøks");
    graph
}

#[test]
fn a_model_survives_reading_and_writing() {
    let graph = doubling();
    let bytes = graph.to_onnx();
    let read = Graph::from_onnx(&bytes).unwrap();
    assert_eq!(read.to_onnx(), bytes);
    assert_eq!(read.metadata, graph.metadata);
    let constant = read.constant_of(read.find("constant_0").unwrap()).unwrap();
    assert_eq!(**constant, Tensor::scalar(2.0_f32));
    assert!(Graph::from_onnx(b"\xff\xff\xff").is_err());
}

/// Reading and writing loses nothing that matters, for every model file of the repository.
#[test]
fn model_files_keep_nodes_attributes_names_and_facts() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = 0;
    for folder in ["models", "tests/fixtures/gradients"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "onnx") {
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            let graph = Graph::from_onnx(&bytes).unwrap();
            let written = graph.to_onnx();
            let again = Graph::from_onnx(&written).unwrap();
            assert_eq!(again.to_onnx(), written, "{}", path.display());
            assert!(facts(&again) == facts(&graph), "{}", path.display());
            let other = |node: &&Node| matches!(node.op, Op::Other(_));
            assert!(
                graph.nodes().iter().find(other).is_none(),
                "{}",
                path.display()
            );
            let [before, after] = [&bytes, &written].map(|bytes| file_of(bytes));
            // `Constant` nodes have become constants.
            let nodes = before.node.iter();
            let nodes: Vec<_> = nodes.filter(|node| node.op_type() != "Constant").collect();
            assert_eq!(after.node.len(), nodes.len(), "{}", path.display());
            for (before, after) in nodes.iter().zip(&after.node) {
                same_node(before, after);
            }
            let constants = |file: &GraphProto| {
                let mut named: Vec<(String, Vec<i64>)> = file
                    .initializer
                    .iter()
                    .map(|tensor| (tensor.name().to_owned(), tensor.dims.clone()))
                    .collect();
                named.sort();
                named
            };
            if nodes.len() == before.node.len() {
                assert_eq!(constants(&after), constants(&before), "{}", path.display());
            }
            assert_eq!(after.input.len(), before.input.len());
            assert_eq!(after.output.len(), before.output.len());
        }
    }
    assert_eq!(files, 8);
}

/// The fact about each value.
fn facts(graph: &Graph) -> Vec<(&str, &Fact)> {
    let mut facts: Vec<_> = graph
        .names
        .iter()
        .map(|(name, value)| (&**name, graph.fact(*value)))
        .collect();
    facts.sort_by_key(|(name, _)| *name);
    facts
}

fn file_of(bytes: &[u8]) -> GraphProto {
    ModelProto::decode(bytes).unwrap().graph.unwrap()
}

/// Compares two nodes, ignoring attributes that have their default value.
fn same_node(before: &NodeProto, after: &NodeProto) {
    let names = |node: &NodeProto| {
        (
            node.name().to_owned(),
            node.input.clone(),
            node.output.clone(),
        )
    };
    assert_eq!(names(before), names(after));
    let op = |attributes: &[AttributeProto]| {
        Op::of_file(before.domain(), before.op_type(), attributes, OPSET)
    };
    let whole = op(&before.attribute);
    assert_eq!(op(&after.attribute), whole);
    for attribute in &before.attribute {
        let mut others = before.attribute.clone();
        others.retain(|other| other.name() != attribute.name());
        let mut written = after.attribute.iter().map(AttributeProto::name);
        let is_written = written.any(|name| name == attribute.name());
        assert!(is_written || op(&others) == whole, "{attribute:?}");
    }
}

/// An `If` whose branches read values of the surrounding graph.
fn branching() -> GraphProto {
    let node = |op_type: &str, inputs: &[&str], output: &str| NodeProto {
        op_type: Some(op_type.into()),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    };
    let branch = |op_type: &str| GraphProto {
        name: Some(op_type.to_lowercase()),
        node: vec![
            node(op_type, &["doubled"], &format!("inner {op_type}")),
            node(
                "Add",
                &[&format!("inner {op_type}"), "x"],
                &format!("result {op_type}"),
            ),
        ],
        output: vec![ValueInfoProto {
            name: Some(format!("result {op_type}")),
            ..ValueInfoProto::default()
        }],
        ..GraphProto::default()
    };
    let attribute = |name: &str, graph: GraphProto| {
        let mut attribute = AttributeProto {
            name: Some(name.into()),
            g: Some(graph),
            ..AttributeProto::default()
        };
        attribute.set_type(AttributeType::Graph);
        attribute
    };
    let mut file = file_of(&{
        let mut graph = Graph::new("branching");
        let x = graph.input("x", ElementType::F32, &[Dim::Fixed(2)]);
        graph.input("positive", ElementType::Bool, &[]);
        let doubled = graph.op_named(Elementwise::Add, &[x, x], "doubled");
        graph.output(doubled);
        graph.to_onnx()
    });
    let mut chosen = node("If", &["positive"], "y");
    chosen.attribute = vec![
        attribute("then_branch", branch("Abs")),
        attribute("else_branch", branch("Neg")),
    ];
    file.node.push(chosen);
    file.output = vec![ValueInfoProto {
        name: Some("y".into()),
        ..ValueInfoProto::default()
    }];
    file
}

fn model(graph: GraphProto) -> Vec<u8> {
    let mut model = ModelProto::decode(&Graph::new("").to_onnx()[..]).unwrap();
    model.graph = Some(graph);
    model.encode_to_vec()
}

#[test]
fn graphs_inside_nodes_survive_pruning_renaming_and_joining() {
    let read = Graph::from_onnx(&model(branching())).unwrap();
    let x = Tensor::new([2], vec![1.0_f32, -3.0]);
    for (positive, expected) in [(true, [3.0, 3.0]), (false, [-1.0, 3.0])] {
        let positive = Tensor::scalar(positive);
        let inputs = [("x", &x), ("positive", &positive)];
        assert_eq!(run(&read, &inputs, "y").f32().unwrap(), expected);
        // A value that only the branches read is still needed.
        let mut pruned = read.clone();
        pruned.prune();
        assert_eq!(op_types(&pruned), ["Add", "If"]);
        assert_eq!(run(&pruned, &inputs, "y").f32().unwrap(), expected);
        pruned.prefix("in.");
        let mut whole = Graph::new("whole");
        let outer = whole.input("x", ElementType::F32, &[Dim::Fixed(2)]);
        let halved = whole.op_named(Elementwise::Abs, &[outer], "doubled");
        let y = pruned.outputs()[0];
        let inner = pruned.find("in.x").unwrap();
        let joined = whole.append(pruned, &[(inner, halved)]).unwrap();
        whole.output_as(joined.get(y), "y");
        let x = Tensor::new([2], vec![1.0_f32, 3.0]);
        let inputs = [("x", &x), ("in.positive", &positive)];
        let of_absolute = if expected[0] > 0.0 {
            [3.0, 9.0]
        } else {
            [-1.0, -3.0]
        };
        assert_eq!(run(&whole, &inputs, "y").f32().unwrap(), of_absolute);
    }
}

/// Unknown operators, attributes, types and constants survive reading and writing.
#[test]
fn what_is_not_known_is_passed_on() {
    let texts = TensorProto {
        name: Some("texts".into()),
        dims: vec![2],
        data_type: Some(8),
        string_data: vec![b"a".to_vec(), b"b".to_vec()],
        ..TensorProto::default()
    };
    let mut odd = AttributeProto {
        name: Some("flavour".into()),
        s: Some(b"sour".to_vec()),
        ..AttributeProto::default()
    };
    odd.set_type(AttributeType::String);
    let node = |domain: Option<&str>, op_type: &str, inputs: &[&str], output: &str| NodeProto {
        name: Some(format!("the {output}")),
        op_type: Some(op_type.into()),
        domain: domain.map(str::to_owned),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.into()],
        attribute: vec![odd.clone()],
    };
    let mut middle = file_of(&doubling().to_onnx()).output.remove(0);
    middle.name = Some("middle".into());
    let mut described = middle.clone();
    described.name = Some("described".into());
    let file = GraphProto {
        name: Some("odd".into()),
        node: vec![
            node(Some("com.example"), "Relu", &["x"], "described"),
            // A convolution with an unknown attribute.
            node(None, "Conv", &["described", "w"], "convolved"),
            node(None, "StringNormalizer", &["texts"], "normal"),
            node(
                Some("com.example"),
                "Mix",
                &["convolved", "", "normal"],
                "middle",
            ),
        ],
        input: file_of(&doubling().to_onnx()).input,
        output: vec![middle],
        initializer: vec![
            crate::onnx::tensor_to_proto("w", &Tensor::zeros(ElementType::F32, [1, 1, 1])),
            texts,
        ],
        value_info: vec![described],
        ..GraphProto::default()
    };
    let graph = Graph::from_onnx(&model(file.clone())).unwrap();
    assert!(
        graph
            .nodes()
            .iter()
            .all(|node| matches!(node.op, Op::Other(_)))
    );
    let described = graph.find("described").unwrap();
    let shape = ["n".into(), Dim::Fixed(2)];
    assert_eq!(graph.fact(described), &Fact::new(ElementType::F32, &shape));
    assert_eq!(file_of(&graph.to_onnx()), file);
}

#[test]
fn older_spellings_are_read() {
    // Before version 13 the default of `Softmax` was the second dimension combined with all after it.
    let softmax = NodeProto {
        op_type: Some("Softmax".into()),
        input: vec!["x".into()],
        output: vec!["y".into()],
        ..NodeProto::default()
    };
    let mut file = file_of(&doubling().to_onnx());
    file.node = vec![softmax];
    file.output.truncate(1);
    let mut old = ModelProto::decode(&model(file)[..]).unwrap();
    for (version, axis) in [(11, 1), (13, -1)] {
        old.opset_import[0].version = Some(version);
        let graph = Graph::from_onnx(&old.encode_to_vec()).unwrap();
        assert_eq!(
            graph.nodes()[0].op,
            ops::Softmax { axis, log: false }.into()
        );
    }
}

#[test]
fn facts_follow_as_a_graph_is_built() {
    let mut graph = Graph::new("facts");
    let x = graph.input(
        "x",
        ElementType::F32,
        &["N".into(), 3.into(), 8.into(), 8.into()],
    );
    let w = graph.constant(Tensor::zeros(ElementType::F32, [4, 3, 3, 3]));
    let y = graph.op(Conv::new(Sliding::new(&[2, 2], &[], &[1; 4]), 1), &[x, w]);
    let halves = ["N".into(), 4.into(), 4.into(), 4.into()];
    assert_eq!(graph.shape(y), Some(&halves[..]));
    let zero = graph.number(0.0);
    let positive = graph.greater(y, zero);
    assert_eq!(graph.element(positive), Some(ElementType::Bool));
    let flat = graph.op(Reshaping::FLATTEN, &[positive]);
    assert_eq!(graph.shape(flat), Some(&["N".into(), 64.into()][..]));
    assert_eq!(graph.macs(graph.producer(y).unwrap()), 4 * 16 * 27);
    assert_eq!(
        graph.weights_of(graph.producer(y).unwrap()),
        [(w, WeightKind::DenseKernel)]
    );
    // Changing the size of the input changes all shapes.
    graph.set_input_shape(x, &[2.into(), 3.into(), 6.into(), 6.into()]);
    assert_eq!(graph.shape(flat), Some(&[2.into(), 36.into()][..]));
}

#[test]
fn a_clone_shares_its_weights() {
    let mut graph = Graph::new("large");
    let w = graph.constant(Tensor::zeros(ElementType::F32, [1000]));
    let twin = graph.clone();
    let [a, b] = [&graph, &twin].map(|graph| graph.constant_of(w).unwrap());
    assert!(std::sync::Arc::ptr_eq(a, b));
}

#[test]
fn graphs_join_and_are_pruned() {
    let mut first = doubling();
    let mut second = first.clone();
    second.prefix("b/");
    let [y, _sum] = first.outputs().try_into().unwrap();
    let x = first.inputs()[0];
    let joined = first.append(second, &[(x, y)]).unwrap();
    first.clear_outputs();
    first.output(joined.get(y));
    first.prune();
    assert_eq!(op_types(&first), ["Mul", "Identity", "Mul", "Identity"]);
    let x = Tensor::new([1, 2], vec![1.0_f32, 2.0]);
    assert_eq!(run(&first, &[("x", &x)], "b/y").f32().unwrap(), [4.0, 8.0]);
    let twice = first.clone();
    assert!(first.append(twice, &[]).is_err(), "names clash");
}

#[test]
fn a_part_says_what_it_lacks() {
    let graph = doubling();
    let [x, y, sum] = ["x", "y", "sum"].map(|name| graph.find(name).unwrap());
    let two = graph.find("constant_0").unwrap();
    let part = graph.part(&[x], &[sum]).unwrap();
    assert_eq!(op_types(&part), ["Mul", "ReduceSum", "Identity"]);
    assert_eq!(part.find("y"), None, "its name is free");
    let message = graph.part(&[y], &[sum]).unwrap_err().to_string();
    assert!(message.contains("needs “x”"), "{message}");
    let message = graph.part(&[x], &[two]).unwrap_err().to_string();
    assert!(message.contains("computes “constant_0”"), "{message}");
}

/// `1 + 2 + …` with constants of every kind, each replaced before the graph is run.
#[test]
fn constants_of_every_kind_are_replaced() {
    let of = |value: f32| Tensor::new([1], vec![value]);
    let half = Tensor::new([1], vec![half::f16::from_f32(2.0)]);
    let mut graph = Graph::new("sum");
    let plain = graph.constant_named("plain", of(1.0));
    let stored = graph.constant_named("stored", half);
    let to_single = Elementwise::Cast(ElementType::F32);
    let cast = graph.op_named(to_single, &[stored], "cast");
    let other = graph.op_named(to_single, &[stored], "other");
    let same = graph.op_named(Reshaping::Identity, &[plain], "same");
    let all = [plain, cast, other, same];
    let sum = graph.op_named(Elementwise::Sum, &all, "sum");
    graph.output(sum);
    let value = |graph: &Graph| run(graph, &[], "sum").f32().unwrap()[0];
    assert!((value(&graph) - 6.0).abs() < 1e-6);
    for (name, with, expected) in [
        // Other readers of the same constant keep it.
        ("cast", 20.0, 24.0),
        ("other", 40.0, 62.0),
        ("same", 5.0, 66.0),
        ("plain", 0.25, 65.25),
        ("cast", 0.0, 45.25),
    ] {
        graph.replace_constant(name, &of(with)).unwrap();
        assert!((value(&graph) - expected).abs() < 1e-6, "{name}");
    }
    assert_eq!(op_types(&graph), ["Sum"]);
    assert!(graph.replace_constant("sum", &of(1.0)).is_err());
    assert!(graph.replace_constant("none", &of(1.0)).is_err());
    let wide = Tensor::new([1, 1], vec![1.0_f32]);
    assert!(graph.replace_constant("cast", &wide).is_err());
    assert_eq!(
        file_of(&graph.to_onnx()).initializer.len(),
        4,
        "nothing unread is left"
    );
}

#[test]
fn chains_of_integers_become_constants_and_make_shapes_known() {
    let mut graph = Graph::new("chains");
    let x = graph.input("x", ElementType::F32, &[2.into(), 6.into(), 4.into()]);
    let weight = graph.constant_named("weight", Tensor::new([1], vec![3.0_f32]));
    // Pads in the form of PyTorch's exporter.
    let four = graph.ints(&[4]);
    let zeros = Reshaping::ConstantOfShape {
        value: Some(Tensor::new([1], vec![0_i64])),
    };
    let zeros = graph.op(zeros, &[four]);
    let ends = graph.ints(&[1, 2]);
    let pads = graph.concat(&[zeros, ends], 0);
    let y = graph.op(Moves::PAD, &[x, pads]);
    // The target of a reshape, computed from a shape that is known only once the pads are.
    let shape = graph.shape_of(y);
    let last = graph.ints(&[-1]);
    let last = graph.gather(shape, last, 0);
    let rest = graph.ints(&[-1]);
    let target = graph.concat(&[rest, last], 0);
    let y = graph.reshape_to(y, target);
    let scale = graph.neg(weight);
    let product = graph.mul(y, scale);
    graph.output_as(product, "y");
    let value = Tensor::new([2, 6, 4], (0..48_i16).map(f32::from).collect::<Vec<_>>());
    let before = run(&graph, &[("x", &value)], "y");
    assert_eq!(graph.shape(y), None);
    graph.fold_integers().unwrap();
    assert_eq!(
        op_types(&graph),
        ["Pad", "Reshape", "Neg", "Mul", "Identity"]
    );
    assert_eq!(graph.shape(y), Some(&[14.into(), 6.into()][..]));
    assert_eq!(run(&graph, &[("x", &value)], "y"), before);
}
