//! Whole WGSL programs around the functions of cases.

use super::Wrong;
use super::case::{Case, Kind};

const WORDS: &str = "\
@group(0) @binding(0) var<storage, read> inputs: array<u32>;
@group(0) @binding(1) var<storage, read_write> results: array<u32>;
";

const TEXELS: &str = "\
@group(0) @binding(0) var<storage, read> inputs: array<u32>;
@group(0) @binding(1) var texture: texture_storage_2d<rgba8unorm, write>;
";

const GROUPS: &str = "\
@group(0) @binding(0) var<storage, read> inputs: array<u32>;
@group(0) @binding(1) var<storage, read_write> results: array<u32>;
@group(0) @binding(2) var<storage, read_write> memory: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> counters: array<atomic<u32>>;
fn value(i: u32) -> u32 {
    let x = ((i + inputs[1]) ^ inputs[0]) * 0x9e3779b9u;
    return x ^ (x >> 15u);
}
";

/// A program that runs some cases of one kind. With a single one it is what is shown to people.
pub(super) fn module(cases: &[Case]) -> String {
    let kind = cases[0].kind();
    let mut source = String::from(match kind {
        Kind::Words => WORDS,
        Kind::Texels => TEXELS,
        Kind::Groups => GROUPS,
    });
    let names: Vec<String> = match cases {
        [_] => vec!["check".into()],
        _ => (0..cases.len()).map(|number| format!("check{number}")).collect(),
    };
    for (case, name) in cases.iter().zip(&names) {
        source += &case.text.replace("check", name);
    }
    source + &entry(kind, &names)
}

fn entry(kind: Kind, names: &[String]) -> String {
    let results = |line: &dyn Fn(usize, &str) -> String| -> String {
        names.iter().enumerate().map(|(number, name)| line(number, name)).collect()
    };
    match kind {
        Kind::Words => {
            let results = results(&|number, name| {
                format!("        results[{number}u * count + id.x] = {name}(a, b, c);\n")
            });
            format!(
                "@compute @workgroup_size(64)\n\
                 fn words(@builtin(global_invocation_id) id: vec3<u32>) {{\n    \
                     let count = arrayLength(&inputs) / 3u;\n    \
                     if (id.x < count) {{\n        \
                         let a = inputs[3u * id.x];\n        \
                         let b = inputs[3u * id.x + 1u];\n        \
                         let c = inputs[3u * id.x + 2u];\n\
                 {results}    }}\n}}\n"
            )
        }
        Kind::Texels => format!(
            "@compute @workgroup_size(64)\n\
             fn texels(@builtin(global_invocation_id) id: vec3<u32>) {{\n    \
                 if (id.x < arrayLength(&inputs) / 3u) {{\n        \
                     textureStore(texture, vec2(id.x % 256u, id.x / 256u), {}(inputs[3u * id.x]));\n    }}\n}}\n",
            names[0]
        ),
        Kind::Groups => {
            let results = results(&|number, name| {
                // Cases share the storage, one after the other.
                let barrier = if number == 0 { "" } else { "    storageBarrier();\n" };
                format!("{barrier}    results[{number}u * stride + first + own] = {name}(own, first);\n")
            });
            format!(
                "@compute @workgroup_size(128)\n\
                 fn groups(@builtin(local_invocation_index) own: u32, @builtin(workgroup_id) workgroup: vec3<u32>) {{\n    \
                     let first = 128u * workgroup.x;\n    \
                     let stride = arrayLength(&memory);\n\
                 {results}}}\n"
            )
        }
    }
}

/// The program of one wrong word, with what it is to be run on.
pub(super) fn program(case: &Case, wrong: &Wrong, alone: u32) -> String {
    let Wrong { inputs, at, expected, found, .. } = wrong;
    let inputs = inputs.iter().map(|word| format!("{word:#010x}")).collect::<Vec<_>>().join(", ");
    let place = match case.kind() {
        Kind::Texels => "the texel (red in the lowest byte)".into(),
        _ => format!("results[{at}]"),
    };
    let size = match case.kind() {
        Kind::Words => "One word of results",
        Kind::Texels => "A texture of 256 x 1",
        Kind::Groups => "128 words of results, 128 vectors of memory, 32 counters, all 0",
    };
    let alone = match alone {
        alone if alone == *found => "This program by itself gave the same.".into(),
        alone if alone == *expected => {
            "This program by itself was right: it matters what runs beside it.".into()
        }
        alone => format!("This program by itself gave {alone:#010x}."),
    };
    format!(
        "// {}: {place} must be {expected:#010x}, found {found:#010x}. {alone}\n\
         // Inputs: {inputs}. {size}. One workgroup.\n{}",
        case.operation,
        module(std::slice::from_ref(case))
    )
}
