//! Bytes to an image: whatever they are, an error of one line or images.
#![no_main]

use fsvae::{Checkpoint, Generator, Network};
use libfuzzer_sys::fuzz_target;

/// Larger networks are right, but take longer than what is being looked for.
const LARGEST_SIDE: usize = 16;

fuzz_target!(|bytes: &[u8]| {
    let network = match Checkpoint::from_bytes(bytes).and_then(|checkpoint| {
        let small = checkpoint.architecture().image_side() <= LARGEST_SIDE;
        small.then(|| Network::new(&checkpoint)).transpose()
    }) {
        Ok(Some(network)) => network,
        Ok(None) => return,
        Err(error) => {
            let text = error.to_string();
            assert!(error.is_input() && !text.contains('\n'), "{text}");
            return;
        }
    };
    let images = Generator::builder(&network).cpu().generate(7, 0..1).expect("a network that was accepted");
    assert_eq!(images.len(), 1);
});
