//! Known answers of every operation that the kernels use.
//!
//! An operation is a small WGSL function. Those of scalars are run over corners (all pairs of edges: 0, 1, powers of two
//! and their neighbours, the ends of `i32` and `u32`) and over random words of this crate's own generator; those of
//! memory by workgroups that exchange words. Everything is read back and compared with plain Rust.

mod case;
mod control;
mod device;
mod groups;
mod inputs;
mod program;
#[cfg(test)]
mod tests;
mod vectors;
mod words;

use case::{Case, GROUP, Kind};
use device::Compiled;

use crate::error::Result;
use crate::gpu::Gpu;

/// An operation that a device computes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationFault {
    /// Its name, one of [`names`].
    pub operation: &'static str,
    /// What it was given where it was wrong first: three words, or the seed and
    /// the first number of a workgroup's words.
    pub inputs: Vec<u32>,
    /// The right word.
    pub expected: u32,
    /// The device's.
    pub found: u32,
    /// How many words were wrong.
    pub wrong: u64,
    /// A whole WGSL program of at most 30 lines that shows this one wrong word; its comments say what to run it on.
    pub program: String,
}

/// Bytes of results at a time.
const ROUND_BYTES: u64 = 64 << 20;

/// The operations that [`check`] knows, in its order: what others are made of comes first.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = case::all().iter().map(|case| case.operation).collect();
    names.dedup();
    names
}

/// Computes every operation on a device and says which are wrong, in the order of [`names`].
///
/// `words` random words are taken for each operation besides the corners (fewer for those that come in many forms, such
/// as shifts by each constant); they follow from `seed`. `rewrite` gets each operation's name and WGSL and gives what is
/// run in its place: a test plants faults by it. On a device of [`Gpu::from_wgpu`] the application polls.
///
/// # Errors
/// The device's errors. A wrong answer is none.
pub async fn check(
    gpu: &Gpu,
    words: usize,
    seed: u64,
    rewrite: &dyn Fn(&'static str, String) -> String,
) -> Result<Vec<OperationFault>> {
    let mut cases = case::all();
    for case in &mut cases {
        case.text = rewrite(case.operation, std::mem::take(&mut case.text));
    }
    let inputs = inputs::words(words, seed);
    let group_seed = inputs::group_seed(seed);
    let mut faults: Vec<OperationFault> = Vec::new();
    for batch in cases.chunk_by(|a, b| a.kind() == b.kind() && a.share == b.share) {
        for batch in batch.chunks(case::MOST) {
            let wrong = match batch[0].kind() {
                Kind::Groups => check_groups(gpu, batch, words / batch[0].share, group_seed).await?,
                _ => {
                    let count = inputs.corners + words / batch[0].share;
                    check_words(gpu, batch, &inputs.words[..count]).await?
                }
            };
            for (case, wrong) in batch.iter().zip(wrong) {
                let Some(wrong) = wrong else { continue };
                match faults.iter_mut().find(|fault| fault.operation == case.operation) {
                    Some(fault) => fault.wrong += wrong.words,
                    None => faults.push(fault(gpu, case, wrong).await?),
                }
            }
        }
    }
    Ok(faults)
}

/// What is wrong with a case.
struct Wrong {
    /// The first input that shows it.
    inputs: Vec<u32>,
    /// The result's place when the case is run on that input alone.
    at: usize,
    expected: u32,
    found: u32,
    words: u64,
}

impl Wrong {
    fn note(
        noted: &mut Option<Wrong>,
        expected: u32,
        found: u32,
        at: usize,
        inputs: impl FnOnce() -> Vec<u32>,
    ) {
        if expected == found {
            return;
        }
        noted.get_or_insert_with(|| Wrong { inputs: inputs(), at, expected, found, words: 0 }).words += 1;
    }
}

/// Cases that work on three words each.
async fn check_words(gpu: &Gpu, cases: &[Case], inputs: &[[u32; 3]]) -> Result<Vec<Option<Wrong>>> {
    let kind = cases[0].kind();
    let compiled = Compiled::new(gpu, kind, program::module(cases)).await?;
    let mut wrong: Vec<Option<Wrong>> = cases.iter().map(|_| None).collect();
    for inputs in inputs.chunks(device::most(gpu, kind, cases.len(), ROUND_BYTES)) {
        let results = compiled.run(gpu, inputs.as_flattened(), cases.len(), inputs.len()).await?;
        for ((case, wrong), results) in cases.iter().zip(&mut wrong).zip(results.chunks(inputs.len())) {
            for (&[a, b, c], &found) in inputs.iter().zip(results) {
                Wrong::note(wrong, case.word(a, b, c), found, 0, || vec![a, b, c]);
            }
        }
    }
    Ok(wrong)
}

/// Cases of whole workgroups, about `words` invocations of each.
async fn check_groups(gpu: &Gpu, cases: &[Case], words: usize, seed: u32) -> Result<Vec<Option<Wrong>>> {
    let most = device::most(gpu, Kind::Groups, cases.len(), ROUND_BYTES);
    let count = words.clamp(GROUP, most.max(GROUP)) / GROUP * GROUP;
    let compiled = Compiled::new(gpu, Kind::Groups, program::module(cases)).await?;
    let results = compiled.run(gpu, &[seed, 0], cases.len(), count).await?;
    let check = |(case, results): (&Case, &[u32])| {
        let mut wrong = None;
        for (first, results) in (0..).step_by(GROUP).zip(results.chunks(GROUP)) {
            for (at, (expected, &found)) in case.group(seed, first).into_iter().zip(results).enumerate() {
                Wrong::note(&mut wrong, expected, found, at, || vec![seed, first]);
            }
        }
        wrong
    };
    Ok(cases.iter().zip(results.chunks(count)).map(check).collect())
}

/// The program that shows a fault, tried on the device by itself.
async fn fault(gpu: &Gpu, case: &Case, wrong: Wrong) -> Result<OperationFault> {
    let compiled = Compiled::new(gpu, case.kind(), program::module(std::slice::from_ref(case))).await?;
    let count = if case.kind() == Kind::Groups { GROUP } else { 1 };
    let alone = compiled.run(gpu, &wrong.inputs, 1, count).await?[wrong.at];
    let program = program::program(case, &wrong, alone);
    let Wrong { inputs, expected, found, words, .. } = wrong;
    Ok(OperationFault { operation: case.operation, inputs, expected, found, wrong: words, program })
}
