//! Operations of vectors, and words and arrays that are indexed by what is only known when a kernel runs.

use super::case::Case;

/// Odd factors: one component that is wrong cannot hide.
const FOLD: &str = "\
fn check_fold(r: vec4<u32>) -> u32 {
    return r.x + 3u * r.y + 5u * r.z + 7u * r.w;
}
";

fn fold(r: [u32; 4]) -> u32 {
    (0..4).map(|i| r[i].wrapping_mul(2 * i as u32 + 1)).fold(0, u32::wrapping_add)
}

/// `v` and `w` in a vector's WGSL; `p` and `q` are the same as i32.
fn operands(a: u32, b: u32, c: u32) -> ([u32; 4], [u32; 4]) {
    ([a, b, c, a ^ b], [b, c, a, !c])
}

/// A case of one WGSL expression of vectors, by its twin for one component.
fn vector(operation: &'static str, expression: &str, twin: fn(u32, u32) -> u32) -> Case {
    let signed = expression.contains('p');
    let operands_i32 = if signed { "let p = vec4<i32>(v);\nlet q = vec4<i32>(w);\n" } else { "" };
    let body = format!(
        "let v = vec4(a, b, c, a ^ b);\nlet w = vec4(b, c, a, ~c);\n{operands_i32}return check_fold({expression});"
    );
    Case::with(FOLD, operation, &body, move |a, b, c| {
        let (v, w) = operands(a, b, c);
        fold(std::array::from_fn(|i| twin(v[i], w[i])))
    })
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = componentwise();
    cases.extend(indexed());
    cases
}

fn componentwise() -> Vec<Case> {
    vec![
        vector("vec4<u32> +", "v + w", u32::wrapping_add),
        vector("vec4<u32> *", "v * w", u32::wrapping_mul),
        vector("vec4<u32> &", "v & w", |v, w| v & w),
        vector("vec4<u32> |", "v | w", |v, w| v | w),
        vector("vec4<u32> ^", "v ^ w", |v, w| v ^ w),
        vector("vec4<u32> <<", "v << (w & vec4(31u))", |v, w| v << (w & 31)),
        vector("vec4<u32> >>", "v >> (w & vec4(31u))", |v, w| v >> (w & 31)),
        vector("vec4<u32> !=", "select(vec4(0u), vec4(1u), v != w)", |v, w| u32::from(v != w)),
        vector("vec4<u32> ==", "select(vec4(0u), vec4(1u), (v & vec4(3u)) == (w & vec4(3u)))", |v, w| {
            u32::from(v & 3 == w & 3)
        }),
        vector("vec4<u32> <", "select(vec4(0u), vec4(1u), v < w)", |v, w| u32::from(v < w)),
        vector("vec4<u32> select", "select(v, w, (v & vec4(2u)) != vec4(0u))", |v, w| {
            if v & 2 == 0 { v } else { w }
        }),
        vector("vec4<i32> +", "vec4<u32>(p + q)", u32::wrapping_add),
        vector("vec4<i32> -", "vec4<u32>(p - q)", u32::wrapping_sub),
        vector("vec4<i32> *", "vec4<u32>(p * q)", u32::wrapping_mul),
        vector("vec4<i32> &", "vec4<u32>(p & q)", |v, w| v & w),
        vector("vec4<i32> negation", "vec4<u32>(-p)", |v, _| v.wrapping_neg()),
        vector("vec4<i32> <<", "vec4<u32>(p << (w & vec4(31u)))", |v, w| v << (w & 31)),
        vector("vec4<i32> >>", "vec4<u32>(p >> (w & vec4(31u)))", |v, w| ((v as i32) >> (w & 31)) as u32),
        vector("vec4<i32> >", "select(vec4(0u), vec4(1u), p > q)", |v, w| u32::from(v as i32 > w as i32)),
        vector("vec4<i32> clamp", "vec4<u32>(clamp(p >> vec4(20u), vec4(0), vec4(255)))", |v, _| {
            ((v as i32) >> 20).clamp(0, 255) as u32
        }),
        vector("vec4<i32> select", "vec4<u32>(select(p >> vec4(2u), vec4(0), p > q))", |v, w| {
            if v as i32 > w as i32 { 0 } else { ((v as i32) >> 2) as u32 }
        }),
        Case::with(
            FOLD,
            "vec4<i32> * i32",
            "let p = vec4<i32>(vec4(a, b, c, a ^ b));\nreturn check_fold(vec4<u32>(p * i32(b)));",
            |a, b, c| fold(operands(a, b, c).0.map(|v| v.wrapping_mul(b))),
        ),
        Case::with(FOLD, "vec4<u32> + u32", "return check_fold(vec4(a, b, c, a ^ b) + b);", |a, b, c| {
            fold(operands(a, b, c).0.map(|v| v.wrapping_add(b)))
        }),
        Case::new("vec2<u32> +", "let r = vec2(a, b) + vec2(b, c);\nreturn r.x + 3u * r.y;", |a, b, c| {
            fold([a.wrapping_add(b), b.wrapping_add(c), 0, 0])
        }),
        Case::new("vec2<u32> * u32", "let r = vec2(a, b) * c;\nreturn r.x + 3u * r.y;", |a, b, c| {
            fold([a.wrapping_mul(c), b.wrapping_mul(c), 0, 0])
        }),
    ]
}

fn indexed() -> Vec<Case> {
    vec![
        Case::new(
            "vec4<u32>[u32], read",
            "let v = vec4(a, b, c, a ^ b);\nreturn v[(a + b + c) % 4u];",
            |a, b, c| operands(a, b, c).0[(a.wrapping_add(b).wrapping_add(c) % 4) as usize],
        ),
        Case::new(
            "vec4<i32>[u32], read",
            "let p = vec4<i32>(vec4(a, b, c, a ^ b));\nreturn u32(p[(b >> 7u) % 4u] >> 3u);",
            |a, b, c| ((operands(a, b, c).0[((b >> 7) % 4) as usize] as i32) >> 3) as u32,
        ),
        Case::with(
            FOLD,
            "vec4<u32>[u32], written",
            "var v = vec4(a, b, c, a ^ b);\nv[a % 4u] = c;\nv[(b >> 3u) % 4u] += 5u;\nreturn check_fold(v);",
            |a, b, c| {
                let (mut v, _) = operands(a, b, c);
                v[(a % 4) as usize] = c;
                let at = ((b >> 3) % 4) as usize;
                v[at] = v[at].wrapping_add(5);
                fold(v)
            },
        ),
        Case::new(
            "array in registers, read",
            "var x = array<u32, 8>(a, b, c, a + b, b + c, a ^ b, b ^ c, a ^ c);\nreturn x[c % 8u] + 3u * x[b % 8u];",
            |a, b, c| {
                let x = registers(a, b, c);
                x[(c % 8) as usize].wrapping_add(x[(b % 8) as usize].wrapping_mul(3))
            },
        ),
        Case::new(
            "array in registers, written",
            "var x = array<u32, 8>(a, b, c, a + b, b + c, a ^ b, b ^ c, a ^ c);
x[a % 8u] = 7u;
x[(a >> 5u) % 8u] += b;
var sum = 0u;
for (var i = 0u; i < 8u; i++) {
    sum = 31u * sum + x[i];
}
return sum;",
            |a, b, c| {
                let mut x = registers(a, b, c);
                x[(a % 8) as usize] = 7;
                let at = ((a >> 5) % 8) as usize;
                x[at] = x[at].wrapping_add(b);
                x.iter().fold(0, |sum: u32, x| sum.wrapping_mul(31).wrapping_add(*x))
            },
        ),
        Case::with(
            "\
fn check_receive(sums: ptr<function, array<vec4<i32>, 8>>, train: u32, weights: vec4<i32>) {
    for (var t = 0u; t < 8u; t++) {
        (*sums)[t] += weights & vec4(-i32((train >> t) & 1u));
    }
}
",
            "array of vec4 through a pointer",
            "var sums: array<vec4<i32>, 8>;
check_receive(&sums, a, vec4(i32(b), i32(c), 1, -1));
check_receive(&sums, c, vec4(i32(a), 2, i32(b), 3));
let sum = sums[(a >> 8u) % 8u];
return u32(sum.x + 3 * sum.y + 5 * sum.z + 7 * sum.w);",
            |a, b, c| {
                let step = (a >> 8) % 8;
                let spike = |train: u32, weight: u32| ((train >> step) & 1).wrapping_mul(weight);
                let arrivals = [(b, a), (c, 2), (1, b), (u32::MAX, 3)];
                fold(arrivals.map(|(first, second)| spike(a, first).wrapping_add(spike(c, second))))
            },
        ),
    ]
}

fn registers(a: u32, b: u32, c: u32) -> [u32; 8] {
    [a, b, c, a.wrapping_add(b), b.wrapping_add(c), a ^ b, b ^ c, a ^ c]
}
