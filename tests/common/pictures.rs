//! Pictures as files, given to the command line.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Output;

use fsvae::image::{DynamicImage, ImageFormat, RgbImage};

use super::TINY;
use super::command::fsvae;

/// A directory with the tiny model.
pub fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("tiny.safetensors"), TINY.bytes()).expect("written");
    directory
}

/// Reconstructs on the CPU with the tiny model.
pub fn reconstruct(directory: &Path, arguments: &[&str]) -> Output {
    let mut program = fsvae(directory);
    program
        .args(["reconstruct", "--backend", "cpu", "--model", "tiny.safetensors", "--json"])
        .args(arguments);
    program.output().expect("it runs")
}

/// The files that were read, in their order.
pub fn files(output: &Output) -> Vec<String> {
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let file = |image: &serde_json::Value| image["file"].as_str().expect("a name").replace('\\', "/");
    json["images"].as_array().expect("images").iter().map(file).collect()
}

/// Noise, which no format makes much shorter, so that every part of a file holds pixels.
pub fn noise() -> DynamicImage {
    let mut state = 1_u32;
    RgbImage::from_fn(64, 64, |_, _| {
        fsvae::image::Rgb([0; 3].map(|_: u8| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }))
    })
    .into()
}

/// A file of a picture.
pub fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("encoded");
    bytes.into_inner()
}
