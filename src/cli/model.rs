//! `--model PATH|NAME` and `--seed`, the same for all commands.

use std::path::{Path, PathBuf};

use fsvae::{Checkpoint, Error, LayerIntegers, Network, RateIntegers, RateLayerIntegers, bundled};
use sha2::{Digest, Sha256};

use super::Failure;
use super::report::{digest, hexadecimal};
use super::say::{one_line, say};

#[derive(Debug, clap::Args)]
pub(super) struct Model {
    #[arg(long, value_name = "PATH|NAME", help = what(), default_value = default())]
    model: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[group(skip)] // many commands have several structs of this name
pub(super) struct Arguments {
    #[command(flatten)]
    model: Model,
    /// Any 64-bit number, such as 7 or 0xC0FFEE; another seed makes other draws
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = number)]
    pub(super) seed: u64,
}

/// Which model it is.
pub(super) struct Identity {
    /// For people.
    pub(super) name: String,
    /// SHA-256 of the file.
    pub(super) digest: String,
    network: Network,
}

impl Identity {
    pub(super) fn new(name: String, checkpoint: &Checkpoint<'_>, network: &Network) -> Self {
        // A clone shares the weights.
        Identity { name, digest: digest(checkpoint.as_bytes()), network: network.clone() }
    }

    /// `fsvae` or `esvae`
    pub(super) fn family(&self) -> &'static str {
        self.network.architecture().family.name()
    }

    /// SHA-256 of the network's integers: it is the same whatever kind of file the weights are in, and another for
    /// weights that make other images.
    pub(super) fn integers(&self) -> String {
        let mut text = Sha256::new();
        let mut add = |what: &str, bytes: &[u8]| {
            text.update(format!("{what} {}\n", bytes.len()));
            text.update(bytes);
        };
        for layer in self.network.spiking_layers() {
            let LayerIntegers { name, inputs, outputs, taps, weights, bias, threshold, .. } = layer;
            add(&format!("{name} {inputs} {outputs} {taps}"), &[]);
            [weights, bias, threshold].iter().for_each(|numbers| add("i32", &little_endian(numbers)));
        }
        if let Some(RateIntegers { layers, logits, .. }) = self.network.rate_integers() {
            for (i, layer) in layers.iter().enumerate() {
                let RateLayerIntegers { inputs, outputs, shift, .. } = layer;
                let hidden = i + 1 < layers.len();
                let what = if hidden {
                    format!("hidden {inputs} {outputs} {shift}")
                } else {
                    format!("rates {outputs}")
                };
                add(&what, &[]);
                [layer.weights, layer.bias].iter().for_each(|numbers| add("i32", &little_endian(numbers)));
            }
            add("i32", &little_endian(logits));
        }
        let readout = self.network.readout_integers();
        add(&format!("readout {} {}", readout.inputs, readout.outputs), &[]);
        [readout.weights, readout.bias].iter().for_each(|numbers| add("i64", &little_endian_64(numbers)));
        add("i32", &little_endian(readout.coefficients));
        hexadecimal(&text.finalize()[..])
    }
}

fn little_endian(numbers: &[i32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn little_endian_64(numbers: &[i64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A number of 64 bits, decimal or hexadecimal, with underscores between digits.
pub(super) fn number(text: &str) -> Result<u64, String> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = hexadecimal.map_or((text, 10), |digits| (digits, 16));
    // Rust takes a sign, too.
    let digits = Some(digits).filter(|digits| digits.starts_with(|first: char| first.is_ascii_hexdigit()));
    let number = digits.and_then(|digits| u64::from_str_radix(&digits.replace('_', ""), radix).ok());
    number.ok_or_else(|| format!("expected a number from 0 to {}, or from 0x0 to {:#x}", u64::MAX, u64::MAX))
}

impl Model {
    /// What was asked for, or the first of the bundled models.
    fn path(&self) -> Result<&Path, Failure> {
        let none = || Failure::Input(format!("--model PATH is needed; bundled models: {}", bundled::names()));
        self.model.as_deref().ok_or_else(none)
    }

    pub(super) fn network(&self) -> Result<Network, Failure> {
        Ok(Network::new(&open(self.path()?)?)?)
    }
}

impl Arguments {
    /// The checkpoint, if it is a file.
    pub(super) fn file(&self) -> Option<&Path> {
        self.model.model.as_deref().and_then(file)
    }

    pub(super) fn network_and_identity(&self) -> Result<(Network, Identity), Failure> {
        network_and_identity(self.model.path()?)
    }
}

/// A model, if it is a file.
pub(super) fn file(model: &Path) -> Option<&Path> {
    Some(model).filter(|model| model.to_str().and_then(Checkpoint::bundled).is_none())
}

/// The network of a model, and which model it is.
pub(super) fn network_and_identity(model: &Path) -> Result<(Network, Identity), Failure> {
    let checkpoint = open(model)?;
    let name = model.file_stem().map_or_else(String::new, |name| one_line(&name.to_string_lossy()));
    let network = Network::new(&checkpoint)?;
    let identity = Identity::new(name, &checkpoint, &network);
    Ok((network, identity))
}

/// The help of an argument that takes a model.
pub(super) fn what() -> String {
    format!("A checkpoint file, or a bundled model ({})", bundled::names())
}

fn default() -> Option<&'static str> {
    bundled::MODELS.first().map(|(name, _)| *name)
}

/// A bundled checkpoint by its name, any other by its path. `./mnist` is a file, `mnist` is not.
pub(super) fn open(model: &Path) -> Result<Checkpoint<'static>, Failure> {
    if let Some(bundled) = model.to_str().and_then(Checkpoint::bundled) {
        return Ok(bundled?);
    }
    let checkpoint = Checkpoint::open(model).map_err(|error| match error {
        Error::Read { path, source }
            if source.kind() == std::io::ErrorKind::NotFound && path.extension().is_none() =>
        {
            let names = bundled::names();
            Failure::Input(format!("{}: no such file, nor a bundled model ({names})", path.display()))
        }
        other => Failure::from(other),
    })?;
    if let Some(note) = checkpoint.note() {
        say(format!("{}: {note}", checkpoint.origin()));
    }
    Ok(checkpoint)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        let largest = u64::MAX;
        for (text, expected) in [
            ("0", 0),
            ("1_000_000", 1_000_000),
            ("0x10", 16),
            ("0XdeadBEEF", 0xdead_beef),
            ("0xdead_beef", 0xdead_beef),
            ("18446744073709551615", largest),
            ("0xffff_ffff_ffff_ffff", largest),
        ] {
            assert_eq!(number(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "0x",
            "0x_1",
            "_1",
            "+1",
            "-1",
            "0x-1",
            "0x1_0000_0000_0000_0000",
            "1e3",
            "beef",
            " 1",
            "0xg",
        ] {
            let error = number(text).expect_err(text);
            assert_eq!(
                error,
                "expected a number from 0 to 18446744073709551615, or from 0x0 to 0xffffffffffffffff"
            );
        }
    }
}
