//! PyTorch's files: what is read gives the images of its safetensors twin, everything else is refused by name. One program, for
//! each that is linked takes its time; `pth_memory.rs` is another, for it measures what its process takes.

#[path = "../common/mod.rs"]
mod common;

mod damaged;
mod plain;
mod read;

use common::TINY;
use common::torch::Pth;
use fsvae::{Checkpoint, Generator, Network};

fn images(bytes: &[u8]) -> Vec<u8> {
    let network = Network::new(&Checkpoint::from_bytes(bytes).expect("a checkpoint")).expect("a network");
    let images = Generator::builder(&network).cpu().generate(7, 0..9).expect("images");
    images.as_bytes().to_vec()
}

fn error(bytes: &[u8]) -> String {
    let text = Checkpoint::from_bytes(bytes).expect_err("refused").to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

fn refused(bytes: &[u8], parts: &[&str]) {
    let text = error(bytes);
    parts.iter().for_each(|part| assert!(text.contains(part), "expected \"{part}\" in: {text}"));
}

fn tiny() -> Pth {
    Pth::new(&TINY.tensors())
}
