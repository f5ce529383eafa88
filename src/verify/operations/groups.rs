//! Memory of workgroups and storage, barriers, atomics: a workgroup's invocations leave words to each other.
//!
//! Every barrier is needed: without it some invocation reads too early, or writes before another one has read.

use super::case::{Case, Values};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = workgroup();
    cases.extend(storage());
    cases
}

/// The sum of the words of those of the 128 invocations that `of` takes.
fn sum(value: Values<'_>, of: impl Fn(u32) -> bool) -> u32 {
    (0..128).filter(|&own| of(own)).map(value).fold(0, u32::wrapping_add)
}

fn or(value: Values<'_>, of: impl Fn(u32) -> bool) -> u32 {
    (0..128).filter(|&own| of(own)).map(value).fold(0, |or, word| or | word)
}

/// Word `word` of a mask with four bits of each invocation.
fn mask(value: Values<'_>, word: u32) -> u32 {
    (0..8).fold(0, |mask, i| mask | ((value(8 * word + i) & 15) << (4 * i)))
}

/// Words that are exchanged three times.
fn exchanged(value: Values<'_>, own: u32) -> u32 {
    let mut words: Vec<u32> = (0..128).map(|own| !value(own)).collect();
    for round in 0..3 {
        words = (0..128).map(|own| words[127 - own].wrapping_mul(3).wrapping_add(round)).collect();
    }
    words[(own as usize + 65) % 128]
}

fn workgroup() -> Vec<Case> {
    vec![
        Case::of_group(
            "workgroupBarrier",
            "
var<workgroup> check_words: array<u32, 128>;
fn check(own: u32, first: u32) -> u32 {
    // Other programs leave `value` in this memory: what is read too early must be another word.
    check_words[own] = ~value(first + own);
    workgroupBarrier();
    for (var round = 0u; round < 3u; round++) {
        let other = check_words[127u - own];
        workgroupBarrier();
        check_words[own] = 3u * other + round;
        workgroupBarrier();
    }
    return check_words[(own + 65u) % 128u];
}
",
            exchanged,
        ),
        Case::of_group(
            "workgroup array, strided loop",
            "
var<workgroup> check_words: array<u32, 300>;
fn check(own: u32, first: u32) -> u32 {
    // A word that the loop leaves out would be what an earlier program left there.
    for (var i = 0u; i < 3u && 3u * own + i < 300u; i++) {
        check_words[3u * own + i] = 0u;
    }
    workgroupBarrier();
    for (var n = own; n < 300u; n += 128u) {
        check_words[n] = value(first + n);
    }
    workgroupBarrier();
    return check_words[(7u * own + 3u) % 300u] + 3u * check_words[299u - own];
}
",
            |value, own| value((7 * own + 3) % 300).wrapping_add(value(299 - own).wrapping_mul(3)),
        ),
        Case::of_group(
            "workgroup array of vec4, dynamic index",
            "
var<workgroup> check_rows: array<vec4<u32>, 128>;
fn check(own: u32, first: u32) -> u32 {
    check_rows[own] = vec4(0u);
    for (var step = 0u; step < 4u; step++) {
        check_rows[own][(own + step) % 4u] = value(first + own + step);
    }
    workgroupBarrier();
    let word = value(first + own);
    return check_rows[word % 128u][(word >> 7u) % 4u];
}
",
            |value, own| {
                let from = value(own);
                let (row, column) = (from % 128, (from >> 7) % 4);
                value(row + (column + 128 - row) % 4)
            },
        ),
        Case::of_group(
            "atomicStore and atomicLoad, workgroup",
            "
var<workgroup> check_words: array<atomic<u32>, 128>;
fn check(own: u32, first: u32) -> u32 {
    atomicStore(&check_words[(5u * own + 1u) % 128u], value(first + own));
    workgroupBarrier();
    return atomicLoad(&check_words[(15u * own + 1u) % 128u]);
}
",
            |value, own| value(3 * own % 128),
        ),
        Case::of_group(
            "atomicOr, workgroup",
            "
var<workgroup> check_masks: array<atomic<u32>, 16>;
fn check(own: u32, first: u32) -> u32 {
    if (own < 16u) {
        atomicStore(&check_masks[own], 0u);
    }
    workgroupBarrier();
    atomicOr(&check_masks[own / 8u], (value(first + own) & 15u) << (4u * (own % 8u)));
    workgroupBarrier();
    return atomicLoad(&check_masks[(5u * own) % 16u]);
}
",
            |value, own| mask(value, 5 * own % 16),
        ),
        Case::of_group(
            "atomicAdd, workgroup",
            "
var<workgroup> check_sums: array<atomic<u32>, 8>;
fn check(own: u32, first: u32) -> u32 {
    if (own < 8u) {
        atomicStore(&check_sums[own], own);
    }
    workgroupBarrier();
    atomicAdd(&check_sums[own % 8u], value(first + own));
    workgroupBarrier();
    return atomicLoad(&check_sums[(own / 16u) % 8u]);
}
",
            |value, own| sum(value, |other| other % 8 == own / 16 % 8).wrapping_add(own / 16 % 8),
        ),
        Case::of_group(
            "atomicExchange, workgroup",
            "
var<workgroup> check_words: array<atomic<u32>, 128>;
var<workgroup> check_old: array<u32, 128>;
fn check(own: u32, first: u32) -> u32 {
    atomicStore(&check_words[own], value(first + own));
    workgroupBarrier();
    check_old[own] = atomicExchange(&check_words[127u - own], own);
    workgroupBarrier();
    return check_old[(own + 64u) % 128u] + 3u * atomicLoad(&check_words[own]);
}
",
            |value, own| value(127 - (own + 64) % 128).wrapping_add(3 * (127 - own)),
        ),
    ]
}

fn storage() -> Vec<Case> {
    vec![
        Case::of_group(
            "storage array of vec4, dynamic index",
            "
fn check(own: u32, first: u32) -> u32 {
    let word = value(first + own);
    memory[first + own] = vec4(word, word + 1u, word ^ own, own);
    storageBarrier();
    return memory[first + word % 128u][(word >> 7u) % 4u];
}
",
            |value, own| {
                let row = value(own) % 128;
                let word = value(row);
                [word, word.wrapping_add(1), word ^ row, row][((value(own) >> 7) % 4) as usize]
            },
        ),
        Case::of_group(
            "storage word, read and written again",
            "
fn check(own: u32, first: u32) -> u32 {
    memory[first + own] = vec4(0u);
    for (var step = 0u; step < 32u; step++) {
        if (((value(first + own) >> step) & 1u) == 1u) {
            memory[first + own][step % 4u] |= 1u << step;
        }
    }
    storageBarrier();
    let row = memory[first + (own + 77u) % 128u];
    return row.x + 3u * row.y + 5u * row.z + 7u * row.w;
}
",
            |value, own| {
                let word = value((own + 77) % 128);
                let part = |i: u32| (word & (0x1111_1111 << i)).wrapping_mul(2 * i + 1);
                (0..4).map(part).fold(0, u32::wrapping_add)
            },
        ),
        Case::of_group(
            "arrayLength",
            "
fn check(own: u32, first: u32) -> u32 {
    return value(first + own) * arrayLength(&inputs);
}
",
            |value, own| value(own).wrapping_mul(2),
        ),
        Case::of_group(
            "atomicOr, storage",
            "
fn check(own: u32, first: u32) -> u32 {
    let own_counters = first / 4u;
    if (own < 32u) {
        atomicStore(&counters[own_counters + own], 0u);
    }
    storageBarrier();
    atomicOr(&counters[own_counters + own % 32u], value(first + own) & 0x88888888u);
    storageBarrier();
    return atomicLoad(&counters[own_counters + (own / 4u + 1u) % 32u]);
}
",
            |value, own| or(value, |other| other % 32 == (own / 4 + 1) % 32) & 0x8888_8888,
        ),
        Case::of_group(
            "atomicAdd, storage",
            "
fn check(own: u32, first: u32) -> u32 {
    let own_counters = first / 4u;
    if (own < 32u) {
        atomicStore(&counters[own_counters + own], own);
    }
    storageBarrier();
    atomicAdd(&counters[own_counters + own % 32u], value(first + own));
    storageBarrier();
    return atomicLoad(&counters[own_counters + own / 4u]);
}
",
            |value, own| sum(value, |other| other % 32 == own / 4).wrapping_add(own / 4),
        ),
    ]
}
