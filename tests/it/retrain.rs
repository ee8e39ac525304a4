//! `salamander retrain`: the flags of `retrain.py`, from a folder of class folders to a graph that other software
//! loads.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use salamander::export::frozen_graph;

use super::cli_program::Place;
use super::projects::of_images;

/// A folder “flowers” with three class folders, in no project.
fn flowers(place: &Place) {
    of_images(
        &place.path("made"),
        &[("rose", 24), ("猫", 24), ("tulip", 24)],
    );
    fs::rename(place.path("made/classes"), place.path("flowers")).unwrap();
    fs::remove_dir_all(place.path("made")).unwrap();
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for class in fs::read_dir(dir).unwrap() {
        for file in fs::read_dir(class.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            found.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    found
}

const LINE: &str = "retrain --image_dir flowers --how_many_training_steps 40 --validation_percentage 20 \
    --testing_percentage 20 --architecture mobilenet_1.0_96 --bottleneck_dir work --output_graph out/graph.pb \
    --output_labels out/labels.txt --summaries_dir logs --intermediate_output_graphs_dir between \
    --intermediate_store_frequency 15 --final_tensor_name flower/softmax --print_misclassified_test_images \
    --train_batch_size 20 --learning_rate 0.1";

#[test]
fn class_folders_become_a_graph_and_stay_as_they_are() {
    let place = Place::new();
    flowers(&place);
    let before = contents(&place.path("flowers"));
    let line = LINE.split_whitespace().collect::<Vec<_>>().join(" ");
    let with_model = format!("{line} --saved_model_dir saved");
    let ran = place.line(&with_model);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    // The messages of retrain.py, at its interval.
    for words in [
        "Step 10: Train accuracy = ",
        "Step 40: Cross entropy = ",
        "Step 40: Validation accuracy = ",
    ] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    assert!(
        ran.stdout.contains("Final test accuracy = "),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("=== MISCLASSIFIED TEST IMAGES ==="));
    assert!(ran.stderr.contains("mobilenet-v2@96"), "{}", ran.stderr);
    assert_eq!(contents(&place.path("flowers")), before);

    let labels = fs::read_to_string(place.path("out/labels.txt")).unwrap();
    assert_eq!(labels.lines().count(), 3, "{labels}");
    assert!(labels.lines().any(|label| label == "猫"));
    let graph_of = |path: &str| {
        let bytes = fs::read(place.path(path)).unwrap();
        frozen_graph::read(&bytes, Some(labels.as_bytes()))
            .unwrap()
            .1
    };
    let names = graph_of("out/graph.pb");
    assert_eq!(names.input.name, "input");
    assert_eq!(names.output.name, "flower/softmax");

    // The same graph as a SavedModel, with the signature of retrain.py and without variables.
    let saved = fs::read(place.path("saved/saved_model.pb")).unwrap();
    let (graph, ends) = frozen_graph::read_saved_model(&saved).unwrap();
    assert_eq!(graph, fs::read(place.path("out/graph.pb")).unwrap());
    assert_eq!(ends, ["input", "flower/softmax"]);
    assert_eq!(
        fs::read_dir(place.path("saved/variables")).unwrap().count(),
        0
    );
    assert!(frozen_graph::read_saved_model(&graph).is_err());
    let message = place.failure(&with_model);
    assert!(
        message.contains("saved") && message.contains("new folder"),
        "{message}"
    );
    for step in [15, 30] {
        graph_of(&format!("between/intermediate_{step}.pb"));
    }
    assert_eq!(fs::read_dir(place.path("between")).unwrap().count(), 2);
    let events = |side: &str| fs::read_dir(place.path("logs").join(side)).unwrap().count();
    assert_eq!([events("train"), events("validation")], [1, 1]);

    // Again: from the cache, the same weights, one set of event files, other files untouched.
    fs::write(place.path("logs/train/notes.txt"), "mine").unwrap();
    let first = fs::read(place.path("out/graph.pb")).unwrap();
    let result = place.result(&format!("{line} --logging_verbosity ERROR"));
    let again = fs::read(place.path("out/graph.pb")).unwrap();
    assert!(again == first, "other weights");
    assert_eq!(events("train"), 2);
    assert!(result["test_accuracy"].as_f64().unwrap() > 0.8, "{result}");
    let wrong = result["misclassified"].as_array().unwrap();
    assert!(
        wrong
            .iter()
            .all(|wrong| place.path(wrong["path"].as_str().unwrap()).is_file())
    );

    // The intermediate graph is the result of a shorter training.
    let short = line
        .replace("steps 40", "steps 15")
        .replace("out/graph.pb", "out/short.pb");
    place.result(&short);
    let [short, between] = ["out/short.pb", "between/intermediate_15.pb"];
    let same = fs::read(place.path(short)).unwrap() == fs::read(place.path(between)).unwrap();
    assert!(same, "{short} and {between}");

    // The project opens like any other, and finds the images.
    let refused = place.failure("classes work");
    assert!(refused.contains("--follow-links"), "{refused}");
    let shown = place.result("classes work --follow-links");
    assert_eq!(shown["classes"].as_array().unwrap().len(), 3);
    assert_eq!(shown["classes"][0]["frames"], 24);
}

#[test]
fn what_cannot_be_retrained_is_refused_before_anything_is_written() {
    let place = Place::new();
    flowers(&place);
    fs::create_dir_all(place.path("one/rose")).unwrap();
    fs::create_dir_all(place.path("full")).unwrap();
    fs::write(place.path("full/letter.txt"), "mine").unwrap();
    for (flags, words) in [
        ("--image_dir nowhere --bottleneck_dir b", "not a folder"),
        ("--image_dir one --bottleneck_dir b", "only one folder"),
        (
            "--image_dir flowers --bottleneck_dir flowers/b",
            "are inside each other",
        ),
        ("--image_dir flowers --bottleneck_dir full", "full"),
        (
            "--image_dir flowers --bottleneck_dir b --final_tensor_name a:b",
            "--final_tensor_name",
        ),
        (
            "--image_dir flowers --bottleneck_dir b --final_tensor_name input",
            "“input”",
        ),
    ] {
        let message = place.failure(&format!("retrain {flags}"));
        assert!(message.contains(words), "{flags}: {message}");
        assert!(!place.path("b").exists(), "{flags}");
    }
    assert_eq!(fs::read_dir(place.path("full")).unwrap().count(), 1);
    assert!(!place.path("flowers/b/classes").exists());
    // Bottlenecks of other images.
    let line = "retrain --image_dir flowers --bottleneck_dir b --how_many_training_steps 3 \
                --architecture mobilenet-v2@96 --output_graph g.pb --output_labels l.txt --summaries_dir s";
    place.result(&line.split_whitespace().collect::<Vec<_>>().join(" "));
    fs::create_dir_all(place.path("one/tulip")).unwrap();
    let message = place.failure("retrain --image_dir one --bottleneck_dir b");
    assert!(message.contains("belongs to the images in"), "{message}");
}

/// Every flag of `retrain.py`, as of TensorFlow 1.15's last version and those before.
const FLAGS: [&str; 26] = [
    "image_dir",
    "output_graph",
    "intermediate_output_graphs_dir",
    "intermediate_store_frequency",
    "output_labels",
    "summaries_dir",
    "how_many_training_steps",
    "learning_rate",
    "testing_percentage",
    "validation_percentage",
    "eval_step_interval",
    "train_batch_size",
    "test_batch_size",
    "validation_batch_size",
    "print_misclassified_test_images",
    "model_dir",
    "bottleneck_dir",
    "final_tensor_name",
    "flip_left_right",
    "random_crop",
    "random_scale",
    "random_brightness",
    "architecture",
    "logging_verbosity",
    "saved_model_dir",
    "tfhub_module",
];

#[test]
fn the_guide_names_every_flag() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/retrain.md");
    let guide = fs::read_to_string(path).unwrap();
    for flag in FLAGS {
        assert!(guide.contains(&format!("| `--{flag}` |")), "{flag}");
    }
    // The program's help has each except the removed ones.
    let place = Place::new();
    let help = place.line("retrain --help").stdout;
    for flag in FLAGS {
        let gone = ["model_dir", "tfhub_module"].contains(&flag);
        assert_eq!(help.contains(&format!("--{flag}")), !gone, "{flag}");
    }
}
