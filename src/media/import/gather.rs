//! Finds media files in given paths, to be read in place.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use crate::jobs::Work;
use crate::kind::Kind;
use crate::media::MediaError;
use crate::project::natural_cmp;

use super::outcome::Fate;
use super::walk::{Walked, walk};

/// The images and videos in `paths`, including those in folders, in natural order, with paths that begin as given.
/// Anything that an import ignores is left out: hidden files, thumbnails of network drives, trash folders, files of a
/// Salamander project except its frames, and files that are neither image nor video. A file that was named explicitly
/// is kept, so that opening it reports its fault. Unreadable folders give a warning.
pub fn gather(paths: &[PathBuf], work: &Work) -> Result<Vec<PathBuf>, MediaError> {
    let given: Vec<(PathBuf, &PathBuf)> = paths
        .iter()
        .map(|path| {
            (
                std::path::absolute(path).unwrap_or_else(|_| path.clone()),
                path,
            )
        })
        .collect();
    let is_named = |path: &Path| given.iter().any(|(absolute, _)| absolute == path);
    let Walked { files, reports, .. } = walk(paths, None, work)?;
    let mut found = Vec::new();
    for file in files {
        work.check()?;
        if is_named(&file.path) || Kind::at_a_glance(&file.path).is_ok_and(Kind::is_media) {
            found.push(file.path);
        }
    }
    for report in reports {
        match report.fate {
            Fate::Failed(_) if is_named(&report.path) => found.push(report.path),
            Fate::Failed(sentence) => work.warn(sentence),
            Fate::PassedOver(reason) if is_named(&report.path) => work.warn(format!(
                "“{}” was skipped: {}",
                report.path.display(),
                reason.text()
            )),
            _ => {}
        }
    }
    let mut found: Vec<(usize, PathBuf)> = found
        .into_iter()
        .map(|path| {
            let mut all = given.iter().enumerate();
            all.find_map(|(at, (absolute, as_given))| {
                let inside = path.strip_prefix(absolute).ok()?;
                let is_itself = inside.as_os_str().is_empty();
                let path = if is_itself {
                    (*as_given).clone()
                } else {
                    as_given.join(inside)
                };
                Some((at, path))
            })
            .unwrap_or((given.len(), path))
        })
        .collect();
    found.sort_by(|(a, a_path), (b, b_path)| a.cmp(b).then_with(|| in_order(a_path, b_path)));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn in_order(a: &Path, b: &Path) -> Ordering {
    let by_names = a.iter().zip(b.iter()).find_map(|(a, b)| {
        let order = natural_cmp(&a.to_string_lossy(), &b.to_string_lossy()).then_with(|| a.cmp(b));
        (order != Ordering::Equal).then_some(order)
    });
    by_names.unwrap_or_else(|| a.cmp(b))
}
