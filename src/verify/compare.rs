//! What a kernel should have written and what it wrote.

use std::fmt;

/// How the numbers of a result lie in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Height and width; 1 for a vector.
    pub(super) side: usize,
    pub(super) channels: usize,
    pub(super) unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Spike trains, bit t = time step t; channels come in fours, the last ones silent.
    Trains,
    /// Pixels.
    Bytes,
    Words,
}

impl Shape {
    /// Channels as they lie in memory.
    pub(super) fn stride(&self) -> usize {
        if self.unit == Unit::Trains { self.channels.next_multiple_of(4) } else { self.channels }
    }

    /// Words of one image.
    pub(super) fn words(&self) -> usize {
        let numbers = self.side * self.side * self.stride();
        if self.unit == Unit::Bytes { numbers / 4 } else { numbers }
    }
}

/// The first of the numbers that are wrong: of spike trains the one that is wrong at the earliest time step, of others
/// the first in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Which image of the batch.
    pub image: usize,
    /// Row of the map; 0 in a vector.
    pub y: usize,
    /// Column of the map; 0 in a vector.
    pub x: usize,
    /// Channel, or neuron in a vector.
    pub channel: usize,
    /// The first time step at which a spike train is wrong; `None` for pixels and words.
    pub step: Option<u32>,
    /// The spike train (bit t = time step t), pixel or word that is right.
    pub expected: u32,
    /// The one that was found.
    pub found: u32,
    /// How many are wrong.
    pub wrong: usize,
    /// Of how many.
    pub all: usize,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { image, y, x, channel, step, expected, found, wrong, all } = self;
        write!(f, "image {image}, y {y}, x {x}, neuron {channel}")?;
        if let Some(step) = step {
            write!(f, ", time step {step}")?;
        }
        write!(f, ": found {found:#x}, expected {expected:#x} ({wrong} of {all} wrong)")
    }
}

/// The first difference, if there is one.
pub(super) fn difference(shape: &Shape, expected: &[u32], found: &[u32]) -> Option<Difference> {
    if expected == found {
        return None;
    }
    let bytes =
        |words: &[u32]| bytemuck::cast_slice::<u32, u8>(words).iter().map(|&byte| byte.into()).collect();
    let numbers =
        |words: &[u32]| -> Vec<u32> { if shape.unit == Unit::Bytes { bytes(words) } else { words.to_vec() } };
    let (expected, found) = (numbers(expected), numbers(found));
    let wrong = |&at: &usize| found.get(at) != expected.get(at);
    let all = expected.len().max(found.len());
    let number = |numbers: &[u32], at: usize| numbers.get(at).copied().unwrap_or_default();
    let step = |at: usize| {
        let changed = number(&expected, at) ^ number(&found, at);
        (shape.unit == Unit::Trains).then(|| changed.trailing_zeros())
    };
    let first = (0..all).filter(wrong).min_by_key(|&at| (step(at), at))?;
    let (pixel, channel) = (first / shape.stride(), first % shape.stride());
    let place = pixel % (shape.side * shape.side);
    Some(Difference {
        image: pixel / (shape.side * shape.side),
        y: place / shape.side,
        x: place % shape.side,
        channel,
        step: step(first),
        expected: number(&expected, first),
        found: number(&found, first),
        wrong: (0..all).filter(wrong).count(),
        all,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_wrong_step_is_named() {
        let shape = Shape { side: 2, channels: 3, unit: Unit::Trains };
        let right = vec![0b1010_u32; 2 * 4 * 4];
        assert_eq!(difference(&shape, &right, &right), None);
        let mut found = right.clone();
        found[1] ^= 0b1000;
        found[16 + 2 * 4 + 2] ^= 0b1100;
        let Difference { image, y, x, channel, step, wrong, all, .. } =
            difference(&shape, &right, &found).expect("different");
        assert_eq!((image, y, x, channel, step, wrong, all), (1, 1, 0, 2, Some(2), 2, 32));
    }

    #[test]
    fn pixels_are_compared_as_bytes() {
        let shape = Shape { side: 4, channels: 1, unit: Unit::Bytes };
        let mut found = vec![0; 8];
        found[5] = 0x0007_0000;
        let difference = difference(&shape, &[0; 8], &found).expect("different");
        assert_eq!((difference.image, difference.y, difference.x), (1, 1, 2));
        assert_eq!((difference.step, difference.expected, difference.found), (None, 0, 7));
        assert!(difference.to_string().contains("found 0x7, expected 0x0 (1 of 32 wrong)"), "{difference}");
    }
}
