//! Ctrl-C (and the termination signal): the first cancels the work in progress, the second ends the program.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::jobs::Work;

static CURRENT: Mutex<Option<Work>> = Mutex::new(None);
static INSTALL: Once = Once::new();
static ASKED: AtomicBool = AtomicBool::new(false);

/// The exit code of a program that was ended by Ctrl-C.
const KILLED: i32 = 130;

/// While this value exists, Ctrl-C cancels its work.
pub struct Guard(());

impl Guard {
    /// Lets Ctrl-C cancel `work`.
    pub fn new(work: &Work) -> Self {
        INSTALL.call_once(|| {
            if let Err(error) = ctrlc::set_handler(on_signal) {
                log::warn!("Ctrl-C will end the program at once: {error}");
            }
        });
        *CURRENT.lock() = Some(work.clone());
        Self(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        *CURRENT.lock() = None;
    }
}

/// Whether Ctrl-C was pressed.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

fn on_signal() {
    let current = CURRENT.lock().clone();
    match current {
        Some(work) if !ASKED.swap(true, Ordering::Relaxed) => {
            work.cancel();
            work.wake();
        }
        _ => std::process::exit(KILLED),
    }
}
