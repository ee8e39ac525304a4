//! Background work: threads, progress, pausing, cancelling, panics.
//!
//! Every function that can take long has a parameter [`Work`]: it reports progress there and calls [`Work::check`]
//! between units of work (a frame, a batch, a file). [`spawn()`] runs such a function on a named thread and always
//! returns exactly one result.

mod abandon;
mod cores;
mod memory;
mod parallel;
mod spawn;
mod work;

pub use abandon::{abandon, abandonable, drop_elsewhere, wait_for_abandoned};
pub use cores::{cores, cores_and_one, limit_cores};
pub use memory::bound_memory;
pub use parallel::in_parallel;
pub use spawn::{Job, JobError, sentence, spawn};
pub use work::{Cancelled, Progress, Work};
