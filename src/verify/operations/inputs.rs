//! What operations are tried on.

use std::collections::BTreeSet;

use crate::philox::{halves, philox};

/// The counter's last word, which no network's draws have.
const STREAM: u32 = u32::MAX;

/// Corners, then random words.
pub(super) struct Inputs {
    pub(super) words: Vec<[u32; 3]>,
    pub(super) corners: usize,
}

/// Every pair of edges, each with a third one, and `random` triples of random words.
pub(super) fn words(random: usize, seed: u64) -> Inputs {
    let edges = edges();
    let mut words = Vec::with_capacity(edges.len() * edges.len() + random);
    for (i, &a) in edges.iter().enumerate() {
        words.extend(edges.iter().enumerate().map(|(j, &b)| [a, b, edges[(7 * i + 31 * j) % edges.len()]]));
    }
    let corners = words.len();
    words.extend((0..random as u64).map(|i| triple(seed, i)));
    Inputs { words, corners }
}

/// 0 to 32, and every power of two, its neighbours and their complements: the ends of both types are among them.
pub(super) fn edges() -> Vec<u32> {
    let powers = (0..32).map(|k| 1_u32 << k).flat_map(|power| [power - 1, power, power + 1]);
    let edges: BTreeSet<u32> = powers.flat_map(|edge| [edge, !edge]).chain(0..=32).collect();
    edges.into_iter().collect()
}

/// Half of the words are short by a random number of bits, or quotients would all be 0 and 1.
fn triple(seed: u64, i: u64) -> [u32; 3] {
    let [low, high] = halves(i);
    let [a, b, c, lengths] = philox(halves(seed), [low, high, 0, STREAM]);
    let shorten = |word: u32, length: u32| if length & 32 == 0 { word } else { word >> (length & 31) };
    [shorten(a, lengths), shorten(b, lengths >> 6), shorten(c, lengths >> 12)]
}

/// The word that workgroups make their own from.
pub(super) fn group_seed(seed: u64) -> u32 {
    philox(halves(seed), [0, 0, 1, STREAM])[0]
}

/// Word `i` of a workgroup's; `value` in the programs.
pub(super) fn value(seed: u32, i: u32) -> u32 {
    let x = (i ^ seed).wrapping_mul(0x9e37_79b9);
    x ^ (x >> 15)
}
