//! The optimisers compared with formulas in double precision.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed set-up is a failed test"
)]

use super::{BETA_1, BETA_2, Optimization, Optimizer, Rate, Weight, append_updates, next};
use crate::graph::{Dim, Graph, ValueId};
use crate::onnx::{ElementType, Session, Tensor};
use crate::train::batches::{Draw, Purpose};
use crate::train::tests::random;

/// The formulas of [`append_updates`] in double precision, over 60 steps of random gradients.
#[test]
fn updates_follow_the_formulas() {
    for rule in [
        Optimizer::Sgd,
        Optimizer::Momentum,
        Optimizer::Adam,
        Optimizer::AdamW,
    ] {
        // Plain Adam's learning rate includes a correction that must not apply to weight decay.
        let weight_decay = if rule == Optimizer::Adam { 0.0 } else { 0.05 };
        let optimization = Optimization {
            rule,
            rate: Rate::WarmUpAndCosine {
                peak: 0.08,
                restarts: vec![40],
            },
            weight_decay,
            clip_norm: 1.5,
            average_decay: 0.9,
        };
        let weights = [("kernel", 7, true, 1.0_f32), ("bias", 3, false, 0.5)];
        let weights: Vec<Weight> = weights
            .iter()
            .map(|(name, len, decays, rate)| Weight {
                name: (*name).to_owned(),
                shape: vec![*len],
                rate: *rate,
                decays: *decays,
            })
            .collect();
        let mut graph = Graph::new("updates");
        for (scalar, _) in optimization.scalars(1, 60) {
            graph.input(scalar, ElementType::F32, &[]);
        }
        let mut names = Vec::new();
        for weight in &weights {
            let shape = [Dim::Fixed(weight.shape[0])];
            for name in optimization.state_names(std::slice::from_ref(weight)) {
                graph.input(&name, ElementType::F32, &shape);
                names.push((name, weight.shape[0]));
            }
            graph.input(&format!("g.{}", weight.name), ElementType::F32, &shape);
        }
        let found: Vec<String> = weights.iter().map(|w| format!("g.{}", w.name)).collect();
        let by: Vec<ValueId> = found.iter().map(|name| graph.find(name).unwrap()).collect();
        append_updates(&mut graph, &optimization, &weights, &by).unwrap();
        for (name, _) in &names {
            let next = graph.find(&next(name)).unwrap();
            graph.output(next);
        }
        let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();

        let mut draw = Draw::new(3, Purpose::Weights, 0);
        let mut state: Vec<Tensor> = names
            .iter()
            .map(|(name, len)| {
                if name.contains('.') {
                    Tensor::zeros(ElementType::F32, [*len])
                } else {
                    random(&mut draw, &[*len], 1.0)
                }
            })
            .collect();
        let mut exact: Vec<Vec<f64>> = state
            .iter()
            .map(|t| t.f32().unwrap().iter().map(|v| f64::from(*v)).collect())
            .collect();
        let slots = optimization.slots().len() + 1;
        for step in 1..=60_u32 {
            let rate = optimization.rate.at(step, 60);
            let t = f64::from(step);
            let average_rate = 1.0 - (t / (t + 9.0)).min(f64::from(optimization.average_decay));
            let scales = (1.0 / (1.0 - BETA_1.powf(t)), 1.0 / (1.0 - BETA_2.powf(t)));
            let g: Vec<Tensor> = weights
                .iter()
                .map(|w| random(&mut draw, &w.shape, 0.1 * f64::from(step % 9)))
                .collect();

            let norm = g
                .iter()
                .flat_map(|g| g.f32().unwrap())
                .map(|v| f64::from(*v).powi(2))
                .sum::<f64>()
                .sqrt();
            let scale = 1.5 / norm.max(1.5);
            for (at, weight) in weights.iter().enumerate() {
                let rate = rate * f64::from(weight.rate);
                let decay = f64::from(if weight.decays { weight_decay } else { 0.0 });
                for i in 0..weight.shape[0] {
                    let g = scale * f64::from(g[at].f32().unwrap()[i]);
                    let [w, kept @ .., average] = &mut exact[at * slots..(at + 1) * slots] else {
                        unreachable!()
                    };
                    match kept {
                        [first, second] => {
                            first[i] = BETA_1 * first[i] + (1.0 - BETA_1) * g;
                            second[i] = BETA_2 * second[i] + (1.0 - BETA_2) * g * g;
                            let divisor = (second[i] * scales.1).sqrt() + 1e-8;
                            w[i] -= rate * (first[i] * scales.0 / divisor + decay * w[i]);
                        }
                        [first] => {
                            first[i] = 0.9 * first[i] + g + decay * w[i];
                            w[i] -= rate * first[i];
                        }
                        _ => w[i] -= rate * (g + decay * w[i]),
                    }
                    average[i] += average_rate * (w[i] - average[i]);
                }
            }

            let scalars = optimization.scalars(step, 60).into_iter();
            let scalars: Vec<(&str, Tensor)> = scalars
                .map(|(name, value)| (name, Tensor::scalar(value as f32)))
                .collect();
            let mut inputs: Vec<(&str, &Tensor)> =
                scalars.iter().map(|(name, value)| (*name, value)).collect();
            inputs.extend(found.iter().map(String::as_str).zip(&g));
            inputs.extend(names.iter().map(|(name, _)| name.as_str()).zip(&state));
            let outputs: Vec<String> = names.iter().map(|(name, _)| next(name)).collect();
            let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
            state = session.run(&inputs, &outputs).unwrap();
        }
        for (exact, (found, (name, _))) in exact.iter().zip(state.iter().zip(&names)) {
            for (exact, found) in exact.iter().zip(found.f32().unwrap()) {
                let difference = (exact - f64::from(*found)).abs();
                assert!(difference < 1e-5, "{rule:?} {name}: {difference}");
            }
        }
    }
}
