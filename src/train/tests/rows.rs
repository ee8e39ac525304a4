//! The rows of the table: in memory once, views as rows of their frames, how often each is drawn.

#![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

use super::*;

/// Sessions read the table in place: from the bottlenecks to ONNX Runtime there is only one copy.
#[test]
fn the_table_is_held_once() {
    let x = vec![0.5; 50 * SIZES.dim];
    let place = x.as_ptr();
    let y = (0..50).map(|row| row % 3).collect();
    let train = Examples::new(SIZES, x, y).unwrap();
    assert_eq!(train.x().unwrap().as_ptr(), place);
    let data = Data {
        train: train.clone(),
        ..data()
    };
    let settings = settings(Optimizer::Sgd);
    let outcome = train_to(&data, &settings, None, 10, &Work::new());
    assert!(matches!(outcome.end, Ok(End::Complete)));
    assert_eq!(data.train.x().unwrap().as_ptr(), place);
}

/// Three views of each frame; the first is the plain one.
fn with_views(data: &Data, change: impl Fn(usize, f32) -> f32) -> Data {
    let x = data.train.x().unwrap();
    let of_frame = |row: &[f32]| -> Vec<f32> {
        (0..3)
            .flat_map(|view| row.iter().map(move |x| (view, *x)))
            .map(|(view, x)| change(view, x))
            .collect()
    };
    let x: Vec<f32> = x.chunks(SIZES.dim).flat_map(of_frame).collect();
    Data {
        train: Examples::with_views(SIZES, x, data.train.y.clone(), 3).unwrap(),
        ..data.clone()
    }
}

#[test]
fn views_are_rows_of_their_frames() {
    let (data, settings) = (data(), settings(Optimizer::Sgd));
    let kept = |data: &Data| train_to(data, &settings, None, 50, &Work::new()).kept;
    let plain = kept(&data);
    // The frames of a batch do not depend on views, and each view has the class of its frame.
    assert_eq!(kept(&with_views(&data, |_, x| x)), plain);
    // Views are trained on.
    let other = |view| move |number, x: f32| if number == view { -x } else { x };
    let first = kept(&with_views(&data, other(1)));
    let last = kept(&with_views(&data, other(2)));
    assert!(first != plain && last != plain && first != last);
}

#[test]
fn images_are_drawn_as_often_as_they_are_there_where_that_is_asked_for() {
    let labels: Vec<i64> = (0..1000).map(|row| i64::from(row < 10)).collect();
    let share = |sampling| {
        // Without information, so that only the bias is trained.
        let x = vec![0.0; labels.len() * SIZES.dim];
        let train = Examples::new(SIZES, x, labels.clone()).unwrap();
        let data = Data {
            train,
            validation: Examples::default(),
            ..data()
        };
        let mut settings = settings(Optimizer::Sgd);
        settings.sampling = sampling;
        train_to(&data, &settings, None, 100, &Work::new()).kept.1.b
    };
    let [balanced, natural] = [ClassSampling::Balanced, ClassSampling::Natural].map(share);
    // The bias reflects how frequent a class is.
    assert!((balanced[0] - balanced[1]).abs() < 0.5, "{balanced:?}");
    assert!(natural[0] - natural[1] > 1.0, "{natural:?}");
}
