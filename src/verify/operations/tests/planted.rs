//! Every adapter is right, and a fault in any operation is found and named.

use std::collections::BTreeMap;

use super::super::case::{Case, GROUP, all};
use super::super::{OperationFault, check, check_groups, inputs, names};
use crate::gpu::Gpu;
use crate::gpu::testing::gpus;

/// Operation, text, what a broken compiler would make of it.
const FAULTS: &[(&str, &str, &str)] = &[
    ("u32 +", "a + b", "a | b"),
    ("u32 -", "a - b", "a + b"),
    ("u32 *", "a * b", "a * (b & 0xffffffu)"),
    ("i32 +", "i32(a) + i32(b)", "max(i32(a), i32(a) + i32(b))"),
    ("i32 -", "i32(a) - i32(b)", "i32(b) - i32(a)"),
    ("i32 *", "i32(a) * i32(b)", "i32(a) * abs(i32(b))"),
    ("i32 negation", "-i32(a)", "~i32(a)"),
    ("u32 /", "a / max(b, 1u)", "u32(i32(a) / max(i32(b), 1))"),
    ("u32 %", "a % max(b, 1u)", "u32(i32(a) % max(i32(b), 1))"),
    ("u32 * constant", "0xcd9e8d57u * a", "0xcd9e8d56u * a"),
    ("u32 &", "a & b", "a & (b | 1u)"),
    ("u32 |", "a | b", "a ^ b"),
    ("u32 ^", "a ^ b", "a | b"),
    ("u32 ~", "~a", "0u - a"),
    ("i32 &", "i32(a) & i32(b)", "i32(a) & (i32(b) << 1u)"),
    ("u32 << u32", "b & 31u", "b & 15u"),
    ("u32 >> u32", "a >> (b & 31u)", "u32(i32(a) >> (b & 31u))"),
    ("i32 << u32", "b & 31u", "min(b & 31u, 30u)"),
    ("i32 >> u32", "u32(i32(a) >> (b & 31u))", "(a >> (b & 31u))"),
    ("mask of a bit", "-i32(", "i32("),
    ("u32 of i32 and back", "i32(a) >> 1u", "i32(a >> 1u)"),
    ("u32 <", "a < b", "i32(a) < i32(b)"),
    ("u32 <=", "a <= b", "a < b"),
    ("u32 >", "a > b", "a >= b"),
    ("u32 >=", "a >= b", "i32(a - b) >= 0"),
    ("u32 ==", "a == b", "(a >> 1u) == (b >> 1u)"),
    ("u32 !=", "a != b", "(a | 1u) != (b | 1u)"),
    ("i32 <", "i32(a) < i32(b)", "i32(a) - i32(b) < 0"),
    ("i32 <=", "i32(a) <= i32(b)", "a <= b"),
    ("i32 >", "i32(a) > i32(b)", "i32(b) - i32(a) < 0"),
    ("i32 >=", "i32(a) >= i32(b)", "i32(a) > i32(b)"),
    ("i32 ==", "i32(a) == i32(b)", "(i32(a) & 0x7fffffff) == (i32(b) & 0x7fffffff)"),
    ("i32 !=", "i32(a) != i32(b)", "i32(a) > i32(b)"),
    ("select of u32", "select(a, b,", "select(b, a,"),
    ("select of i32", "i32(a) >> 2u, 0,", "i32(a) >> 2u, 1,"),
    ("u32 min", "min(a, b)", "u32(min(i32(a), i32(b)))"),
    ("u32 max", "max(a, b)", "u32(max(i32(a), i32(b)))"),
    ("i32 min", "min(i32(a), i32(b))", "min(a, b)"),
    ("i32 max", "max(i32(a), i32(b))", "max(a, b)"),
    (
        "vec4<i32> clamp",
        "vec4<u32>(clamp(p >> vec4(20u), vec4(0), vec4(255)))",
        "clamp(v >> vec4(20u), vec4(0u), vec4(255u))",
    ),
    ("bool !", "!(a < b)", "(b < a)"),
    ("bool &&", "&&", "||"),
    ("bool ||", "||", "&&"),
    ("countOneBits", "countOneBits(a)", "countOneBits(a & 0x7fffffffu)"),
    ("countTrailingZeros", "countTrailingZeros(a)", "firstTrailingBit(a)"),
    ("countLeadingZeros", "countLeadingZeros(a)", "(31u - firstLeadingBit(a | 1u))"),
    ("firstTrailingBit", "firstTrailingBit(a)", "countTrailingZeros(a)"),
    ("firstLeadingBit of u32", "firstLeadingBit(a)", "u32(firstLeadingBit(i32(a)))"),
    ("firstLeadingBit of i32", "firstLeadingBit(i32(a))", "firstLeadingBit(a)"),
    ("reverseBits", "reverseBits(a)", "(reverseBits(a) & 0xfffffffeu)"),
    ("extractBits of u32", "extractBits(a,", "extractBits(a | 1u,"),
    ("extractBits of i32", "u32(extractBits(i32(a), b & 31u, c % 33u))", "extractBits(a, b & 31u, c % 33u)"),
    ("insertBits", "(c >> 8u) % 33u", "(c >> 8u) % 32u"),
    ("vec4<u32> +", "v + w", "vec4(v.xyz + w.xyz, v.w)"),
    ("vec4<u32> *", "v * w", "v * w.xyzz"),
    ("vec4<u32> &", "v & w", "v & (w | vec4(0u, 0u, 1u, 0u))"),
    ("vec4<u32> |", "v | w", "v ^ w"),
    ("vec4<u32> ^", "v ^ w", "v | w"),
    ("vec4<u32> <<", "w & vec4(31u)", "w & vec4(31u, 31u, 31u, 15u)"),
    ("vec4<u32> >>", "w & vec4(31u)", "w.yyzw & vec4(31u)"),
    ("vec4<u32> !=", "v != w", "v < w"),
    ("vec4<u32> ==", "== (w", ">= (w"),
    ("vec4<u32> <", "v < w", "v <= w.yyzw"),
    ("vec4<u32> select", "select(v, w,", "select(v, w.xyyw,"),
    ("vec4<i32> +", "p + q", "p + abs(q)"),
    ("vec4<i32> -", "p - q", "q - p"),
    ("vec4<i32> *", "p * q", "p * q.yxzw"),
    ("vec4<i32> &", "p & q", "p & q.xxzw"),
    ("vec4<i32> negation", "-p", "~p"),
    ("vec4<i32> <<", "w & vec4(31u)", "w & vec4(30u)"),
    ("vec4<i32> >>", "vec4<u32>(p >> (w & vec4(31u)))", "(v >> (w & vec4(31u)))"),
    ("vec4<i32> >", "p > q", "v > w"),
    ("vec4<i32> select", "p > q))", "p >= q))"),
    ("vec4<i32> * i32", "p * i32(b)", "p * vec4(i32(b), i32(b), i32(b), 1)"),
    ("vec4<u32> + u32", "+ b)", "+ vec4(b, b, b, 0u))"),
    ("vec2<u32> +", "vec2(b, c)", "vec2(b)"),
    ("vec2<u32> * u32", "* c;", "* (c & 0xffffu);"),
    ("vec4<u32>[u32], read", "% 4u]", "% 3u]"),
    ("vec4<i32>[u32], read", "p[(b >> 7u) % 4u]", "p.xyzz[(b >> 7u) % 4u]"),
    ("vec4<u32>[u32], written", "v[a % 4u] = c", "v[a % 2u] = c"),
    ("array in registers, read", "x[c % 8u]", "x[c % 4u]"),
    ("array in registers, written", "x[a % 8u] = 7u", "x[a % 7u] = 7u"),
    ("array of vec4 through a pointer", "t < 8u", "t < 7u"),
    ("mulhi of 16-bit halves", "(low >> 16u)", "(low >> 17u)"),
    ("pick by a random word", ">> 24u", ">> 23u"),
    ("64-bit + in two words", "low < b", "low <= b"),
    ("40-bit sum in two words", "weight >> 16u", "(weight + 1) >> 16u"),
    ("45-bit sum in two words", "second >> 14u", "second >> 15u"),
    ("byte of a word", "b % 4u", "b % 3u"),
    ("word of bytes", "<< 24u", "<< 23u"),
    // (`- 2u` would be a loop without an end.)
    ("loop over set bits", "events &= events - 1u", "events &= events >> 1u"),
    ("loop that searches", "low = middle + 1u", "low = middle + 2u"),
    ("loop with two conditions", "j <= (b & 1u)", "j < (b & 1u)"),
    ("return from a loop", "i < 32u", "i < 31u"),
    ("break and continue", "continue;", "break;"),
    ("leaky integrate and fire", "potential > (", "potential >= ("),
    ("u32 << constant", "<< 7u", "<< 8u"),
    ("u32 >> constant", "a >> 31u", "u32(i32(a) >> 31u)"),
    ("i32 << constant", "<< 19u", "<< 18u"),
    ("i32 >> constant", "u32(i32(a) >> 16u)", "(a >> 16u)"),
    ("u32 / constant", "a / 7u", "u32((f32(a) / 7.0))"),
    // (Mesa's OpenGL gives the remainder of a negative `i32` by a constant as if it were a `u32`: no fault there.)
    ("u32 % constant", "a % 10u", "(a & 0x7fffffffu) % 10u"),
    ("textureStore of unpack4x8unorm", "unpack4x8unorm(a)", "unpack4x8unorm(a).bgra"),
    ("workgroupBarrier", "workgroupBarrier();", ""),
    ("workgroup array, strided loop", "n += 128u", "n += 129u"),
    ("workgroup array of vec4, dynamic index", "(own + step) % 4u", "step"),
    ("atomicStore and atomicLoad, workgroup", "5u * own + 1u", "5u * own"),
    ("atomicOr, workgroup", "atomicOr", "atomicAnd"),
    ("atomicAdd, workgroup", "atomicAdd", "atomicMax"),
    (
        "atomicExchange, workgroup",
        "atomicExchange(&check_words[127u - own], own)",
        "atomicLoad(&check_words[127u - own])",
    ),
    ("storage array of vec4, dynamic index", "(word >> 7u) % 4u", "(word >> 7u) % 3u"),
    ("storage word, read and written again", "|= 1u << step", "= 1u << step"),
    ("arrayLength", "arrayLength(&inputs)", "arrayLength(&memory)"),
    ("atomicOr, storage", "atomicOr", "atomicAdd"),
    ("atomicAdd, storage", "own % 32u], value", "own % 31u], value"),
];

const WORDS: usize = 2000;

/// What a device is found to do wrong when its compiler makes some faults at once.
fn found(
    gpu: &Gpu,
    words: usize,
    faults: &[(&'static str, &str, &str)],
) -> BTreeMap<&'static str, OperationFault> {
    let rewrite = |operation: &'static str, text: String| {
        let fault = faults.iter().find(|(name, ..)| *name == operation);
        fault.map_or(text.clone(), |(_, right, wrong)| text.replacen(right, wrong, 1))
    };
    let found = pollster::block_on(check(gpu, words, 7, &rewrite)).expect("it runs");
    found.into_iter().map(|fault| (fault.operation, fault)).collect()
}

#[test]
fn every_adapter_is_right() {
    for gpu in gpus() {
        let start = std::time::Instant::now();
        let faults = found(gpu, 1 << 20, &[]);
        eprintln!("{}: a million words of each operation in {:.1?}", gpu.name(), start.elapsed());
        assert!(faults.is_empty(), "{}: {faults:#?}", gpu.name());
    }
}

#[test]
fn a_fault_in_any_operation_is_found_and_named() {
    let named: Vec<&str> = FAULTS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(
        named.iter().collect::<std::collections::BTreeSet<_>>(),
        names().iter().collect(),
        "a fault for every operation"
    );
    for gpu in gpus() {
        // Every other one at a time: those between are right.
        for parity in [0, 1] {
            let planted: Vec<_> =
                FAULTS.iter().enumerate().filter(|(i, _)| i % 2 == parity).map(|(_, fault)| *fault).collect();
            let found = found(gpu, WORDS, &planted);
            let expected: Vec<&str> = planted.iter().map(|(name, ..)| *name).collect();
            let missed: Vec<_> = expected.iter().filter(|name| !found.contains_key(*name)).collect();
            assert!(missed.is_empty(), "{}: not found wrong: {missed:?}", gpu.name());
            for (name, fault) in &found {
                assert!(expected.contains(name), "{}: {fault:#?}", gpu.name());
                let (_, _, wrong) = planted.iter().find(|(planted, ..)| planted == name).expect("planted");
                assert!(fault.wrong > 0 && fault.expected != fault.found, "{fault:#?}");
                assert!(fault.program.contains(wrong), "{}", fault.program);
                // Without a barrier it is a race: by itself the program may give anything.
                let gave =
                    if *name == "workgroupBarrier" { "program by itself" } else { "by itself gave the same" };
                assert!(fault.program.contains(gave), "{}", fault.program);
            }
        }
    }
}

/// Each barrier is needed.
#[test]
fn a_barrier_that_is_missing_is_found() {
    let case = all().into_iter().find(|case| case.operation == "workgroupBarrier");
    let barriers = case.expect("it is there").text.matches("workgroupBarrier();").count();
    assert_eq!(barriers, 3);
    for gpu in gpus() {
        for missing in 0..barriers {
            let rewrite = |operation: &'static str, text: String| {
                if operation != "workgroupBarrier" {
                    return text;
                }
                let mut number = 0..;
                let keep = |part: &str| match number.next() {
                    Some(at) if at == missing => part.to_owned(),
                    _ => format!("{part}workgroupBarrier();"),
                };
                let parts: Vec<&str> = text.split("workgroupBarrier();").collect();
                let (last, parts) = parts.split_last().expect("parts");
                parts.iter().copied().map(keep).collect::<String>() + last
            };
            let faults = pollster::block_on(check(gpu, WORDS, 7, &rewrite)).expect("it runs");
            let names: Vec<_> = faults.iter().map(|fault| fault.operation).collect();
            assert_eq!(names, ["workgroupBarrier"], "{}: barrier {missing}", gpu.name());
        }
    }
}

/// Words that another program has left in a workgroup's memory are not the right ones by chance.
#[test]
fn what_another_program_has_left_hides_no_missing_barrier() {
    let named = |name: &str| all().into_iter().find(|case| case.operation == name).expect("it is there");
    let leaves_values = [named("workgroup array, strided loop")];
    let mut without = named("workgroupBarrier");
    without.text = without.text.replacen("workgroupBarrier();", "", 1);
    let without = [without];
    for gpu in gpus() {
        // Again and again, for a software stack gives a workgroup to any of its threads.
        let run = |cases: &[Case]| {
            let wrong = pollster::block_on(check_groups(gpu, cases, GROUP, 7)).expect("it runs");
            wrong.into_iter().next().expect("one case").is_some()
        };
        for _ in 0..16 {
            assert!(!run(&leaves_values), "{}", gpu.name());
            assert!(run(&without), "{}: a barrier is missing", gpu.name());
        }
    }
}

#[test]
fn corners_and_words_are_what_they_should_be() {
    let edges = inputs::edges();
    for edge in [0, 1, 31, 32, 1 << 31, (1 << 31) - 1, (1 << 31) + 1, u32::MAX, u32::MAX - 1, 0xfffe_ffff] {
        assert!(edges.contains(&edge), "{edge:#x}");
    }
    let inputs = inputs::words(1000, 7);
    assert_eq!(inputs.corners, edges.len() * edges.len());
    assert_eq!(inputs.words.len(), inputs.corners + 1000);
    let random = &inputs.words[inputs.corners..];
    let short = random.iter().flatten().filter(|word| **word < 1 << 16).count();
    assert!((400..1000).contains(&short), "{short} of 3000 are short");
    assert_ne!(random, &inputs::words(1000, 8).words[inputs.corners..]);
}
