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

/// Words of a command line, as a corpus file has them: one a line.
pub fn words(bytes: &[u8]) -> Vec<std::ffi::OsString> {
    let word = |line: &[u8]| {
        #[cfg(unix)]
        return std::os::unix::ffi::OsStringExt::from_vec(line.to_vec());
        #[cfg(not(unix))]
        return String::from_utf8_lossy(line).into_owned().into();
    };
    bytes.split(|&byte| byte == b'\n').map(word).collect()
}
