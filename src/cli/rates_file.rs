//! Rates and directions as safetensors files: `rates`, u16 `[n, C]`, and `direction`, i32 `[C]`, both of 65,536.

use std::path::Path;

use fsvae::{Architecture, Direction, Rates};
use safetensors::tensor::Dtype;

use super::Failure;
use super::input::read_file;
use super::maker::Maker;
use super::model::Identity;
use super::output::Target;
use super::tensors::{self, Kind};

const RATES: Kind = Kind { tensor: "rates", dtype: Dtype::U16, what: "rates" };
const DIRECTION: Kind = Kind { tensor: "direction", dtype: Dtype::I32, what: "direction" };

pub(super) fn write(target: Target, rates: &Rates, model: &Identity) -> Result<(), Failure> {
    let bytes: Vec<u8> = rates.as_slice().iter().flat_map(|rate| rate.to_le_bytes()).collect();
    RATES.write(target, vec![rates.len(), rates.channels()], &bytes, model)
}

pub(super) fn write_direction(
    target: Target,
    direction: &Direction,
    model: &Identity,
) -> Result<(), Failure> {
    let bytes: Vec<u8> = direction.as_slice().iter().flat_map(|number| number.to_le_bytes()).collect();
    DIRECTION.write(target, vec![direction.channels()], &bytes, model)
}

/// Whether a safetensors file holds rates.
pub(super) fn holds_rates(bytes: &[u8]) -> bool {
    tensors::has(bytes, RATES.tensor)
}

/// Reads rates of the network's C.
pub(super) fn read(path: &Path, architecture: &Architecture, maker: &Maker<'_>) -> Result<Rates, Failure> {
    parse(path, &read_file(path)?, architecture, maker)
}

/// [`read`] of the bytes of a file.
pub(super) fn parse(
    path: &Path,
    bytes: &[u8],
    architecture: &Architecture,
    maker: &Maker<'_>,
) -> Result<Rates, Failure> {
    let channels = architecture.latent_channels;
    let file = RATES.parse(path, bytes)?;
    if !matches!(file.shape[..], [_, found] if found == channels) {
        return Err(RATES.shape(path, &format!("[n, {channels}], the model's C"), &file.shape));
    }
    let rates = file.data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let rates = Rates::new(channels, rates).map_err(|error| RATES.value(path, &error))?;
    maker.check(path, "rates", &file.metadata)?;
    Ok(rates)
}

/// Reads a direction of the network's C.
pub(super) fn read_direction(
    path: &Path,
    architecture: &Architecture,
    maker: &Maker<'_>,
) -> Result<Direction, Failure> {
    let (bytes, channels) = (read_file(path)?, architecture.latent_channels);
    let file = DIRECTION.parse(path, &bytes)?;
    if file.shape != [channels] {
        return Err(DIRECTION.shape(path, &format!("[{channels}], the model's C"), &file.shape));
    }
    let number = |four: &[u8]| i32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    let direction = Direction::new(file.data.chunks_exact(4).map(number).collect());
    let direction = direction.map_err(|error| DIRECTION.value(path, &error))?;
    maker.check(path, "a direction", &file.metadata)?;
    Ok(direction)
}
