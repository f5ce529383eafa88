//! A picture in any format to the pixels of a model.
#![no_main]

use fsvae_fuzz::TINY;
use libfuzzer_sys::fuzz_target;

/// A decoder's panic is caught by the library; every other one ends the run.
fn init() {
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !fsvae::is_reading_a_picture() {
            end(panic);
        }
    }));
}

fuzz_target!(init: init(), |bytes: &[u8]| {
    if let Ok(picture) = fsvae::read_picture(bytes) {
        let architecture = TINY.architecture();
        assert_eq!(architecture.fit(&picture).len(), architecture.image_bytes());
    }
});
