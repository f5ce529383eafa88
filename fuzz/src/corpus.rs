//! Writes the files that fuzzing starts from into `corpus/TARGET/`: `corpus DIRECTORY`.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use fsvae::image::{DynamicImage, ImageFormat, RgbaImage};
use fsvae_fuzz::TINY;
use fsvae_fuzz::common::{self, RandomModel};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// Elements that are kept of each list of a benchmark's record: samples say nothing new after a few.
const SAMPLES: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::args_os().nth(1).ok_or("expected a directory")?);
    let folder = |name: &str| -> std::io::Result<PathBuf> {
        let path = root.join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    };
    checkpoints(&folder("checkpoint")?)?;
    pictures(&folder("picture")?)?;
    latents(&folder("latents")?)?;
    arguments(&folder("arguments")?)?;
    records(&folder("compare")?)
}

fn checkpoints(folder: &Path) -> Result<(), Box<dyn Error>> {
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        let mut tensors = common::TINY.tensors();
        for tensor in tensors.0.values_mut().filter(|tensor| tensor.dtype == Dtype::F32) {
            let values = tensor.data.chunks(4).filter_map(|bytes| Some(f32::from_le_bytes(*bytes.first_chunk()?)));
            let data = match dtype {
                Dtype::F16 => values.flat_map(|value| f16::from_f32(value).to_le_bytes()).collect(),
                Dtype::BF16 => values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect(),
                _ => continue,
            };
            (tensor.dtype, tensor.data) = (dtype, data);
        }
        fs::write(folder.join(format!("{dtype:?}.safetensors")), tensors.bytes())?;
    }
    let rgb = RandomModel { layers: 1, channels: 3, ..common::TINY };
    fs::write(folder.join("rgb.safetensors"), rgb.bytes())?;
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

fn latents(folder: &Path) -> Result<(), Box<dyn Error>> {
    let (steps, channels) = (TINY.architecture().time_steps, TINY.architecture().latent_channels);
    for count in [1, 3] {
        let spikes: Vec<u8> = (0..count * steps * channels).map(|i| (i % 3 == 0).into()).collect();
        let view = TensorView::new(Dtype::U8, vec![count, steps, channels], &spikes)?;
        let metadata = HashMap::from([("format".into(), "fsvae latents".into()), ("model".into(), "tiny".into())]);
        let bytes = safetensors::serialize([("z", view)], Some(metadata))?;
        fs::write(folder.join(format!("{count}.safetensors")), bytes)?;
    }
    Ok(())
}

/// The commands of the documents, and some that are wrong.
fn arguments(folder: &Path) -> Result<(), Box<dyn Error>> {
    let lines = [
        "generate --model fashion --seed 7 --count 100 --out clothes.png",
        "generate --first 0x10 --count 50 --out digit-{index:06}.png",
        "generate --seed 18446744073709551616 --digests",
        "generate --count 16 --animate digits-{step}.png --latents z.safetensors",
        "generate --out - --format rgb24",
        "generate --out a-%05d.png",
        "generate --backend gpu --adapter 1 --batch 64 --kernels events",
        "reconstruct photos/ - --side-by-side --json",
        "encode photos/ --out z.safetensors",
        "decode z.safetensors --out -",
        "interpolate 3 drawing.png --steps 12 --out {}.gif",
        "info my-model.safetensors --json",
        "devices --calibrate --model cifar10",
        "bench --batch 1,64 --quick --json a.json --plot a.svg",
        "bench compare a.json b.json",
        "verify --minutes 0.5 --json",
        "completions bash",
    ];
    for (i, line) in lines.iter().enumerate() {
        fs::write(folder.join(i.to_string()), line.replace(' ', "\n"))?;
    }
    Ok(())
}

/// The records that the project keeps, with fewer samples.
fn records(folder: &Path) -> Result<(), Box<dyn Error>> {
    let records = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/record");
    for entry in fs::read_dir(records)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let mut value = serde_json::from_slice(&fs::read(&path)?)?;
            shorten(&mut value);
            fs::write(folder.join(path.file_name().ok_or("a name")?), serde_json::to_vec(&value)?)?;
        }
    }
    Ok(())
}

fn shorten(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Array(list) => {
            list.truncate(SAMPLES);
            list.iter_mut().for_each(shorten);
        }
        serde_json::Value::Object(map) => map.values_mut().for_each(shorten),
        _ => {}
    }
}
