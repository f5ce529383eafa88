//! A picture in any format to the pixels of a model.
#![no_main]

use fsvae_fuzz::TINY;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(picture) = fsvae::read_picture(bytes) {
        let architecture = TINY.architecture();
        assert_eq!(architecture.fit(&picture).len(), architecture.image_bytes());
    }
});
