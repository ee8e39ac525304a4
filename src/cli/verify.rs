//! `salamander verify`: repeats the verification of an export from its own folder or archive.

use std::path::PathBuf;

use anyhow::bail;

use crate::export::{Verification, verify_bundle};
use crate::text::count;

use super::console::Console;
use super::table::{Align, table};

/// Verify an export from its folder or ZIP file alone
///
/// Files are compared with export.json, and the models are run on the golden images. The project is not needed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The export's folder, or its ZIP file
    #[arg(value_name = "EXPORT")]
    export: PathBuf,
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let dir = args.export;
    let found = console.run("verify", move |work| verify_bundle(&dir, work))?;
    if !found.problems.is_empty() {
        for problem in &found.problems {
            console.warning(problem)?;
        }
        bail!(
            "the export differs from what was verified ({}); export it again",
            count(found.problems.len() as u64, "problem")
        );
    }
    console.result(&found, || text(&found))
}

fn text(found: &Verification) -> String {
    let headings = ["model", "expected class", "largest difference", "allowed"];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    rows.extend(found.models.iter().map(|model| {
        vec![
            model.file.clone(),
            format!("{} of {}", model.same_top1, found.images),
            format!("{:.1e}", model.max_probability_difference),
            format!("{:.0e}", model.tolerance),
        ]
    }));
    format!(
        "{} as exported\n{}",
        count(found.files, "file"),
        table(
            &[Align::Left, Align::Right, Align::Right, Align::Right],
            &rows
        )
    )
}
