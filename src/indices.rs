//! Ranges of image indices.

use std::ops::{Bound, RangeBounds};

use crate::error::{Error, Result};

/// Consecutive indices that are still to do. All of u64 is 2^64 of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Indices {
    pub(crate) next: u64,
    pub(crate) remaining: u128,
}

impl Indices {
    pub(crate) fn new(range: impl RangeBounds<u64>) -> Result<Self> {
        let past_the_end = || Error::Range(format!("the range of indices starts past {}", u64::MAX));
        let first = match range.start_bound() {
            Bound::Included(&first) => first,
            Bound::Excluded(&before) => before.checked_add(1).ok_or_else(past_the_end)?,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => u128::from(last) + 1,
            Bound::Excluded(&end) => u128::from(end),
            Bound::Unbounded => 1 << 64,
        };
        Ok(Indices { next: first, remaining: end.saturating_sub(u128::from(first)) })
    }

    /// Takes up to `most` indices off the front: the first and how many.
    pub(crate) fn take(&mut self, most: usize) -> (u64, usize) {
        let count = self.remaining.min(most as u128) as usize;
        let first = self.next;
        self.remaining -= count as u128;
        self.next = self.next.wrapping_add(count as u64); // wraps only when nothing remains
        (first, count)
    }
}
