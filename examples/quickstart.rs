//! Loads a model, generates 64 images and saves them as a grid: `cargo run --release --example quickstart`.

use fsvae::{Checkpoint, Generator, Network};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A model that comes with the crate; `Network::open("my.safetensors")?` takes one of your own.
    let checkpoint = Checkpoint::bundled("mnist").ok_or("no such model")??;
    let network = Network::new(&checkpoint)?;

    let generator = Generator::new(&network); // the GPU, or the CPU where there is none
    let images = generator.generate(7, 0..64)?; // seed 7, the first 64 images

    images.to_grid().save("quickstart.png")?;
    println!("quickstart.png: {} images, made on {}", images.len(), generator.backend_name());
    Ok(())
}
