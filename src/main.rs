//! The `fsvae` command line. See `fsvae --help`.

// Messages go through `cli::say`, results through `cli::report`: neither panics when nobody reads.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
