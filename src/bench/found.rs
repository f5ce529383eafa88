//! Which variant of the kernels is the fastest, as it is written down.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::gpu::{Calibration, Gpu, Variant, calibrate, is_software};
use crate::network::Network;

/// Images of a batch that is timed: on a software adapter that takes seconds.
const BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);
const SOFTWARE_BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);

/// A calibration as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// Name of the fastest variant.
    pub best: String,
    /// Milliseconds of an image; null for a variant whose images were wrong.
    pub milliseconds: Vec<(String, Option<f64>)>,
    /// Images of the batches that were timed.
    pub batch: usize,
}

impl Found {
    /// Images of the batches that a calibration times on this adapter, unless there is no time for so many.
    pub fn usual_batch(info: &wgpu::AdapterInfo) -> NonZeroUsize {
        if is_software(info) { SOFTWARE_BATCH } else { BATCH }
    }

    /// Calibrates with batches of `batch` images.
    ///
    /// # Errors
    /// As [`calibrate`].
    pub async fn calibrate(gpu: &Gpu, network: &Network, batch: NonZeroUsize) -> Result<Self> {
        Ok(Found::new(&calibrate(gpu, network, batch).await?, batch.get()))
    }

    /// The fastest variant.
    pub fn variant(&self) -> Variant {
        self.best.parse().unwrap_or_default()
    }

    fn new(calibration: &Calibration, batch: usize) -> Self {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let times = calibration.times.iter();
        Found {
            best: calibration.best.to_string(),
            milliseconds: times
                .map(|&(variant, time)| (variant.to_string(), time.map(milliseconds)))
                .collect(),
            batch,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (ms an image at batch {}:", self.best, self.batch)?;
        for (i, (variant, time)) in self.milliseconds.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match time {
                Some(time) => write!(f, "{comma} {variant} {time:.2}")?,
                None => write!(f, "{comma} {variant} WRONG")?,
            }
        }
        f.write_str(")")
    }
}
