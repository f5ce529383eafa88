//! Which variants of the kernels are the fastest, as it is written down.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::gpu::{Calibration, Gpu, Variant, Variants, calibrate, is_software};
use crate::network::Network;

/// Images of a batch that is timed: on a software adapter that takes seconds.
const BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);
const SOFTWARE_BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);

/// A calibration as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// Name of the variant that is fastest in batches, if all layers run the same. It is what all but the sampler and the
    /// decoder runs.
    pub best: String,
    /// Milliseconds of an image of a batch; null for a variant whose images were wrong.
    pub milliseconds: Vec<(String, Option<f64>)>,
    /// Images of the batches that were timed.
    pub batch: usize,
    /// Milliseconds of an image alone. Older reports have none.
    #[serde(default)]
    pub single_milliseconds: Vec<(String, Option<f64>)>,
    /// What the sampler and each layer of the decoder run. Older reports have none, or no sampler.
    #[serde(default)]
    pub layers: Vec<FoundLayer>,
    /// Milliseconds of an image of a batch and of one alone with the fastest variant of each layer, where that was tried. It
    /// is taken for batches of a size where it is notably faster.
    #[serde(default)]
    pub mixed_milliseconds: Option<[f64; 2]>,
}

/// What a layer of the decoder runs, or the sampler.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FoundLayer {
    /// Its name in checkpoints; `sampler` for what draws latents.
    pub layer: String,
    /// Name of its variant in batches of more than four images.
    pub batch: String,
    /// And in smaller ones.
    pub single: String,
    /// Variants that are right, with the layer's milliseconds of an image of a batch and of one alone, by the device's
    /// clock. Nothing where it has none.
    pub milliseconds: Vec<(String, f64, f64)>,
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

    /// The fastest variants.
    pub fn variants(&self) -> Variants {
        let read = |name: &str| name.parse::<Variant>().unwrap_or_default();
        let all = Variants::from(read(&self.best));
        let (samplers, layers): (Vec<_>, Vec<_>) = self.layers.iter().partition(|layer| layer.is_sampler());
        let all = samplers.iter().fold(all, |variants, sampler| {
            variants.with_sampler(1, read(&sampler.single)).with_sampler(usize::MAX, read(&sampler.batch))
        });
        layers.iter().enumerate().fold(all, |variants, (at, layer)| {
            variants.with(at, 1, read(&layer.single)).with(at, usize::MAX, read(&layer.batch))
        })
    }

    fn new(calibration: &Calibration, batch: usize) -> Self {
        let Calibration { best, times, layers, mixed } = calibration;
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        // The first is the sampler.
        let runs = |at: usize, images| match at.checked_sub(1) {
            Some(layer) => best.decoder(layer, images).to_string(),
            None => best.sampler(images).to_string(),
        };
        let layer = |(at, layer): (usize, &crate::gpu::LayerTimes)| FoundLayer {
            layer: layer.layer.clone(),
            batch: runs(at, usize::MAX),
            single: runs(at, 1),
            milliseconds: (layer.times.iter())
                .map(|(variant, times)| {
                    (variant.to_string(), milliseconds(times.batch), milliseconds(times.single))
                })
                .collect(),
        };
        let all = |of: fn(&crate::gpu::Times) -> Duration| {
            let time = |times: &Option<crate::gpu::Times>| times.as_ref().map(of).map(milliseconds);
            times.iter().map(|(variant, times)| (variant.to_string(), time(times))).collect()
        };
        Found {
            best: best.rest().to_string(),
            milliseconds: all(|times| times.batch),
            batch,
            single_milliseconds: all(|times| times.single),
            layers: layers.iter().enumerate().map(layer).collect(),
            mixed_milliseconds: mixed.map(|times| [milliseconds(times.batch), milliseconds(times.single)]),
        }
    }

    /// What runs: a variant, one for each size of batches, or `mixed` where layers differ.
    fn runs(&self) -> String {
        let Some(first) = self.layers.first() else { return self.best.clone() };
        let alike =
            self.layers.iter().all(|layer| layer.batch == first.batch && layer.single == first.single);
        if alike { first.runs() } else { "mixed".into() }
    }

    /// A line for the sampler and each layer of the decoder: what it runs, and why; in front of them one that says what the numbers are.
    pub fn layer_lines(&self) -> Vec<String> {
        let line = |layer: &FoundLayer| {
            let times = layer.milliseconds.iter();
            let times = times.map(|(variant, batch, single)| format!("{variant} {batch:.3} {single:.3}"));
            let times = times.collect::<Vec<_>>().join(", ");
            let why = if times.is_empty() { times } else { format!(" ({times})") };
            format!("{:<20}{}{why}", layer.layer, layer.runs())
        };
        let timed = self.layers.iter().any(|layer| !layer.milliseconds.is_empty());
        let title =
            format!("{:<20}{}", "layer", "runs (ms an image by the device's clock, in a batch and alone)");
        timed.then_some(title).into_iter().chain(self.layers.iter().map(line)).collect()
    }
}

impl FoundLayer {
    fn is_sampler(&self) -> bool {
        self.layer == Calibration::SAMPLER
    }

    fn runs(&self) -> String {
        let FoundLayer { batch, single, .. } = self;
        if batch == single { batch.clone() } else { format!("{batch}, {single} up to 4 images") }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [mixed, mixed_single] = match self.mixed_milliseconds {
            Some(times) => times.map(|time| Some(("layers' best".into(), Some(time)))),
            None => [None, None],
        };
        write!(f, "{} (ms an image at batch {}: ", self.runs(), self.batch)?;
        list(f, self.milliseconds.iter().chain(&mixed))?;
        if !self.single_milliseconds.is_empty() {
            f.write_str("; alone: ")?;
            list(f, self.single_milliseconds.iter().chain(&mixed_single))?;
        }
        f.write_str(")")
    }
}

fn list<'a>(
    f: &mut fmt::Formatter<'_>,
    times: impl Iterator<Item = &'a (String, Option<f64>)>,
) -> fmt::Result {
    for (i, (variant, time)) in times.enumerate() {
        let comma = if i > 0 { ", " } else { "" };
        match time {
            Some(time) => write!(f, "{comma}{variant} {time:.2}")?,
            None => write!(f, "{comma}{variant} WRONG")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As reports and caches have it that are older than variants of layers.
    #[test]
    fn older_calibrations_are_read() {
        let old = r#"{ "best": "quads", "milliseconds": [["dense", null], ["quads", 1.5]], "batch": 16 }"#;
        let found: Found = serde_json::from_str(old).expect("a calibration");
        assert_eq!(found.variants(), Variant::Quads.into());
        assert_eq!(found.to_string(), "quads (ms an image at batch 16: dense WRONG, quads 1.50)");
    }

    #[test]
    fn what_was_found_is_read_again() {
        let times = |single, batch| crate::gpu::Times {
            single: Duration::from_micros(single),
            batch: Duration::from_micros(batch),
        };
        let layer = |layer: &str, times| crate::gpu::LayerTimes { layer: layer.into(), times };
        let best = Variants::from(Variant::Events).with(1, 1, Variant::Dense).with(1, 64, Variant::Quads);
        let best = best.with_sampler(1, Variant::Shared);
        let calibration = Calibration {
            best,
            times: vec![(Variant::Dense, None), (Variant::Events, Some(times(2500, 1250)))],
            layers: vec![
                layer("sampler", Vec::new()),
                layer("decoder_input", Vec::new()),
                layer("decoder.0", vec![(Variant::Events, times(1000, 500))]),
            ],
            mixed: Some(times(2000, 1000)),
        };
        let written = serde_json::to_string(&Found::new(&calibration, 64)).expect("JSON");
        let found: Found = serde_json::from_str(&written).expect("a calibration");
        assert_eq!(found.variants(), best);
        let line = "mixed (ms an image at batch 64: dense WRONG, events 1.25, layers' best 1.00; alone: dense WRONG, events 2.50, layers' best 2.00)";
        assert_eq!(found.to_string(), line);
        let title = "layer               runs (ms an image by the device's clock, in a batch and alone)";
        let events = "decoder_input       events";
        let quads = "decoder.0           quads, dense up to 4 images";
        let sampler = "sampler             events, shared up to 4 images";
        assert_eq!(found.layer_lines(), [title, sampler, events, &format!("{quads} (events 0.500 1.000)")]);
        let mut alike = found.clone();
        alike.layers.drain(..2);
        assert!(alike.to_string().starts_with("quads, dense up to 4 images (ms"), "{alike}");
        // Without a clock there are no numbers to explain.
        alike.layers[0].milliseconds.clear();
        assert_eq!(alike.layer_lines(), [quads]);
    }
}
