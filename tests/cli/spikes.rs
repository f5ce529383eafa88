//! `fsvae spikes` and `fsvae info --kernels`: what they write is what the library gives, and it can be looked at.

use std::path::Path;

use crate::common::command::{assert_refused, fsvae, messages};
use crate::common::pictures::directory;
use crate::common::{RandomModel, TINY};
use fsvae::image::codecs::gif::GifDecoder;
use fsvae::image::{AnimationDecoder, DynamicImage};
use fsvae::{Generator, Job, LayerSpikes, Outputs};
use safetensors::SafeTensors;

const SEED: u64 = 9;
const INDEX: u64 = (1 << 32) + 1;

/// All layers that come by, from the latents on.
fn expected() -> Vec<LayerSpikes> {
    let network = TINY.network();
    let generator = Generator::builder(&network).cpu();
    let layers = network.architecture().layers().split_off(network.architecture().depth() + 1);
    let names = layers.into_iter().map(|layer| layer.name);
    let job = Job::prior(SEED, INDEX..=INDEX).expect("a range").giving(Outputs::spikes(names));
    generator.start(job).expect("a task").wait().expect("a part").spikes
}

fn spikes(directory: &Path, arguments: &[&str]) -> Vec<u8> {
    let (seed, index) = (SEED.to_string(), INDEX.to_string());
    let all = ["spikes", "tiny.safetensors", "--seed", &seed, "--index", &index];
    let output = fsvae(directory).args(all).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{:?}", messages(&output));
    output.stdout
}

fn picture(path: &Path) -> DynamicImage {
    fsvae::read_picture(&std::fs::read(path).expect("a file")).expect("a picture")
}

#[test]
fn numbers_are_the_librarys_with_axes() {
    let (directory, expected) = (directory(), expected());
    spikes(directory.path(), &["--out", "all.safetensors"]);
    let bytes = std::fs::read(directory.path().join("all.safetensors")).expect("a file");
    let on_stdout = spikes(directory.path(), &["--out", "-", "--backend", "cpu"]);
    assert!(on_stdout == bytes, "the same spikes are the same bytes");
    let file = SafeTensors::deserialize(&bytes).expect("a file");
    assert_eq!(file.len(), expected.len());
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
    let metadata = header.metadata().clone().expect("metadata");
    for (key, value) in
        [("axes", "time step, y, x, channel"), ("seed", "9"), ("index", "4294967297"), ("model", "tiny")]
    {
        assert_eq!(metadata[key], value, "{key}");
    }
    let mut fired = 0;
    for spikes in &expected {
        let (layer, steps) = (spikes.layer(), spikes.time_steps());
        let tensor = file.tensor(&layer.name).expect("the layer");
        assert_eq!(tensor.shape(), [steps, layer.side, layer.side, layer.channels], "{}", layer.name);
        for (at, &word) in spikes.words().iter().enumerate() {
            for step in 0..steps {
                let found = tensor.data()[step * layer.neurons() + at];
                assert_eq!(u32::from(found), word >> step & 1, "{} {at} at step {step}", layer.name);
                fired += u32::from(found);
            }
        }
    }
    assert!(fired > 0);
    // A layer by its name.
    spikes(directory.path(), &["--layer", "latent", "--layer", "latent", "--out", "one.safetensors"]);
    let one = std::fs::read(directory.path().join("one.safetensors")).expect("a file");
    assert_eq!(SafeTensors::deserialize(&one).expect("a file").names(), ["latent"]);
}

#[test]
fn pictures_show_when_neurons_fire() {
    let (directory, expected) = (directory(), expected());
    let latent = &expected[0];
    let (steps, neurons) = (latent.time_steps() as u32, latent.words().len() as u32);
    assert!(neurons < 128 && latent.count() > 0);
    spikes(directory.path(), &["--out", "raster.png"]);
    let raster = picture(&directory.path().join("raster.png")).to_luma8();
    assert_eq!((raster.width(), raster.height()), (4 * steps, 4 * neurons));
    for (at, word) in (0..).zip(latent.words()) {
        for step in 0..steps {
            let level = raster.get_pixel(4 * step + 1, 4 * at + 2).0[0];
            assert_eq!(level, if word >> step & 1 == 1 { 255 } else { 0 }, "neuron {at}, step {step}");
        }
    }
    // Maps: as many levels as a neuron may have spikes.
    let last = expected.last().expect("a layer");
    let name = &last.layer().name;
    spikes(directory.path(), &["--layer", name, "--show", "rates", "--out", "rates.png"]);
    let rates = picture(&directory.path().join("rates.png")).to_luma8();
    let brightest = last.words().iter().map(|word| word.count_ones()).max().expect("words");
    let level = (brightest * 510 + steps) / (2 * steps);
    assert_eq!(u32::from(rates.iter().copied().max().expect("pixels")).max(64), level.max(64));
    // One picture a time step, in one file or each in its own, of the same size.
    spikes(directory.path(), &["--layer", name, "--out", "film.gif"]);
    let bytes = std::fs::read(directory.path().join("film.gif")).expect("a file");
    let film = GifDecoder::new(std::io::Cursor::new(bytes)).expect("a GIF").into_frames();
    assert_eq!(film.count(), steps as usize);
    spikes(directory.path(), &["--layer", name, "--out", "{step}.png"]);
    let first = picture(&directory.path().join("0.png"));
    let end = picture(&directory.path().join(format!("{}.png", steps - 1)));
    assert_eq!((first.width(), first.height()), (end.width(), end.height()));
    assert!(first != end);
}

#[test]
fn what_cannot_be_is_refused() {
    let directory = directory();
    let files = ["tiny.safetensors"];
    for (arguments, parts) in [
        (
            &["--layer", "encoder.0", "--out", "a.png"][..],
            &["--layer", "encoder.0", "latent, decoder_input"][..],
        ),
        (&["--layer", "x", "--out", "a.safetensors"], &["expected one of", "found \"x\""]),
        (&["--layer", "latent", "--layer", "decoder_input", "--out", "a.png"], &["a.png", "one layer"]),
        (&["--layer", "", "--out", "a.safetensors"], &["expected one of", "found \"\""]),
        (&["--out", "a.txt"], &["a.txt: expected .safetensors for numbers, an image extension", "found txt"]),
        (&["--out", "a"], &["a: expected .safetensors for numbers, an image extension", "found none"]),
        (&["--out", "a."], &["a.: expected .safetensors for numbers, an image extension", "found none"]),
        (&["--show", "rates", "--out", "a.safetensors"], &["a.safetensors", "--show is for pictures"]),
        (&["--show", "raster", "--out", "a.gif"], &["a.gif", "--show is for pictures"]),
        (&["--out", "tiny.safetensors"], &["tiny.safetensors"]),
    ] {
        let all = [&["spikes", "tiny.safetensors"], arguments].concat();
        let output = fsvae(directory.path()).args(all).output().expect("it runs");
        assert_refused(&output, 2, parts, directory.path(), &files);
    }
}

/// 2,097,152 neurons over 32 time steps: more than 1 GiB, which is refused before anybody asks for it.
#[test]
fn a_picture_that_is_too_large_is_refused() {
    let directory = directory();
    let large = RandomModel { layers: 9, steps: 32, ..TINY };
    std::fs::write(directory.path().join("large.safetensors"), large.bytes()).expect("written");
    let arguments = ["spikes", "large.safetensors", "--layer", "final_layer.0", "--out", "a.png"];
    let output = fsvae(directory.path()).args(arguments).output().expect("it runs");
    let parts = ["a.png", "final_layer.0 is too large for pictures", ".safetensors"];
    assert_refused(&output, 2, &parts, directory.path(), &["large.safetensors", "tiny.safetensors"]);
}

#[test]
fn kernels_are_files_that_are_valid_alone() {
    let directory = directory();
    let arguments = ["info", "tiny.safetensors", "--kernels", "tiny.safetensors"];
    let output = fsvae(directory.path()).args(arguments).output().expect("it runs");
    let parts = ["tiny.safetensors", "expected a folder, found a file"];
    assert_refused(&output, 2, &parts, directory.path(), &["tiny.safetensors"]);
    let arguments = ["info", "tiny.safetensors", "--kernels", "kernels {x}/wgsl"];
    let output = fsvae(directory.path()).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{:?}", messages(&output));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory.path().join("kernels {x}/wgsl")).expect("a folder") {
        let path = entry.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let module = naga::front::wgsl::parse_str(&text).expect("WGSL");
        let mut validator = naga::valid::Validator::new(
            naga::valid::ValidationFlags::all(),
            naga::valid::Capabilities::empty(),
        );
        validator.validate(&module).expect("valid");
        let entry_point = module.entry_points[0].name.clone();
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert_eq!(stem.split('-').next(), Some(entry_point.as_str()));
        found.push(stem);
    }
    let kernels = fsvae::gpu::kernels(&TINY.network());
    let mut names: Vec<String> = kernels.into_iter().map(|kernel| kernel.name).collect();
    found.sort();
    names.sort();
    assert_eq!(found, names);
}
