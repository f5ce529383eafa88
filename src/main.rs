//! The `fsvae` command line. See `fsvae --help`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
