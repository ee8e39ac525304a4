//! Heat maps of images for which it is known what determines their class.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use image::{Rgb, RgbImage};

use super::*;
use crate::backbone::{Architecture, Fit};
use crate::evaluate::arg_max;
use crate::jobs::Work;
use crate::train::{HeadTable, TrainSettings};

/// Pseudorandom numbers.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as u32
    }
}

/// Noise everywhere, and in the middle of one quadrant a figure that determines the class: a disc, stripes or a cross.
fn made(side: u32, class: usize, quadrant: u32, seed: u64) -> RgbImage {
    let mut noise = Noise(1);
    let cells: Vec<u8> = (0..80 * 80)
        .map(|_| 100 + (noise.next() % 50) as u8)
        .collect();
    let mut noise = Noise(seed);
    let size = side / 5;
    let middle = (side / 2 - size) / 2 - 6;
    let (tint, dx, dy) = (
        (noise.next() % 40) as u8,
        middle + noise.next() % 13,
        middle + noise.next() % 13,
    );
    let (left, top) = (quadrant % 2 * side / 2 + dx, quadrant / 2 * side / 2 + dy);
    RgbImage::from_fn(side, side, |x, y| {
        let grey = Rgb([cells[(y / 4 * 80 + x / 4) as usize]; 3]);
        let (Some(x), Some(y)) = (x.checked_sub(left), y.checked_sub(top)) else {
            return grey;
        };
        if x >= size || y >= size {
            return grey;
        }
        let half = size / 2;
        match class {
            0 if x.abs_diff(half).pow(2) + y.abs_diff(half).pow(2) < half * half => {
                Rgb([230 - tint, 40, 40])
            }
            1 if (x + y) / 8 % 2 == 0 => Rgb([40, 70, 240 - tint]),
            2 if x.abs_diff(half) < 8 || y.abs_diff(half) < 8 => Rgb([240, 220 - tint, 40]),
            _ => grey,
        }
    })
}

/// A run trained on such images, without a project.
fn trained(name: &str, quadrant: u32, classes: usize, hidden_units: u32) -> HeatMapper {
    let architecture: Architecture = name.parse().unwrap();
    let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
    let mut maps = FeatureMaps::new(&architecture, &preprocessing, None, 1).unwrap();
    let side = architecture.resolution_px;
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let count = 16 * classes;
    let mut mean: Option<FeatureMap> = None;
    for at in 0..count {
        let image = made(side, at % classes, quadrant, at as u64);
        let map = maps.extract(&image).unwrap();
        x.extend(&map.bottleneck);
        let mut zeros = map.clone();
        zeros.add_scaled(&map, -1.0);
        mean.get_or_insert(zeros)
            .add_scaled(&map, 1.0 / count as f32);
        y.push(at % classes);
    }
    let rows: Vec<usize> = (0..y.len()).collect();
    let mut settings = TrainSettings {
        how_many_training_steps: 300,
        ..TrainSettings::default()
    };
    settings.head.hidden_units = hidden_units;
    let head = HeadTable::new(maps.dim(), classes, x, &y)
        .unwrap()
        .learn(&settings, &rows, &[], &Work::new())
        .unwrap();
    let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
    HeatMapper {
        classifier: Classifier::new(head.clone(), maps.dim()),
        head,
        classes: RunClasses::as_trained(&names),
        preprocessing,
        unknown_below: None,
        baseline: mean,
        maps,
    }
}

/// The fraction of the positive values that is in the quadrant, pixel by pixel.
fn mass_in(map: &HeatMap, quadrant: u32) -> f64 {
    let side = map.preprocessing.resolution_px;
    let (mut inside, mut all) = (0.0, 0.0);
    for (at, value) in (0..).zip(map.at_pixels(side, side)) {
        let (x, y): (u32, u32) = (at % side, at / side);
        let positive = f64::from(value.unwrap().max(0.0));
        all += positive;
        if (y / (side / 2), x / (side / 2)) == (quadrant / 2, quadrant % 2) {
            inside += positive;
        }
    }
    inside / all
}

/// For new images, the mean and the smallest fraction in the quadrant, and the difference of a map's mean plus bias
/// from the logit.
fn measured(mapper: &mut HeatMapper, quadrant: u32, classes: usize) -> (f64, f64, f64) {
    let (mut masses, mut off) = (Vec::new(), 0.0_f64);
    let side = mapper.preprocessing.resolution_px;
    for at in 0..10 * classes {
        let image = made(side, at % classes, quadrant, 1000 + at as u64);
        let seen = mapper.forward(&image).unwrap();
        let predicted = arg_max(&seen.probabilities);
        assert_eq!(predicted, at % classes);
        let map = mapper.map(&seen, predicted).unwrap();
        off = off.max((mean_of(&map) + f64::from(map.bias) - seen.logits[predicted]).abs());
        masses.push(mass_in(&map, quadrant));
    }
    let mean = masses.iter().sum::<f64>() / masses.len() as f64;
    (mean, masses.iter().copied().fold(1.0, f64::min), off)
}

#[test]
fn the_quadrant_that_decides_has_the_mass() {
    let classes = 3;
    // Receptive fields extend beyond the cells, and the middle ones of the 7 × 7 cells of 224 pixels are in several
    // quadrants.
    for (name, quadrant, hidden_units, wanted) in [
        ("efficientnet-lite0@320", 1, 0, 0.8),
        ("efficientnet-lite0@320", 1, 32, 0.8),
        ("efficientnet-lite2@320", 3, 0, 0.8),
        ("mobilenet-v2@224", 2, 0, 0.7),
    ] {
        let mut mapper = trained(name, quadrant, classes, hidden_units);
        assert_eq!(mapper.is_exact(), hidden_units == 0);
        let (mean, least, off) = measured(&mut mapper, quadrant, classes);
        mapper.baseline = None;
        let (plain, _, plain_off) = measured(&mut mapper, quadrant, classes);
        println!(
            "{name}, {hidden_units} hidden units: {:.1} % of the positive mass in the quadrant, of no image less than {:.1} % (plain maps: {:.1} %); \
             mean and bias are at most {:.1e} from the logit",
            100.0 * mean,
            100.0 * least,
            100.0 * plain,
            off.max(plain_off),
        );
        assert!(mean >= wanted, "{name}: {mean}");
        assert!(off.max(plain_off) <= 1e-4, "{name}: {off} {plain_off}");
    }
}

/// Colours and places of a known map.
#[test]
fn a_map_is_painted_where_the_network_saw_it() {
    let architecture: Architecture = "efficientnet-lite0@224".parse().unwrap();
    let map = HeatMap {
        label: 0,
        rows: 2,
        columns: 2,
        values: vec![4.0, 0.0, 0.0, -2.0],
        bias: 0.0,
        logit: 0.5,
        cells: [Cells::even(2); 2],
        preprocessing: architecture.preprocessing(Fit::CenterCrop).unwrap(),
    };
    assert_eq!(
        (mean_of(&map), map.range(), map.limit()),
        (0.5, (-2.0, 4.0), 4.0)
    );
    // 20 of 60 columns are cropped on each side.
    let values: Vec<_> = map.at_pixels(60, 20).collect();
    let at = |x: usize, y: usize| values[y * 60 + x];
    assert_eq!((at(19, 0), at(40, 0)), (None, None));
    assert_eq!(
        (at(20, 0), at(39, 19), at(39, 0)),
        (Some(4.0), Some(-2.0), Some(0.0))
    );
    // Half-way between the centres of the cells, which are at 5 and 15 of 20 pixels.
    let middle = f32::midpoint(at(29, 0).unwrap(), at(30, 0).unwrap());
    assert!((middle - 2.0).abs() < 1e-6, "{middle}");

    let layer = map.layer(60, 20);
    assert_eq!(layer.get_pixel(20, 0).0, heat_color(1.0));
    assert_eq!(layer.get_pixel(39, 19).0, heat_color(-0.5));
    assert_eq!(layer.get_pixel(39, 0).0[3], 0, "nothing is not painted");
    let grey = RgbImage::from_pixel(60, 20, Rgb([100; 3]));
    let over = map.over(&grey);
    assert_eq!(over.get_pixel(39, 0).0, [100; 3]);
    let [r, g, b] = over.get_pixel(20, 0).0;
    assert!(r > 180 && g > 180 && b > 120, "the light end of inferno");
    assert!(
        over.get_pixel(0, 0).0[0] < 60,
        "what was not seen is darkened"
    );
}

fn mean_of(map: &HeatMap) -> f64 {
    let sum: f64 = map.values.iter().map(|value| f64::from(*value)).sum();
    sum / map.values.len().max(1) as f64
}
