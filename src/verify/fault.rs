//! What can be wrong.

use std::fmt;

pub use super::compare::Difference;
use super::operations::OperationFault;

/// A layer of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The bundled model's name, or which random network it is.
    pub model: String,
    /// The layer's name in the checkpoint; the prior and the posterior with their draws are one each.
    pub layer: String,
}

/// Something that was computed wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An operation of the shading language.
    Operation(OperationFault),
    /// A kernel, or the first wrong layer of a model.
    Numbers(WrongNumbers),
    /// The CPU's own numbers, which all others are held against.
    Digest(WrongDigest),
}

/// Numbers that are not those of the CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrongNumbers {
    /// The kernel that made them: its file is `shaders/<kernel>.wgsl`.
    pub kernel: &'static str,
    /// The kernel's variant, or the CPU's instruction set.
    pub variant: Option<&'static str>,
    /// The first wrong layer, where a whole model ran; `None` for a kernel by itself.
    pub layer: Option<Layer>,
    /// What it was given, in one phrase.
    pub input: String,
    /// The first wrong number.
    pub difference: Difference,
}

/// A layer whose numbers on the CPU are not the oracle's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrongDigest {
    /// The first wrong layer.
    pub layer: Layer,
    /// SHA-256 of the oracle's numbers, in hexadecimal.
    pub expected: String,
    /// Of the CPU's.
    pub twin: String,
    /// Of those of the device under test.
    pub found: String,
}

impl Fault {
    /// What is wrong, in a few words: an operation, a kernel, a layer.
    pub fn name(&self) -> String {
        let variant =
            |variant: &Option<&str>| variant.map_or_else(String::new, |variant| format!(" ({variant})"));
        match self {
            Fault::Operation(fault) => fault.operation.into(),
            Fault::Numbers(fault) => match &fault.layer {
                Some(Layer { model, layer }) => format!("{layer} of {model}{}", variant(&fault.variant)),
                None => format!("{}{}", fault.kernel, variant(&fault.variant)),
            },
            Fault::Digest(WrongDigest { layer: Layer { model, layer }, .. }) => {
                format!("{layer} of {model} on the CPU")
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Fault::Operation(OperationFault { inputs, expected, found, wrong, .. }) => {
                let inputs: Vec<String> = inputs.iter().map(|input| format!("{input:#x}")).collect();
                write!(f, "of {} found {found:#x}, expected {expected:#x} ({wrong} wrong)", inputs.join(", "))
            }
            Fault::Numbers(WrongNumbers { kernel, layer, input, difference, .. }) => {
                if layer.is_some() {
                    write!(f, "{kernel}, ")?;
                }
                write!(f, "{input}; {difference}")
            }
            Fault::Digest(WrongDigest { expected, twin, found, .. }) => {
                write!(f, "SHA-256 {twin}, the oracle's is {expected}, that of what was checked {found}")
            }
        }
    }
}

/// How a fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// The same numbers are wrong in the same way whenever they are computed: a fault of software, of a compiler say.
    Always,
    /// The same work comes out in different ways: a fault of hardware (heat, power, memory), or a race.
    NowAndThen,
}

impl fmt::Display for Nature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Nature::Always => "always the same: software",
            Nature::NowAndThen => "now and then: hardware",
        })
    }
}

/// A fault, how it comes, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// As it was first seen.
    pub fault: Fault,
    /// How it comes.
    pub nature: Nature,
    /// The round in which it was first seen, the first is 1.
    pub first_round: u32,
    /// The last in which it was seen.
    pub last_round: u32,
    /// Rounds in which it was seen.
    pub rounds: u32,
}
