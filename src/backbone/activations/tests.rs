#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::time::{Duration, Instant};

use crate::backbone::test_images::{image, images};
use crate::backbone::{Blocks, Depth, Fit, bottlenecks, bottlenecks_and_activations};
use crate::onnx::{Session, Tensor};

use super::*;

const PLENTY: u64 = 1 << 30;

struct Place {
    dir: tempfile::TempDir,
    frames: Vec<PathBuf>,
    architecture: Architecture,
    preprocessing: Preprocessing,
    cut: CutAt,
    views: Views,
}

impl Place {
    fn new(count: u8, depth: Depth) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let frames = images(dir.path(), count);
        let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
        let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
        let blocks = Blocks::of(&architecture).unwrap();
        Self {
            dir,
            frames,
            architecture,
            preprocessing,
            cut: blocks.plan(depth).cut.unwrap(),
            views: Views {
                count: 4,
                augmentation: Augmentation::default(),
                seed: 5,
            },
        }
    }

    fn source(&self) -> ActivationSource<'_> {
        ActivationSource {
            frames: &self.frames,
            architecture: &self.architecture,
            preprocessing: &self.preprocessing,
            cut: &self.cut,
            views: self.views,
        }
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn open(&self, budget_bytes: Option<u64>, work: &Work) -> Activations {
        let cache = self.cache();
        let dir = budget_bytes.map(|_| cache.as_path());
        Activations::open(&self.source(), dir, budget_bytes.unwrap_or(0), work).unwrap()
    }

    /// Bytes of a row on disk, with its entry.
    fn row_bytes(&self) -> u64 {
        2 * self.cut.elements() as u64 + 48
    }

    /// The total size of activation files in bytes.
    fn on_disk(&self) -> u64 {
        let files = std::fs::read_dir(self.cache().join("activations")).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum()
    }
}

fn filled(activations: &mut Activations, wanted: &[(usize, u32)], work: &Work) -> Vec<f16> {
    let mut out = vec![f16::NAN; wanted.len() * activations.elements];
    activations.fill(wanted, &mut out, work).unwrap();
    out
}

/// How many of the rows are neither in memory nor on disk.
fn missing(activations: &Activations, wanted: &[(usize, u32)]) -> usize {
    let jobs = activations.jobs(wanted, |key| activations.storage.contains(key));
    jobs.unwrap().len()
}

/// Each view of each frame, in mixed order, some of them twice.
fn all(frames: usize, views: u32) -> Vec<(usize, u32)> {
    let mut wanted: Vec<(usize, u32)> = (0..views)
        .rev()
        .flat_map(|view| (0..frames).map(move |frame| (frame, view)))
        .collect();
    wanted.push((0, 0));
    wanted.insert(1, (frames - 1, 1));
    wanted
}

#[test]
fn rows_are_what_the_front_makes_of_the_image() {
    for depth in [Depth::Last3, Depth::All] {
        let place = Place::new(3, depth);
        let mut activations = place.open(Some(PLENTY), &Work::new());
        let wanted = [(2, 0), (0, 0), (2, 0)];
        let rows = filled(&mut activations, &wanted, &Work::new());
        assert_eq!(activations.computed, 2);
        let blocks = Blocks::of(&place.architecture).unwrap();
        for ((frame, _), row) in wanted.iter().zip(rows.chunks_exact(activations.elements)) {
            let square = place.preprocessing.resize(&image(*frame as u8));
            let mut planes = vec![0.0; 3 * 96 * 96];
            place.preprocessing.normalize_into(&square, &mut planes);
            let expected = if depth == Depth::All {
                planes
            } else {
                let front = blocks.front(&place.cut).unwrap().to_onnx();
                let planes = Tensor::new([1, 3, 96, 96], planes);
                let mut session = Session::from_bytes(&front, 1).unwrap();
                let result = session.run(&[("input", &planes)], &[&place.cut.tensor]);
                result.unwrap().remove(0).f32().unwrap().to_vec()
            };
            let expected: Vec<f16> = expected.into_iter().map(f16::from_f32).collect();
            assert_eq!(row, expected, "{depth}");
        }
    }
}

#[test]
fn the_same_bits_from_the_disk_from_memory_and_anew() {
    let place = Place::new(5, Depth::Last1);
    let wanted = all(5, 4);
    let work = Work::new();
    let mut first = place.open(Some(PLENTY), &work);
    assert_eq!(missing(&first, &wanted), 20);
    let rows = filled(&mut first, &wanted, &work);
    assert_eq!((first.computed, missing(&first, &wanted)), (20, 0));
    assert_eq!(filled(&mut first, &wanted, &work), rows);
    assert_eq!(first.computed, 20, "nothing twice");
    drop(first);
    let mut again = place.open(Some(PLENTY), &work);
    assert_eq!(filled(&mut again, &wanted, &work), rows);
    assert_eq!(again.computed, 0);
    drop(again);
    assert_eq!(place.on_disk(), 20 * place.row_bytes());

    // Without a disk, after preparing some rows.
    let mut uncached = place.open(None, &work);
    uncached.ensure(&wanted[..7], &work).unwrap();
    assert_eq!(uncached.computed, 7);
    assert_eq!(filled(&mut uncached, &wanted, &work), rows);
    assert_eq!(uncached.computed, 20);
    assert_eq!(work.take_warnings(), Vec::<String>::new());

    let elements = place.cut.elements();
    let mut distinct: Vec<&[f16]> = rows.chunks_exact(elements).collect();
    distinct.sort_by_key(|row| row.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
    distinct.dedup();
    assert_eq!(distinct.len(), 20, "each view is another one");
}

#[test]
fn views_follow_their_parameters_and_the_plain_one_does_not() {
    let mut place = Place::new(2, Depth::Last1);
    let work = Work::new();
    let wanted = [(0, 0), (1, 0), (0, 1), (1, 1)];
    let before = filled(&mut place.open(Some(PLENTY), &work), &wanted, &work);
    place.views.seed += 1;
    let mut other = place.open(Some(PLENTY), &work);
    let after = filled(&mut other, &wanted, &work);
    assert_eq!(other.computed, 2, "only the augmented ones");
    let half = before.len() / 2;
    assert_eq!(before[..half], after[..half]);
    assert_ne!(before[half..], after[half..]);
    drop(other);
    // Without augmentation there is a single view.
    place.views.augmentation = Augmentation::OFF;
    let mut off = place.open(Some(PLENTY), &work);
    let plain = filled(&mut off, &wanted, &work);
    assert_eq!(off.computed, 0);
    assert_eq!(plain[..half], plain[half..]);
}

#[test]
fn beyond_the_budget_it_goes_on_with_one_warning() {
    let place = Place::new(4, Depth::Last1);
    let wanted = all(4, 3);
    let expected = filled(&mut place.open(None, &Work::new()), &wanted, &Work::new());
    let work = Work::new();
    let budget = 5 * place.row_bytes() + 100;
    let mut activations = place.open(Some(budget), &work);
    activations.ensure(&wanted, &work).unwrap();
    assert_eq!(filled(&mut activations, &wanted, &work), expected);
    let warnings = work.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("the cache budget of"), "{warnings:?}");
    drop(activations);
    assert_eq!(place.on_disk(), 5 * place.row_bytes());
    let mut again = place.open(Some(budget), &work);
    assert_eq!(filled(&mut again, &wanted, &work), expected);
    assert_eq!(again.computed, 7);
    assert_eq!(work.take_warnings().len(), 1);
}

/// Runs in a process whose files may not exceed a few kilobytes; see the next test.
#[test]
fn with_a_full_disk() {
    if std::env::var_os("SALAMANDER_TEST_FULL_DISK").is_none() {
        return;
    }
    let place = Place::new(6, Depth::Last1);
    let wanted = all(6, 3);
    let expected = filled(&mut place.open(None, &Work::new()), &wanted, &Work::new());
    let work = Work::new();
    let mut activations = place.open(Some(PLENTY), &work);
    assert_eq!(filled(&mut activations, &wanted, &work), expected);
    let warnings = work.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("cached on disk (File too large"),
        "{warnings:?}"
    );
    drop(activations);
    let mut again = place.open(Some(PLENTY), &work);
    let missing = missing(&again, &wanted);
    assert!((1..18).contains(&missing), "{missing}");
    assert_eq!(filled(&mut again, &wanted, &work), expected);
    assert_eq!(again.computed, missing as u64);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_one_warning_and_the_same_rows() {
    let name = "backbone::activations::tests::with_a_full_disk";
    // The limit is in units of 1024 bytes: two and a half rows of 3456 bytes; exceeding it is an error, not a signal.
    let script = "trap '' XFSZ; ulimit -f 9; exec \"$0\" --exact \"$1\" --nocapture";
    let output = std::process::Command::new("bash")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env("SALAMANDER_TEST_FULL_DISK", "1")
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}\n{errors}");
    assert!(message.contains("1 passed"), "{message}");
}

#[test]
fn old_rows_make_way_when_nobody_uses_them() {
    let mut place = Place::new(4, Depth::Last1);
    place.views = Views::PLAIN;
    let work = Work::new();
    let wanted: Vec<(usize, u32)> = (0..4).map(|frame| (frame, 0)).collect();
    let budget = 10 * place.row_bytes();
    drop(filled(&mut place.open(Some(budget), &work), &wanted, &work));
    place.preprocessing.fit = Fit::Stretch;
    let mut second = place.open(Some(budget), &work);
    let stretched = filled(&mut second, &wanted, &work);
    assert_eq!(place.on_disk(), 8 * place.row_bytes(), "both have room");
    // The first of the two files is deleted; the second is in use, so there is no room for two rows.
    place.preprocessing.fit = Fit::Pad;
    let smaller = 6 * place.row_bytes();
    let mut third = place.open(Some(smaller), &work);
    assert_eq!(place.on_disk(), 4 * place.row_bytes());
    filled(&mut third, &wanted, &work);
    assert_eq!(place.on_disk(), 6 * place.row_bytes());
    assert_eq!(work.take_warnings().len(), 1);
    assert_eq!(filled(&mut second, &wanted, &work), stretched);
    assert_eq!(second.computed, 4);
}

#[test]
fn two_at_once_do_not_disturb_each_other() {
    let place = Place::new(3, Depth::Last1);
    let work = Work::new();
    let mut first = place.open(Some(PLENTY), &work);
    let mut second = place.open(Some(PLENTY), &work);
    let wanted = all(3, 2);
    let rows = filled(&mut first, &wanted, &work);
    assert_eq!(work.take_warnings(), Vec::<String>::new());
    assert_eq!(filled(&mut second, &wanted, &work), rows);
    let warnings = work.take_warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("another training"), "{warnings:?}");
}

#[test]
fn an_image_that_went_or_changed_is_an_error_that_names_it() {
    let place = Place::new(3, Depth::Last1);
    let work = Work::new();
    let mut activations = place.open(Some(PLENTY), &work);
    let before = filled(&mut activations, &[(1, 0)], &work);
    image(99).save(&place.frames[0]).unwrap();
    std::fs::remove_file(&place.frames[1]).unwrap();
    std::fs::write(&place.frames[2], b"no picture").unwrap();
    let mut out = before.clone();
    let mut error = |activations: &mut Activations, wanted| {
        let result = activations.fill(&[wanted], &mut out, &work);
        result.unwrap_err().to_string()
    };
    let changed = error(&mut activations, (0, 0));
    assert!(
        changed.contains("ü 0.png") && changed.contains("changed"),
        "{changed}"
    );
    let gone = error(&mut activations, (1, 1));
    assert!(gone.contains("ü 1.png"), "{gone}");
    let none = error(&mut activations, (3, 0));
    assert!(none.contains("frame 3"), "{none}");
    assert_eq!(
        filled(&mut activations, &[(1, 0)], &work),
        before,
        "it is in the cache"
    );
    drop(activations);

    let missing = Activations::open(&place.source(), None, 0, &work)
        .err()
        .unwrap();
    assert!(missing.to_string().contains("ü 1.png"), "{missing}");
    image(1).save(&place.frames[1]).unwrap();
    let mut activations = place.open(Some(PLENTY), &work);
    let damaged = error(&mut activations, (2, 0));
    assert!(damaged.contains("ü 2.png"), "{damaged}");
}

#[test]
fn cancelling_takes_effect_soon_and_keeps_what_is_computed() {
    let place = Place::new(40, Depth::Last1);
    let work = Work::new();
    let mut activations = place.open(Some(PLENTY), &work);
    // The sessions are loaded, so that only images are timed.
    filled(&mut activations, &[(0, 0), (1, 0)], &work);
    let wanted = all(40, 4);
    let canceller = work.clone();
    let cancelled_at = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        canceller.cancel();
        Instant::now()
    });
    let result = activations.ensure(&wanted, &work);
    let late = cancelled_at.join().unwrap().elapsed();
    assert!(matches!(result, Err(BackboneError::Cancelled(_))));
    println!(
        "{late:?} after the cancellation, {} rows",
        activations.computed
    );
    assert!(late < Duration::from_secs(2), "{late:?}");
    let kept = activations.computed;
    drop(activations);
    let again = place.open(Some(PLENTY), &Work::new());
    assert_eq!(missing(&again, &wanted) as u64, 160 - kept);
    let mut out = vec![f16::ZERO; place.cut.elements()];
    let mut again = again;
    let ended = again.fill(&[(0, 0)], &mut out, &work);
    assert!(matches!(ended, Err(BackboneError::Cancelled(_))));
}

#[test]
fn one_pass_gives_bottlenecks_and_activations() {
    for depth in [Depth::Last3, Depth::All] {
        let mut place = Place::new(6, depth);
        std::fs::write(&place.frames[4], b"no picture").unwrap();
        let table = |place: &Place, cached: bool| {
            let cache = place.cache();
            let dir = cached.then_some(cache.as_path());
            let (architecture, preprocessing) = (&place.architecture, &place.preprocessing);
            bottlenecks(
                &place.frames,
                architecture,
                preprocessing,
                None,
                dir,
                &Work::new(),
            )
            .unwrap()
        };
        let both = |place: &Place, budget| {
            let work = Work::new();
            let source = place.source();
            let table = bottlenecks_and_activations(&source, &place.cache(), budget, &work);
            let table = table.unwrap();
            assert_eq!(work.progress().done, place.frames.len() as u64);
            assert_eq!(work.take_warnings().len(), table.failed.len());
            table
        };
        let plain = table(&place, false);
        // The bottlenecks of the first three are cached.
        let frames = std::mem::take(&mut place.frames);
        place.frames = frames[..3].to_vec();
        table(&place, true);
        place.frames = frames;
        let first = both(&place, PLENTY);
        assert_eq!(first.from_cache, 3);
        assert_eq!(first.values, plain.values, "{depth}");
        assert_eq!(first.failed.len(), 1);
        let second = both(&place, PLENTY);
        assert_eq!(second.from_cache, 5);
        assert_eq!(second.values, plain.values);

        place.frames.remove(4);
        let wanted: Vec<(usize, u32)> = (0..5).map(|frame| (frame, 0)).collect();
        let mut activations = place.open(Some(PLENTY), &Work::new());
        let rows = filled(&mut activations, &wanted, &Work::new());
        assert_eq!(activations.computed, 0);
        let mut anew = place.open(None, &Work::new());
        assert_eq!(rows, filled(&mut anew, &wanted, &Work::new()));
        drop(activations);

        // Without room for activations, the bottlenecks are the same.
        std::fs::remove_dir_all(place.cache()).unwrap();
        let table = both(&place, 2 * place.row_bytes());
        assert_eq!(table.row(3), plain.row(3));
        let activations = place.open(Some(2 * place.row_bytes()), &Work::new());
        assert_eq!(missing(&activations, &wanted), 3);
    }
}

#[test]
fn memory_holds_no_more_than_its_limit() {
    let mut overflow = Overflow::default();
    let row = vec![f16::ONE; 1 << 20];
    let key = |view| Key {
        content: [0; 32],
        view,
    };
    for view in 0..40 {
        overflow.keep(key(view), &row);
        overflow.keep(key(view), &row);
    }
    assert_eq!((overflow.rows.len(), overflow.bytes), (32, OVERFLOW_BYTES));
    assert!(!overflow.rows.contains_key(&key(7)) && overflow.rows.contains_key(&key(8)));
}
