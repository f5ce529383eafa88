//! One form of an operation: its WGSL and its twin in Rust.

use super::{control, groups, inputs, vectors, words};

/// Invocations of a workgroup of [`Kind::Groups`], as many as the sampler has.
pub(super) const GROUP: usize = 128;

/// Cases of one pipeline, at most.
pub(super) const MOST: usize = 32;

/// How a case is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `fn check(a: u32, b: u32, c: u32) -> u32`, of three words by each invocation.
    Words,
    /// `fn check(a: u32) -> vec4<f32>`, stored as a texel; reads three words, too.
    Texels,
    /// `fn check(own: u32, first: u32) -> u32`, of words that a whole workgroup makes and exchanges: `value(first)` and
    /// following.
    Groups,
}

type Word = Box<dyn Fn(u32, u32, u32) -> u32>;

/// The words that a workgroup starts from.
pub(super) type Values<'a> = &'a dyn Fn(u32) -> u32;

enum Twin {
    Word(Word),
    /// The four bytes of a texel, of `a`.
    Texel(fn(u32) -> u32),
    /// Of the words from the workgroup's first on, for an invocation.
    Group(fn(Values<'_>, u32) -> u32),
}

pub(super) struct Case {
    pub(super) operation: &'static str,
    /// The function `check` and what it needs; all names of module scope start with `check`.
    pub(super) text: String,
    /// The random words are divided by this, for an operation that comes in many forms.
    pub(super) share: usize,
    twin: Twin,
}

impl Case {
    pub(super) fn word(&self, a: u32, b: u32, c: u32) -> u32 {
        match &self.twin {
            Twin::Word(twin) => twin(a, b, c),
            Twin::Texel(twin) => twin(a),
            Twin::Group(_) => unreachable!("a workgroup's case"),
        }
    }

    /// The words of the invocations of the workgroup whose first word is number `first`.
    pub(super) fn group(&self, seed: u32, first: u32) -> Vec<u32> {
        match &self.twin {
            Twin::Group(twin) => {
                (0..GROUP as u32).map(|own| twin(&|i| inputs::value(seed, first + i), own)).collect()
            }
            _ => unreachable!("a word's case"),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.twin {
            Twin::Word(_) => Kind::Words,
            Twin::Texel(_) => Kind::Texels,
            Twin::Group(_) => Kind::Groups,
        }
    }

    /// A case by the statements of its function.
    pub(super) fn new(
        operation: &'static str,
        body: &str,
        twin: impl Fn(u32, u32, u32) -> u32 + 'static,
    ) -> Self {
        Case::with("", operation, body, twin)
    }

    /// The same with declarations in front.
    pub(super) fn with(
        declarations: &str,
        operation: &'static str,
        body: &str,
        twin: impl Fn(u32, u32, u32) -> u32 + 'static,
    ) -> Self {
        let lines: String = body.trim().lines().map(|line| format!("    {}\n", line.trim_end())).collect();
        let text = format!("{declarations}fn check(a: u32, b: u32, c: u32) -> u32 {{\n{lines}}}\n");
        Case { operation, text, share: 1, twin: Twin::Word(Box::new(twin)) }
    }

    pub(super) fn texel(operation: &'static str, text: &str, twin: fn(u32) -> u32) -> Self {
        Case { operation, text: text.into(), share: 2, twin: Twin::Texel(twin) }
    }

    pub(super) fn of_group(operation: &'static str, text: &str, twin: fn(Values<'_>, u32) -> u32) -> Self {
        // Barriers are slow where threads are emulated.
        Case { operation, text: text.trim_start().into(), share: 16, twin: Twin::Group(twin) }
    }

    /// One of `forms` forms.
    pub(super) fn shared_by(self, forms: usize) -> Self {
        Case { share: forms, ..self }
    }
}

/// Every case; those of an operation are neighbours.
pub(super) fn all() -> Vec<Case> {
    let mut cases = words::cases();
    cases.extend(vectors::cases());
    cases.extend(control::cases());
    cases.extend(words::constants());
    cases.push(Case::texel(
        "textureStore of unpack4x8unorm",
        "fn check(a: u32) -> vec4<f32> {\n    return unpack4x8unorm(a);\n}\n",
        |a| a,
    ));
    cases.extend(groups::cases());
    cases
}
