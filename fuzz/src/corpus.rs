//! Writes the files that fuzzing starts from into `corpus/TARGET/`: `corpus DIRECTORY`.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use fsvae::Latents;
use fsvae::image::{DynamicImage, ImageFormat, RgbaImage};
use fsvae_fuzz::common::torch::{Pickle, Pth};
use fsvae_fuzz::common::{self, RandomModel};
use fsvae_fuzz::{MODEL, SEPARATOR, TINY, doors, reports};
use half::{bf16, f16};
use libfuzzer_sys::fuzz_target;
use safetensors::tensor::{Dtype, TensorView};

// Brings in what counts the branches taken, for all that is linked here was compiled to call it.
fuzz_target!(|_bytes: &[u8]| {});

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::args_os().nth(1).ok_or("expected a directory")?);
    let folder = |name: &str| -> std::io::Result<PathBuf> {
        let path = root.join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    };
    arguments(&folder("arguments")?)?;
    checkpoints(&folder("checkpoint")?)?;
    comparisons(&folder("compare")?)?;
    latents(&folder("latents")?)?;
    pictures(&folder("picture")?)
}

/// Every option alone, all of a command together, and what is checked of paths.
fn arguments(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut lines = doors::command_lines();
    let words = |line: &str| -> Vec<String> { line.split(' ').map(Into::into).collect() };
    lines.extend(
        [
            "fsvae generate --seed 0xff --first 1_000 --count 3 --out a-{index:03}.png --digests --batch 2",
            "fsvae generate --first 18446744073709551615 --count 2 --animate {step}.gif --latents z.safetensors",
            "fsvae encode a.png b --input-format rgb24 --first 7 --out -",
            "fsvae decode - --backend cpu --adapter 1 --format png-stream --out %05d.jpg",
            "fsvae interpolate 3 z.safetensors --steps 9 --out {{x}}.apng --kernels auto --any-model",
            "fsvae reconstruct a.png --side-by-side --json --model x --out {index}/%%d.webp",
            "fsvae bench --batch 1,64 --quick --json a.json --plot a.svg --backend gpu",
            "fsvae bench compare a.json b.json --plot a.png",
            "fsvae verify --minutes 0.5 --adapter x --json",
        ]
        .map(words),
    );
    for (number, line) in lines.iter().enumerate() {
        // The program's own name is not among the bytes.
        fs::write(folder.join(number.to_string()), line[1..].join(&char::from(SEPARATOR).to_string()))?;
    }
    Ok(())
}

/// Each report alone, and all together.
fn comparisons(folder: &Path) -> Result<(), Box<dyn Error>> {
    let reports = reports();
    for (number, report) in reports.iter().enumerate() {
        fs::write(folder.join(number.to_string()), report)?;
    }
    fs::write(folder.join("all"), reports.join(&char::from(SEPARATOR).to_string()))?;
    Ok(())
}

/// One and more, with and without a word of the model that they are of.
fn latents(folder: &Path) -> Result<(), Box<dyn Error>> {
    let (steps, channels) = (TINY.architecture().time_steps, TINY.architecture().latent_channels);
    for count in [1, 5] {
        let spikes: Vec<u8> = (0..count * steps * channels).map(|at| u8::from(at % 3 == 0)).collect();
        let latents = Latents::from_spikes(steps, channels, &spikes)?;
        fs::write(folder.join(format!("{count}-of-the-model")), MODEL.latents_file(&latents))?;
        let z = TensorView::new(Dtype::U8, vec![count, steps, channels], &spikes)?;
        for (name, metadata) in [("anybodys", None), ("of-another", Some(("model_sha256", "5a")))] {
            let metadata = metadata.map(|(key, value)| HashMap::from([(key.into(), value.into())]));
            let bytes = safetensors::serialize([("z", z.clone())], metadata)?;
            fs::write(folder.join(format!("{count}-{name}")), bytes)?;
        }
    }
    Ok(())
}

fn checkpoints(folder: &Path) -> Result<(), Box<dyn Error>> {
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        let mut tensors = common::TINY.tensors();
        for tensor in tensors.0.values_mut().filter(|tensor| tensor.dtype == Dtype::F32) {
            let values =
                tensor.data.chunks(4).filter_map(|bytes| Some(f32::from_le_bytes(*bytes.first_chunk()?)));
            let data = match dtype {
                Dtype::F16 => values.flat_map(|value| f16::from_f32(value).to_le_bytes()).collect(),
                Dtype::BF16 => values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect(),
                _ => continue,
            };
            (tensor.dtype, tensor.data) = (dtype, data);
        }
        fs::write(folder.join(format!("{dtype:?}.safetensors")), tensors.bytes())?;
        fs::write(folder.join(format!("{dtype:?}.pth")), Pth::new(&tensors).bytes())?;
    }
    let rgb = RandomModel { layers: 1, channels: 3, ..common::TINY };
    fs::write(folder.join("rgb.safetensors"), rgb.bytes())?;
    let pth = Pth::new(&rgb.tensors());
    fs::write(folder.join("rgb.pth"), pth.bytes())?;
    let beside = pth.state_dict(Pickle::default().raw(b"}").text("args").namespace().raw(b"s").text("model"));
    fs::write(folder.join("settings.pth"), pth.bytes_with(&beside.raw(b"s.").0))?;
    let training = Pth { keys: vec!["model", "state_dict"], parameters: true, ..pth };
    fs::write(folder.join("training.pth"), training.bytes())?;
    Ok(())
}

/// Every format that is written, grey and in colour, with and without alpha, 8 and 16 bits deep.
fn pictures(folder: &Path) -> Result<(), Box<dyn Error>> {
    let picture = DynamicImage::from(RgbaImage::from_fn(8, 6, |x, y| {
        fsvae::image::Rgba([x as u8 * 30, y as u8 * 40, 255 - x as u8 * 20, 100 + x as u8 * 10])
    }));
    let kinds = [
        ("grey", DynamicImage::from(picture.to_luma8())),
        ("rgb", picture.to_rgb8().into()),
        ("rgba", picture.to_rgba8().into()),
        ("deep", picture.to_rgb16().into()),
    ];
    for format in ImageFormat::all().filter(ImageFormat::writing_enabled) {
        for (kind, picture) in &kinds {
            let mut bytes = Cursor::new(Vec::new());
            // Not every format takes every kind.
            if picture.write_to(&mut bytes, format).is_ok() {
                fs::write(folder.join(format!("{kind}-{format:?}")), bytes.into_inner())?;
            }
        }
    }
    Ok(())
}
