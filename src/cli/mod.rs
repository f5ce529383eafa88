//! The command line: arguments in, exit code out.
//!
//! Results go to standard output, everything else to standard error. Exit code 2 means that an
//! argument or an input was unusable, 1 that something else failed.

mod animation;
mod backend;
mod bench;
mod decode;
mod devices;
mod encode;
mod generate;
mod info;
mod input;
mod interpolate;
mod kernel_cache;
mod latents_file;
mod model;
mod output;
mod reconstruct;
mod report;
mod say;
mod tuning;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Generate images: 64 digits in fsvae.png unless told otherwise
    Generate(generate::Arguments),
    /// Encode images and decode them again; prints the mean squared error
    Reconstruct(reconstruct::Arguments),
    /// Encode images into latent spike trains
    Encode(encode::Arguments),
    /// Decode latent spike trains into images
    Decode(decode::Arguments),
    /// Go from one image to another through the latent space
    Interpolate(interpolate::Arguments),
    /// Show a checkpoint's architecture, sizes and rounding
    Info(info::Arguments),
    /// List the GPU adapters and which one is used
    Devices(devices::Arguments),
    /// Measure the CPU and every adapter, after comparing their images
    Bench(Box<bench::Arguments>),
    /// Check whether the CPU and every adapter compute right; prints a verdict in one line each
    Verify(verify::Arguments),
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Library(#[from] fsvae::Error),
    /// An argument or input that cannot be used.
    #[error("{0}")]
    Input(String),
    #[error("{place}: {source}")]
    Write { place: String, source: std::io::Error },
    #[error("{place}: {source}")]
    Encode { place: String, source: fsvae::image::ImageError },
    /// Some of the inputs could not be used; the rest is done.
    #[error("{0}")]
    Partial(String),
    /// The reader of standard output has seen enough.
    #[error("standard output was closed")]
    Closed,
}

impl Failure {
    fn stdout(source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Write { place: "standard output".into(), source },
        }
    }

    fn code(&self) -> u8 {
        match self {
            Failure::Closed => 0,
            Failure::Library(error) => 1 + u8::from(error.is_input()),
            Failure::Input(_) => 2,
            Failure::Partial(_) | Failure::Write { .. } | Failure::Encode { .. } => 1,
        }
    }
}

pub(crate) fn main() -> ExitCode {
    let code = run();
    say::finish();
    code
}

fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let result = match arguments.command {
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Reconstruct(arguments) => reconstruct::run(&arguments),
        Command::Encode(arguments) => encode::run(&arguments),
        Command::Decode(arguments) => decode::run(&arguments),
        Command::Interpolate(arguments) => interpolate::run(&arguments),
        Command::Info(arguments) => info::run(&arguments),
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::Closed) {
                say::say(failure.to_string());
            }
            ExitCode::from(failure.code())
        }
    }
}

/// clap's help as it is, its errors as one line like all others.
fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion, MissingSubcommand,
    };
    let helps = [DisplayHelp, DisplayVersion, DisplayHelpOnMissingArgumentOrSubcommand, MissingSubcommand];
    if helps.contains(&error.kind()) {
        // Nothing is left to do if nobody can read the help.
        let _ = error.print();
    } else {
        let text = error.to_string();
        let problem = text.split("\n\n").next().unwrap_or_default();
        let words = problem.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>();
        say::say(format!("{} (see --help)", words.join(" ")));
    }
    ExitCode::from(error.exit_code() as u8)
}
