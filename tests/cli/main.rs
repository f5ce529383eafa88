//! The command line as people use it, a subject a module. One program, for each that is linked takes its time.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/outputs.rs"]
mod outputs;

mod basics;
mod choices;
mod images;
mod inputs;
mod kinds;
mod output;
mod pipes;
#[cfg(unix)]
mod signals;
mod spikes;
mod steering;
#[cfg(unix)]
mod terminal;
