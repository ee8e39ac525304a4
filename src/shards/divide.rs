//! Divides films and photos, as planned by an import, into shards of about equal work.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::backbone::{Architecture, Fit};
use crate::files;
use crate::jobs::{Work, cores_and_one, in_parallel};
use crate::media::{
    Fate, ImportOptions, MediaError, PlanGroup, Reason, cut_points, passed_over, plan, probe,
    start_decoders,
};
use crate::project::{ContentId, Project, ProjectError, Sampling, Source, sample_of_file};
use crate::text::count;

use super::ShardError;
use super::activations::WantedActivations;
use super::list::{FilmPiece, FolderLabels, ListedPhoto, ModelPin, Shard, ShardList, new_header};
use crate::media::Stretch;

/// The number of photos that take about as long as a minute of film at two frames a second.
const PHOTOS_A_MINUTE: f64 = 100.0;
/// The assumed bytes per minute of a film of unknown length (2 Mbit/s).
const BYTES_A_MINUTE: f64 = 15e6;
/// A film is cut if it is longer than this many shards, so its last stretch may be this long.
const LONGER: f64 = 1.5;

/// The settings of a list of shards.
#[derive(Debug, Clone)]
pub struct DivideOrder {
    /// Films, photos, and folders of them.
    pub paths: Vec<PathBuf>,
    /// The settings of the import.
    pub options: ImportOptions,
    /// About how many minutes of film a shard has; over 0.
    pub minutes: f64,
    /// The architectures to compute bottlenecks for.
    pub architectures: Vec<Architecture>,
    /// How images are made square.
    pub fit: Fit,
    /// The activations to compute for each architecture.
    pub activations: Option<WantedActivations>,
    /// Whether to include films that the project has already sampled in the same way.
    pub known_too: bool,
}

/// A list of shards, and what it leaves out.
#[derive(Debug, Clone)]
pub struct Divided {
    /// The list.
    pub list: ShardList,
    /// Remarks on the layout of the folders, a sentence each.
    pub notes: Vec<String>,
    /// Films that the project has already sampled in the same way.
    pub known: usize,
    /// How many files were ignored for each reason, the most frequent reason first.
    pub passed_over: Vec<(Reason, u64)>,
    /// Files and folders that are unusable, a sentence each.
    pub failed: Vec<String>,
}

/// A film before it is divided.
struct Film {
    piece: FilmPiece,
    minutes: f64,
    cuts: Vec<f64>,
}

/// Divides everything in the paths into shards, as an import into `project` would read it. Nothing is written. The
/// list has absolute paths.
///
/// # Errors
/// Nothing in the paths is usable; an architecture or ONNX Runtime is missing; cancelled.
pub fn divide(project: &Project, order: &DivideOrder, work: &Work) -> Result<Divided, ShardError> {
    let mut paths = Vec::with_capacity(order.paths.len());
    for path in &order.paths {
        let absolute = std::path::absolute(path).map_err(ShardError::io("find", path))?;
        paths.push(absolute);
    }
    let found = plan(project, &paths, &order.options, work)?;
    let passed_over = passed_over(&found.reports);
    let reports = found.reports.iter();
    let mut failed: Vec<String> = reports
        .filter_map(|report| match &report.fate {
            Fate::Failed(sentence) => Some(sentence.clone()),
            _ => None,
        })
        .collect();
    let mut groups = Vec::new();
    let (mut films, mut photos) = (Vec::new(), Vec::new());
    for group in &found.groups {
        if let Some(refused) = &group.refused {
            failed.push(refused.clone());
            continue;
        }
        let number = groups.len();
        groups.push(FolderLabels {
            folder: group.folder.clone(),
            class: group.class.clone(),
            side: group.side.filter(|_| !order.options.ignore_split),
        });
        add(group, number, &mut films, &mut photos, &mut failed);
    }
    if let Some(wanted) = &order.activations {
        // A network that cannot be trained to this depth is reported here instead of on every machine.
        for architecture in &order.architectures {
            wanted.cut(architecture, work)?;
        }
    }
    let listed = films.len();
    let films = if order.known_too {
        films
    } else {
        new_films(project, films, &order.options.sampling, work)?
    };
    let known = listed - films.len();
    let films = inspected(films, order, &mut failed, work)?;
    if films.is_empty() && photos.is_empty() {
        let all_known = known > 0 && failed.is_empty();
        for (reason, files) in &passed_over {
            work.warn(passed_over_words(reason, *files));
        }
        for sentence in failed {
            work.warn(sentence);
        }
        return Err(if all_known {
            ShardError::AllKnown { films: known }
        } else {
            ShardError::Nothing
        });
    }
    let pins = order.architectures.iter();
    let pins = pins.map(|architecture| ModelPin::of(architecture, order.fit));
    let mut header = new_header(
        order.options.sampling,
        pins.collect::<Result<_, _>>()?,
        order.activations,
        groups,
        found.empty_classes,
    )?;
    let shards = fill(films, &photos, order.minutes);
    header.shards = shards.len();
    Ok(Divided {
        list: ShardList { header, shards },
        notes: found.notes,
        known,
        passed_over,
        failed,
    })
}

/// `3 files skipped: hidden (the name begins with a dot)`
#[must_use]
pub fn passed_over_words(reason: &Reason, files: u64) -> String {
    format!("{} skipped: {}", count(files, "file"), reason.text())
}

/// The films that the project does not have. A film that it has at the same path is read to check that it is
/// unchanged, which is much faster than sampling it again.
fn new_films(
    project: &Project,
    mut films: Vec<FilmPiece>,
    sampling: &Sampling,
    work: &Work,
) -> Result<Vec<FilmPiece>, ShardError> {
    let sources = project.sources().into_iter();
    let complete = sources.filter(|source| {
        source.extracted.is_some() && !source.replacing && source.sampling == *sampling
    });
    let complete: HashMap<PathBuf, Source> = complete
        .map(|source| (source.path.clone(), source))
        .collect();
    let at_known_paths: Vec<(PathBuf, &Source)> = films
        .iter()
        .filter_map(|film| Some((film.path.clone(), complete.get(&film.path)?)))
        .collect();
    work.stage("Reading known videos", Some(at_known_paths.len() as u64));
    let mut known = HashSet::new();
    for (path, source) in at_known_paths {
        let is_of =
            ContentId::of_file(&path, work).and_then(|content| source.is_of(&path, &content, work));
        match is_of {
            Ok(true) => {
                known.insert(path);
            }
            Err(ProjectError::Cancelled(cancelled)) => return Err(cancelled.into()),
            // Unreadable: reported when it is opened next.
            Ok(false) | Err(_) => {}
        }
        work.advance(1);
    }
    films.retain(|film| !known.contains(&film.path));
    Ok(films)
}

/// Adds the files of a group.
fn add(
    group: &PlanGroup,
    number: usize,
    films: &mut Vec<FilmPiece>,
    photos: &mut Vec<ListedPhoto>,
    failed: &mut Vec<String>,
) {
    for file in &group.files {
        let bytes = match files::metadata(&file.path) {
            Ok(facts) => facts.len(),
            Err(error) => {
                let path = file.path.clone();
                failed.push(MediaError::Io { path, error }.to_string());
                continue;
            }
        };
        if file.is_video() {
            films.push(FilmPiece {
                path: file.path.clone(),
                group: number,
                bytes,
                sample: String::new(),
                piece: 0,
                pieces: 1,
                stretch: None,
            });
        } else {
            photos.push(ListedPhoto {
                path: file.path.clone(),
                group: number,
                bytes,
            });
        }
    }
}

/// Finds the length of films and the times at which they can be cut. Unusable films are added to `failed`.
fn inspected(
    mut films: Vec<FilmPiece>,
    order: &DivideOrder,
    failed: &mut Vec<String>,
    work: &Work,
) -> Result<Vec<Film>, ShardError> {
    work.stage("Reading videos", Some(films.len() as u64));
    start_decoders(films.len().min(2));
    let mut found: Vec<Option<Film>> = films.iter().map(|_| None).collect();
    let sampling = &order.options.sampling;
    in_parallel(
        cores_and_one(),
        &films,
        work,
        || Ok::<_, ShardError>(()),
        |(), piece| inspect(piece, sampling, order.minutes, work),
        |index, result| {
            match (result, found.get_mut(index)) {
                (Ok(film), Some(slot)) => *slot = Some(film),
                (Err(sentence), _) => failed.push(sentence),
                (Ok(_), None) => {}
            }
            work.advance(1);
            Ok(())
        },
    )?;
    films.clear();
    Ok(found.into_iter().flatten().collect())
}

/// The inner error is that of an unusable film.
fn inspect(
    piece: &FilmPiece,
    sampling: &Sampling,
    minutes: f64,
    work: &Work,
) -> Result<Result<Film, String>, ShardError> {
    let path = &piece.path;
    let inspected_film = || -> Result<Film, MediaError> {
        let info = probe(path)?;
        let sample = sample_of_file(path)?;
        let length = info.duration_secs.map(|secs| {
            let from = sampling.from_secs.unwrap_or(0.0);
            let to = sampling.to_secs.unwrap_or(secs).min(secs);
            (to - from).max(0.0) / 60.0
        });
        let long = length.is_some_and(|length| length > minutes * LONGER);
        let cuts = if long {
            cut_points(path, minutes * 60.0, work)?
        } else {
            Vec::new()
        };
        Ok(Film {
            piece: FilmPiece {
                sample,
                ..piece.clone()
            },
            minutes: length.unwrap_or(piece.bytes as f64 / BYTES_A_MINUTE),
            cuts: within(&cuts, sampling),
        })
    };
    match inspected_film() {
        Ok(film) => Ok(Ok(film)),
        Err(MediaError::Cancelled(cancelled)) => Err(cancelled.into()),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// The cuts within the range of a sampling.
fn within(cuts: &[f64], sampling: &Sampling) -> Vec<f64> {
    let from = sampling.from_secs.unwrap_or(0.0);
    let to = sampling.to_secs.unwrap_or(f64::INFINITY);
    let inside = cuts.iter().filter(|cut| from < **cut && **cut < to);
    inside.copied().collect()
}

/// Distributes films and photos over shards of about this many minutes.
fn fill(films: Vec<Film>, photos: &[ListedPhoto], minutes: f64) -> Vec<Shard> {
    let mut shards = Vec::new();
    let mut open = Shard::default();
    let mut close = |shard: &mut Shard| {
        if !shard.films.is_empty() || !shard.photos.is_empty() {
            shards.push(std::mem::take(shard));
        }
    };
    for film in films {
        if film.cuts.is_empty() {
            if open.minutes + film.minutes > minutes * LONGER {
                close(&mut open);
            }
            open.minutes += film.minutes;
            open.bytes += film.piece.bytes;
            open.films.push(film.piece);
            if open.minutes >= minutes {
                close(&mut open);
            }
            continue;
        }
        close(&mut open);
        let pieces = film.cuts.len() + 1;
        for piece in 0..pieces {
            let from = piece.checked_sub(1).and_then(|at| film.cuts.get(at));
            let share = film.minutes / pieces as f64;
            let mut stretch = Shard {
                minutes: share,
                bytes: film.piece.bytes / pieces as u64,
                films: vec![FilmPiece {
                    piece,
                    pieces,
                    stretch: Some(Stretch {
                        from_secs: from.copied().unwrap_or(0.0),
                        to_secs: film.cuts.get(piece).copied(),
                    }),
                    ..film.piece.clone()
                }],
                ..Shard::default()
            };
            close(&mut stretch);
        }
    }
    close(&mut open);
    let at_once = (minutes * PHOTOS_A_MINUTE).max(1.0) as usize;
    for photos in photos.chunks(at_once) {
        let mut bundle = Shard {
            minutes: photos.len() as f64 / PHOTOS_A_MINUTE,
            bytes: photos.iter().map(|photo| photo.bytes).sum(),
            photos: photos.to_vec(),
            ..Shard::default()
        };
        close(&mut bundle);
    }
    for (index, shard) in shards.iter_mut().enumerate() {
        shard.shard = index + 1;
    }
    shards
}

/// The path on this machine of a file listed as `listed`. `moved` has pairs of a folder's path in the list and on this
/// machine; the longest folder that contains the file applies.
pub(super) fn path_here(listed: &Path, moved: &[(PathBuf, PathBuf)]) -> PathBuf {
    let of = |(old, new): &(PathBuf, PathBuf)| {
        let inside = listed.strip_prefix(old).ok()?;
        Some((old.components().count(), new.join(inside)))
    };
    let longest = moved
        .iter()
        .filter_map(of)
        .max_by_key(|(length, _)| *length);
    longest.map_or_else(|| listed.to_owned(), |(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film(name: &str, minutes: f64, cuts: &[f64]) -> Film {
        Film {
            piece: FilmPiece {
                path: name.into(),
                group: 0,
                bytes: 1000,
                sample: String::new(),
                piece: 0,
                pieces: 1,
                stretch: None,
            },
            minutes,
            cuts: cuts.to_vec(),
        }
    }

    #[test]
    fn short_films_share_a_shard_and_long_ones_are_cut() {
        let films = vec![
            film("a", 4.0, &[]),
            film("b", 5.0, &[]),
            film("c", 3.0, &[]),
            film("long", 30.0, &[600.0, 1210.5]),
            film("d", 1.0, &[]),
        ];
        let photo = |number: u64| ListedPhoto {
            path: format!("{number}.jpg").into(),
            group: 1,
            bytes: number,
        };
        let photos: Vec<ListedPhoto> = (0..1500).map(photo).collect();
        let shards = fill(films, &photos, 10.0);
        let names = |shard: &Shard| -> Vec<String> {
            let films = shard.films.iter();
            let name = |film: &FilmPiece| {
                format!("{} {}/{}", film.path.display(), film.piece, film.pieces)
            };
            films.map(name).collect()
        };
        let all: Vec<Vec<String>> = shards.iter().map(names).collect();
        assert_eq!(all[0], ["a 0/1", "b 0/1", "c 0/1"]);
        assert_eq!(all[1..4], [["long 0/3"], ["long 1/3"], ["long 2/3"]]);
        assert_eq!(all[4], ["d 0/1"]);
        let stretches: Vec<_> = shards[1..4]
            .iter()
            .filter_map(|shard| shard.films[0].stretch)
            .collect();
        let ends: Vec<_> = stretches
            .iter()
            .map(|stretch| (stretch.from_secs, stretch.to_secs))
            .collect();
        assert_eq!(
            ends,
            [(0.0, Some(600.0)), (600.0, Some(1210.5)), (1210.5, None)]
        );
        let photos: Vec<usize> = shards.iter().map(|shard| shard.photos.len()).collect();
        assert_eq!(photos, [0, 0, 0, 0, 0, 1000, 500]);
        let numbers: Vec<usize> = shards.iter().map(|shard| shard.shard).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn files_are_looked_for_where_their_folder_was_moved_to() {
        let moved = [
            (PathBuf::from("/films"), PathBuf::from("/scratch/a")),
            (PathBuf::from("/films/2024"), PathBuf::from("/scratch/b")),
        ];
        let here = |path: &str| path_here(Path::new(path), &moved);
        assert_eq!(here("/films/x.mp4"), Path::new("/scratch/a/x.mp4"));
        assert_eq!(here("/films/2024/猫.mp4"), Path::new("/scratch/b/猫.mp4"));
        assert_eq!(here("/films2/x.mp4"), Path::new("/films2/x.mp4"));
    }
}
