//! `fsvae man`.

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};

use super::Failure;
use super::output::{Target, make_folder};
use super::say::say;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Such as `fsvae man ~/.local/share/man/man1`, for `man fsvae` and `man fsvae-generate`"
)]
pub(super) struct Arguments {
    /// The folder to write into; it is made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let directory = &arguments.directory;
    make_folder(directory)?;
    let mut command = super::Arguments::command().disable_help_subcommand(true);
    command.build();
    let pages = write(&command, directory)?;
    say(format!("wrote {pages} pages into {}", directory.display()));
    Ok(())
}

/// A page for the command and for all below it.
fn write(command: &Command, directory: &Path) -> Result<usize, Failure> {
    let page = clap_mangen::Man::new(command.clone());
    let path = directory.join(page.get_filename());
    let mut bytes = Vec::new();
    page.render(&mut bytes).map_err(|source| Failure::Write { place: path.display().to_string(), source })?;
    Target::at(&path)?.write(&bytes)?;
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    below.map(|command| write(command, directory)).try_fold(1, |pages, more| Ok(pages + more?))
}
