//! `--along` and `--amount`, the same for all commands that steer images.

use std::path::{Path, PathBuf};

use fsvae::{Architecture, Direction, Latents};

use super::maker::Maker;
use super::{Failure, rates_file};

/// The largest amount that the library takes, either way.
const LARGEST: f64 = 8_388_607.0;

#[derive(Debug, clap::Args)]
#[group(skip)] // many commands have several structs of this name
pub(super) struct Arguments {
    /// Move the latents along a direction of `fsvae direction`
    #[arg(long, value_name = "PATH")]
    along: Option<PathBuf>,
    /// How far: 1 is the whole direction, below 0 it is the other way; rounded to a 256th [default: 1]
    #[arg(long, value_name = "X", value_parser = amount, requires = "along")]
    amount: Option<f64>,
}

/// Where to go.
pub(super) struct Way {
    direction: Direction,
    amount: f64,
    seed: u64,
}

impl Arguments {
    /// The file that is read.
    pub(super) fn file(&self) -> Option<&Path> {
        self.along.as_deref()
    }

    /// The way, if there is one.
    pub(super) fn way(
        &self,
        architecture: &Architecture,
        maker: &Maker<'_>,
        seed: u64,
    ) -> Result<Option<Way>, Failure> {
        let Some(path) = &self.along else { return Ok(None) };
        let direction = rates_file::read_direction(path, architecture, maker)?;
        Ok(Some(Way { direction, amount: self.amount.unwrap_or(1.0), seed }))
    }
}

impl Way {
    /// Latents at its end; the first of them has index `first`.
    pub(super) fn go(&self, latents: &Latents, first: u64) -> fsvae::Result<Latents> {
        latents.along(&self.direction, self.amount, self.seed, first)
    }
}

fn amount(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    let number = number.filter(|number| number.abs() <= LARGEST);
    number.ok_or_else(|| format!("expected a number from -{LARGEST} to {LARGEST}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn amounts() {
        for (text, expected) in [("1.5", 1.5), ("-2", -2.0), ("0", 0.0), ("8388607", 8_388_607.0)] {
            assert_eq!(super::amount(text), Ok(expected));
        }
        for text in ["", "nan", "inf", "-inf", "8388608", "1,5", "x"] {
            let error = super::amount(text).expect_err(text);
            assert_eq!(error, "expected a number from -8388607 to 8388607");
        }
    }
}
