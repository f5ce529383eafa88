//! Writes the files that fuzzing starts from into `corpus/TARGET/`: `corpus DIRECTORY`.

use std::error::Error;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use fsvae::image::{DynamicImage, ImageFormat, RgbaImage};
use fsvae_fuzz::common::{self, RandomModel};
use half::{bf16, f16};
use safetensors::Dtype;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::args_os().nth(1).ok_or("expected a directory")?);
    let folder = |name: &str| -> std::io::Result<PathBuf> {
        let path = root.join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    };
    checkpoints(&folder("checkpoint")?)?;
    pictures(&folder("picture")?)
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
