//! `fsvae verify`.

use std::time::{Duration, Instant};

use fsvae::bench::Place;
use fsvae::bench::schema::Adapter;
use fsvae::verify::{Fault, Finding, Nature, Options, Report, Step, Verification, required_limits};
use fsvae::{Gpu, gpu};
use serde::Serialize;

use super::backend::check_adapter;
use super::bench::place::{Backends, places};
use super::report::{print, print_json};
use super::say::say;
use super::{Failure, crash};

/// All backends together, unless --minutes says otherwise. A round is always finished.
const DEFAULT: Duration = Duration::from_secs(20);
/// Between two lines that only say how far it is.
const QUIET: Duration = Duration::from_secs(5);
/// Images of each bundled model on a GPU; software adapters take those that the oracle knows.
const IMAGES: usize = 16;
const SOFTWARE_IMAGES: usize = 2;

const METHOD: &str = "\
Method: a round compares, in this order,
  1. every operation that the kernels use, each in a small kernel, over corners and a million random words,
  2. every kernel in all its variants with the same function on the CPU, on random layers up to the largest numbers
     that may occur,
  3. a random network of odd sizes and the bundled models, layer by layer: the first wrong layer is named, with the
     neuron, the time step and the words found and expected. The CPU is compared with known digests.
  Rounds are repeated for --minutes, with other random numbers each time. What is wrong is computed again twice:
  if it is wrong in the same way it is the software (a compiler, say), if not it is the hardware (heat, power, memory).
  On the CPU every instruction set is compared with portable code.
  The exit code is 1 if anything is wrong, 2 for an argument that cannot be used.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = METHOD)]
pub(super) struct Arguments {
    /// What to verify
    #[arg(long, value_enum, default_value_t = Backends::All)]
    backend: Backends,
    /// Only this adapter, by its number in `fsvae devices`, or those whose name or PCI address contains this text
    #[arg(long, value_name = "N|TEXT", value_parser = super::usage::some_text)]
    adapter: Option<String>,
    /// How long to go on, all backends together; one round of each is always finished [default: 20 seconds]
    #[arg(long, value_name = "N", value_parser = minutes)]
    minutes: Option<Duration>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn check(&self) -> Result<(), Failure> {
        check_adapter(self.backend == Backends::Cpu, self.adapter.as_deref())
    }
}

fn minutes(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number of minutes".to_owned())?;
    Duration::try_from_secs_f64(60.0 * number).map_err(|_| "expected a number of minutes, 0 or more".into())
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: u32,
    /// Version of this crate.
    fsvae: &'static str,
    right: bool,
    results: &'a [Verified],
}

impl<'a> Document<'a> {
    fn new(results: &'a [Verified], right: bool) -> Self {
        Document { schema: "fsvae-verify", version: 1, fsvae: env!("CARGO_PKG_VERSION"), right, results }
    }
}

/// One backend.
#[derive(Debug, Serialize)]
struct Verified {
    backend: String,
    /// Null on the CPU.
    adapter: Option<Adapter>,
    /// `right`, `wrong` or `failed`.
    status: &'static str,
    /// The line to paste.
    verdict: String,
    /// What the device said, if it failed.
    error: Option<String>,
    operations: usize,
    kernels: usize,
    models: usize,
    random_networks: usize,
    rounds: u32,
    seconds: f64,
    faults: Vec<FaultJson>,
}

#[derive(Debug, Serialize)]
struct FaultJson {
    name: String,
    /// `operation`, `numbers` or `digest`.
    kind: &'static str,
    /// `always` (software) or `now and then` (hardware).
    nature: &'static str,
    first_round: u32,
    rounds: u32,
    text: String,
    kernel: Option<&'static str>,
    variant: Option<&'static str>,
    model: Option<String>,
    layer: Option<String>,
    neuron: Option<usize>,
    step: Option<u32>,
    found: Option<u32>,
    expected: Option<u32>,
    /// A WGSL program that shows a wrong operation.
    program: Option<String>,
}

impl FaultJson {
    fn new(finding: &Finding) -> Self {
        let Finding { fault, nature, first_round, rounds, .. } = finding;
        let mut json = FaultJson {
            name: fault.name(),
            kind: "digest",
            nature: match nature {
                Nature::Always => "always",
                Nature::NowAndThen => "now and then",
            },
            first_round: *first_round,
            rounds: *rounds,
            text: fault.to_string(),
            kernel: None,
            variant: None,
            model: None,
            layer: None,
            neuron: None,
            step: None,
            found: None,
            expected: None,
            program: None,
        };
        let mut in_layer = |layer: &fsvae::verify::Layer| {
            (json.model, json.layer) = (Some(layer.model.clone()), Some(layer.layer.clone()));
        };
        match fault {
            Fault::Numbers(wrong) => {
                wrong.layer.iter().for_each(&mut in_layer);
                let difference = &wrong.difference;
                json.kind = "numbers";
                (json.kernel, json.variant) = (Some(wrong.kernel), wrong.variant);
                (json.neuron, json.step) = (Some(difference.channel), difference.step);
                (json.found, json.expected) = (Some(difference.found), Some(difference.expected));
            }
            Fault::Digest(wrong) => in_layer(&wrong.layer),
            Fault::Operation(wrong) => {
                json.kind = "operation";
                (json.found, json.expected) = (Some(wrong.found), Some(wrong.expected));
                json.program = Some(wrong.program.clone());
            }
            _ => {}
        }
        json
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let places = places(arguments.backend, arguments.adapter.as_deref())?;
    let share = arguments.minutes.unwrap_or(DEFAULT) / places.len().max(1) as u32;
    let mut results = Vec::new();
    for place in &places {
        let result = verify(place, share);
        if !arguments.json {
            print(&text(&result))?;
        }
        results.push(result);
        // A driver may end the program at any time: then not all is right.
        if let (true, Ok(json)) = (arguments.json, serde_json::to_vec_pretty(&Document::new(&results, false)))
        {
            crash::set_last_words([&json[..], b"\n"].concat());
        }
    }
    let conclusion = conclude(&results);
    if arguments.json {
        crash::forget_last_words();
        print_json(&Document::new(&results, conclusion.is_ok()))?;
    }
    conclusion
}

/// What the exit code says.
fn conclude(results: &[Verified]) -> Result<(), Failure> {
    let with = |status: &str| results.iter().filter(|result| result.status == status).count();
    let (wrong, failed) = (with("wrong"), with("failed"));
    if wrong + failed == 0 {
        return Ok(());
    }
    let all = results.len();
    Err(Failure::Partial(format!("of {all} backends, {wrong} wrong and {failed} failed")))
}

/// The verdict in a line, and below it what is wrong.
fn text(result: &Verified) -> String {
    let mut text = format!("{}\n", result.verdict);
    for FaultJson { text: fault, nature, first_round, rounds, program, .. } in &result.faults {
        text += &format!("    {fault}; {nature}, in {rounds} rounds from round {first_round} on\n");
        for line in program.iter().flat_map(|program| program.lines()) {
            text += &format!("        {line}\n");
        }
    }
    text
}

/// As many rounds as fit the time, and one at least.
fn verify(place: &Place, share: Duration) -> Verified {
    let start = Instant::now();
    let backend = place.name();
    say(format!("{backend}: verifying for {:.0} s or one round", share.as_secs_f64()));
    let mut verification = match open(place) {
        Ok(verification) => verification,
        Err(error) => return verified(place, None, start.elapsed(), Some(error)),
    };
    let mut said = start;
    let mut failed = None;
    while failed.is_none() && (verification.report().rounds == 0 || start.elapsed() < share) {
        match pollster::block_on(verification.next()) {
            Ok(Step { check, round, step, steps, faults, .. }) => {
                for Finding { fault, nature, .. } in &faults {
                    say(format!("{backend}: WRONG: {fault}; {nature}"));
                }
                if said.elapsed() >= QUIET {
                    said = Instant::now();
                    say(format!("{backend}: round {round}, {step} of {steps}: {check}"));
                }
            }
            Err(error) => failed = Some(error),
        }
    }
    verified(place, Some(&verification), start.elapsed(), failed)
}

fn open(place: &Place) -> fsvae::Result<Verification> {
    let Place::Gpu(adapter, _) = place else { return Ok(Verification::cpu(Options::default())) };
    let device = pollster::block_on(Gpu::request(adapter, &required_limits()?))?;
    let images = if gpu::is_software(device.info()) { SOFTWARE_IMAGES } else { IMAGES };
    Ok(Verification::new(&device, Options { images, ..Options::default() }))
}

fn verified(
    place: &Place,
    verification: Option<&Verification>,
    time: Duration,
    error: Option<fsvae::Error>,
) -> Verified {
    let (seconds, report) = (time.as_secs_f64(), verification.map(Verification::report));
    let findings = report.as_ref().map_or(&[][..], |report| &report.findings);
    let verdict = match (&report, &error) {
        (Some(report), None) => report.verdict(seconds),
        (_, error) => {
            let error = error.as_ref().map_or_else(String::new, ToString::to_string);
            format!("fsvae {} · {} · FAILED: {error}", env!("CARGO_PKG_VERSION"), place.name())
        }
    };
    let number = |of: fn(&Report) -> usize| report.as_ref().map_or(0, of);
    Verified {
        backend: place.name(),
        adapter: place.adapter(),
        status: match (&error, findings) {
            (_, [_, ..]) => "wrong",
            (Some(_), []) => "failed",
            (None, []) => "right",
        },
        verdict,
        error: error.map(|error| error.to_string()),
        operations: number(|report| report.operations),
        kernels: number(|report| report.kernels),
        models: number(|report| report.models),
        random_networks: number(|report| report.networks),
        rounds: report.as_ref().map_or(0, |report| report.rounds),
        seconds,
        faults: findings.iter().map(FaultJson::new).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(status: &'static str) -> Verified {
        let mut result = verified(&Place::Cpu, None, Duration::ZERO, None);
        result.status = status;
        result
    }

    #[test]
    fn what_is_wrong_is_exit_code_1() {
        assert!(conclude(&[result("right"), result("right")]).is_ok());
        for status in ["wrong", "failed"] {
            let failure = conclude(&[result("right"), result(status)]).expect_err("wrong");
            assert_eq!(failure.code(), 1);
            assert!(failure.to_string().starts_with("of 2 backends, "), "{failure}");
        }
    }

    #[test]
    fn a_program_is_printed_below_the_verdict() {
        let mut wrong = result("wrong");
        wrong.verdict = "VERDICT".into();
        wrong.faults.push(FaultJson {
            name: "add".into(),
            kind: "operation",
            nature: "always",
            first_round: 1,
            rounds: 2,
            text: "add: of 0x1, 0x2 found 0x4, expected 0x3 (7 wrong)".into(),
            kernel: None,
            variant: None,
            model: None,
            layer: None,
            neuron: None,
            step: None,
            found: Some(4),
            expected: Some(3),
            program: Some("fn f() {\n}\n".into()),
        });
        assert_eq!(
            text(&wrong),
            "VERDICT\n    add: of 0x1, 0x2 found 0x4, expected 0x3 (7 wrong); always, in 2 rounds from round 1 on\n\
             \x20       fn f() {\n        }\n"
        );
    }

    #[test]
    fn minutes_are_numbers() {
        assert_eq!(minutes("0.5"), Ok(Duration::from_secs(30)));
        for text in ["", "x", "-1", "NaN", "inf", "1e30"] {
            assert!(minutes(text).is_err(), "{text}");
        }
    }
}
