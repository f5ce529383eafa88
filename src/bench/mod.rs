//! How fast is a backend? First its images are compared with the oracle's and the CPU's, then it is timed, and what was
//! measured is told row by row. Nothing here needs a terminal: `fsvae bench` is a shell around it.
//!
//! ```no_run
//! use fsvae::bench::{Bench, Event, Place, Plan, digest};
//! use fsvae::{Checkpoint, Network};
//!
//! # async fn measure() -> Result<(), Box<dyn std::error::Error>> {
//! let checkpoint = Checkpoint::open("my.safetensors")?;
//! let network = Network::new(&checkpoint)?;
//! let mut bench = Bench::new(&network, &digest(checkpoint.as_bytes()), Plan::short(0));
//! let result = bench
//!     .measure(&Place::Cpu, &mut (), &mut |event| {
//!         if let Event::Measured { row, .. } = event {
//!             println!("{row:?}");
//!         }
//!     })
//!     .await;
//! println!("{:?}", result.scores());
//! # Ok(())
//! # }
//! ```

mod compare;
mod event;
mod found;
#[cfg(not(target_arch = "wasm32"))]
mod limits;
mod line;
mod measure;
mod place;
mod plan;
mod plausible;
mod reference;
mod run;
mod sampling;
pub mod schema;
mod statistics;
mod text;

pub use compare::{Compared, Comparison, Speed};
pub use event::{Event, Meter, Row, Step};
pub use found::{Found, FoundLayer};
pub use place::{Place, places};
pub use plan::Plan;
pub use reference::digest;
pub use statistics::{Summary, median};
pub use text::{columns, digits, one_line, si, time};

use crate::error::Result;
use crate::network::Network;
use crate::operations::generation;
use reference::{Reference, Unfit};
use schema::{Layer, Machine, Measured, Model, Operations, Outcome, Report};

/// Measures backends of one network, one after the other.
#[derive(Debug)]
pub struct Bench {
    network: Network,
    plan: Plan,
    reference: Reference,
}

impl Bench {
    /// Of a network and the [digest] of its checkpoint, by which it is known whether that is a bundled model.
    pub fn new(network: &Network, sha256: &str, plan: Plan) -> Self {
        let reference = Reference::new(network, sha256, plan.seed, plan.images);
        Bench { network: network.clone(), plan, reference }
    }

    /// The additions that the spikes of the first images of the seed cause, as a report has them.
    ///
    /// # Errors
    /// As [`generation`].
    pub fn operations(&self) -> Result<Operations> {
        let images = self.plan.images;
        let layers = generation(&self.network, self.plan.seed, 0..images)?.into_iter().map(|layer| Layer {
            name: layer.name,
            additions: layer.additions,
            changes: Some(layer.changes),
            dense_multiply_adds: layer.dense,
        });
        Ok(Operations { images, layers: layers.collect() })
    }

    /// A report without results yet.
    ///
    /// # Errors
    /// As [`generation`].
    pub fn report(&self, model: Model, machine: Machine) -> Result<Report> {
        Ok(Report {
            schema: schema::SCHEMA.into(),
            version: schema::VERSION,
            fsvae: env!("CARGO_PKG_VERSION").into(),
            model,
            machine,
            options: self.plan.options(),
            operations: self.operations()?,
            results: Vec::new(),
        })
    }

    /// How much is measured.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Measures a backend. The CPU goes first, where it is measured, too: should its images not be the oracle's, nothing is
    /// held against them from then on.
    pub async fn measure(
        &mut self,
        place: &Place,
        meter: &mut dyn Meter,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Measured {
        let scores = measure::scores(self, place, meter, tell).await;
        let outcome = match scores {
            Ok(scores) => Outcome::Ok(Box::new(scores)),
            Err(Unfit::Wrong(reason)) => Outcome::Wrong { reason },
            Err(Unfit::Failed(error)) => Outcome::Failed { reason: error.to_string() },
        };
        if matches!((place, &outcome), (Place::Cpu, Outcome::Wrong { .. })) {
            self.reference.distrust_cpu();
        }
        Measured { backend: place.name(), adapter: place.adapter(), outcome }
    }
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use pollster::block_on;

    use super::*;

    /// What becomes of the CPU, and how many rows were told.
    fn measured(plan: Plan, reference: impl FnOnce(Reference) -> Reference) -> (Measured, usize) {
        let checkpoint = crate::Checkpoint::bundled("mnist").expect("bundled").expect("valid");
        let network = Network::new(&checkpoint).expect("a network");
        let mut bench = Bench::new(&network, &digest(checkpoint.as_bytes()), plan);
        bench.reference = reference(bench.reference);
        let mut rows = 0;
        let measured = block_on(bench.measure(&Place::Cpu, &mut (), &mut |event| {
            rows += usize::from(matches!(event, Event::Measured { .. }));
        }));
        (measured, rows)
    }

    #[test]
    fn a_backend_that_is_right_is_scored() {
        let (measured, rows) = measured(Plan::hasty(), |reference| reference);
        assert!(measured.scores().is_some_and(|scores| scores.verified.with_oracle == 7), "{measured:?}");
        // First image, latency, two batches, limits.
        assert_eq!(rows, 5);
    }

    #[test]
    fn without_time_less_is_measured_and_that_is_said() {
        let budget = Some(std::time::Duration::ZERO);
        let (measured, rows) = measured(Plan { budget, ..Plan::hasty() }, |reference| reference);
        let scores = measured.scores().expect("right");
        assert_eq!(scores.throughput.iter().map(|point| point.batch).collect::<Vec<_>>(), [1]);
        assert_eq!(
            (scores.latency_ns.len(), &scores.left_out[..]),
            (1, &["batches of 16 and more".to_owned()][..])
        );
        // First image, latency, a batch, what is left out, limits.
        assert_eq!(rows, 5);
    }

    #[test]
    fn a_backend_that_is_wrong_is_never_scored() {
        let (measured, rows) = measured(Plan::hasty(), Reference::tampered);
        let json = serde_json::to_string(&measured).expect("JSON");
        let Outcome::Wrong { reason } = &measured.outcome else { panic!("scored: {json}") };
        assert!(reason.contains("has SHA-256"), "{reason}");
        assert!(json.contains("\"wrong\"") && !json.contains("_ns"), "{json}");
        assert_eq!(rows, 0);
    }
}
