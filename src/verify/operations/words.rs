//! Operations of single words: arithmetic, bits, comparisons, conversions, shifts and divisions by constants.

use super::case::Case;

/// In the order of a person's suspicion: what the rest is made of first.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = arithmetic();
    cases.extend(bits());
    cases.extend(comparisons());
    cases.extend(finding_bits());
    cases
}

fn arithmetic() -> Vec<Case> {
    vec![
        Case::new("u32 +", "return a + b;", |a, b, _| a.wrapping_add(b)),
        Case::new("u32 -", "return a - b;", |a, b, _| a.wrapping_sub(b)),
        Case::new("u32 *", "return a * b;", |a, b, _| a.wrapping_mul(b)),
        Case::new("i32 +", "return u32(i32(a) + i32(b));", |a, b, _| {
            (a as i32).wrapping_add(b as i32) as u32
        }),
        Case::new("i32 -", "return u32(i32(a) - i32(b));", |a, b, _| {
            (a as i32).wrapping_sub(b as i32) as u32
        }),
        Case::new("i32 *", "return u32(i32(a) * i32(b));", |a, b, _| {
            (a as i32).wrapping_mul(b as i32) as u32
        }),
        Case::new("i32 negation", "return u32(-i32(a));", |a, _, _| (a as i32).wrapping_neg() as u32),
        Case::new("u32 /", "return a / max(b, 1u);", |a, b, _| a / b.max(1)),
        Case::new("u32 %", "return a % max(b, 1u);", |a, b, _| a % b.max(1)),
        // Philox's.
        Case::new("u32 * constant", "return 0xcd9e8d57u * a;", |a, _, _| a.wrapping_mul(0xcd9e_8d57)),
        Case::new("u32 * constant", "return 0xd2511f53u * a;", |a, _, _| a.wrapping_mul(0xd251_1f53)),
        Case::new("u32 * constant", "return a * 0x010101u;", |a, _, _| a.wrapping_mul(0x01_0101)),
        Case::new("u32 * constant", "return 10u * a;", |a, _, _| a.wrapping_mul(10)),
    ]
}

fn bits() -> Vec<Case> {
    vec![
        Case::new("u32 &", "return a & b;", |a, b, _| a & b),
        Case::new("u32 |", "return a | b;", |a, b, _| a | b),
        Case::new("u32 ^", "return a ^ b;", |a, b, _| a ^ b),
        Case::new("u32 ~", "return ~a;", |a, _, _| !a),
        Case::new("i32 &", "return u32(i32(a) & i32(b));", |a, b, _| a & b),
        Case::new("u32 << u32", "return a << (b & 31u);", |a, b, _| a << (b & 31)),
        Case::new("u32 >> u32", "return a >> (b & 31u);", |a, b, _| a >> (b & 31)),
        Case::new("i32 << u32", "return u32(i32(a) << (b & 31u));", |a, b, _| a << (b & 31)),
        Case::new("i32 >> u32", "return u32(i32(a) >> (b & 31u));", |a, b, _| {
            ((a as i32) >> (b & 31)) as u32
        }),
        Case::new("mask of a bit", "return a & u32(-i32((b >> (c & 31u)) & 1u));", |a, b, c| {
            if (b >> (c & 31)) & 1 == 1 { a } else { 0 }
        }),
        Case::new("u32 of i32 and back", "return u32(i32(a) >> 1u) + u32(i32(a));", |a, _, _| {
            (((a as i32) >> 1) as u32).wrapping_add(a)
        }),
    ]
}

fn comparisons() -> Vec<Case> {
    let signed = |twin: fn(i32, i32) -> bool| move |a: u32, b: u32, _| u32::from(twin(a as i32, b as i32));
    vec![
        Case::new("u32 <", "return select(0u, 1u, a < b);", |a, b, _| u32::from(a < b)),
        Case::new("u32 <=", "return select(0u, 1u, a <= b);", |a, b, _| u32::from(a <= b)),
        Case::new("u32 >", "return select(0u, 1u, a > b);", |a, b, _| u32::from(a > b)),
        Case::new("u32 >=", "return select(0u, 1u, a >= b);", |a, b, _| u32::from(a >= b)),
        Case::new("u32 ==", "return select(0u, 1u, a == b);", |a, b, _| u32::from(a == b)),
        Case::new("u32 !=", "return select(0u, 1u, a != b);", |a, b, _| u32::from(a != b)),
        Case::new("i32 <", "return select(0u, 1u, i32(a) < i32(b));", signed(|a, b| a < b)),
        Case::new("i32 <=", "return select(0u, 1u, i32(a) <= i32(b));", signed(|a, b| a <= b)),
        Case::new("i32 >", "return select(0u, 1u, i32(a) > i32(b));", signed(|a, b| a > b)),
        Case::new("i32 >=", "return select(0u, 1u, i32(a) >= i32(b));", signed(|a, b| a >= b)),
        Case::new("i32 ==", "return select(0u, 1u, i32(a) == i32(b));", signed(|a, b| a == b)),
        Case::new("i32 !=", "return select(0u, 1u, i32(a) != i32(b));", signed(|a, b| a != b)),
        Case::new(
            "select of u32",
            "return select(a, b, (c & 1u) == 1u);",
            |a, b, c| if c & 1 == 1 { b } else { a },
        ),
        Case::new("select of i32", "return u32(select(i32(a) >> 2u, 0, (c & 1u) == 1u));", |a, _, c| {
            if c & 1 == 1 { 0 } else { ((a as i32) >> 2) as u32 }
        }),
        Case::new("u32 min", "return min(a, b);", |a, b, _| a.min(b)),
        Case::new("u32 max", "return max(a, b);", |a, b, _| a.max(b)),
        Case::new("i32 min", "return u32(min(i32(a), i32(b)));", |a, b, _| (a as i32).min(b as i32) as u32),
        Case::new("i32 max", "return u32(max(i32(a), i32(b)));", |a, b, _| (a as i32).max(b as i32) as u32),
        Case::new("bool !", "return select(0u, 1u, !(a < b));", |a, b, _| u32::from(a >= b)),
        Case::new("bool &&", "return select(0u, 1u, a < b && b < c);", |a, b, c| u32::from(a < b && b < c)),
        Case::new("bool ||", "return select(0u, 1u, a < b || b < c);", |a, b, c| u32::from(a < b || b < c)),
    ]
}

fn finding_bits() -> Vec<Case> {
    let found = |bit: Option<u32>| bit.unwrap_or(u32::MAX);
    vec![
        Case::new("countOneBits", "return countOneBits(a);", |a, _, _| a.count_ones()),
        Case::new("countTrailingZeros", "return countTrailingZeros(a);", |a, _, _| a.trailing_zeros()),
        Case::new("countLeadingZeros", "return countLeadingZeros(a);", |a, _, _| a.leading_zeros()),
        Case::new("firstTrailingBit", "return firstTrailingBit(a);", move |a, _, _| {
            found((a != 0).then(|| a.trailing_zeros()))
        }),
        Case::new("firstLeadingBit of u32", "return firstLeadingBit(a);", move |a, _, _| {
            found(a.checked_ilog2())
        }),
        // The highest bit that differs from the sign.
        Case::new("firstLeadingBit of i32", "return u32(firstLeadingBit(i32(a)));", move |a, _, _| {
            found((a ^ ((a as i32) >> 31) as u32).checked_ilog2())
        }),
        Case::new("reverseBits", "return reverseBits(a);", |a, _, _| a.reverse_bits()),
        Case::new("extractBits of u32", "return extractBits(a, b & 31u, c % 33u);", |a, b, c| {
            field(a >> (b & 31), c % 33, b & 31)
        }),
        Case::new("extractBits of i32", "return u32(extractBits(i32(a), b & 31u, c % 33u));", |a, b, c| {
            let count = (c % 33).min(32 - (b & 31));
            let unused = 32 - count;
            if count == 0 { 0 } else { (((a >> (b & 31)) << unused) as i32 >> unused) as u32 }
        }),
        Case::new("insertBits", "return insertBits(a, b, c & 31u, (c >> 8u) % 33u);", |a, b, c| {
            let (offset, count) = (c & 31, (c >> 8) % 33);
            let mask = field(u32::MAX, count, offset) << offset;
            (a & !mask) | ((b << offset) & mask)
        }),
    ]
}

/// The lowest `count` bits, but none that were past bit 31 before the shift by `offset`.
fn field(word: u32, count: u32, offset: u32) -> u32 {
    let count = count.min(32 - offset);
    if count == 0 { 0 } else { word & (u32::MAX >> (32 - count)) }
}

/// Shifts by each constant, divisions by those that kernels have: compilers do all of them in ways of their own.
pub(super) fn constants() -> Vec<Case> {
    let shift = |operation, body: &'static str, twin: fn(u32, u32) -> u32| {
        (0..32).map(move |k| {
            Case::new(operation, &body.replace('K', &k.to_string()), move |a, _, _| twin(a, k)).shared_by(32)
        })
    };
    let divide = |operation, body: &'static str, twin: fn(u32, u32) -> u32| {
        [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 20, 25, 32, 64].into_iter().map(move |k| {
            Case::new(operation, &body.replace('K', &k.to_string()), move |a, _, _| twin(a, k)).shared_by(32)
        })
    };
    shift("u32 << constant", "return a << Ku;", |a, k| a << k)
        .chain(shift("u32 >> constant", "return a >> Ku;", |a, k| a >> k))
        .chain(shift("i32 << constant", "return u32(i32(a) << Ku);", |a, k| a << k))
        .chain(shift("i32 >> constant", "return u32(i32(a) >> Ku);", |a, k| ((a as i32) >> k) as u32))
        .chain(divide("u32 / constant", "return a / Ku;", |a, k| a / k))
        .chain(divide("u32 % constant", "return a % Ku;", |a, k| a % k))
        .collect()
}
