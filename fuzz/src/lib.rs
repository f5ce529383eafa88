//! What the targets and the corpus share.

/// Checkpoints of any shape with random weights, as the project's tests make them.
#[path = "../../tests/common/mod.rs"]
#[allow(unexpected_cfgs, clippy::print_stderr, reason = "written for the project's tests")]
pub mod common;

use std::sync::LazyLock;

use fsvae::{Checkpoint, Network};

/// A network as small as can be that still has everything.
pub static TINY: LazyLock<Network> = LazyLock::new(|| {
    let bytes = common::TINY.bytes();
    Checkpoint::from_bytes(&bytes).and_then(|checkpoint| Network::new(&checkpoint)).expect("a network")
});
