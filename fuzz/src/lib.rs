//! What the targets and the corpus share.

/// Checkpoints of any shape with random weights, as the project's tests make them.
#[path = "../../tests/common/mod.rs"]
#[allow(unexpected_cfgs, clippy::print_stderr, reason = "written for the project's tests")]
pub mod common;

mod reports;

use std::sync::LazyLock;

pub use fsvae::cli::fuzzing as doors;
use fsvae::{Checkpoint, Network};
pub use reports::reports;

/// A network as small as can be that still has everything.
pub static TINY: LazyLock<Network> = LazyLock::new(|| {
    let bytes = common::TINY.bytes();
    Checkpoint::from_bytes(&bytes).and_then(|checkpoint| Network::new(&checkpoint)).expect("a network")
});

/// A model that latents are read for.
pub static MODEL: LazyLock<doors::Model> = LazyLock::new(|| {
    let bytes = common::TINY.bytes();
    Checkpoint::from_bytes(&bytes).and_then(|checkpoint| doors::Model::new(&checkpoint)).expect("a network")
});

/// Between the words of a command, as the system has it, and between files.
pub const SEPARATOR: u8 = 0;

/// What a person reads is one line, and not without an end.
pub fn check_line(line: &str) {
    assert!(!line.is_empty() && line.chars().count() < 10_000, "{line}");
    assert!(!line.contains(|character: char| character.is_control()), "{line:?}");
}
