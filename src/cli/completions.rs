//! `fsvae completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::Failure;
use super::report::print;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Into a file that the shell reads, such as
  fsvae completions bash > ~/.local/share/bash-completion/completions/fsvae
  fsvae completions zsh > ~/.zfunc/_fsvae
  fsvae completions fish > ~/.config/fish/completions/fsvae.fish")]
pub(super) struct Arguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "fsvae", &mut script);
    print(&String::from_utf8_lossy(&script))
}
