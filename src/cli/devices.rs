//! `fsvae devices`.

use fsvae::bench::Found;
use fsvae::gpu::Variant;
use fsvae::{Architecture, Gpu, gpu, instruction_set, instruction_sets, wgpu};
use serde::Serialize;

use super::model::Model;
use super::report::{print, print_json};
use super::say::say;
use super::tuning::{found, make};
use super::{Failure, crash};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Find out which variants of the kernels are fastest for the model on each adapter, and remember them
    #[arg(long)]
    calibrate: bool,
    #[command(flatten)]
    model: Model,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Devices {
    /// What `--backend auto` runs on: the position of an adapter, or null for the CPU.
    auto: Option<usize>,
    adapters: Vec<Device>,
}

#[derive(Debug, Serialize)]
struct Device {
    /// What `--adapter` takes.
    number: usize,
    name: String,
    backend: String,
    #[serde(rename = "type")]
    kind: String,
    driver: String,
    /// Null where the driver does not tell.
    pci_bus_id: Option<String>,
    vendor: u32,
    device: u32,
    #[serde(skip)]
    pci: String,
    subgroup_sizes: [u32; 2],
    timestamp_query: bool,
    max_storage_buffer_binding_size: u64,
    max_buffer_size: u64,
    max_compute_workgroup_storage_size: u32,
    max_compute_invocations_per_workgroup: u32,
    max_storage_buffers_per_shader_stage: u32,
    /// What a calibration found for networks of this model's sizes, if there was one.
    kernels: Option<Found>,
}

impl Device {
    fn new(number: usize, adapter: &wgpu::Adapter, architecture: &Architecture) -> Self {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        Device {
            number,
            name: info.name.trim().into(),
            backend: info.backend.to_string(),
            kind: format!("{:?}", info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().into(),
            pci_bus_id: Some(info.device_pci_bus_id.clone()).filter(|bus| !bus.is_empty()),
            vendor: info.vendor,
            device: info.device,
            pci: gpu::pci(&info),
            subgroup_sizes: [info.subgroup_min_size, info.subgroup_max_size],
            timestamp_query: adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY),
            max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
            max_buffer_size: limits.max_buffer_size,
            max_compute_workgroup_storage_size: limits.max_compute_workgroup_storage_size,
            max_compute_invocations_per_workgroup: limits.max_compute_invocations_per_workgroup,
            max_storage_buffers_per_shader_stage: limits.max_storage_buffers_per_shader_stage,
            kernels: found(&info, architecture),
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let network = arguments.model.network()?;
    for problem in [fsvae::check_environment(), gpu::check_environment()] {
        if let Err(problem) = problem {
            say(problem.to_string());
        }
    }
    crash::meets_drivers();
    let adapters = pollster::block_on(gpu::adapters());
    let mut failed = Vec::new();
    if arguments.calibrate {
        for adapter in &adapters {
            let made = pollster::block_on(Gpu::request(adapter, &gpu::required_limits(&network)))
                .and_then(|gpu| make(&gpu, &network));
            failed.extend(made.err().map(|error| error.to_string()));
        }
    }
    let auto = gpu::auto_adapter(&adapters);
    let devices = Devices {
        auto: auto.as_ref().ok().and_then(|chosen| adapters.iter().position(|adapter| adapter == *chosen)),
        adapters: (adapters.iter().enumerate())
            .map(|(number, adapter)| Device::new(number, adapter, network.architecture()))
            .collect(),
    };
    if arguments.json {
        print_json(&devices)?;
    } else {
        let reason = auto.err().map(|reason| format!(" ({reason})")).unwrap_or_default();
        print(&table(&devices, &reason))?;
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::Partial(failed.join("; "))),
    }
}

fn table(devices: &Devices, why_cpu: &str) -> String {
    let mut text = String::new();
    for device in &devices.adapters {
        let [least, most] = device.subgroup_sizes;
        let mark = if devices.auto == Some(device.number) { "*" } else { " " };
        text += &format!(
            "{mark} {}: {} ({}), {}\n    driver              {}\n    PCI                 {}\n    storage binding     {} MiB, {} bindings\n    \
             workgroup           {} invocations, {} KiB\n    subgroups           {least} to {most}\n    \
             timestamps          {}\n    kernels             {}\n",
            device.number,
            device.name,
            device.backend,
            device.kind,
            device.driver,
            device.pci,
            device.max_storage_buffer_binding_size >> 20,
            device.max_storage_buffers_per_shader_stage,
            device.max_compute_invocations_per_workgroup,
            device.max_compute_workgroup_storage_size >> 10,
            if device.timestamp_query { "yes" } else { "no" },
            device
                .kernels
                .as_ref()
                .map_or_else(|| format!("{} (not calibrated)", Variant::default()), Found::to_string),
        );
        for line in device.kernels.iter().flat_map(Found::layer_lines) {
            text += &format!("      {line}\n");
        }
    }
    let mark = if devices.auto.is_none() { "*" } else { " " };
    let suffix = if devices.auto.is_none() { why_cpu } else { "" };
    let others = instruction_sets().join(", ");
    text + &format!(
        "{mark} CPU backend{suffix}\n    instructions        {} (FSVAE_CPU chooses: {others})\n\n* is what --backend auto takes; numbers are what --adapter takes\n",
        instruction_set()
    )
}
