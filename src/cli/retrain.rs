//! `salamander retrain`: the flags and defaults of TensorFlow's `retrain.py`.

#![allow(
    clippy::doc_markdown,
    reason = "the comments of options are their help"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::backbone::Depth;
use crate::retrain::{FINAL_TENSOR, Named, RetrainOrder, Retrained, named, retrain};
use crate::text::visible;
use crate::train::schema::Setting;
use crate::train::{CurvePoint, LiveCurves};

use super::console::{Console, Watch};
use super::train::PointLine;
use super::{Usage, shown};

/// Train like TensorFlow's retrain.py, with its flags and defaults
///
/// The images stay where they are: a project in --bottleneck_dir links to them and keeps bottlenecks and runs. It opens
/// in the window like any other. docs/retrain.md lists what each flag does here.
#[derive(Debug, clap::Args)]
#[command(rename_all = "snake_case")]
pub struct Args {
    /// A folder with one folder of images per class
    #[arg(long, value_name = "DIR")]
    image_dir: PathBuf,
    /// Where to write the graph [default: output_graph.pb in the temporary folder]
    #[arg(long, value_name = "FILE")]
    output_graph: Option<PathBuf>,
    /// Where to write the labels, one per line [default: output_labels.txt there]
    #[arg(long, value_name = "FILE")]
    output_labels: Option<PathBuf>,
    /// Where to write event files for TensorBoard [default: retrain_logs there]
    #[arg(long, value_name = "DIR")]
    summaries_dir: Option<PathBuf>,
    /// Where to write intermediate graphs [default: intermediate_graph there]
    #[arg(long, value_name = "DIR")]
    intermediate_output_graphs_dir: Option<PathBuf>,
    /// Steps between intermediate graphs; 0 writes none
    #[arg(long, value_name = "N", default_value_t = 0)]
    intermediate_store_frequency: u32,
    /// Training steps, one batch each [default: 4000]
    #[arg(long, value_name = "N")]
    how_many_training_steps: Option<String>,
    /// Learning rate [default: 0.01]
    #[arg(long, value_name = "F")]
    learning_rate: Option<String>,
    /// Percentage of images held out for the final test [default: 10]
    #[arg(long, value_name = "P")]
    testing_percentage: Option<String>,
    /// Percentage of images used for validation, to select the best weights [default: 10]
    #[arg(long, value_name = "P")]
    validation_percentage: Option<String>,
    /// Steps between evaluations [default: 10]
    #[arg(long, value_name = "N")]
    eval_step_interval: Option<String>,
    /// Images per batch [default: 100]
    #[arg(long, value_name = "N")]
    train_batch_size: Option<String>,
    /// Test images evaluated at the end; only -1 (all of them) is accepted
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = -1)]
    test_batch_size: i64,
    /// Validation images per evaluation, -1 for all of them [default: 100]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    validation_batch_size: Option<String>,
    /// List the misclassified test images
    #[arg(long)]
    print_misclassified_test_images: bool,
    /// Where bottlenecks are cached: a folder for the project [default: bottleneck in the temporary folder]
    #[arg(long, value_name = "DIR")]
    bottleneck_dir: Option<PathBuf>,
    /// Name of the output tensor in the graph
    #[arg(long, value_name = "NAME", default_value = FINAL_TENSOR)]
    final_tensor_name: String,
    /// Flip half of the views horizontally
    #[arg(long)]
    flip_left_right: bool,
    /// Random crop: largest margin, percent [default: 0]
    #[arg(long, value_name = "P")]
    random_crop: Option<String>,
    /// Random scale: largest enlargement, percent [default: 0]
    #[arg(long, value_name = "P")]
    random_scale: Option<String>,
    /// Random brightness: largest change, percent [default: 0]
    #[arg(long, value_name = "P")]
    random_brightness: Option<String>,
    /// The backbone: one listed by `salamander architectures`, or a MobileNet by its name in retrain.py [default:
    /// efficientnet-lite0@224]
    #[arg(long, value_name = "NAME", value_parser = named)]
    architecture: Option<Named>,
    /// How much is reported
    #[arg(long, value_name = "LEVEL", default_value = "INFO", ignore_case = true)]
    logging_verbosity: Verbosity,
    /// A new folder to write the graph to as a TensorFlow SavedModel [default: not written]
    #[arg(long, value_name = "DIR")]
    saved_model_dir: Option<PathBuf>,
    /// Not supported: architectures are files now
    #[arg(long, value_name = "URL", hide = true)]
    tfhub_module: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
enum Verbosity {
    /// Same as INFO
    Debug,
    /// Evaluations, warnings and the result
    Info,
    /// Warnings and the result
    Warn,
    /// The end
    Error,
    /// The end
    Fatal,
}

#[derive(Serialize)]
struct Result<'a> {
    run: &'a str,
    classes: &'a [String],
    test_accuracy: Option<f32>,
    test_images: u64,
    misclassified: Vec<Wrong<'a>>,
    files: Vec<String>,
}

#[derive(Serialize)]
struct Wrong<'a> {
    path: String,
    predicted: &'a str,
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let (image_dir, verbosity) = (args.image_dir.clone(), args.logging_verbosity);
    let misclassified = args.print_misclassified_test_images;
    let order = order(args, console)?;
    let curves = LiveCurves::default();
    let watched = curves.clone();
    let mut known = [0, 0];
    let done = console.run_watched(
        "retrain",
        |watch| {
            let (_, points) = watched.since(known);
            known[0] += points.len();
            points
                .iter()
                .try_for_each(|point| report(point, verbosity, watch))
        },
        move |work| retrain(&order, &curves, work),
    )?;
    let evaluation = &done.evaluation;
    let wrong = evaluation.mistakes().into_iter().map(|frame| Wrong {
        path: shown(&image_dir.join(frame.path.strip_prefix("classes/").unwrap_or(&frame.path))),
        predicted: evaluation
            .classes
            .get(frame.predicted)
            .map_or("", String::as_str),
    });
    let result = Result {
        run: &done.run.id.0,
        classes: &evaluation.classes,
        test_accuracy: evaluation.confusion.accuracy(),
        test_images: evaluation.confusion.total(),
        misclassified: wrong.filter(|_| misclassified).collect(),
        files: done.files.iter().map(|file| shown(file)).collect(),
    };
    console.result(&result, || text(&result, &done, misclassified))
}

fn order(args: Args, console: &Console) -> anyhow::Result<RetrainOrder> {
    if args.tfhub_module.is_some() {
        return Err(Usage(
            "--tfhub_module needs TensorFlow; choose an --architecture listed by `salamander architectures`, or add a network to a project from an ONNX file (`salamander architectures add`)".to_owned(),
        )
        .into());
    }
    if args.test_batch_size != -1 {
        return Err(Usage(
            "--test_batch_size can only be -1: all test images are evaluated, because accuracy on fewer is less certain".to_owned(),
        )
        .into());
    }
    let mut order = RetrainOrder::new(args.image_dir);
    let places = [
        (&mut order.output_graph, args.output_graph),
        (&mut order.output_labels, args.output_labels),
        (&mut order.summaries_dir, args.summaries_dir),
        (
            &mut order.intermediate_output_graphs_dir,
            args.intermediate_output_graphs_dir,
        ),
        (&mut order.bottleneck_dir, args.bottleneck_dir),
    ];
    for (place, given) in places {
        if let Some(given) = given {
            *place = given;
        }
    }
    order.saved_model_dir = args.saved_model_dir;
    order.intermediate_store_frequency = args.intermediate_store_frequency;
    order.final_tensor_name = args.final_tensor_name;
    if let Some(named) = args.architecture {
        if let Some(note) = named.note {
            console.warning(&note)?;
        }
        order.settings.architecture = named.architecture;
    }
    let flip = args.flip_left_right.then(|| "yes".to_owned());
    // Zero percent requests no views.
    let some = |percent: Option<String>| percent.filter(|percent| percent.trim() != "0");
    let given = [
        ("how_many_training_steps", args.how_many_training_steps),
        ("learning_rate", args.learning_rate),
        ("testing_percentage", args.testing_percentage),
        ("validation_percentage", args.validation_percentage),
        ("eval_step_interval", args.eval_step_interval),
        ("train_batch_size", args.train_batch_size),
        ("validation_batch_size", args.validation_batch_size),
        ("flip_left_right", flip),
        ("random_crop", some(args.random_crop)),
        ("random_scale", some(args.random_scale)),
        ("random_brightness", some(args.random_brightness)),
    ];
    let given: BTreeMap<&str, String> = given
        .into_iter()
        .filter_map(|(key, text)| Some((Setting::find(key)?.key, text?)))
        .collect();
    let applied = order.settings.apply(&given);
    applied.map_err(|error| Usage(error.to_string()))?;
    Ok(order)
}

/// An evaluation in the format of `retrain.py`.
fn report(point: &CurvePoint, verbosity: Verbosity, watch: &mut Watch) -> anyhow::Result<()> {
    watch.event("step", &PointLine::of(Depth::Head, point))?;
    if verbosity > Verbosity::Info {
        return Ok(());
    }
    let step = point.step;
    let percent = |part: f32| f64::from(part) * 100.0;
    watch.out(&format!(
        "Step {step}: Train accuracy = {:.1}%",
        percent(point.train_accuracy)
    ))?;
    watch.out(&format!(
        "Step {step}: Cross entropy = {:.6}",
        point.train_cross_entropy
    ))?;
    match point.validation_accuracy {
        Some(part) => watch.out(&format!(
            "Step {step}: Validation accuracy = {:.1}%",
            percent(part)
        )),
        None => Ok(()),
    }
}

fn text(result: &Result<'_>, done: &Retrained, misclassified: bool) -> String {
    let mut lines = Vec::new();
    match result.test_accuracy {
        Some(part) => lines.push(format!(
            "Final test accuracy = {:.1}% (N={})",
            f64::from(part) * 100.0,
            result.test_images
        )),
        None => lines.push("There were no test images.".to_owned()),
    }
    if misclassified {
        lines.push("=== MISCLASSIFIED TEST IMAGES ===".to_owned());
        let wrong = result.misclassified.iter();
        lines.extend(
            wrong.map(|wrong| format!("{}  {}", visible(&wrong.path), visible(wrong.predicted))),
        );
    }
    for note in done.run.all_notes() {
        lines.push(format!("note: {}", visible(&note)));
    }
    lines.extend(
        result
            .files
            .iter()
            .map(|file| format!("written: {}", visible(file))),
    );
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use clap::Parser;

    use super::*;
    use crate::train::TrainSettings;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        args: Args,
    }

    fn of(line: &str) -> anyhow::Result<RetrainOrder> {
        let words = ["retrain"].into_iter().chain(line.split_whitespace());
        let args = Only::try_parse_from(words)?.args;
        order(args, &Console::new(false))
    }

    #[test]
    fn without_flags_it_is_what_retrain_py_was() {
        let order = of("--image_dir flowers").unwrap();
        assert_eq!(order, RetrainOrder::new("flowers".into()));
        let expected = serde_json::json!({
            "how_many_training_steps": 4000, "learning_rate": 0.01, "testing_percentage": 10,
            "validation_percentage": 10, "eval_step_interval": 10, "train_batch_size": 100,
            "validation_batch_size": 100, "flip_left_right": "no", "random_crop": 0,
            "random_scale": 0, "random_brightness": 0, "optimizer": "sgd", "depth": "head", "views": 0,
        });
        for (key, value) in expected.as_object().unwrap() {
            let setting = Setting::find(key).unwrap();
            let given = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(
                setting.get(&TrainSettings::classic()).to_string(),
                given,
                "{key}"
            );
        }
    }

    #[test]
    fn each_flag_of_a_setting_changes_it() {
        for (flag, key, value) in [
            (
                "--how_many_training_steps 7",
                "how_many_training_steps",
                "7",
            ),
            ("--learning_rate 0.5", "learning_rate", "0.5"),
            ("--testing_percentage 20", "testing_percentage", "20"),
            ("--validation_percentage 30", "validation_percentage", "30"),
            ("--eval_step_interval 5", "eval_step_interval", "5"),
            ("--train_batch_size 9", "train_batch_size", "9"),
            ("--validation_batch_size -1", "validation_batch_size", "-1"),
            ("--flip_left_right", "views", "8"),
            ("--random_crop 12", "random_crop", "12"),
            ("--random_scale 13", "random_scale", "13"),
            ("--random_brightness 14", "views", "8"),
            ("--random_brightness 0", "views", "0"),
            (
                "--architecture mobilenet_1.0_160",
                "architecture",
                "mobilenet-v2@160",
            ),
        ] {
            let order = of(&format!("--image_dir f {flag}")).unwrap();
            let setting = Setting::find(key).unwrap();
            assert_eq!(setting.get(&order.settings).to_string(), value, "{flag}");
        }
        let order = of("--image_dir f --output_graph g --output_labels l --summaries_dir s \
             --intermediate_output_graphs_dir i --intermediate_store_frequency 5 --bottleneck_dir b \
             --final_tensor_name t --saved_model_dir m")
        .unwrap();
        let places = [
            &order.output_graph,
            &order.output_labels,
            &order.summaries_dir,
            &order.intermediate_output_graphs_dir,
            &order.bottleneck_dir,
        ];
        assert_eq!(
            places.map(|place| place.to_str().unwrap()),
            ["g", "l", "s", "i", "b"]
        );
        assert_eq!(order.intermediate_store_frequency, 5);
        assert_eq!(order.final_tensor_name, "t");
        assert_eq!(order.saved_model_dir.as_deref(), Some("m".as_ref()));
    }

    #[test]
    fn what_is_no_more_is_said_with_what_to_do_instead() {
        for (flag, instead) in [
            ("--tfhub_module https://tfhub.dev/x", "--architecture"),
            ("--test_batch_size 10", "-1"),
            ("--architecture inception_v3", "architectures"),
            ("--learning_rate 0", "over 0"),
        ] {
            let error = of(&format!("--image_dir f {flag}"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(instead), "{flag}: {error}");
        }
    }
}
