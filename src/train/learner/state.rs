//! The state of a training in its session: weights, the state of the optimiser, the last gradient.

use crate::onnx::{OnnxError, Tensor};
use crate::train::TrainError;
use crate::train::checkpoint::{Place, Snapshot};
use crate::train::curves::BestPoint;
use crate::train::files::Values;
use crate::train::metrics::GRADIENT_NORM;
use crate::train::optimizer::Slot;

use super::Learner;

impl Learner<'_> {
    /// The weights to evaluate and keep: their moving averages, if there are any.
    pub(super) fn weights(&self) -> Result<Vec<Tensor>, OnnxError> {
        let averaged = self.recipe.optimization.slots().contains(&Slot::Average);
        let of_each = self.problem.weights().iter().map(|weight| {
            if averaged {
                self.step_loop.state(&Slot::Average.name(&weight.name))
            } else {
                self.step_loop.state(&weight.name)
            }
        });
        of_each.collect()
    }

    /// The norm of the last step's gradient before clipping, if it is measured and finite.
    pub(super) fn gradient_norm(&self) -> Result<Option<f32>, OnnxError> {
        let recipe = self.recipe;
        let norm = if recipe.outputs_gradient_norm() && self.step_loop.has_stepped() {
            let norm = self.step_loop.output_f32(GRADIENT_NORM)?;
            norm.first().map(|norm| f64::from(*norm))
        } else if recipe.measures.gradient_norm && self.step_loop.has_stepped() {
            let rate = recipe.optimization.rate.at(self.place.step, self.steps);
            let mut squares = 0.0;
            for weight in self.problem.weights() {
                let slot = recipe.optimization.slot_of_gradient();
                let slot = slot.map_or_else(|| weight.name.clone(), |slot| slot.name(&weight.name));
                let [before, after] = [
                    self.step_loop.previous_f32(&slot)?,
                    self.step_loop.state_f32(&slot)?,
                ];
                let w = self.step_loop.previous_f32(&weight.name)?;
                let gradient = recipe
                    .optimization
                    .gradient(weight, rate, w, [before, after]);
                squares += gradient.map(|value| value * value).sum::<f64>();
            }
            Some(squares.sqrt())
        } else {
            return Ok(self.place.gradient_norm);
        };
        Ok(norm.map(|norm| norm as f32).filter(|norm| norm.is_finite()))
    }

    /// The current state of the training.
    pub(in crate::train) fn snapshot(&self) -> Result<Snapshot<'_>, OnnxError> {
        let weights = self.problem.weights();
        let mut state = Vec::new();
        for weight in weights {
            let names = self
                .recipe
                .optimization
                .state_names(std::slice::from_ref(weight));
            for name in names {
                let values = Values {
                    shape: &weight.shape,
                    values: self.step_loop.state_f32(&name)?,
                };
                state.push((name, values));
            }
        }
        Ok(Snapshot {
            place: Place {
                best: self.best(),
                gradient_norm: self.gradient_norm()?,
                ..self.place
            },
            state,
            best: self.best.as_ref().map(|(_, best)| (weights, &**best)),
        })
    }

    /// The weights to keep and their step: the best on the validation frames, or the last.
    pub(in crate::train) fn kept(
        &self,
    ) -> Result<(u32, Option<BestPoint>, Vec<Tensor>), TrainError> {
        if let Some((best, weights)) = &self.best {
            return Ok((best.step, Some(*best), weights.clone()));
        }
        Ok((self.place.step, None, self.weights()?))
    }
}
