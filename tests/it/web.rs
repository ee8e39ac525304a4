//! The web export in headless Chromium: the folder alone, on a plain static server, predicts the same as the run.

use std::path::{Path, PathBuf};
use std::process::Command;

use salamander::backbone::{Fit, Preprocessing};
use salamander::evaluate::{Predictor, arg_max};
use salamander::export::{Format, Order, export, verify_bundle, web_runtime_dir};
use salamander::jobs::Work;
use salamander::media::load_image;
use salamander::project::Project;
use salamander::train::{LiveCurves, Run, train};

use super::chromium::{Chromium, StaticServer};
use super::projects::{of_sample_videos, quick};

/// A run on the sample videos below `root`, and one of the frames: a JPEG photo.
pub fn trained(root: &Path) -> (Project, Run, PathBuf) {
    let project = of_sample_videos(&root.join("p"));
    let settings = quick("efficientnet-lite0@128", 40);
    let run = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
    let frames = std::fs::read_dir(project.root().join("classes/coffee")).unwrap();
    let photo = frames.map(|entry| entry.unwrap().path()).min().unwrap();
    (project, run, photo)
}

/// A web export of such a run, and the photo.
fn exported(root: &Path) -> (PathBuf, PathBuf) {
    let (project, run, photo) = trained(root);
    let out = root.join("out");
    export(&project, &run, &Format::WEB.into(), &out, &Work::new()).unwrap();
    (out, photo)
}

#[test]
fn the_page_checks_itself_in_a_browser() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (out, _) = exported(dir.path());
    let found = verify_bundle(&out, &Work::new()).unwrap();
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    // The folder works alone.
    let web = dir.path().join("elsewhere");
    std::fs::rename(out.join("web"), &web).unwrap();
    let server = StaticServer::new(vec![("site", web)]);
    browser.open(&server.address("site/index.html?check"));
    browser.eval("import('./app.js').then((app) => app.ready).then(() => true)");
    let verdict = browser.eval("document.getElementById('verdict').textContent");
    let verdict = verdict.as_str().unwrap();
    println!("{verdict}");
    assert!(
        verdict.starts_with("This copy does what was exported: 10 of 10")
            && verdict.contains("pixels are equal"),
        "{verdict}"
    );
    browser.screenshot("check", 390, 844, 2, false);
    for address in &browser.requested {
        let own = address.starts_with(&server.address("site/")) || address.starts_with("data:");
        assert!(own, "{address}");
    }

    // With another label order or another expectation the check fails.
    let bad = browser.eval(
        "import('./app.js').then(async ({ check, ready }) => { \
           const page = await ready; page.classifier.labels.reverse(); \
           return (await check(page.classifier)).ok; })",
    );
    assert_eq!(bad, false);
}

#[test]
fn a_chosen_image_gets_the_answer_of_the_app() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (out, photo) = exported(dir.path());
    let server = StaticServer::new(vec![("site", out.join("web"))]);
    browser.open(&server.address("site/index.html"));
    browser.wait_for("!document.getElementById('work').hidden");
    browser.choose("#file", &photo);
    browser.wait_for("!document.getElementById('result').hidden");
    let mut app = Predictor::from_export(&out).unwrap();
    let image = load_image(&photo).unwrap();
    let expected = app.probabilities(&image, &Work::new()).unwrap();
    let best = arg_max(&expected);
    let label = browser.eval("document.getElementById('top').textContent");
    assert_eq!(label.as_str().unwrap(), app.classes()[best]);
    let found = browser
        .eval("import('./app.js').then(async ({ ready }) => (await ready).found.probabilities)");
    for (found, expected) in found.as_array().unwrap().iter().zip(&expected) {
        let difference = (found.as_f64().unwrap() - f64::from(*expected)).abs();
        assert!(difference < 1e-4, "{difference}");
    }
    browser.screenshot("answer-phone-light", 390, 844, 2, false);
    browser.screenshot("answer-phone-dark", 390, 844, 2, true);
    browser.screenshot("answer-desktop-light", 1200, 800, 1, false);
    browser.screenshot("answer-desktop-dark", 1200, 800, 1, true);

    // A file that is not an image gives one sentence, and the next image works.
    let text = dir.path().join("note.txt");
    std::fs::write(&text, "no image").unwrap();
    browser.choose("#file", &text);
    browser.wait_for("!document.getElementById('problem').hidden");
    let problem = browser.eval("document.getElementById('problem').textContent");
    assert_eq!(
        problem,
        "“note.txt” is not an image that this browser can read; choose a JPEG, PNG or WebP image."
    );
    browser.choose("#file", &photo);
    browser.wait_for("document.getElementById('problem').hidden");
    // A camera, simulated by this browser.
    browser.eval("document.getElementById('camera').click()");
    browser.wait_for("document.getElementById('seen-words').textContent && !document.getElementById('live').hidden");
    browser.eval("document.getElementById('camera').click()");
    browser.wait_for("document.getElementById('live').hidden");
}

/// The resize of the page compared with the app's, on the same pixels: shrinking, enlarging, one side unchanged, all
/// fits.
#[test]
fn the_page_resizes_to_the_bit_as_the_app_does() {
    let Some(mut browser) = Chromium::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/export/web/page");
    let images = dir.path().join("images");
    std::fs::create_dir(&images).unwrap();
    let server = StaticServer::new(vec![("page", page), ("images", images.clone())]);
    // Any page of the server will do.
    browser.open(&server.address("page/style.css"));
    let sizes = [
        (64, 64),
        (150, 97),
        (97, 150),
        (64, 300),
        (301, 64),
        (20, 31),
        (1, 1),
        (1, 700),
        (2300, 1203),
        (5000, 9),
        (33, 1500),
    ];
    for (number, (width, height)) in sizes.into_iter().enumerate() {
        let image = image::RgbImage::from_fn(width, height, |x, y| {
            let noise = (x * 7919 + y * 104_729 + x * y * 31) as u8;
            image::Rgb([
                noise,
                (x % 256) as u8,
                noise.wrapping_mul(31) ^ (y % 256) as u8,
            ])
        });
        image.save(images.join(format!("{number}.png"))).unwrap();
        for fit in [Fit::CenterCrop, Fit::Stretch, Fit::Pad] {
            let preprocessing = Preprocessing {
                fit,
                resolution_px: 64,
                mean: [127.0, 99.6, 12.0],
                std: [128.0; 3],
            };
            let expected = preprocessing.resize(&image);
            let mut recipe = serde_json::to_value(&preprocessing).unwrap();
            recipe["bar_rgb"] = serde_json::to_value(preprocessing.bar_colour()).unwrap();
            let found = browser.eval(&format!(
                "import('/page/app.js').then(async ({{ inputOf, decode }}) => {{ \
                   const blob = await (await fetch('/images/{number}.png')).blob(); \
                   return Array.from(inputOf({recipe}, await decode(blob, 'x'))); }})"
            ));
            let found: Vec<u8> = serde_json::from_value::<Vec<u8>>(found).unwrap();
            let different = found.iter().zip(expected.as_raw()).filter(|(a, b)| a != b);
            assert_eq!(
                (found.len(), different.count()),
                (expected.len(), 0),
                "{width}×{height}, {fit:?}"
            );
        }
    }
}

/// Node. Without it the test is skipped with a message; not in CI.
fn node() -> bool {
    let there = Command::new("node").arg("--version").output();
    let there = there.is_ok_and(|output| output.status.success());
    if !there {
        assert!(
            std::env::var_os("CI").is_none() || !cfg!(target_os = "linux"),
            "no Node; packaging/setup.sh --tests installs it"
        );
        eprintln!("SKIPPED: no Node (packaging/setup.sh --tests)");
    }
    there
}

#[test]
fn the_program_in_javascript_checks_itself_on_the_golden_images() {
    if !node() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (project, run, photo) = trained(dir.path());
    let formats = vec![
        Format::ONNX,
        Format::ONNX_FP16,
        Format::ONNX_FLOAT,
        Format::WEB,
        Format::TFLITE,
    ];
    let order = Order {
        formats,
        ..Format::ONNX.into()
    };
    let out = dir.path().join("out");
    export(&project, &run, &order, &out, &Work::new()).unwrap();
    // As npm would install it.
    let package = dir.path().join("node_modules/onnxruntime-web");
    std::fs::create_dir_all(&package).unwrap();
    for entry in std::fs::read_dir(web_runtime_dir().unwrap()).unwrap() {
        let file = entry.unwrap();
        std::fs::copy(file.path(), package.join(file.file_name())).unwrap();
    }
    let about = r#"{ "name": "onnxruntime-web", "exports": "./ort.wasm.min.mjs" }"#;
    std::fs::write(package.join("package.json"), about).unwrap();
    let javascript = |arguments: &[&str]| {
        let mut program = Command::new("node");
        program.arg(out.join("snippets/classify.mjs"));
        let output = program.args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (
            output.status.success(),
            text + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (ok, text) = javascript(&[]);
    println!("{text}");
    assert!(ok, "{text}");
    for model in ["model.onnx", "model-fp16.onnx", "model-float.onnx", "web"] {
        assert!(text.contains(&format!("{model}: 10 of 10")), "{text}");
    }
    assert!(text.contains("model.tflite: not checked here"), "{text}");
    let golden: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("golden/golden.json")).unwrap()).unwrap();
    let image = out.join("golden/01.png");
    let (ok, text) = javascript(&[image.to_str().unwrap()]);
    let class = golden["images"][0]["class"].as_str().unwrap();
    assert!(ok && text.contains(&format!(": {class} 0.")), "{text}");
    // With a threshold that no probability reaches.
    let recipe = out.join("preprocess.json");
    let whole = std::fs::read(&recipe).unwrap();
    let mut changed: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    changed["unknown_below"] = 1.5.into();
    std::fs::write(&recipe, changed.to_string()).unwrap();
    let (ok, text) = javascript(&[image.to_str().unwrap()]);
    let unknown = format!(": unknown (nearest: {class}) 0.");
    assert!(ok && text.contains(&unknown), "{text}");
    std::fs::write(&recipe, whole).unwrap();
    let (ok, text) = javascript(&[photo.to_str().unwrap()]);
    assert!(
        !ok && text.contains("npm install sharp") && text.lines().count() == 1,
        "{text}"
    );

    let labels = std::fs::read_to_string(out.join("labels.txt")).unwrap();
    let mut reversed: Vec<&str> = labels.lines().collect();
    reversed.reverse();
    std::fs::write(out.join("labels.txt"), reversed.join("\n") + "\n").unwrap();
    let (ok, text) = javascript(&[]);
    assert!(!ok && text.contains("different labels"), "{text}");
}

/// All files below the folder in `SALAMANDER_TEST_IMAGES`, in the page and in the app.
#[test]
#[ignore = "by hand, with a folder of images in SALAMANDER_TEST_IMAGES; it prints where page and app differ"]
fn the_page_beside_the_app_on_a_folder_of_images() {
    let folder = PathBuf::from(std::env::var_os("SALAMANDER_TEST_IMAGES").unwrap());
    let mut browser = Chromium::start().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (out, _) = exported(dir.path());
    let server = StaticServer::new(vec![("site", out.join("web")), ("images", folder.clone())]);
    browser.open(&server.address("site/index.html"));
    browser.wait_for("!document.getElementById('work').hidden");
    let mut app = Predictor::from_export(&out).unwrap();
    let recipe = salamander::export::open(&out, 1).unwrap().recipe().clone();
    let (mut both, mut same, mut equal, mut exact) = (0, 0, 0, 0);
    let mut largest = 0.0_f64;
    for path in files_below(&folder) {
        let name = path
            .strip_prefix(&folder)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let here = load_image(&path).map(|image| {
            let pixels = recipe.preprocessing.resize(&image);
            (pixels, app.probabilities(&image, &Work::new()).unwrap())
        });
        let address = server
            .address(&format!("images/{name}"))
            .replace('%', "%25")
            .replace('#', "%23");
        let there = browser.eval(&format!(
            "import('./app.js').then(async ({{ ready }}) => {{ \
               const {{ classifier }} = await ready; \
               const blob = await (await fetch({address:?})).blob(); \
               try {{ const {{ input, probabilities }} = await classifier.classify(blob, 'it'); \
                 return {{ input: Array.from(input), probabilities }}; }} \
               catch (error) {{ return {{ error: error.message }}; }} }})"
        ));
        match (here, there["error"].as_str()) {
            (Err(error), Some(_)) => println!("neither      {name}: {error}"),
            (Err(error), None) => println!("PAGE ALONE   {name}: {error}"),
            (Ok(_), Some(error)) => println!("APP ALONE    {name}: {error}"),
            (Ok((pixels, expected)), None) => {
                let input: Vec<u8> = serde_json::from_value(there["input"].clone()).unwrap();
                let found: Vec<f32> =
                    serde_json::from_value(there["probabilities"].clone()).unwrap();
                let levels = input
                    .iter()
                    .zip(pixels.as_raw())
                    .map(|(a, b)| a.abs_diff(*b))
                    .max();
                let levels = levels.unwrap_or(0);
                let mean: f64 = input
                    .iter()
                    .zip(pixels.as_raw())
                    .map(|(a, b)| f64::from(a.abs_diff(*b)))
                    .sum::<f64>()
                    / input.len() as f64;
                let apart = found
                    .iter()
                    .zip(&expected)
                    .map(|(a, b)| f64::from((a - b).abs()))
                    .fold(0.0, f64::max);
                let agrees = arg_max(&found) == arg_max(&expected);
                both += 1;
                same += usize::from(agrees);
                equal += usize::from(levels == 0);
                exact += usize::from(levels <= 1);
                largest = largest.max(apart);
                if levels > 0 {
                    let mark = if agrees {
                        "differs     "
                    } else {
                        "OTHER ANSWER"
                    };
                    println!(
                        "{mark} {name}: {levels} levels, {mean:.2} in the mean, probabilities {apart:.4}"
                    );
                }
            }
        }
    }
    println!(
        "{both} images in both: {same} same answer, {equal} equal pixels, {exact} within one level, probabilities within {largest:.4}"
    );
}

pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
