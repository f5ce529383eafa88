//! The file that `--json` writes and `compare` reads; `benches/README.md` documents it. A change that a reader of
//! earlier files would stumble over is a new [`VERSION`].

use serde::{Deserialize, Serialize};

use crate::cli::Failure;
use crate::cli::tuning::Found;

pub(super) const SCHEMA: &str = "fsvae-bench";
pub(super) const VERSION: u64 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) schema: String,
    pub(super) version: u64,
    /// Version of this crate.
    pub(super) fsvae: String,
    pub(super) model: Model,
    pub(super) machine: Machine,
    pub(super) options: Options,
    pub(super) operations: Operations,
    pub(super) results: Vec<Measured>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) sha256: String,
    /// Files from before there was another do not say.
    #[serde(default = "first_family")]
    pub(super) family: String,
}

fn first_family() -> String {
    "fsvae".into()
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) os: String,
    pub(super) cpu: String,
    pub(super) physical_cores: Option<usize>,
    pub(super) logical_cores: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Options {
    pub(super) quick: bool,
    pub(super) seed: u64,
    /// What was asked for; null if the batches were chosen while measuring.
    pub(super) batches: Option<Vec<usize>>,
    /// The least that a point takes.
    pub(super) point_seconds: f64,
    /// The most that warming up takes.
    pub(super) warm_up_seconds: f64,
}

/// Of generating an image, the mean over `images` of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Operations {
    pub(super) images: u64,
    pub(super) layers: Vec<Layer>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) additions: f64,
    pub(super) dense_multiply_adds: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    /// `CPU`, or the adapter in one phrase.
    pub(super) backend: String,
    /// Null on the CPU.
    pub(super) adapter: Option<Adapter>,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct Adapter {
    pub(super) name: String,
    /// `Vulkan`, `Metal`, `Dx12`, `Gl`
    pub(super) api: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) driver: String,
    /// Place on the PCI bus where it is known, vendor and device; missing in older files.
    #[serde(default)]
    pub(super) pci: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub(super) enum Outcome {
    /// All images that were looked at are right.
    Ok(Box<Scores>),
    /// An image is not the one it must be; nothing else of this backend counts.
    Wrong { reason: String },
    /// It could not be measured.
    Failed { reason: String },
    /// The program was told to end: what had been measured until then.
    Interrupted(Partial),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Scores {
    pub(super) verified: Verified,
    /// The CPU's instruction set; null on adapters.
    pub(super) instructions: Option<String>,
    /// Which variant of the kernels was chosen, and by what; null on the CPU.
    pub(super) calibration: Option<Found>,
    pub(super) cold_start_ns: u64,
    /// One image after the other.
    pub(super) latency_ns: Vec<u64>,
    pub(super) throughput: Vec<Point>,
    /// Null where the device has no timestamps.
    pub(super) kernels: Option<Kernels>,
    pub(super) peaks: Peaks,
}

/// As of [`Scores`], as far as one came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Partial {
    pub(super) verified: Verified,
    pub(super) cold_start_ns: u64,
    /// Empty if that was not done.
    pub(super) latency_ns: Vec<u64>,
    pub(super) throughput: Vec<Point>,
}

/// How many images were compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Verified {
    pub(super) with_oracle: usize,
    pub(super) with_cpu: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) batch: usize,
    /// A sample is the time of so many images: of as many batches as are in flight, for they may come together.
    pub(super) images_per_sample: usize,
    pub(super) samples_ns: Vec<u64>,
    /// Of all samples together; empty where nothing tells it.
    pub(super) energy: Vec<Energy>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Energy {
    pub(super) source: String,
    pub(super) joules: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kernels {
    pub(super) batch: usize,
    /// In the order in which they run.
    pub(super) dispatches: Vec<Dispatch>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Dispatch {
    pub(super) kernel: String,
    /// The layers it computes; empty if that is not known.
    pub(super) layers: Vec<String>,
    /// Of a whole batch, by the GPU's clock.
    pub(super) samples_ns: Vec<u64>,
}

/// Rates that were measured beside, a second.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Peaks {
    pub(super) additions: f64,
    pub(super) multiply_adds: f64,
    pub(super) bytes: f64,
    pub(super) device_clock: bool,
}

impl Measured {
    pub(super) fn scores(&self) -> Option<&Scores> {
        match &self.outcome {
            Outcome::Ok(scores) => Some(scores),
            _ => None,
        }
    }
}

impl Report {
    pub(super) fn to_json(&self) -> Result<Vec<u8>, Failure> {
        serde_json::to_vec_pretty(self).map_err(|error| Failure::stdout(error.into()))
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
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
