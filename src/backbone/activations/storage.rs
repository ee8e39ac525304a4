//! Stores computed rows: on disk as long as possible, then in memory up to a limit.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;

use half::f16;

use crate::jobs::Work;
use crate::text::rounded_bytes;

use super::OVERFLOW_BYTES;
use super::store::{ActivationStore, NotKept};
use crate::backbone::cache::Key;

/// The places in which computed rows are stored.
pub(super) struct RowStorage {
    pub store: Option<ActivationStore>,
    pub budget_bytes: u64,
    /// Whether the user was warned that the disk accepts no more.
    pub warned: bool,
    pub overflow: Overflow,
}

impl RowStorage {
    /// How many new rows of `row_bytes` bytes can be stored until they are read: as many as fit on the disk, and into
    /// half of the memory limit (the other half has earlier rows).
    pub fn rows_left(&self, row_bytes: usize) -> usize {
        let on_disk = self.store.as_ref().map_or(0, ActivationStore::rows_left);
        (on_disk as usize).saturating_add(OVERFLOW_BYTES / 2 / row_bytes.max(1))
    }

    pub fn contains(&self, key: &Key) -> bool {
        let on_disk = |store: &ActivationStore| store.contains(key);
        self.store.as_ref().is_some_and(on_disk) || self.overflow.rows.contains_key(key)
    }

    /// Reads a row into `out`; `false` if it is missing.
    pub fn get(&mut self, key: &Key, out: &mut [f16]) -> bool {
        if let Some(row) = self.overflow.rows.get(key) {
            out.copy_from_slice(row);
            return true;
        }
        self.store.as_mut().is_some_and(|store| store.get(key, out))
    }

    /// Stores a row on disk or in memory.
    pub fn keep(&mut self, key: &Key, row: &[f16], work: &Work) {
        if let Some(store) = &mut self.store {
            let Err(reason) = store.keep(key, row) else {
                return;
            };
            if !self.warned {
                self.warned = true;
                let reason = match reason {
                    NotKept::Budget => format!(
                        "they would take more than the cache budget of {}",
                        rounded_bytes(self.budget_bytes)
                    ),
                    NotKept::Locked => "another training is writing them".into(),
                    NotKept::Io(error) => match error.kind() {
                        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                            "the disk is full".into()
                        }
                        _ => error.to_string(),
                    },
                };
                work.warn(format!(
                    "Not all activations can be cached on disk ({reason}); the rest are computed in each step, which takes longer but gives the same result"
                ));
            }
        }
        self.overflow.keep(*key, row);
    }
}

/// Rows in memory; the oldest are dropped for new ones.
#[derive(Default)]
pub(super) struct Overflow {
    pub rows: HashMap<Key, Box<[f16]>>,
    order: VecDeque<Key>,
    pub bytes: usize,
}

impl Overflow {
    pub fn keep(&mut self, key: Key, row: &[f16]) {
        if self.rows.insert(key, row.into()).is_none() {
            self.order.push_back(key);
            self.bytes += size_of_val(row);
        }
        while self.bytes > OVERFLOW_BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(row) = self.rows.remove(&oldest) {
                self.bytes -= size_of_val(&*row);
            }
        }
    }
}
