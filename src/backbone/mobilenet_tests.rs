//! `MobileNet` v2: its blocks, its normalisation for each channel, its padding.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use image::{Rgb, RgbImage};

use crate::graph::Graph;
use crate::onnx::{Session, Tensor};

use super::{Architecture, Blocks, Depth, Extractor, Fit};

fn mobilenet(resolution_px: u32) -> Architecture {
    format!("mobilenet-v2@{resolution_px}").parse().unwrap()
}

#[test]
fn its_blocks_are_those_of_the_publication() {
    let mut expected = vec!["input".to_owned()];
    for (stage, repeats) in [1, 2, 3, 4, 3, 3, 1].into_iter().enumerate() {
        expected.extend((0..repeats).map(|index| format!("blocks.{stage}.{index}")));
    }
    assert_eq!(expected.pop().unwrap(), "blocks.6.0");
    for resolution_px in [96, 128, 160, 192, 224] {
        let architecture = mobilenet(resolution_px);
        let blocks = Blocks::of(&architecture).unwrap();
        let cuts: Vec<&str> = blocks
            .blocks()
            .iter()
            .map(|block| block.cut.tensor.as_str())
            .collect();
        assert_eq!(cuts, expected, "{resolution_px}");
        let cells = resolution_px as usize / 32;
        let last = blocks.blocks().last().unwrap();
        assert_eq!(last.output.shape, [1280, cells, cells]);
        let plans = blocks.plans();
        let depths: Vec<Depth> = plans.iter().map(|plan| plan.depth).collect();
        assert_eq!(depths, Depth::ALL);
        for plan in &plans {
            let macs = plan.macs_front + plan.macs_back;
            assert_eq!(macs, architecture.multiply_accumulates().unwrap());
        }
        let all = plans.last().unwrap().weights_trained(true);
        assert_eq!(all, architecture.entry().unwrap().parameters);
    }
}

#[test]
fn each_channel_is_normalised_by_its_own_mean_and_deviation() {
    let preprocessing = mobilenet(96).preprocessing(Fit::Pad).unwrap();
    let mut planes = vec![0.0; 3 * 96 * 96];
    let image = RgbImage::from_pixel(96, 96, Rgb([255, 128, 0]));
    preprocessing.normalize_into(&image, &mut planes);
    // As in torchvision: (value / 255 - mean) / std.
    for (channel, (value, mean, std)) in [
        (1.0, 0.485, 0.229),
        (128.0 / 255.0, 0.456, 0.224),
        (0.0, 0.406, 0.225),
    ]
    .into_iter()
    .enumerate()
    {
        let expected: f64 = (value - mean) / std;
        let found = f64::from(planes[channel * 96 * 96]);
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    // Bars have the rounded mean of each channel.
    assert_eq!(preprocessing.bar_colour(), [124, 116, 104]);
}

/// The normalised image is padded with zeros, which differs from normalising black pixels.
#[test]
fn the_border_is_padded_behind_the_normalisation() {
    let architecture = mobilenet(96);
    let entry = architecture.entry().unwrap();
    let preprocessing = architecture.preprocessing(Fit::Stretch).unwrap();
    let image = RgbImage::from_fn(96, 96, |x, y| {
        Rgb([(x * 2) as u8, (y * 2) as u8, (x + y) as u8])
    });
    let mut planes = vec![0.0; 3 * 96 * 96];
    preprocessing.normalize_into(&image, &mut planes);

    let whole = Graph::from_onnx(&entry.model().unwrap()).unwrap();
    let stem = whole.nodes().iter().find(|node| node.name == "stem");
    let input = stem.unwrap().input(0).unwrap();
    assert_eq!(whole.name_of(input), entry.input, "nothing comes between");
    let [weight, bias] = ["stem.weight", "stem.bias"]
        .map(|name| whole.constant_of(whole.find(name).unwrap()).unwrap());
    let (weight, bias) = (weight.f32().unwrap(), bias.f32().unwrap());

    let blocks = Blocks::of(&architecture).unwrap();
    // The stem alone, computed here in 64 bits with one pixel of zero padding, at the four corners.
    let mut graph = Graph::from_onnx(&entry.model().unwrap()).unwrap();
    graph.clear_outputs();
    let stem = graph.find("stem.act").unwrap();
    graph.output_as(stem, "stem.out");
    graph.prune();
    let input = Tensor::new([1, 3, 96, 96], planes.clone());
    let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
    let found = session
        .run(&[(blocks.input(), &input)], &["stem.out"])
        .unwrap()
        .remove(0);
    let found = found.f32().unwrap();
    for (row, column) in [(0, 0), (0, 47), (47, 0), (47, 47), (20, 0), (0, 31)] {
        for channel in 0..32 {
            let mut sum = f64::from(bias[channel]);
            for (plane, (dy, dx)) in
                (0..3).flat_map(|plane| (0..9).map(move |at| (plane, (at / 3, at % 3))))
            {
                let (y, x) = (2 * row + dy, 2 * column + dx);
                // With one pixel of padding, the image has the indices 1..=96.
                if (1..=96).contains(&y) && (1..=96).contains(&x) {
                    let value = planes[plane * 96 * 96 + (y - 1) * 96 + (x - 1)];
                    let kernel = weight[((channel * 3 + plane) * 3 + dy) * 3 + dx];
                    sum += f64::from(value) * f64::from(kernel);
                }
            }
            let found = f64::from(found[(channel * 48 + row) * 48 + column]);
            let expected = sum.clamp(0.0, 6.0);
            assert!(
                (found - expected).abs() < 1e-4,
                "{row},{column} of {channel}: {found} {expected}"
            );
        }
    }
}

#[test]
fn front_and_back_together_are_the_whole() {
    let architecture = mobilenet(96);
    let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
    let image = RgbImage::from_fn(130, 120, |x, y| {
        Rgb([(x * 2) as u8, (y * 2) as u8, (x * y) as u8])
    });
    let whole = Extractor::new(&architecture, &preprocessing, None)
        .unwrap()
        .extract(&image)
        .unwrap();
    let mut planes = vec![0.0; 3 * 96 * 96];
    preprocessing.normalize_into(&preprocessing.resize(&image), &mut planes);
    let input = Tensor::new([1, 3, 96, 96], planes);
    let blocks = Blocks::of(&architecture).unwrap();
    let session = |graph: &Graph| Session::from_bytes(&graph.to_onnx(), 1).unwrap();
    for plan in blocks.plans() {
        let Some(cut) = &plan.cut else { continue };
        let at_cut = if plan.depth == Depth::All {
            input.clone()
        } else {
            session(&blocks.front(cut).unwrap())
                .run(&[(blocks.input(), &input)], &[&cut.tensor])
                .unwrap()
                .remove(0)
        };
        let joined = session(&blocks.back(cut).unwrap())
            .run(&[(&cut.tensor, &at_cut)], &[blocks.pooled()])
            .unwrap()
            .remove(0);
        let differences = joined.f32().unwrap().iter().zip(&whole);
        let off = differences.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5, "{}: {off}", plan.depth);
    }
}
