//! What a verification found, for people.

use super::fault::{Finding, Nature};

/// What was verified so far, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The device with its driver, or the CPU with its instruction sets.
    pub name: String,
    /// Operations of the shading language that were compared.
    pub operations: usize,
    /// Kernels that were compared on random numbers, in all their variants; on the CPU layers, in all instruction sets.
    pub kernels: usize,
    /// Bundled models that were compared layer by layer.
    pub models: usize,
    /// Random networks that were compared layer by layer.
    pub networks: usize,
    /// Rounds that are done: each is everything once.
    pub rounds: u32,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Report {
    /// True if nothing is wrong.
    pub fn is_right(&self) -> bool {
        self.findings.is_empty()
    }

    /// One line to paste. `seconds` is how long it took.
    pub fn verdict(&self, seconds: f64) -> String {
        let Report { name, operations, kernels, models, networks, rounds, findings } = self;
        let counted = |count: usize, thing: &str| match count {
            0 => None,
            1 => Some(format!("1 {thing}")),
            _ => Some(format!("{count} {thing}s")),
        };
        let verified = [
            counted(*operations, "operation"),
            counted(*kernels, "kernel"),
            counted(*models, "model"),
            counted(*networks, "random network"),
            counted(*rounds as usize, "round"),
        ];
        let verified = verified.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let found = match &findings[..] {
            [] => "all right".into(),
            [Finding { fault, nature, .. }, rest @ ..] => {
                let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
                let nature = if rest.iter().any(|finding| finding.nature == Nature::NowAndThen) {
                    Nature::NowAndThen
                } else {
                    *nature
                };
                format!("WRONG: {}{more}, {nature}", fault.name())
            }
        };
        let version = env!("CARGO_PKG_VERSION");
        format!("fsvae {version} · {name} · verified: {verified} in {seconds:.0} s · {found}")
    }
}
