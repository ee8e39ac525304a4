//! The gradients of whole networks compared with those of `PyTorch`, from files that `tests/gradients_of_networks.py`
//! prepares: small networks always, those with large files if a variable names their folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use salamander::graph::ops::block_size;
use salamander::graph::passes::layout::append_in_rows;
use salamander::graph::{CrossEntropy, Dim, Graph, ValueId, gradients, reach};
use salamander::onnx::{ElementType, Session, Tensor};

/// The allowed error of a parameter's gradient compared with double precision, as a fraction of its length.
const TOLERANCE: f64 = 1e-4;

#[test]
fn gradients_of_small_networks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gradients");
    assert_eq!(compare_all(&folder), 4, "two networks, each also folded");
}

#[test]
fn gradients_of_networks() {
    match std::env::var_os("SALAMANDER_NETWORKS") {
        Some(folder) => assert!(compare_all(Path::new(&folder)) > 0, "no networks"),
        None => eprintln!(
            "ONLY SMALL NETWORKS ARE COMPARED: set SALAMANDER_NETWORKS to a folder that tests/gradients_of_networks.py has filled"
        ),
    }
}

/// Compares every network in a folder and returns how many there are.
fn compare_all(folder: &Path) -> usize {
    let mut networks: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "onnx")
        })
        .collect();
    networks.sort();
    let mut off = Vec::new();
    for path in &networks {
        let name = path.file_stem().unwrap().to_string_lossy();
        for layout in [Layout::AsItIs, Layout::Rows] {
            let (worst, parameter, count) = compare(path, layout);
            println!(
                "{name}, {layout:?}: {count} parameters, off by up to {worst:.1e} ({parameter})"
            );
            assert!(count > 0, "{name} has no parameters");
            if worst.is_nan() || worst >= TOLERANCE {
                off.push(format!("{name}, {layout:?}"));
            }
        }
    }
    assert!(off.is_empty(), "{off:?} are off by {TOLERANCE:e} or more");
    networks.len()
}

/// The form of the network that is differentiated.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Layout {
    /// As in the file.
    AsItIs,
    /// As in a training: with the images of a batch laid out together.
    Rows,
}

/// The network in rows, with its parameters as inputs in the order of `parameters`: logits and parameters.
fn in_rows(network: &Graph, parameters: &[String], batch: usize) -> (Graph, ValueId, Vec<ValueId>) {
    let inner = inner_of(network);
    let mut graph = Graph::new("rows");
    graph.opset = network.opset;
    let lens: Vec<usize> = std::iter::once(batch)
        .chain(inner.iter().copied())
        .collect();
    let x = graph.input("input", ElementType::F32, &Dim::all_fixed(&lens));
    let mut by = Vec::new();
    let mut trained = BTreeMap::new();
    for name in parameters {
        let parameter = network.find(name).unwrap();
        let shape = network.constant_of(parameter).unwrap().shape.clone();
        let value = graph.input(name, ElementType::F32, &Dim::all_fixed(&shape));
        trained.insert(parameter, value);
        by.push(value);
    }
    let logits = append_in_rows(
        &mut graph,
        network,
        x,
        &inner,
        batch,
        &trained,
        block_size(),
    );
    (graph, logits.unwrap(), by)
}

/// The shape of a network's input without the batch.
fn inner_of(network: &Graph) -> Vec<usize> {
    let shape = network.shape(network.inputs()[0]).unwrap();
    shape[1..].iter().map(|dim| dim.fixed().unwrap()).collect()
}

/// The largest relative error of a parameter's gradient, that parameter's name, and the number of parameters.
fn compare(path: &Path, layout: Layout) -> (f64, String, usize) {
    let mut graph = Graph::from_onnx(&fs::read(path).unwrap()).unwrap();
    let file = fs::read(path.with_extension("safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&file).unwrap();
    let mut parameters: Vec<String> = expected
        .names()
        .iter()
        .filter_map(|name| name.strip_prefix("gradient.").map(str::to_owned))
        .collect();
    // Among others: one constant with several names, which the exporter makes of equal parameters.
    graph.fold_constants().unwrap();
    let logits = graph.find("logits").unwrap();
    let found = reach(&graph, logits);
    assert_eq!(found.without_rule, [], "{}", path.display());

    if layout == Layout::Rows {
        graph
            .free_batch(graph.inputs()[0], &inner_of(&graph))
            .unwrap();
        // A class token is then added as a constant, and is not trained.
        parameters.retain(|name| graph.find(name).is_some());
    }

    // Parameters are inputs, as in a training; nothing is folded into them.
    let mut inputs: Vec<(String, Tensor)> = Vec::new();
    for name in &parameters {
        let parameter = graph.find(name).unwrap();
        let tensor = Tensor::clone(graph.constant_of(parameter).unwrap());
        inputs.push((name.clone(), tensor));
    }
    let input = expected.tensor("input").unwrap();
    inputs.push((
        "input".into(),
        Tensor::new(input.shape(), numbers(input.data(), f32::from_le_bytes)),
    ));
    let labels = expected.tensor("labels").unwrap();
    let rows = labels.shape()[0];
    inputs.push((
        "labels".into(),
        Tensor::new([rows], numbers(labels.data(), i64::from_le_bytes)),
    ));
    let (mut graph, logits, by) = match layout {
        Layout::Rows => in_rows(&graph, &parameters, rows),
        Layout::AsItIs => {
            let values = parameters.iter().map(|name| graph.find(name).unwrap());
            let by: Vec<ValueId> = values.collect();
            for parameter in &by {
                graph.make_input(*parameter);
            }
            (graph, logits, by)
        }
    };
    let labels = graph.input("labels", ElementType::I64, &[Dim::Fixed(rows)]);
    let classes = graph.shape(logits).unwrap()[1].fixed().unwrap();
    let loss =
        CrossEntropy::default().append(&mut graph, logits, labels, classes, ElementType::F32);
    let found: Vec<ValueId> = gradients(&mut graph, loss, &by).unwrap();
    graph.clear_outputs();
    let mut outputs = Vec::new();
    for (name, gradient) in parameters.iter().zip(found) {
        let output = format!("gradient of {name}");
        graph.output_as(gradient, &output);
        outputs.push(output);
    }
    graph.prune();
    let mut session = Session::from_bytes(&graph.to_onnx(), 2).unwrap();
    let inputs: Vec<(&str, &Tensor)> = inputs
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor))
        .collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let results = session.run(&inputs, &outputs).unwrap();

    let mut worst = (0.0, String::new(), parameters.len());
    for (name, found) in parameters.iter().zip(&results) {
        let exact = expected.tensor(&format!("gradient.{name}")).unwrap();
        assert_eq!(exact.dtype(), Dtype::F64);
        assert_eq!(found.shape, exact.shape(), "{name}");
        let exact = numbers(exact.data(), f64::from_le_bytes);
        let pairs = found.f32().unwrap().iter().zip(&exact);
        let difference: f64 = pairs.map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
        let length: f64 = exact.iter().map(|b| b * b).sum();
        let error = (difference / length).sqrt();
        if error.is_nan() || error > worst.0 {
            worst.0 = error;
            worst.1.clone_from(name);
        }
    }
    worst
}

/// Little-endian numbers of `N` bytes.
fn numbers<T, const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|chunk| read(*chunk))
        .collect()
}
