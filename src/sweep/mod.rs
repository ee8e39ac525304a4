//! Sweeps: one training for each combination of settings, to compare accuracy and cost.
//!
//! ```text
//! SweepPlan ──trainings──▶ [Training] ──estimate──▶ with the time of each ──begin──▶ sweeps/<sweep>/sweep.json
//!                                                                                      │ run (again and again)
//!                                                    runs/<run>/run.json names the sweep ◀┘
//! Sweep ──Table::of──▶ rows: ranked by validation, with what each costs and the Pareto sets
//! ```
//!
//! The plan is written before the first training. Each training is an ordinary run whose `run.json` names the sweep
//! and the training, in the same write that creates the run. So a sweep that was killed finds its runs again, resumes
//! the unfinished one and repeats none. `sweep.json` also has the result of each training, so that the table stays
//! complete when runs are removed. Removing a sweep keeps its runs, which are ordinary runs.
//!
//! Trainings with the same network and input are consecutive, so that bottlenecks are computed once for all of them.

mod csv;
mod error;
mod estimate;
mod latency;
mod plan;
mod run;
mod store;
mod table;
#[cfg(test)]
mod tests;

pub use crate::train::RankBy;
pub use csv::csv;
pub use error::SweepError;
pub use estimate::{Paces, estimate};
pub use plan::{SweepAxis, SweepPlan, Trainings};
pub use run::{LiveSweep, SweepNow, prepare, run, runs_of, settle, train_one};
pub use store::{
    FoundSweeps, Sweep, SweepId, TrainedFigures, Training, TrainingOutcome, begin, find_sweeps,
    remove, restore, try_again,
};
pub use table::{Cost, Score, State, SweepRow, Table};
