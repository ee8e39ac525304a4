//! The groups of frames, which the split must not divide.

use std::collections::HashMap;

use crate::jobs::Work;
use crate::project::{Frames, Label, Project, ProjectError};

use super::hashes::{PhotoHash, photo_hashes};
use super::near_duplicates::clusters;

/// The group of each frame, in the same order; the split must not divide a group. The group of a video's frame is its
/// source. Photos, and files added by hand, are grouped into clusters of near-duplicates (by perceptual hash, cached
/// by content). Unsorted photos belong to no split and are groups of their own.
///
/// The name of a cluster is derived from the content of its photos, and stays the same when photos are added to it,
/// moved or renamed. An image that cannot be decoded is a group of its own.
pub fn groups(
    project: &Project,
    frames: &Frames,
    work: &Work,
) -> Result<Vec<String>, ProjectError> {
    let mut groups = Vec::with_capacity(frames.list.len());
    let mut photos = Vec::new();
    for (index, frame) in frames.list.iter().enumerate() {
        let of_video = frame.source.as_ref().filter(|_| frame.time_secs.is_some());
        if of_video.is_none() && frame.label != Label::Unsorted {
            photos.push((index, frame.path.as_str()));
        }
        groups.push(of_video.map_or_else(|| frame.path.clone(), ToString::to_string));
    }
    if photos.is_empty() {
        return Ok(groups);
    }
    let paths: Vec<&str> = photos.iter().map(|(_, path)| *path).collect();
    let hashes = photo_hashes(project, &paths, work)?;
    let names = name_clusters(&hashes, project, work)?;
    for ((index, _), name) in photos.iter().zip(names) {
        if let (Some(group), Some(name)) = (groups.get_mut(*index), name) {
            *group = name;
        }
    }
    Ok(groups)
}

/// The name of each photo's cluster; `None` for a photo that cannot be read.
fn name_clusters(
    hashes: &[Option<PhotoHash>],
    project: &Project,
    work: &Work,
) -> Result<Vec<Option<String>>, ProjectError> {
    // Equal files are compared once; files that cannot be decoded not at all.
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut images = Vec::new();
    for hash in hashes.iter().flatten() {
        if let Some(image) = &hash.image {
            numbers.entry(&hash.content).or_insert_with(|| {
                images.push(*image);
                images.len() - 1
            });
        }
    }
    let cluster_of = clusters(&images, work)?;

    // A cluster keeps the name under which the split remembers it; otherwise it is named after its smallest content
    // hash.
    let known = project.known_groups();
    let mut names: Vec<Option<(bool, String)>> = vec![None; cluster_of.len()];
    let mut ordered: Vec<(&&str, &usize)> = numbers.iter().collect();
    ordered.sort_unstable();
    for (content, number) in ordered {
        let name = group_name(content);
        let is_known = known.contains(&name);
        let cluster = cluster_of.get(*number).copied();
        if let Some(slot) = cluster.and_then(|cluster| names.get_mut(cluster)) {
            let named_before = slot.as_ref().is_some_and(|(known, _)| *known || !is_known);
            if !named_before {
                *slot = Some((is_known, name));
            }
        }
    }
    let name_of = |hash: &PhotoHash| {
        let number = numbers.get(hash.content.as_str());
        let cluster = number.and_then(|number| cluster_of.get(*number));
        match cluster.and_then(|cluster| names.get(*cluster)) {
            Some(Some((_, name))) => name.clone(),
            _ => group_name(&hash.content),
        }
    };
    Ok(hashes
        .iter()
        .map(|hash| hash.as_ref().map(name_of))
        .collect())
}

fn group_name(content: &str) -> String {
    format!("photo-{content}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use std::fs;

    use image::{RgbImage, imageops};

    use super::*;
    use crate::project::{ClassName, SplitSettings};

    /// A deterministic image of soft blobs, different for each seed.
    fn image(seed: u32, size: u32) -> RgbImage {
        let hash = blake3::hash(&seed.to_le_bytes());
        let bytes = hash.as_bytes();
        let wave = |i: usize, x: f32, y: f32| {
            let b = |k: usize| f32::from(bytes[(i * 4 + k) % 32]);
            ((x * (2.0 + b(0) / 20.0) + y * (2.0 + b(1) / 20.0) + b(2)).sin() * b(3)).abs()
        };
        RgbImage::from_fn(size, size, |x, y| {
            let (x, y) = (x as f32 / size as f32, y as f32 / size as f32);
            let sum: f32 = (0..6).map(|i| wave(i, x, y)).sum();
            let v = (sum / 3.0).min(255.0) as u8;
            image::Rgb([v, v / 2 + 40, 255 - v])
        })
    }

    fn project() -> (tempfile::TempDir, Project) {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(&dir.path().join("p"), "p").unwrap();
        project.add_class(&ClassName::new("a").unwrap()).unwrap();
        (dir, project)
    }

    fn by_path(project: &Project) -> HashMap<String, String> {
        let work = Work::new();
        let frames = project.scan(&work).unwrap();
        let groups = groups(project, &frames, &work).unwrap();
        let paths = frames.list.into_iter().map(|frame| frame.path);
        paths.zip(groups).collect()
    }

    #[test]
    fn frames_of_a_video_share_their_source_without_being_read() {
        let (_dir, project) = project();
        for name in [
            "h-00000001_0.500000_00000000.jpg",
            "h-00000001_1.500000_00000000.jpg",
        ] {
            fs::write(project.abs("classes/a").join(name), "no image").unwrap();
        }
        let groups = by_path(&project);
        assert_eq!(groups.len(), 2);
        assert!(groups.values().all(|group| group == "00000001"));
    }

    #[test]
    fn copies_and_variants_share_a_group_and_others_do_not() {
        let (_dir, project) = project();
        let put = |name: &str, image: &RgbImage| {
            image.save(project.abs("classes/a").join(name)).unwrap();
        };
        for seed in 0..20 {
            put(&format!("{seed}.png"), &image(seed, 160));
        }
        let original = image(3, 160);
        put("3 again.jpg", &original);
        put("3 small.png", &imageops::thumbnail(&original, 90, 90));
        put("3 bright.png", &imageops::brighten(&original, 15));
        put(
            "3 cut.png",
            &imageops::crop_imm(&original, 2, 2, 156, 156).to_image(),
        );
        fs::write(project.abs("classes/a/broken.jpg"), "no image").unwrap();
        fs::copy(
            project.abs("classes/a/5.png"),
            project.abs("unsorted/5.png"),
        )
        .unwrap();
        let groups = by_path(&project);
        let three = &groups["classes/a/3.png"];
        let with_three = groups.values().filter(|group| *group == three).count();
        assert_eq!(with_three, 5);
        let distinct: std::collections::HashSet<_> = groups.values().collect();
        assert_eq!(
            distinct.len(),
            20 + 1 + 1,
            "20 pictures, one broken, one unsorted"
        );
    }

    #[test]
    fn a_group_keeps_its_name_when_photos_are_added_moved_or_the_cache_is_deleted() {
        let (_dir, project) = project();
        for seed in 0..6 {
            let path = project.abs(&format!("classes/a/{seed}.png"));
            image(seed, 120).save(path).unwrap();
        }
        let work = Work::new();
        let before = by_path(&project);
        let frames = project.scan(&work).unwrap();
        let list = groups(&project, &frames, &work).unwrap();
        let settings = SplitSettings::default();
        project.assign_splits(&frames, &list, &settings).unwrap();

        // Whatever their hashes are, variants that join a group do not rename it.
        for seed in 0..6 {
            for (n, light) in [5, 10, 15].into_iter().enumerate() {
                let variant = imageops::brighten(&image(seed, 120), light);
                let path = project.abs(&format!("classes/a/{seed} variant {n}.png"));
                variant.save(path).unwrap();
            }
        }
        fs::rename(
            project.abs("classes/a/0.png"),
            project.abs("classes/a/renamed.png"),
        )
        .unwrap();
        let after = by_path(&project);
        assert_eq!(after.len(), 24);
        for seed in 1..6 {
            let path = format!("classes/a/{seed}.png");
            assert_eq!(after[&path], before[&path]);
            let variant = format!("classes/a/{seed} variant 1.png");
            assert_eq!(after[&variant], before[&path]);
        }
        assert_eq!(after["classes/a/renamed.png"], before["classes/a/0.png"]);
        fs::remove_dir_all(project.cache_dir()).unwrap();
        assert_eq!(by_path(&project), after);
    }

    #[test]
    fn a_changed_photo_is_looked_at_again() {
        let (_dir, project) = project();
        let path = project.abs("classes/a/x.png");
        image(1, 100).save(&path).unwrap();
        let before = by_path(&project);
        image(2, 101).save(&path).unwrap();
        assert_ne!(by_path(&project), before);
    }

    #[test]
    fn cancelling_ends_it_and_keeps_what_was_hashed() {
        let (_dir, project) = project();
        image(1, 100).save(project.abs("classes/a/x.png")).unwrap();
        let work = Work::new();
        let frames = project.scan(&work).unwrap();
        work.cancel();
        let result = groups(&project, &frames, &work);
        assert!(matches!(result, Err(ProjectError::Cancelled(_))));
    }
}
