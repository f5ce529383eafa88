//! The oracle's rows, of models that are bundled or have random weights.

use fsvae::{Latents, Network};

use super::models::network;
use super::{digest, input};

/// One row: a model (bundled, or the position of a random one), what to do, seed, index, digest of the
/// pixels, and of a reconstruction's latent spikes.
pub struct Row {
    pub model: &'static str,
    pub task: &'static str,
    pub seed: u64,
    pub index: u64,
    pub digest: &'static str,
    pub latents: Option<&'static str>,
}

/// All of them, those of a model together.
pub fn rows() -> Vec<Row> {
    let parse = |line: &'static str| {
        let mut fields = line.split(' ');
        let mut field = || fields.next().expect("a field");
        let (model, task) = (field(), field());
        let (seed, index) = (field().parse().expect("a seed"), field().parse().expect("an index"));
        Row { model, task, seed, index, digest: field(), latents: fields.next() }
    };
    include_str!("../conformance.rows").lines().map(parse).collect()
}

/// Each model with its rows.
pub fn models() -> Vec<(&'static str, Network, Vec<Row>)> {
    let mut models: Vec<(&str, Network, Vec<Row>)> = Vec::new();
    for row in rows() {
        if models.last().is_none_or(|(name, ..)| *name != row.model) {
            models.push((row.model, network(row.model), Vec::new()));
        }
        models.last_mut().expect("just pushed").2.push(row);
    }
    models
}

/// Rows that one job makes: of one kind and seed, with indices that follow each other.
pub fn runs<'r>(rows: &[&'r Row]) -> Vec<Vec<&'r Row>> {
    let mut runs: Vec<Vec<&Row>> = Vec::new();
    for &row in rows {
        let follows = |last: &&Row| {
            last.is_generated() == row.is_generated()
                && last.seed == row.seed
                && last.index.checked_add(1) == Some(row.index)
        };
        match runs.last_mut().filter(|run| run.last().is_some_and(follows)) {
            Some(run) => run.push(row),
            None => runs.push(vec![row]),
        }
    }
    runs
}

impl Row {
    pub fn is_generated(&self) -> bool {
        self.task == "generate"
    }

    /// What a reconstruction starts from.
    pub fn input(&self, network: &Network) -> Vec<u8> {
        input(self.task.strip_prefix("reconstruct:").expect("a reconstruction"), network)
    }

    pub fn check(&self, images: &[u8], latents: Option<&Latents>, way: &str) {
        let Row { model, task, seed, index, digest: expected, latents: z } = self;
        let row = format!("{way}: model {model}, {task}, seed {seed}, index {index}");
        assert_eq!(&digest(images), expected, "{row}");
        if let (Some(z), Some(latents)) = (z, latents) {
            assert_eq!(&digest(&latents.to_spikes()), z, "latents of {row}");
        }
    }
}

/// The inputs of a run, one after the other; none of the prior.
pub fn inputs(run: &[&Row], network: &Network) -> Vec<u8> {
    run.iter().filter(|row| !row.is_generated()).flat_map(|row| row.input(network)).collect()
}
