//! The command line: arguments in, exit code out.
//!
//! Results go to standard output, everything else to standard error. Exit code 2 means that an
//! argument or an input was unusable, 1 that something else failed.

mod along;
mod animation;
mod backend;
mod bench;
mod completions;
mod crash;
mod decode;
mod descriptor;
mod devices;
mod direction;
mod encode;
mod folder;
mod formats;
mod frames;
#[cfg(fuzzing)]
pub mod fuzzing;
mod generate;
mod info;
mod input;
mod interpolate;
mod kernel_cache;
mod latents_file;
mod maker;
mod man;
mod model;
mod output;
mod progress;
mod rates_file;
mod reconstruct;
mod report;
mod say;
mod scale;
mod signals;
mod spikes;
mod standard_error;
mod standard_output;
mod tensors;
mod tuning;
mod usage;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const ABOUT: &str =
    "Makes images with a network of spiking neurons, on any GPU and on the CPU, bit for bit the same";

const ENVIRONMENT: &str = "\
Environment:
  WGPU_BACKEND           Graphics interfaces to look for GPUs with: vulkan, gl, metal, dx12; several with commas
  WGPU_ADAPTER_NAME      An adapter for all commands, as --adapter takes it
  FSVAE_CPU              Instruction set of the CPU backend (see `fsvae devices`)
  RAYON_NUM_THREADS      Threads of the CPU backend
  FSVAE_CACHE_DIR        Folder in which compiled kernels and calibrations are kept; empty: none are kept
  FSVAE_DRIVER_MESSAGES  1 shows what graphics drivers write to standard error";

#[derive(Debug, Parser)]
#[command(version, about = ABOUT, max_term_width = 100, after_long_help = ENVIRONMENT)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Generate images: 64 digits in fsvae.png unless told otherwise
    Generate(generate::Arguments),
    /// Encode pictures into latents and decode them again; prints the mean squared error
    Reconstruct(reconstruct::Arguments),
    /// Encode pictures into latents, the spike trains in the middle of the network
    Encode(encode::Arguments),
    /// Decode latents into images
    Decode(decode::Arguments),
    /// Write which neurons spike while an image is made: as numbers, a picture or an animation
    Spikes(spikes::Arguments),
    /// Go from one image to another in steps, by mixing their latents
    Interpolate(interpolate::Arguments),
    /// Find what some pictures have and others do not, as a direction for --along
    Direction(direction::Arguments),
    /// Show a model's architecture, sizes, memory and rounding
    Info(info::Arguments),
    /// List the GPU adapters (GPUs with their drivers) and say which one is used
    Devices(devices::Arguments),
    /// Check whether the CPU and every GPU adapter compute right; prints one line of verdict for each
    Verify(verify::Arguments),
    /// Measure how fast the CPU and every GPU adapter are, after comparing their images
    Bench(Box<bench::Arguments>),
    /// Print what a shell needs to complete commands and options
    Completions(completions::Arguments),
    /// Write manual pages, one for each command
    Man(man::Arguments),
}

impl Command {
    /// Refuses what cannot be, whatever files and devices there are. None is touched.
    fn check(&self) -> Result<(), Failure> {
        match self {
            Command::Generate(arguments) => arguments.check(),
            Command::Reconstruct(arguments) => arguments.check(),
            Command::Encode(arguments) => arguments.check(),
            Command::Decode(arguments) => arguments.check(),
            Command::Spikes(arguments) => arguments.check(),
            Command::Interpolate(arguments) => arguments.check(),
            Command::Direction(arguments) => arguments.check(),
            Command::Bench(arguments) => arguments.check(),
            Command::Verify(arguments) => arguments.check(),
            Command::Info(_) | Command::Devices(_) | Command::Completions(_) | Command::Man(_) => Ok(()),
        }
    }

    fn run(&self) -> Result<(), Failure> {
        match self {
            Command::Generate(arguments) => generate::run(arguments),
            Command::Reconstruct(arguments) => reconstruct::run(arguments),
            Command::Encode(arguments) => encode::run(arguments),
            Command::Decode(arguments) => decode::run(arguments),
            Command::Spikes(arguments) => spikes::run(arguments),
            Command::Interpolate(arguments) => interpolate::run(arguments),
            Command::Direction(arguments) => direction::run(arguments),
            Command::Info(arguments) => info::run(arguments),
            Command::Devices(arguments) => devices::run(arguments),
            Command::Bench(arguments) => bench::run(arguments),
            Command::Completions(arguments) => completions::run(arguments),
            Command::Man(arguments) => man::run(arguments),
            Command::Verify(arguments) => verify::run(arguments),
        }
    }
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
    /// The program was started without one.
    #[error("standard output is closed")]
    NoOutput,
}

impl Failure {
    fn stdout(source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Write { place: "standard output".into(), source },
        }
    }

    /// Says what it is.
    fn tell(&self) -> ExitCode {
        if !matches!(self, Failure::Closed) {
            say::say(self.to_string());
        }
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Failure::Closed => 0,
            Failure::Library(error) => 1 + u8::from(error.is_input()),
            Failure::Input(_) => 2,
            Failure::Partial(_) | Failure::Write { .. } | Failure::Encode { .. } | Failure::NoOutput => 1,
        }
    }
}

pub(crate) fn main() -> ExitCode {
    standard_error::take();
    crash::listen();
    std::panic::set_hook(Box::new(|panic| {
        if fsvae::is_reading_a_picture() {
            return;
        }
        let text = panic.to_string().replace('\n', " ");
        say::say(format!("this is a bug of fsvae: {text}"));
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            say::say_all(format!("{trace}\n"));
        }
        say::finish();
    }));
    let code = run();
    say::finish();
    signals::park_if_ending();
    code
}

fn run() -> ExitCode {
    let arguments = match usage::read(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return usage::refuse(error),
    };
    signals::listen();
    let shows = std::env::var_os("FSVAE_DRIVER_MESSAGES").unwrap_or_default();
    if !["", "0", "1"].iter().any(|known| shows == *known) {
        let shows = shows.display();
        say::say(format!("FSVAE_DRIVER_MESSAGES is \"{shows}\", expected 0 or 1; it is taken as 1"));
    }
    match arguments.command.check().and_then(|()| arguments.command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // What was taken away for the end is missing now, which is nobody's business.
            signals::park_if_ending();
            failure.tell()
        }
    }
}
