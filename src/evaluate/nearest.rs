//! Finds the training images that are most similar to an image according to the network: the origin of a
//! misclassification, and hints at wrong labels and near-duplicates.

use std::collections::HashMap;

use crate::jobs::Work;
use crate::project::{Noun, Project, Split};
use crate::train::{Run, RunFrame};

use super::EvaluateError;
use super::evaluation::source;
use super::rows::{Backbone, Rows};

/// The smallest cosine of the bottlenecks of two images that show nearly the same.
const NEARLY_THE_SAME: f32 = 0.97;

/// A training image that is similar to another image.
#[derive(Debug, Clone, PartialEq)]
pub struct NearImage {
    /// Current path relative to the project's root.
    pub path: String,
    /// Its current label, an index into the classes of the evaluation.
    pub class: usize,
    /// The cosine of the angle between both bottlenecks, -1..=1; 1 for the same image.
    pub similarity: f32,
    /// The source, from the file's name; otherwise the group.
    pub source: String,
}

/// The images of a run with their bottlenecks, to find the training images most similar to any of them.
///
/// Bottlenecks are those of the original backbone, also for a run with fine-tuning: they are in the project's cache,
/// and independent of the labels in question.
pub struct TrainingImages {
    labels: Vec<String>,
    frames: Vec<RunFrame>,
    /// Current label of each.
    truth: Vec<usize>,
    dim: usize,
    /// Row-major `f32[N, dim]`, each row of length 1.
    units: Vec<f32>,
    /// The index of the image with each path.
    places: HashMap<String, usize>,
}

impl TrainingImages {
    /// Loads them.
    ///
    /// # Errors
    /// As for an evaluation; cancelled.
    pub fn of(project: &Project, run: &Run, work: &Work) -> Result<Self, EvaluateError> {
        let mut rows = Rows::of(project, run, None, Backbone::Shipped, work)?;
        for row in rows.values.chunks_exact_mut(rows.dim.max(1)) {
            let length = dot(row, row).sqrt();
            if length > 0.0 {
                for value in row {
                    *value /= length;
                }
            }
        }
        let paths = rows.frames.iter().enumerate();
        Ok(Self {
            labels: rows.classes.labels,
            places: paths.map(|(at, frame)| (frame.path.clone(), at)).collect(),
            frames: rows.frames,
            truth: rows.truth,
            dim: rows.dim,
            units: rows.values,
        })
    }

    /// The classes that [`NearImage::class`] is an index into: the current ones of the run.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.labels
    }

    /// The `count` training images most similar to the image at this current path, the most similar first, without the
    /// image itself; `None` if the run does not have such an image now.
    #[must_use]
    pub fn nearest(&self, path: &str, count: usize) -> Option<Vec<NearImage>> {
        let of = *self.places.get(path)?;
        let wanted = self.row(of)?;
        let training = self.frames.iter().enumerate();
        let training = training.filter(|(at, frame)| frame.split == Split::Train && *at != of);
        let mut found: Vec<(f32, usize)> = training
            .filter_map(|(at, _)| Some((dot(wanted, self.row(at)?), at)))
            .collect();
        // Of equally similar ones the first of the run, so that the result is deterministic.
        found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(count);
        let near = found.into_iter().filter_map(|(similarity, at)| {
            let frame = self.frames.get(at)?;
            let of_source = source(&frame.path).map_or(frame.group.as_str(), |(of, _)| of);
            Some(NearImage {
                path: frame.path.clone(),
                class: *self.truth.get(at)?,
                similarity: similarity.clamp(-1.0, 1.0),
                source: of_source.to_owned(),
            })
        });
        Some(near.collect())
    }

    fn row(&self, at: usize) -> Option<&[f32]> {
        self.units.get(at * self.dim..(at + 1) * self.dim)
    }
}

/// A sentence on what the most similar training images suggest about the current label of an image; `None` without a
/// hint. `classes` are those that [`NearImage::class`] is an index into.
#[must_use]
pub fn near_finding(
    label: &str,
    near: &[NearImage],
    classes: &[String],
    noun: Noun,
) -> Option<String> {
    let nearest = near.first()?;
    let class = classes.get(nearest.class)?;
    if nearest.similarity >= NEARLY_THE_SAME {
        return Some(if class == label {
            noun.fill("Nearly the same {image} is among the training {images}: a near duplicate.")
                .into_owned()
        } else {
            let words = noun.fill("Nearly the same {image} is a training {image} of ");
            format!("{words}“{class}”: one of the two labels may be wrong.")
        });
    }
    let agree = near.iter().all(|near| near.class == nearest.class);
    if class == label || near.len() < 3 || !agree {
        return None;
    }
    let words = noun.fill("All of the nearest training {images} are ");
    Some(format!(
        "{words}“{class}”: the label “{label}” may be wrong."
    ))
}

/// A dot product summed in eight lanes, which the compiler converts to vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail = a.remainder().iter().zip(b.remainder());
    let tail: f32 = tail.map(|(a, b)| a * b).sum();
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

    use super::*;

    fn images() -> TrainingImages {
        // In two dimensions only the angle matters.
        let rows = [
            ("classes/a/asked.jpg", 0, Split::Test, 0.0_f32),
            ("classes/b/near.jpg", 1, Split::Train, 10.0),
            ("classes/a/other.jpg", 0, Split::Train, 60.0),
            ("classes/a/tested.jpg", 0, Split::Test, 1.0),
            ("classes/b/next.jpg", 1, Split::Train, -20.0),
        ];
        let frames = rows.iter().map(|(path, class, split, _)| RunFrame {
            path: (*path).to_owned(),
            class: *class,
            split: *split,
            group: (*path).to_owned(),
            content: None,
        });
        let frames: Vec<RunFrame> = frames.collect();
        let values = rows.iter().flat_map(|(.., degrees)| {
            let angle = degrees.to_radians();
            [angle.cos(), angle.sin()]
        });
        let places = frames.iter().enumerate();
        TrainingImages {
            labels: vec!["a".into(), "b".into()],
            places: places.map(|(at, of)| (of.path.clone(), at)).collect(),
            truth: frames.iter().map(|frame| frame.class).collect(),
            frames,
            dim: 2,
            units: values.collect(),
        }
    }

    #[test]
    fn training_images_are_ordered_by_the_angle_between_bottlenecks() {
        let images = images();
        let near = images.nearest("classes/a/asked.jpg", 2).unwrap();
        let paths: Vec<&str> = near.iter().map(|near| near.path.as_str()).collect();
        assert_eq!(paths, ["classes/b/near.jpg", "classes/b/next.jpg"]);
        assert!((near[0].similarity - 10.0_f32.to_radians().cos()).abs() < 1e-6);
        assert_eq!((near[0].class, near.len()), (1, 2));
        // A training image is not among its own results.
        let near = images.nearest("classes/b/near.jpg", 9).unwrap();
        assert_eq!(near.len(), 2);
        assert!(near.iter().all(|near| near.path != "classes/b/near.jpg"));
        assert_eq!(images.nearest("classes/a/gone.jpg", 2), None);
    }

    #[test]
    fn the_sum_of_products_covers_every_value() {
        let a: Vec<f32> = (0..21_u8).map(f32::from).collect();
        let squares: f32 = (0..21_u16).map(|n| f32::from(n * n)).sum();
        assert!((dot(&a, &a) - squares).abs() < 1e-3);
    }

    #[test]
    fn what_the_nearest_say_of_a_label() {
        let classes = ["a".to_owned(), "b".to_owned()];
        let sentence = |near: &[(usize, f32)]| {
            let near: Vec<NearImage> = near
                .iter()
                .map(|(class, similarity)| NearImage {
                    path: String::new(),
                    class: *class,
                    similarity: *similarity,
                    source: String::new(),
                })
                .collect();
            near_finding("a", &near, &classes, Noun::Frame)
        };
        let same = sentence(&[(1, 0.99), (0, 0.8)]).unwrap();
        assert_eq!(
            same,
            "Nearly the same frame is a training frame of “b”: one of the two labels may be wrong."
        );
        assert!(
            sentence(&[(0, 0.99)])
                .unwrap()
                .ends_with("a near duplicate.")
        );
        let all = sentence(&[(1, 0.9), (1, 0.8), (1, 0.7)]).unwrap();
        assert_eq!(
            all,
            "All of the nearest training frames are “b”: the label “a” may be wrong."
        );
        for near in [
            &[(1, 0.9), (1, 0.8), (0, 0.7)][..],
            &[(0, 0.9), (0, 0.8), (0, 0.7)],
            &[(1, 0.9)],
            &[],
        ] {
            assert_eq!(sentence(near), None);
        }
    }
}
