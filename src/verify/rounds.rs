//! Everything once is a round; rounds follow each other for as long as the caller likes.

use super::fault::{Fault, Finding, Nature};
use super::kernels::{self, Part};
use super::networks::{Loaded, Trial};
use super::outcome::Outcome;
use super::random::Random;
use super::report::Report;
use super::{bundled, model_names, operations};
use crate::cpu::vectors::Processor;
use crate::error::Result;
use crate::gpu::{Gpu, Variant};

/// How often what was wrong is computed again, to see whether it is wrong in the same way.
const REPEATS: u32 = 2;

/// How much is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Of the random numbers; each round draws others.
    pub seed: u64,
    /// Random inputs of each operation, besides the corners.
    pub words: usize,
    /// Images of each bundled model, 2 at least: those that the oracle was asked about.
    pub images: usize,
}

impl Default for Options {
    /// Seed 7, 2^20 words, 8 images.
    fn default() -> Self {
        Options { seed: 7, words: 1 << 20, images: 8 }
    }
}

/// A step of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// What was compared, in a few words.
    pub check: String,
    /// The round, the first is 1.
    pub round: u32,
    /// Which step of the round it was, the first is 1.
    pub step: usize,
    /// Steps of a round.
    pub steps: usize,
    /// Faults that were not seen before.
    pub faults: Vec<Finding>,
}

/// Verifies a device, step by step.
#[derive(Debug)]
pub struct Verification {
    subject: Subject,
    options: Options,
    checks: Vec<Check>,
    /// Steps that were done.
    done: usize,
    /// Names of the bundled models.
    names: Vec<&'static str>,
    /// The bundled models, once they were loaded.
    models: Vec<Trained>,
    findings: Vec<Finding>,
}

#[derive(Debug)]
pub(super) enum Subject {
    Gpu(Box<Gpu>),
    /// Every instruction set there is, against the last, which is portable.
    Cpu(Vec<Processor>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Operations,
    Kernel(Part),
    /// A network that each round draws anew.
    Random,
    /// A bundled model.
    Trained(usize),
}

/// A bundled model with what it must give.
#[derive(Debug)]
struct Trained {
    trial: Trial,
    /// On the device, if it is one.
    loaded: Option<Loaded>,
}

/// Something wrong, and all that was computed with it, to compare with another time.
#[derive(Debug, PartialEq)]
pub(super) struct Sighting {
    pub(super) fault: Fault,
    found: Vec<u32>,
}

impl Verification {
    /// Of a GPU. Nothing is computed yet.
    pub fn new(gpu: &Gpu, options: Options) -> Self {
        let kernels = Part::ALL.map(Check::Kernel);
        Verification::of(
            Subject::Gpu(Box::new(gpu.clone())),
            options,
            &[&[Check::Operations], &kernels[..]].concat(),
        )
    }

    /// Of the CPU: every instruction set that it has against portable code, and that against the oracle.
    pub fn cpu(options: Options) -> Self {
        Verification::of(Subject::Cpu(Processor::all()), options, &Part::CPU.map(Check::Kernel))
    }

    pub(super) fn of(subject: Subject, options: Options, checks: &[Check]) -> Self {
        let options = Options { images: options.images.max(super::known::IMAGES), ..options };
        let names = model_names();
        let trained = (0..names.len()).map(Check::Trained);
        let checks = checks.iter().copied().chain([Check::Random]).chain(trained).collect();
        Verification { subject, options, checks, done: 0, names, models: Vec::new(), findings: Vec::new() }
    }

    /// Compares one more thing: an operation, a kernel or a network. Waits for nothing but the device.
    ///
    /// # Errors
    /// The device's: it cannot compile a kernel, is out of memory, was lost. What is computed wrong is no error.
    pub async fn next(&mut self) -> Result<Step> {
        let steps = self.checks.len();
        let (round, step) = ((self.done / steps) as u32, self.done % steps);
        let check = self.checks[step];
        let seen = self.sightings(check, round).await?;
        let mut natures = vec![Nature::Always; seen.len()];
        if seen.iter().any(|sighting| self.known(&sighting.fault).is_none()) {
            for _ in 0..REPEATS {
                let again = self.sightings(check, round).await?;
                for (sighting, nature) in seen.iter().zip(&mut natures) {
                    if !again.contains(sighting) {
                        *nature = Nature::NowAndThen;
                    }
                }
            }
        }
        let faults = self.note(check, round + 1, seen, natures);
        self.done += 1;
        Ok(Step { check: self.title(check), round: round + 1, step: step + 1, steps, faults })
    }

    /// What was verified so far.
    pub fn report(&self) -> Report {
        let (rounds, begun) = (self.done / self.checks.len(), self.done >= self.checks.len());
        let compared = if begun { &self.checks[..] } else { &self.checks[..self.done] };
        let count = |is: fn(&Check) -> bool| compared.iter().filter(|check| is(check)).count();
        let mut kernels: Vec<&str> = Vec::new();
        for check in compared {
            if let Check::Kernel(part) = check
                && !kernels.contains(&part.kernel().name)
            {
                kernels.push(part.kernel().name);
            }
        }
        let random = self.checks.iter().position(|check| *check == Check::Random).unwrap_or(0);
        Report {
            name: self.name(),
            operations: count(|check| *check == Check::Operations) * operations::names().len(),
            kernels: kernels.len(),
            models: count(|check| matches!(check, Check::Trained(_))),
            networks: rounds + usize::from(self.done % self.checks.len() > random),
            rounds: rounds as u32,
            findings: self.findings.clone(),
        }
    }

    /// The device with its driver, or the CPU with its instruction sets.
    pub fn name(&self) -> String {
        match &self.subject {
            Subject::Gpu(gpu) => {
                let info = gpu.info();
                let driver = format!("{} {}", info.driver, info.driver_info);
                let parts = [info.backend.to_string().to_ascii_lowercase(), driver.trim().into()];
                let parts: Vec<&str> =
                    parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
                format!("{} ({})", info.name.trim(), parts.join(", "))
            }
            Subject::Cpu(processors) => {
                let names: Vec<&str> = processors.iter().map(|processor| processor.name()).collect();
                format!("CPU ({})", names.join(", "))
            }
        }
    }

    fn title(&self, check: Check) -> String {
        match check {
            Check::Operations => format!("{} operations", operations::names().len()),
            Check::Kernel(part) => part.name().into(),
            Check::Random => "a random network".into(),
            Check::Trained(model) => self.names[model].into(),
        }
    }

    /// What is wrong with one thing in a round, which is always the same work.
    pub(super) async fn sightings(&mut self, check: Check, round: u32) -> Result<Vec<Sighting>> {
        let Options { seed, words, images } = self.options;
        let chains: Vec<Vec<Outcome>> = match (check, &self.subject) {
            (Check::Operations, Subject::Cpu(_)) => Vec::new(),
            (Check::Operations, Subject::Gpu(gpu)) => {
                let text = |operation, source| gpu.kernel_text(operation, source);
                let faults = operations::check(gpu, words, seed.wrapping_add(round.into()), &text).await?;
                let sighting = |fault| Sighting { fault: Fault::Operation(fault), found: Vec::new() };
                return Ok(faults.into_iter().map(sighting).collect());
            }
            (Check::Kernel(part), Subject::Gpu(gpu)) => kernels::on_gpu(gpu, part, seed, round).await?,
            (Check::Kernel(part), Subject::Cpu(processors)) => {
                let portable = processors[processors.len() - 1];
                processors.iter().map(|&one| kernels::on_cpu(one, portable, part, seed, round)).collect()
            }
            (Check::Random, subject) => {
                let network = Random::new(seed, u32::MAX, round).network();
                let what = format!("number {} of seed {seed}, {:?}", round + 1, network.architecture);
                let trial = Trial::new("a random network", what, network, 3, subject.reference());
                match subject {
                    Subject::Gpu(gpu) => {
                        let variant = Variant::ALL[(round as usize + 2) % Variant::ALL.len()];
                        trial.on_gpu(&trial.load(gpu, variant).await?).await?.into()
                    }
                    Subject::Cpu(processors) => all_processors(processors, &trial),
                }
            }
            (Check::Trained(model), subject) => {
                if self.models.is_empty() {
                    self.models = trained(subject, images).await?;
                }
                let Trained { trial, loaded } = &self.models[model];
                match (subject, loaded) {
                    (Subject::Cpu(processors), _) => all_processors(processors, trial),
                    (Subject::Gpu(_), Some(loaded)) => trial.on_gpu(loaded).await?.into(),
                    (Subject::Gpu(_), None) => Vec::new(),
                }
            }
        };
        // What follows from wrong numbers is wrong, too: only the first of a chain is told.
        let first = |chain: Vec<Outcome>| {
            chain
                .into_iter()
                .find_map(|outcome| Some(Sighting { fault: outcome.fault()?, found: outcome.found }))
        };
        Ok(chains.into_iter().filter_map(first).collect())
    }

    fn known(&self, fault: &Fault) -> Option<usize> {
        self.findings.iter().position(|finding| finding.fault.name() == fault.name())
    }

    /// Keeps what was seen; what is new comes back.
    fn note(&mut self, check: Check, round: u32, seen: Vec<Sighting>, natures: Vec<Nature>) -> Vec<Finding> {
        // The bundled models do the same work in every round.
        if let Check::Trained(model) = check {
            let name = self.names[model];
            let of_model = |fault: &Fault| match fault {
                Fault::Numbers(fault) => fault.layer.as_ref().is_some_and(|layer| layer.model == name),
                Fault::Digest(fault) => fault.layer.model == name,
                Fault::Operation(_) => false,
            };
            for finding in &mut self.findings {
                if of_model(&finding.fault) && !seen.iter().any(|sighting| sighting.fault == finding.fault) {
                    finding.nature = Nature::NowAndThen;
                }
            }
        }
        let mut new = Vec::new();
        for (Sighting { fault, .. }, nature) in seen.into_iter().zip(natures) {
            match self.known(&fault) {
                Some(at) => {
                    let finding = &mut self.findings[at];
                    finding.rounds += u32::from(finding.last_round != round);
                    finding.last_round = round;
                    if nature == Nature::NowAndThen {
                        finding.nature = nature;
                    }
                }
                None => {
                    // Right in the rounds before, with the same numbers.
                    let late = matches!(check, Check::Trained(_)) && round > 1;
                    let nature = if late { Nature::NowAndThen } else { nature };
                    let finding = Finding { fault, nature, first_round: round, last_round: round, rounds: 1 };
                    new.push(finding.clone());
                    self.findings.push(finding);
                }
            }
        }
        new
    }
}

impl Subject {
    /// What a network is held against.
    fn reference(&self) -> Processor {
        match self {
            Subject::Gpu(_) => Processor::get(),
            Subject::Cpu(processors) => processors[processors.len() - 1],
        }
    }
}

fn all_processors(processors: &[Processor], trial: &Trial) -> Vec<Vec<Outcome>> {
    processors.iter().flat_map(|&processor| trial.on_cpu(processor)).collect()
}

/// The bundled models; each runs another variant of the kernels.
async fn trained(subject: &Subject, images: usize) -> Result<Vec<Trained>> {
    let mut models = Vec::new();
    for (at, (name, network)) in bundled()?.into_iter().enumerate() {
        let trial = Trial::new(name, "trained".into(), network, images, subject.reference());
        let loaded = match subject {
            Subject::Gpu(gpu) => Some(trial.load(gpu, Variant::ALL[(at + 2) % Variant::ALL.len()]).await?),
            Subject::Cpu(_) => None,
        };
        models.push(Trained { trial, loaded });
    }
    Ok(models)
}
