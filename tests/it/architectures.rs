//! Networks that are added to a project: structures of well-known ones, and one from its file to exports.

use std::fs;
use std::path::Path;

use salamander::backbone::{Asked, Depth, Normalisation, Provenance, inspect};
use salamander::graph::ops::{Activation, Conv, GlobalPool, Linear, Reshaping};
use salamander::graph::{Dim, Graph};
use salamander::jobs::Work;
use salamander::onnx::{ElementType, Tensor};

use super::cli_program::Place;
use super::networks::{Random, inception_v3, mobilenet_v1, mobilenet_v3, resnet_18, sliding};
use super::projects::of_images;

/// With channels last, byte input and internal normalisation; each is compared with its file during the inspection.
#[test]
fn structures_of_well_known_networks_are_found_whole() {
    let place = Place::new();
    let networks: [(&str, Graph); 4] = [
        ("mobilenet-v1", mobilenet_v1(64)),
        ("mobilenet-v3", mobilenet_v3(64)),
        ("inception-v3", inception_v3(75)),
        ("resnet-18", resnet_18(64)),
    ];
    for (name, graph) in networks {
        let path = place.path(format!("{name}.onnx"));
        fs::write(&path, graph.to_onnx()).unwrap();
        let found = inspect(&path, &Asked::default()).unwrap();
        assert_eq!(found.missing(), None, "{name}");
        assert_eq!(found.layout.value.unwrap().to_string(), "nhwc", "{name}");
        assert_eq!(found.normalisation.provenance, Provenance::Found, "{name}");
        let candidate = found.candidate(&Work::new()).unwrap();
        assert_eq!(candidate.title, name);
        assert!(
            candidate.difference < 1e-4,
            "{name}: {}",
            candidate.difference
        );
        assert_eq!(candidate.hindrance, None, "{name}");
        assert!(
            candidate
                .depths
                .iter()
                .any(|offer| offer.depth == Depth::Last3),
            "{name}"
        );
        assert!(candidate.parameters > 1000 && candidate.image_time.as_secs() < 10);
    }
}

/// A small network whose input is 32 pixels, channels first.
pub fn small(path: &Path) {
    let mut random = Random::new(3);
    let mut graph = Graph::new("small");
    let shape = [Dim::from("N"), 3.into(), 32.into(), 32.into()];
    let mut x = graph.input("input", ElementType::F32, &shape);
    let mut weight = |graph: &mut Graph, name: &str, shape: &[usize]| {
        let fan: usize = shape.iter().skip(1).product();
        let limit = (6.0 / fan.max(1) as f32).sqrt();
        let values = random.floats(shape.iter().product(), -limit, limit);
        graph.constant_named(name, Tensor::new(shape, values))
    };
    for (layer, [inside, outside, stride]) in
        [[3, 8, 2], [8, 16, 1], [16, 24, 2], [24, 32, 1], [32, 40, 2]]
            .into_iter()
            .enumerate()
    {
        let w = weight(
            &mut graph,
            &format!("{layer}.weight"),
            &[outside, inside, 3, 3],
        );
        let b = weight(&mut graph, &format!("{layer}.bias"), &[outside]);
        x = graph.op(Conv::new(sliding(stride, 1), 1), &[x, w, b]);
        x = graph.op(Activation::Relu, &[x]);
    }
    x = graph.op(GlobalPool::Average, &[x]);
    x = graph.op(Reshaping::FLATTEN, &[x]);
    let w = weight(&mut graph, "fc.weight", &[10, 40]);
    let b = weight(&mut graph, "fc.bias", &[10]);
    x = graph.op(Linear::BY_TRANSPOSE, &[x, w, b]);
    graph.output_as(x, "logits");
    fs::write(path, graph.to_onnx()).unwrap();
}

#[test]
fn an_added_network_is_trained_evaluated_exported_and_kept() {
    let place = Place::new();
    let project = of_images(&place.path("p"), &[("red", 24), ("green", 24)]);
    drop(project);
    small(&place.path("small.onnx"));
    let error = place.failure("architectures add p small.onnx");
    assert!(error.contains("--normalisation"), "{error}");
    let error = place.failure("architectures add p small.onnx --normalisation unit --pooled no");
    assert!(error.contains("“no”"), "{error}");
    let tried = place.result("architectures add p small.onnx --normalisation unit --dry-run");
    assert!(tried["architecture"].is_null());
    assert!(!place.path("p/architectures").exists());

    let added = place.result("architectures add p small.onnx --normalisation unit --licence MIT");
    let name = added["architecture"].as_str().unwrap().to_owned();
    assert!(
        name.starts_with("small-") && name.ends_with("@32"),
        "{name}"
    );
    assert!(added["difference"].as_f64().unwrap() < 1e-5);
    let depths: Vec<&str> = added["depths"]
        .as_array()
        .unwrap()
        .iter()
        .map(|offer| offer["depth"].as_str().unwrap())
        .collect();
    assert_eq!(depths.first(), Some(&"head"));
    let listed = place.result("architectures p");
    let own: Vec<&serde_json::Value> = listed["architectures"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["own"] == true)
        .collect();
    assert!(
        own.iter()
            .any(|line| line["architecture"] == *name && line["licence"] == "MIT")
    );
    let without = place.result("architectures");
    let all_shipped = without["architectures"]
        .as_array()
        .unwrap()
        .iter()
        .all(|line| line["own"] == false);
    assert!(all_shipped);

    // Named without its hash, at every available depth.
    let unknown = place.line("train p --architecture smaller --depth head");
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
    assert!(
        unknown.stderr.contains("unknown architecture"),
        "{}",
        unknown.stderr
    );
    for depth in &depths {
        let steps = "--how-many-training-steps 20 --fine-tune-steps 3";
        let run = place.result(&format!(
            "train p --architecture small --depth {depth} {steps}"
        ));
        assert_eq!(run["depth"], **depth);
        let evaluated = place.result("evaluate p");
        assert!(evaluated["test_accuracy"].as_f64().is_some() || evaluated.is_object());
    }
    let exported = place.result(
        "export p --out out --format onnx --format tflite --format coreml --format frozen-graph",
    );
    let files = exported["files"].as_array().unwrap();
    for file in files
        .iter()
        .filter(|file| file["top1_agreement"].is_number())
    {
        assert!(file["top1_agreement"].as_f64().unwrap() > 0.99, "{file}");
    }
    let predicted = place.line("predict out p/classes/red/0.png");
    assert_eq!(predicted.code, Some(0), "{}", predicted.stderr);

    // The project opens at another place, without the file that the network came from.
    fs::remove_file(place.path("small.onnx")).unwrap();
    fs::rename(place.path("p"), place.path("q")).unwrap();
    place.result("evaluate q");
    let error = place.failure("architectures remove q small");
    assert!(error.contains("is used by the run"), "{error}");
    assert!(
        place
            .path("q/architectures")
            .join(name.trim_end_matches("@32"))
            .is_dir()
    );
}

#[test]
fn what_nobody_trained_with_can_be_removed() {
    let place = Place::new();
    assert_eq!(place.line("new p").code, Some(0));
    small(&place.path("My Net.onnx"));
    let asked = Normalisation::ALL.map(Normalisation::word).join(" ");
    assert_eq!(asked, "imagenet symmetric unit raw");
    let ran = place.run(&[
        "architectures",
        "add",
        "p",
        "My Net.onnx",
        "--mean",
        "0.5",
        "--std",
        "0.5",
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("added my-net-") && ran.stdout.contains("assumed"),
        "{}",
        ran.stdout
    );
    let removed = place.result("architectures remove p my-net");
    let trashed = Path::new(removed["place"].as_str().unwrap());
    assert!(trashed.join("network.onnx").is_file());
    let error = place.failure("architectures remove p mobilenet-v2");
    assert!(error.contains("was not added"), "{error}");
}
