//! What kernels put together: wide products and sums from 32-bit words, bytes, loops that end early.

use super::case::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = wide();
    cases.extend(bytes());
    cases.extend(loops());
    cases
}

fn wide() -> Vec<Case> {
    vec![
        Case::new(
            "mulhi of 16-bit halves",
            "let low = (a & 0xffffu) * (b & 0xffffu);
let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);",
            |a, b, _| ((u64::from(a) * u64::from(b)) >> 32) as u32,
        ),
        Case::new("pick by a random word", "return ((a >> 8u) * (b % 255u + 1u)) >> 24u;", |a, b, _| {
            ((a >> 8) * (b % 255 + 1)) >> 24
        }),
        Case::new(
            "64-bit + in two words",
            "let low = a + b;\nreturn c + select(0u, 1u, low < b);",
            |a, b, c| ((((u64::from(c) << 32) | u64::from(a)) + u64::from(b)) >> 32) as u32,
        ),
        // Weights of 31 bits times 2 pixel - 255, as the encoder's first layer has them.
        Case::new(
            "40-bit sum in two words",
            "let weight = i32(a) >> 1u;
var high = 0;
var low = 0;
for (var i = 0u; i < 4u; i++) {
    let value = 2 * i32((b >> (8u * i)) & 0xffu) - 255;
    high += (weight >> 16u) * value;
    low += (weight & 0xffff) * value;
}
return u32((high << 8u) + (low >> 8u));",
            |a, b, _| {
                let value = |i: u32| 2 * i64::from((b >> (8 * i)) & 0xff) - 255;
                let sum: i64 = (0..4).map(|i| i64::from((a as i32) >> 1) * value(i)).sum();
                (sum >> 8) as u32
            },
        ),
        // Weights of 28 bits times rates of 15, four of them, and a bias, as the readout has them.
        Case::new(
            "45-bit sum in two words",
            "var first = i32(c) >> 14u;
var second = i32(c) & 0x3fff;
for (var i = 0u; i < 4u; i++) {
    let weight = i32(a << i) >> 4u;
    let rate = i32(b << (3u * i)) >> 17u;
    let low = (weight & 0x3fff) * rate;
    first += (weight >> 14u) * rate + (low >> 14u);
    second += low & 0x3fff;
}
return u32((first + (second >> 14u)) >> 4u);",
            |a, b, c| {
                let weight = |i: u32| i64::from(((a << i) as i32) >> 4);
                let rate = |i: u32| i64::from(((b << (3 * i)) as i32) >> 17);
                let sum: i64 = i64::from(c as i32) + (0..4).map(|i| weight(i) * rate(i)).sum::<i64>();
                (sum >> 18) as u32
            },
        ),
    ]
}

fn bytes() -> Vec<Case> {
    vec![
        Case::new("byte of a word", "return (a >> (8u * (b % 4u))) & 0xffu;", |a, b, _| {
            a.to_le_bytes()[(b % 4) as usize].into()
        }),
        Case::new(
            "word of bytes",
            "return (a & 0xffu) | ((b & 0xffu) << 8u) | ((c & 0xffu) << 16u) | (((a >> 8u) & 0xffu) << 24u);",
            |a, b, c| u32::from_le_bytes([a as u8, b as u8, c as u8, (a >> 8) as u8]),
        ),
    ]
}

fn loops() -> Vec<Case> {
    vec![
        Case::new(
            "loop over set bits",
            "var events = a;
var sum = 0u;
while (events != 0u) {
    sum = 33u * sum + countTrailingZeros(events);
    events &= events - 1u;
}
return sum;",
            |a, _, _| {
                let set = (0..32).filter(|bit| (a >> bit) & 1 == 1);
                set.fold(0, |sum: u32, bit| sum.wrapping_mul(33).wrapping_add(bit))
            },
        ),
        Case::new(
            "loop that searches",
            "var low = 0u;
var high = 255u;
while (low < high) {
    let middle = (low + high) / 2u;
    if (i32(a) >= i32(middle * 0x01010101u) - 0x7fffffff) {
        low = middle + 1u;
    } else {
        high = middle;
    }
}
return low;",
            // The first of the ascending numbers that `a` has not reached.
            |a, _, _| {
                let threshold = |i: u32| i.wrapping_mul(0x0101_0101).wrapping_sub(0x7fff_ffff) as i32;
                (0..255).take_while(|&i| a as i32 >= threshold(i)).count() as u32
            },
        ),
        Case::new(
            "loop with two conditions",
            "var n = 0u;
for (var i = 0u; i <= (a & 15u) && b + i < c; i++) {
    for (var j = 0u; j <= (b & 1u) && i + j < 9u; j++) {
        n = 5u * n + i + j;
    }
}
return n;",
            |a, b, c| {
                let rows = (0..=a & 15).take_while(|&i| b.wrapping_add(i) < c);
                let cells =
                    rows.flat_map(|i| (0..=b & 1).take_while(move |&j| i + j < 9).map(move |j| i + j));
                cells.fold(0, |n: u32, cell| n.wrapping_mul(5).wrapping_add(cell))
            },
        ),
        Case::new(
            "return from a loop",
            "for (var i = 0u; i < 32u; i++) {
    if ((a >> i) % 4u == b % 4u) {
        return i;
    }
}
return 32u;",
            |a, b, _| (0..32).find(|&i| (a >> i) % 4 == b % 4).unwrap_or(32),
        ),
        Case::new(
            "break and continue",
            "var sum = 0u;
for (var i = 0u; i < 32u; i++) {
    if (((b >> i) & 1u) == 0u) {
        continue;
    }
    if (sum > c) {
        break;
    }
    sum += (a >> i) & 0xffffu;
}
return sum;",
            |a, b, c| {
                let mut sum = 0;
                for i in (0..32).filter(|i| (b >> i) & 1 == 1) {
                    if sum > c {
                        break;
                    }
                    sum += (a >> i) & 0xffff;
                }
                sum
            },
        ),
        Case::new(
            "leaky integrate and fire",
            "var carry = 0;
var spikes = 0u;
for (var t = 0u; t < 16u; t++) {
    let potential = carry + (i32(a << t) >> 3u) + (i32(c) >> 8u);
    let spike = potential > (i32(b) >> 4u);
    carry = select(potential >> 2u, 0, spike);
    spikes |= select(0u, 1u << t, spike);
}
return spikes;",
            |a, b, c| {
                let (mut carry, mut spikes) = (0, 0);
                for t in 0..16 {
                    let potential = carry + (((a << t) as i32) >> 3) + ((c as i32) >> 8);
                    let spike = potential > (b as i32) >> 4;
                    carry = if spike { 0 } else { potential >> 2 };
                    spikes |= u32::from(spike) << t;
                }
                spikes
            },
        ),
    ]
}
