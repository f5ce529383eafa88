//! Checks of what is published and of the kernels' instructions, run by `.ci/run` and before a release.

mod isa;
mod package;
mod public_api;

use std::path::Path;
use std::process::{Command, ExitCode};

const USAGE: &str = "cargo xtask public-api            compare the public API with tests/public-api.txt
cargo xtask public-api --update   write it there
cargo xtask isa                   compare benches/isa with what AMD's compiler makes of the kernels
cargo xtask isa --update          write it there
cargo xtask package               pack the crates that are published and check their sizes and documentation";

type Outcome = Result<(), String>;

fn main() -> ExitCode {
    if let Some(outcome) = public_api::rustdoc() {
        return code(outcome);
    }
    if let Some(outcome) = isa::child() {
        return code(outcome);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["public-api"] => public_api::compare(root()),
        ["public-api", "--update"] => public_api::update(root()),
        ["isa"] => isa::compare(root()),
        ["isa", "--update"] => isa::update(root()),
        ["package"] => package::check(root()),
        _ => Err(format!("expected one of\n{USAGE}")),
    };
    code(outcome)
}

fn code(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the workspace")
}

/// Cargo in the workspace; what it finds out about itself is not for the one that is started.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    command
}

fn succeed(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}
