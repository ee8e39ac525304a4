//! Sweeps: one training for each combination of settings, to see what accuracy costs.
//!
//! ```text
//! SweepPlan ──trainings──▶ [Training] ──foresee──▶ with the time of each ──begin──▶ sweeps/<sweep>/sweep.json
//!                                                                                      │ run (again and again)
//!                                                    runs/<run>/run.json names the sweep ◀┘
//! Sweep ──Table::of──▶ rows: ranked by validation, with what each costs and the Pareto sets
//! ```
//!
//! What is to be trained is written down before the first training. Each training is an ordinary run whose `run.json` names the
//! sweep and the training, in the same write that makes it a run: so a sweep that was killed finds its runs again, resumes
//! the one that was under way and repeats nothing. `sweep.json` also keeps what came of each training, so that the table stays
//! whole when runs are removed. Removing a sweep leaves its runs, which are ordinary runs.
//!
//! Trainings with the same network and input follow each other: bottlenecks are computed once for all of them.

mod csv;
mod error;
mod foresee;
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
pub use foresee::{Paces, foresee};
pub use plan::{Axis, SweepPlan, Trainings};
pub use run::{LiveSweep, SweepNow, prepare, run, runs_of, settle, train_one};
pub use store::{
    Came, FoundSweeps, Sweep, SweepId, TrainedFigures, Training, begin, find_sweeps, remove,
    restore, try_again,
};
pub use table::{Cost, Score, State, SweepRow, Table};
