//! Damaged and malicious files, files with external data, and the folder in the project.

use std::fs;
use std::path::Path;

use prost::Message;

use crate::backbone::test_images::images;
use crate::backbone::{Architecture, Backbone, BackboneError, Fit, bottlenecks};
use crate::jobs::Work;
use crate::onnx::proto::tensor_proto::DataLocation;
use crate::onnx::proto::{ModelProto, StringStringEntryProto};
use crate::project::Project;

use super::super::{inspect, open_own, own_of, remove_own};
use super::{DIM, imagenet, planes, usual, written};

/// The typical network with its largest constant in an external file.
fn spread(dir: &Path, location: &str, length: Option<u64>) -> std::path::PathBuf {
    let path = written(dir, &usual(&planes()));
    let mut model = ModelProto::decode(fs::read(&path).unwrap().as_slice()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let tensor = graph
        .initializer
        .iter_mut()
        .max_by_key(|tensor| tensor.raw_data().len())
        .unwrap();
    let data = tensor.raw_data.take().unwrap();
    let entry = |key: &str, value: String| StringStringEntryProto {
        key: Some(key.into()),
        value: Some(value),
    };
    tensor.external_data = vec![
        entry("location", location.into()),
        entry("offset", "16".into()),
        entry("length", length.unwrap_or(data.len() as u64).to_string()),
    ];
    tensor.set_data_location(DataLocation::External);
    let mut file = vec![7; 16];
    file.extend(data);
    fs::write(dir.join("weights.bin"), file).unwrap();
    fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

#[test]
fn a_batch_that_is_fixed_to_several_images_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let [_, channels, height, width] = planes();
    let path = written(dir.path(), &usual(&[2.into(), channels, height, width]));
    let error = inspect(&path, &imagenet()).unwrap_err().to_string();
    assert!(
        error.contains("has a fixed batch of 2 images") && error.contains("dynamic batch"),
        "{error}"
    );
    let [_, channels, height, width] = planes();
    let path = written(dir.path(), &usual(&[1.into(), channels, height, width]));
    inspect(&path, &imagenet()).unwrap();
}

#[test]
fn data_beside_the_file_is_read_and_nothing_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("inner");
    fs::create_dir(&folder).unwrap();
    let path = spread(&folder, "weights.bin", None);
    let candidate = inspect(&path, &imagenet())
        .unwrap()
        .candidate(&Work::new())
        .unwrap();
    assert!(candidate.difference < 1e-5);

    fs::copy(folder.join("weights.bin"), dir.path().join("weights.bin")).unwrap();
    let absolute = dir.path().join("weights.bin");
    for location in [
        "../weights.bin",
        absolute.to_str().unwrap(),
        "a/../../weights.bin",
        "",
    ] {
        let path = spread(&folder, location, None);
        let error = inspect(&path, &imagenet()).unwrap_err().to_string();
        assert!(error.contains("outside its folder"), "{location}: {error}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&absolute, folder.join("link.bin")).unwrap();
        let path = spread(&folder, "link.bin", None);
        let error = inspect(&path, &imagenet()).unwrap_err().to_string();
        assert!(error.contains("outside its folder"), "{error}");
    }
    let path = spread(&folder, "gone.bin", None);
    let error = inspect(&path, &imagenet()).unwrap_err().to_string();
    assert!(error.contains("put that file next to it"), "{error}");
    let path = spread(&folder, "weights.bin", Some(1 << 60));
    let error = inspect(&path, &imagenet()).unwrap_err().to_string();
    assert!(error.contains("beyond the end"), "{error}");
}

/// Thousands of files with a changed byte, a missing or duplicate part, or cut off: each gives one sentence or a
/// network.
#[test]
fn broken_files_are_refused_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(written(dir.path(), &usual(&planes()))).unwrap();
    let path = dir.path().join("broken.onnx");
    let mut state = 1_u32;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 4) as usize % below.max(1)
    };
    // Descriptions of the network are at both ends, with weights in between.
    let mut refused = 0;
    for round in 0..3000 {
        let mut bytes = whole.clone();
        let len = bytes.len();
        let near = |random: &mut dyn FnMut(usize) -> usize| {
            let at = random(1500);
            if random(2) == 0 { at } else { len - 1 - at }
        };
        match round % 4 {
            0 => bytes.truncate(random(len)),
            1 => {
                let at = near(&mut random);
                bytes[at] = random(256) as u8;
            }
            2 => {
                let at = near(&mut random);
                bytes[at] ^= 1 << random(8);
                let at = near(&mut random);
                bytes[at] = [0, 1, 127, 128, 255][random(5)];
            }
            _ => {
                let from = near(&mut random);
                let to = (from + random(40)).min(len);
                let piece: Vec<u8> = bytes[from..to].to_vec();
                if random(2) == 0 {
                    bytes.drain(from..to);
                } else {
                    bytes.splice(from..from, piece);
                }
            }
        }
        fs::write(&path, &bytes).unwrap();
        let found = inspect(&path, &imagenet());
        // Every tenth readable file is also run.
        let outcome = match found {
            Ok(found) if round % 10 == 1 => found.candidate(&Work::new()).map(|_| ()),
            other => other.map(|_| ()),
        };
        if let Err(error) = outcome {
            refused += 1;
            let text = error.to_string();
            assert!(
                text.contains("broken.onnx") || text.contains("the model cannot"),
                "{text}"
            );
            assert!(text.len() < 1500, "{text}");
        }
    }
    assert!(refused > 1000, "{refused}");
}

/// Headers that declare more than there is, and files of nothing but empty messages.
#[test]
fn promises_take_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("promise.onnx");
    let write = |change: &dyn Fn(&mut ModelProto)| {
        let graph = usual(&planes());
        let mut model = ModelProto::decode(graph.to_onnx().as_slice()).unwrap();
        change(&mut model);
        fs::write(&path, model.encode_to_vec()).unwrap();
        inspect(&path, &imagenet()).unwrap_err().to_string()
    };
    let error = write(&|model| {
        let graph = model.graph.as_mut().unwrap();
        graph.initializer[0].dims = vec![1 << 40, 1 << 40];
    });
    assert!(error.contains("different size than its shape"), "{error}");
    let error = write(&|model| {
        let graph = model.graph.as_mut().unwrap();
        // A kernel without taps that makes a map of a million channels.
        let pads = graph.node[0]
            .attribute
            .iter_mut()
            .find(|a| a.name() == "pads")
            .unwrap();
        pads.ints = vec![1 << 20; 4];
    });
    assert!(error.contains("too large for a classifier"), "{error}");

    // Two bytes each: an empty node.
    let nodes: Vec<u8> = [0x0a_u8, 0].repeat(3_000_000);
    let mut file = vec![0x3a];
    prost::encoding::encode_varint(nodes.len() as u64, &mut file);
    file.extend(nodes);
    fs::write(&path, file).unwrap();
    let error = inspect(&path, &imagenet()).unwrap_err().to_string();
    assert!(error.contains("more nodes than any classifier"), "{error}");
    for (bytes, word) in [
        (&b""[..], "no network"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (&[0x3a, 0], "without operators"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = inspect(&path, &imagenet()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

struct Place {
    dir: tempfile::TempDir,
    project: Project,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(&dir.path().join("p"), "p").unwrap();
        Self { dir, project }
    }

    fn add(&self, name: &str) -> Architecture {
        let asked = super::super::Asked {
            name: Some(name.into()),
            ..imagenet()
        };
        let path = written(self.dir.path(), &usual(&planes()));
        let candidate = inspect(&path, &asked)
            .unwrap()
            .candidate(&Work::new())
            .unwrap();
        candidate.add(&self.project).unwrap()
    }
}

#[test]
fn what_was_added_is_used_like_what_ships() {
    let place = Place::new();
    let architecture = place.add("Mine");
    let again = place.add("Mine");
    assert_eq!(architecture, again, "the same content is there once");
    let other = place.add("Other");
    assert_ne!(architecture, other);
    assert_eq!(own_of(place.project.root()).len(), 2);
    assert!(architecture.backbone.starts_with("mine-"), "{architecture}");
    assert_eq!(
        architecture.to_string().parse::<Architecture>().unwrap(),
        architecture
    );
    let entry = architecture.entry().unwrap();
    assert_eq!(
        (entry.bottleneck_dim, entry.imagenet_top1.clone()),
        (DIM, None)
    );
    assert_eq!(
        architecture.multiply_accumulates().unwrap(),
        55_296 + 73_728 + 221_184
    );

    let frames = images(place.dir.path(), 3);
    let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
    let table = |architecture: &Architecture| {
        let cache = place.project.cache_dir();
        bottlenecks(
            &frames,
            architecture,
            &preprocessing,
            None,
            Some(&cache),
            &Work::new(),
        )
        .unwrap()
    };
    let first = table(&architecture);
    assert_eq!((first.dim, first.from_cache), (DIM, 0));
    assert_eq!(table(&architecture).from_cache, 3);

    // The project is moved with its contents.
    let moved = place.dir.path().join("moved");
    fs::rename(place.project.root(), &moved).unwrap();
    let gone = architecture.entry().unwrap().path().unwrap_err();
    assert!(
        gone.to_string().contains("add the architecture again"),
        "{gone}"
    );
    assert!(open_own(&moved).is_empty());
    assert!(
        architecture
            .entry()
            .unwrap()
            .path()
            .unwrap()
            .starts_with(&moved)
    );
}

#[test]
fn a_damaged_architecture_is_told_and_never_used() {
    let place = Place::new();
    let root = place.project.root().to_owned();
    let architecture = place.add("damaged");
    let dir = root.join("architectures").join(&architecture.backbone);
    let network = dir.join("network.onnx");
    let mut bytes = fs::read(&network).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&network, &bytes).unwrap();
    let error = architecture.entry().unwrap().model().unwrap_err();
    assert!(
        matches!(error, BackboneError::AlteredModel { shipped: false, .. }),
        "{error}"
    );

    let description = dir.join("architecture.json");
    let text = fs::read_to_string(&description).unwrap();
    for wrong in [
        text.replace("\"schema\": 1", "\"schema\": 9"),
        text.replace("\"bottleneck_dim\": 24", "\"bottleneck_dim\": 0"),
        text.replace("58.395", "0.0"),
        text.replace("\"title\": \"damaged\"", "\"title\": \"../../x\""),
        text[..text.len() / 2].to_owned(),
    ] {
        fs::write(&description, wrong).unwrap();
        let problems = open_own(&root);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("cannot be used"), "{}", problems[0]);
    }
    fs::write(&description, text).unwrap();
    assert!(open_own(&root).is_empty());
    // An unfinished folder of a killed process is ignored.
    fs::create_dir(root.join("architectures/.salamander-x-123.part")).unwrap();
    assert!(open_own(&root).is_empty());
}

#[test]
fn what_is_removed_lies_in_the_trash() {
    let place = Place::new();
    let architecture = place.add("removed");
    let backbone = architecture.entry().unwrap();
    let place_in_trash = remove_own(&place.project, backbone).unwrap();
    assert!(place_in_trash.join("network.onnx").is_file());
    assert!(architecture.entry().is_err());
    assert!(own_of(place.project.root()).is_empty());
    let shipped = Backbone::named("mobilenet-v2").unwrap();
    let error = remove_own(&place.project, shipped).unwrap_err().to_string();
    assert!(error.contains("was not added"), "{error}");
}
