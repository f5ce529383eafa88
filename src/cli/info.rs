//! `fsvae info`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fsvae::{Network, gpu};
use indicatif::HumanBytes;
use serde::Serialize;

use super::output::{Target, make_folder};
use super::report::{print, print_json};
use super::say::{one_line, say};
use super::{Failure, model};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[arg(value_name = "MODEL", help = model::what())]
    model: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Write the GPU's kernels, WGSL as it is compiled for this model, into this folder, a file each
    #[arg(long, value_name = "DIR")]
    kernels: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Info {
    model: String,
    file_bytes: usize,
    parameters: usize,
    /// `fsvae` or `esvae`
    family: &'static str,
    time_steps: usize,
    latent_channels: usize,
    /// Null for an ESVAE.
    neurons_per_latent_channel: Option<usize>,
    depth: usize,
    encoder_widths: Vec<usize>,
    decoder_widths: Vec<usize>,
    image_height: usize,
    image_width: usize,
    image_channels: usize,
    /// Bytes on a GPU: weights + batch * image, and a readback for each batch in flight.
    gpu_bytes: GpuBytes,
    layers: Vec<Layer>,
}

#[derive(Debug, Serialize)]
struct GpuBytes {
    weights: u64,
    image: u64,
    readback: u64,
}

#[derive(Debug, Serialize)]
struct Layer {
    name: String,
    inputs: usize,
    outputs: usize,
    weights: usize,
    /// How many output channels have which exponent.
    exponents: BTreeMap<u8, usize>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let checkpoint = model::open(&arguments.model)?;
    let network = Network::new(&checkpoint)?;
    let architecture = network.architecture().clone();
    let layers = network.layers().into_iter().map(|layer| {
        let mut exponents = BTreeMap::new();
        layer.exponents.iter().for_each(|&exponent| *exponents.entry(exponent).or_default() += 1);
        let weights = layer.outputs * layer.fan_in;
        Layer { name: layer.name, inputs: layer.inputs, outputs: layer.outputs, weights, exponents }
    });
    if let Some(directory) = &arguments.kernels {
        write_kernels(&network, directory)?;
    }
    let memory = gpu::memory(&network);
    let info = Info {
        model: one_line(checkpoint.origin()),
        file_bytes: checkpoint.file_bytes(),
        parameters: checkpoint.parameters(),
        family: architecture.family.name(),
        time_steps: architecture.time_steps,
        latent_channels: architecture.latent_channels,
        neurons_per_latent_channel: architecture.family.neurons_per_channel(),
        depth: architecture.depth(),
        image_height: architecture.image_side(),
        image_width: architecture.image_side(),
        image_channels: architecture.image_channels,
        encoder_widths: architecture.encoder_widths,
        decoder_widths: architecture.decoder_widths,
        gpu_bytes: GpuBytes { weights: memory.weights, image: memory.image, readback: memory.readback },
        layers: layers.collect(),
    };
    if arguments.json { print_json(&info) } else { print(&table(&info)) }
}

/// A file for each kernel, called like it.
fn write_kernels(network: &Network, directory: &Path) -> Result<(), Failure> {
    make_folder(directory)?;
    let kernels = gpu::kernels(network);
    for kernel in &kernels {
        let path = directory.join(format!("{}.wgsl", kernel.name));
        Target::at(&path)?.write(kernel.wgsl.as_bytes())?;
    }
    say(format!("wrote {} kernels into {}", kernels.len(), directory.display()));
    Ok(())
}

fn table(info: &Info) -> String {
    let widths = |list: &[usize]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" > ");
    let Info { image_height, image_width, image_channels, latent_channels, .. } = info;
    let latent = match info.neurons_per_latent_channel {
        Some(neurons) => format!("  latent C x k     {latent_channels} x {neurons}"),
        None => format!("  latent C         {latent_channels}"),
    };
    let mut lines = vec![
        format!("{} ({} bytes, {} parameters)", info.model, info.file_bytes, info.parameters),
        format!("  family           {}", info.family.to_uppercase()),
        format!("  image            {image_height} x {image_width} x {image_channels}"),
        format!("  time steps T     {}", info.time_steps),
        latent,
        format!("  encoder widths   {}", widths(&info.encoder_widths)),
        format!("  decoder widths   {}", widths(&info.decoder_widths)),
        format!(
            "  memory of a GPU  {} for weights, {} an image of a batch, {} to read it back",
            HumanBytes(info.gpu_bytes.weights),
            HumanBytes(info.gpu_bytes.image),
            HumanBytes(info.gpu_bytes.readback)
        ),
        String::new(),
        format!("{:<22}{:>8}{:>9}{:>10}  exponents", "layer", "inputs", "outputs", "weights"),
    ];
    for layer in &info.layers {
        let Layer { name, inputs, outputs, weights, .. } = layer;
        let range = match (layer.exponents.first_key_value(), layer.exponents.last_key_value()) {
            (Some((low, _)), Some((high, _))) if low == high => low.to_string(),
            (Some((low, _)), Some((high, _))) => format!("{low} to {high}"),
            _ => "20 (readout)".into(),
        };
        lines.push(format!("{name:<22}{inputs:>8}{outputs:>9}{weights:>10}  {range}"));
    }
    lines.join("\n") + "\n"
}
