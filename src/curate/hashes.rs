//! Perceptual hashes of photos, 256 bits each, and their cache.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use image::{RgbImage, imageops};
use image_hasher::{HashAlg, Hasher, HasherConfig};

use crate::files;
use crate::jobs::{Cancelled, Work, cores, in_parallel};
use crate::media::load_image_from_bytes;
use crate::project::{Project, ProjectError};

/// File in `cache/`. One line a photo: image, content, size, time of the last change, path.
const CACHE_FILE: &str = "photo-hashes.tsv";

/// States how the hashes were computed; a file with another first line is not used.
const CACHE_HEADER: &str = "salamander photo hashes 1: dct median 16x16";

/// Images are scaled to this width and height before hashing; the hash then scales to 32 pixels.
const REDUCED_PX: u32 = 128;

/// A perceptual hash of 16×16 bits.
pub(super) type ImageHash = [u64; 4];

/// What is known about one photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PhotoHash {
    /// 16 hexadecimal digits: a hash of the file's bytes.
    pub(super) content: String,
    /// Its perceptual hash; `None` if it cannot be decoded.
    pub(super) image: Option<ImageHash>,
}

/// Size and time of a file, to detect cheaply whether it was changed since it was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified_nanos: u128,
}

/// The hashes of photos (paths relative to the root), in the same order, from the cache or computed on all cores;
/// `None` for a file that cannot be read. After a cancellation, the next call continues where this one stopped.
pub(super) fn photo_hashes(
    project: &Project,
    paths: &[&str],
    work: &Work,
) -> Result<Vec<Option<PhotoHash>>, ProjectError> {
    let cache = Cache::load(project);
    work.stage("Looking for near-duplicates", Some(paths.len() as u64));
    let hasher = hasher();
    let mut hashes = vec![None; paths.len()];
    let mut stamps = vec![None; paths.len()];
    let mut done = 0;
    let end = in_parallel(
        cores(),
        paths,
        work,
        || Ok::<_, Cancelled>(()),
        |(), path| Ok(hash_file(&project.abs(path), path, &cache, &hasher)),
        |index, found| {
            if let Some((found, found_stamp)) = found
                && let (Some(hash), Some(stamp)) = (hashes.get_mut(index), stamps.get_mut(index))
            {
                *hash = Some(found);
                *stamp = found_stamp;
            }
            done += 1;
            // Thousands of cached ones take a second: the watcher need not be woken for each.
            if done % 32 == 0 {
                work.set_done(done);
            }
            Ok(())
        },
    );
    cache.save(project, paths, &hashes, &stamps);
    end?;
    Ok(hashes)
}

/// DCT compared with the median. Of all hashes tried on real photos, it separated best between variants of a photo
/// (crop and shift of 2–3 %, brightness, contrast, size, strong compression) and different, similar photos.
fn hasher() -> Hasher {
    HasherConfig::new()
        .hash_size(16, 16)
        .preproc_dct()
        .hash_alg(HashAlg::Median)
        .to_hasher()
}

fn hash_file(
    abs: &Path,
    path: &str,
    cache: &Cache,
    hasher: &Hasher,
) -> Option<(PhotoHash, Option<Stamp>)> {
    let stamp = stamp(abs);
    if let (Some((known, hash)), Some(now)) = (cache.by_path.get(path), stamp)
        && *known == now
    {
        return Some((hash.clone(), stamp));
    }
    let bytes = files::read(abs).ok()?;
    let content: String = blake3::hash(&bytes).to_hex().chars().take(16).collect();
    let image = match cache.by_content.get(&content) {
        Some(image) => *image,
        None => load_image_from_bytes(&bytes, abs)
            .ok()
            .map(|image| image_hash(hasher, &image)),
    };
    Some((PhotoHash { content, image }, stamp))
}

fn image_hash(hasher: &Hasher, image: &RgbImage) -> ImageHash {
    let (width, height) = image.dimensions();
    let hash = if width > REDUCED_PX || height > REDUCED_PX {
        // The aspect ratio does not matter: the hash is of a square.
        let reduced = imageops::thumbnail(image, REDUCED_PX, REDUCED_PX);
        hasher.hash_image(&reduced)
    } else {
        hasher.hash_image(image)
    };
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(hash.as_bytes().chunks(8)) {
        for (i, byte) in bytes.iter().enumerate() {
            *word |= u64::from(*byte) << (8 * i);
        }
    }
    words
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = files::metadata(path).ok()?;
    let modified = metadata.modified().ok()?;
    Some(Stamp {
        bytes: metadata.len(),
        modified_nanos: modified.duration_since(UNIX_EPOCH).ok()?.as_nanos(),
    })
}

/// Hashes of earlier calls: by path if size and time are the same, otherwise by content, wherever the file is now.
#[derive(Default)]
struct Cache {
    by_path: HashMap<String, (Stamp, PhotoHash)>,
    by_content: HashMap<String, Option<ImageHash>>,
}

impl Cache {
    fn load(project: &Project) -> Self {
        let mut cache = Self::default();
        let Some(Ok(text)) = project.kept_in_cache(CACHE_FILE).map(String::from_utf8) else {
            return cache;
        };
        let mut lines = text.lines();
        if lines.next() != Some(CACHE_HEADER) {
            return cache;
        }
        for (path, stamp, hash) in lines.filter_map(parse_line) {
            cache.by_content.insert(hash.content.clone(), hash.image);
            cache.by_path.insert(path.to_owned(), (stamp, hash));
        }
        cache
    }

    /// Writes the hashes of these photos, and the known ones of others.
    fn save(
        &self,
        project: &Project,
        paths: &[&str],
        hashes: &[Option<PhotoHash>],
        stamps: &[Option<Stamp>],
    ) {
        let mut lines: HashMap<&str, (&Stamp, &PhotoHash)> = self
            .by_path
            .iter()
            .filter(|(path, _)| files::exists(project.abs(path)))
            .map(|(path, (stamp, hash))| (path.as_str(), (stamp, hash)))
            .collect();
        let mut changed = lines.len() != self.by_path.len();
        for ((path, hash), stamp) in paths.iter().zip(hashes).zip(stamps) {
            if let (Some(hash), Some(stamp)) = (hash, stamp)
                && !path.contains('\n')
                && lines.insert(path, (stamp, hash)) != Some((stamp, hash))
            {
                changed = true;
            }
        }
        if !changed {
            return;
        }
        let mut text = format!("{CACHE_HEADER}\n");
        for (path, (stamp, hash)) in lines {
            write_line(&mut text, path, *stamp, hash);
        }
        project.keep_in_cache(&[(CACHE_FILE, text.as_bytes())]);
    }
}

fn write_line(text: &mut String, path: &str, stamp: Stamp, hash: &PhotoHash) {
    let image = match hash.image {
        Some(words) => words.iter().fold(String::new(), |mut hex, word| {
            // Writing to a string cannot fail.
            write!(hex, "{word:016x}").unwrap_or_default();
            hex
        }),
        None => "-".to_owned(),
    };
    let Stamp {
        bytes,
        modified_nanos,
    } = stamp;
    writeln!(
        text,
        "{image}\t{}\t{bytes}\t{modified_nanos}\t{path}",
        hash.content
    )
    .unwrap_or_default();
}

fn parse_line(line: &str) -> Option<(&str, Stamp, PhotoHash)> {
    let mut fields = line.splitn(5, '\t');
    let image = match fields.next()? {
        "-" => None,
        hex => {
            let mut words = [0; 4];
            for (i, word) in words.iter_mut().enumerate() {
                *word = u64::from_str_radix(hex.get(16 * i..16 * (i + 1))?, 16).ok()?;
            }
            Some(words)
        }
    };
    let content = fields.next()?.to_owned();
    let stamp = Stamp {
        bytes: fields.next()?.parse().ok()?,
        modified_nanos: fields.next()?.parse().ok()?,
    };
    Some((fields.next()?, stamp, PhotoHash { content, image }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_cache_survives_the_round_trip() {
        for image in [None, Some([0, u64::MAX, 0x0123_4567_89ab_cdef, 1])] {
            let hash = PhotoHash {
                content: "0011223344556677".into(),
                image,
            };
            let stamp = Stamp {
                bytes: 12,
                modified_nanos: 1_700_000_000_123_456_789,
            };
            let mut text = String::new();
            write_line(&mut text, "classes/猫 a/\t1.jpg", stamp, &hash);
            let parsed = parse_line(text.strip_suffix('\n').unwrap());
            assert_eq!(parsed, Some(("classes/猫 a/\t1.jpg", stamp, hash)));
        }
        for damaged in [
            "",
            "-",
            "zz\tx\t1\t2\tp",
            "-\tx\tone\t2\tp",
            "00é\tx\t1\t2\tp",
        ] {
            assert_eq!(parse_line(damaged), None);
        }
    }
}
