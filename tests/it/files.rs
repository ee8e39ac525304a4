//! Files of the program can be used by everyone whom the user's settings (umask, shared folders) allow.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cli_program::Place;

/// Runs a line of the program under a umask.
fn under(place: &Place, umask: &str, line: &str) {
    let ran = place.line_after(&format!("umask {umask}"), line);
    assert_eq!(ran.code, Some(0), "{line}: {}{}", ran.stdout, ran.stderr);
}

/// All files and folders below `dir`.
fn all(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_file_of_a_project_has_the_mode_of_an_ordinary_file() {
    for (umask, file, folder) in [("002", 0o664, 0o775), ("077", 0o600, 0o700)] {
        let place = Place::new();
        place.videos();
        std::fs::create_dir(place.path("photos")).unwrap();
        std::fs::copy(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/icon-256.png"),
            place.path("photos/newt.png"),
        )
        .unwrap();
        for line in [
            "new p",
            "import p videos --class-from folder --fps 5 --width 160",
            "import p photos",
            "train p --depth head --how-many-training-steps 20 --testing-percentage 25",
            "evaluate p",
            "features p --out features/of-p.safetensors",
            "export p",
            "export p --out model",
            // Over existing files.
            "export p --out model --format onnx-float",
            "classes p rename bars stripes",
        ] {
            under(&place, umask, line);
        }
        for dir in ["p", "model", "features"] {
            for path in all(&place.path(dir)) {
                let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
                let expected = if path.is_dir() { folder } else { file };
                assert_eq!(
                    mode,
                    expected,
                    "{} has the mode {mode:o} under umask {umask}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn a_mode_that_was_set_stays() {
    let place = Place::new();
    place.result("new p");
    let file = place.path("p/project.json");
    for mode in [0o640, 0o664] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        place.result(&format!("classes p add of-{mode}"));
        let after = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(after, mode);
    }
}

#[test]
fn a_folder_of_the_users_own_is_not_exported_into() {
    let place = Place::new();
    place.project();
    place.result("train p --depth head --how-many-training-steps 20 --testing-percentage 25");
    let (licence, readme) = (place.path("app/LICENSE.txt"), place.path("app/README.txt"));
    std::fs::create_dir(place.path("app")).unwrap();
    std::fs::write(&licence, "my licence").unwrap();
    std::fs::write(&readme, "my app").unwrap();
    let message = place.failure("export p --out app");
    for part in ["LICENSE.txt", "README.txt", "another folder"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(std::fs::read_to_string(&licence).unwrap(), "my licence");
    assert_eq!(std::fs::read_dir(place.path("app")).unwrap().count(), 2);

    // Files of an export are replaced by the next one, unless the user has changed them.
    place.result("export p --out model");
    place.result("export p --out model --format onnx-float");
    std::fs::write(place.path("model/labels.txt"), "eins\nzwei\ndrei\n").unwrap();
    let message = place.failure("export p --out model");
    assert!(message.contains("labels.txt"), "{message}");

    // An export by a version that stored no list of its files.
    place.result("export p --out earlier");
    std::fs::remove_file(place.path("earlier/export.json")).unwrap();
    place.result("export p --out earlier --format onnx-float");
    std::fs::remove_file(place.path("earlier/export.json")).unwrap();
    std::fs::write(place.path("earlier/model.onnx"), "my own").unwrap();
    let message = place.failure("export p --out earlier");
    assert!(message.contains("model.onnx"), "{message}");
    let kept = std::fs::read_to_string(place.path("earlier/model.onnx")).unwrap();
    assert_eq!(kept, "my own");
}
