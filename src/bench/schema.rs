//! What `fsvae bench --json` writes; `benches/README.md` documents it. A change that a reader of earlier files would
//! stumble over is a new [`VERSION`].

use serde::{Deserialize, Serialize};

use super::found::Found;
use super::statistics::{Summary, median};
use super::text::si;

/// What a file says that it is.
pub const SCHEMA: &str = "fsvae-bench";
/// Files of another version are refused.
pub const VERSION: u64 = 1;

/// A whole measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`]
    pub schema: String,
    /// [`VERSION`]
    pub version: u64,
    /// Version of this crate.
    pub fsvae: String,
    /// What made the images.
    pub model: Model,
    /// Where.
    pub machine: Machine,
    /// How long and how much was measured.
    pub options: Options,
    /// The work of an image.
    pub operations: Operations,
    /// One for each backend.
    pub results: Vec<Measured>,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// For people.
    pub name: String,
    /// Of the file, in hexadecimal.
    pub sha256: String,
    /// `fsvae` or `esvae`. Files from before there was another do not say.
    #[serde(default = "first_family")]
    pub family: String,
}

fn first_family() -> String {
    "fsvae".into()
}

/// A computer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The operating system, or the browser.
    pub os: String,
    /// The processor's name.
    pub cpu: String,
    /// Null where that is not known.
    pub physical_cores: Option<usize>,
    /// Threads that it runs at once.
    pub logical_cores: usize,
}

/// How much was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Options {
    /// It shows that all works, not how fast it is.
    pub quick: bool,
    /// Of the images.
    pub seed: u64,
    /// What was asked for; null if the batches were chosen while measuring.
    pub batches: Option<Vec<usize>>,
    /// The least that a point takes.
    pub point_seconds: f64,
    /// The most that warming up takes.
    pub warm_up_seconds: f64,
    /// What a backend should take in all; null if it takes what it takes. Missing in older files.
    #[serde(default)]
    pub budget_seconds: Option<f64>,
}

/// Of generating an image, the mean over `images` of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Operations {
    /// Those that were counted.
    pub images: u64,
    /// In the order of the data flow.
    pub layers: Vec<Layer>,
}

/// The work of one layer for an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layer {
    /// Its name in the checkpoint.
    pub name: String,
    /// For its spikes.
    pub additions: f64,
    /// For what changes from one time step to the next. Older files do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<f64>,
    /// If all its inputs were computed with.
    pub dense_multiply_adds: u64,
}

/// What became of a backend.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// `CPU`, or the adapter in one phrase.
    pub backend: String,
    /// Null on the CPU.
    pub adapter: Option<Adapter>,
    /// Whether it counts, and for what.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A GPU as its driver shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    /// The driver's name of it.
    pub name: String,
    /// `vulkan`, `metal`, `dx12`, `gl`
    pub api: String,
    /// `DiscreteGpu`, `IntegratedGpu`, `Cpu`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// And its version.
    pub driver: String,
    /// Place on the PCI bus where it is known, vendor and device; missing in older files.
    #[serde(default)]
    pub pci: Option<String>,
}

/// Whether a backend counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Outcome {
    /// All images that were looked at are right.
    Ok(Box<Scores>),
    /// An image is not the one it must be; nothing else of this backend counts.
    Wrong {
        /// Which image.
        reason: String,
    },
    /// It could not be measured.
    Failed {
        /// The error.
        reason: String,
    },
    /// The program was told to end: what had been measured until then.
    Interrupted(Partial),
}

/// What was measured of a backend whose images are right. Times are in nanoseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scores {
    /// Images that were compared.
    pub verified: Verified,
    /// The CPU's instruction set; null on adapters.
    pub instructions: Option<String>,
    /// Which variants of the kernels were chosen, and by what; null on the CPU.
    pub calibration: Option<Found>,
    /// From opening the device to the first image.
    pub cold_start_ns: u64,
    /// One image after the other.
    pub latency_ns: Vec<u64>,
    /// Batches of images.
    pub throughput: Vec<Point>,
    /// Null where the device has no timestamps.
    pub kernels: Option<Kernels>,
    /// Null in browsers.
    pub peaks: Option<Peaks>,
    /// What there was no time for. Missing in older files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// As of [`Scores`], as far as one came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Partial {
    /// Images that were compared.
    pub verified: Verified,
    /// From opening the device to the first image.
    pub cold_start_ns: u64,
    /// Empty if that was not done.
    pub latency_ns: Vec<u64>,
    /// Those batches that were done.
    pub throughput: Vec<Point>,
}

/// How many images were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// With what the oracle says of a bundled model.
    pub with_oracle: usize,
    /// With the CPU's.
    pub with_cpu: usize,
}

/// Batches of one size, one after the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// Images of a batch.
    pub batch: usize,
    /// A sample is the time of so many images: of as many batches as are in flight, for they may come together.
    pub images_per_sample: usize,
    /// How long each sample took.
    pub samples_ns: Vec<u64>,
    /// Of all samples together; empty where nothing tells it.
    pub energy: Vec<Energy>,
}

/// What a counter counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// The counter.
    pub source: String,
    /// All that runs beside included.
    pub joules: f64,
}

/// Times of kernels, by the GPU's clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kernels {
    /// Images of a batch.
    pub batch: usize,
    /// In the order in which they run.
    pub dispatches: Vec<Dispatch>,
}

/// One kernel's part of a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dispatch {
    /// As its file in `shaders/` is called.
    pub kernel: String,
    /// The layers it computes; empty if that is not known.
    pub layers: Vec<String>,
    /// Of a whole batch, by the GPU's clock.
    pub samples_ns: Vec<u64>,
}

/// Rates that were measured beside, a second.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Peaks {
    /// 32-bit integer additions.
    pub additions: f64,
    /// 32-bit integer multiply-adds.
    pub multiply_adds: f64,
    /// Read plus written.
    pub bytes: f64,
    /// True if the GPU's clock was read, false for wall time.
    pub device_clock: bool,
}

impl Point {
    /// By the median of the samples; `None` if none took any time.
    pub fn images_per_second(&self) -> Option<f64> {
        let rate = 1e9 * self.images_per_sample as f64 / median(&self.samples_ns);
        (rate.is_finite() && rate > 0.0).then_some(rate)
    }

    /// Images a second in three digits; - if that is not known.
    pub fn rate(&self) -> String {
        self.images_per_second().map_or_else(|| "-".into(), si)
    }

    /// The rates that go with the slower and the faster quarter of the samples.
    pub fn spread(&self) -> String {
        let images = 1e9 * self.images_per_sample as f64;
        let both = |summary: Summary| format!("{} to {}", si(images / summary.p75), si(images / summary.p25));
        Summary::of(&self.samples_ns).map_or_else(String::new, both)
    }

    /// The point of most images a second.
    pub fn best(points: &[Point]) -> Option<(&Point, f64)> {
        let rated = points.iter().filter_map(|point| Some((point, point.images_per_second()?)));
        rated.max_by(|(_, a), (_, b)| a.total_cmp(b))
    }
}

impl Operations {
    /// Additions of an image, of all layers.
    pub fn additions(&self) -> f64 {
        self.layers.iter().map(|layer| layer.additions).sum()
    }

    /// What a rate is held against: in each layer the additions for its spikes, or, if they are fewer, those for what
    /// changes. Of the prior's last layer all neurons are counted, drawn or not.
    pub fn least_additions(&self) -> f64 {
        let least = |layer: &Layer| layer.changes.map_or(layer.additions, |least| least.min(layer.additions));
        self.layers.iter().map(least).sum()
    }
}

impl Measured {
    /// What counts of it, if anything does.
    pub fn scores(&self) -> Option<&Scores> {
        match &self.outcome {
            Outcome::Ok(scores) => Some(scores),
            _ => None,
        }
    }
}

impl Report {
    /// The file.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_json(&self) -> std::io::Result<Vec<u8>> {
        Ok(serde_json::to_vec_pretty(self)?)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// What was expected and what was found, in one line.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let expected = "expected a file of `fsvae bench --json`";
        let value: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| format!("{expected}, found no JSON: {error}"))?;
        if value["schema"] != SCHEMA {
            return Err(format!(
                "{expected} (\"schema\": \"{SCHEMA}\"), found \"schema\": {}",
                value["schema"]
            ));
        }
        if value["version"] != VERSION {
            return Err(format!("expected version {VERSION} of its schema, found {}", value["version"]));
        }
        serde_json::from_value(value).map_err(|error| format!("{expected}, found {error}"))
    }
}
