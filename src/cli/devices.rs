//! `fsvae devices`.

use fsvae::gpu::Variant;
use fsvae::{Architecture, Gpu, gpu, instruction_set, instruction_sets, wgpu};
use serde::Serialize;

use super::Failure;
use super::model::Model;
use super::report::{print, print_json};
use super::tuning::{Found, found, make};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Find out which variant of the kernels is fastest for the model on each adapter, and remember it
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
    name: String,
    backend: String,
    #[serde(rename = "type")]
    kind: String,
    driver: String,
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
    fn new(adapter: &wgpu::Adapter, architecture: &Architecture) -> Self {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        Device {
            name: info.name.trim().into(),
            backend: info.backend.to_string(),
            kind: format!("{:?}", info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().into(),
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
        adapters: adapters.iter().map(|adapter| Device::new(adapter, network.architecture())).collect(),
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
    for (i, device) in devices.adapters.iter().enumerate() {
        let [least, most] = device.subgroup_sizes;
        let mark = if devices.auto == Some(i) { "*" } else { " " };
        text += &format!(
            "{mark} {} ({}), {}\n    driver              {}\n    storage binding     {} MiB, {} bindings\n    \
             workgroup           {} invocations, {} KiB\n    subgroups           {least} to {most}\n    \
             timestamps          {}\n    kernels             {}\n",
            device.name,
            device.backend,
            device.kind,
            device.driver,
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
    }
    let mark = if devices.auto.is_none() { "*" } else { " " };
    let suffix = if devices.auto.is_none() { why_cpu } else { "" };
    let others = instruction_sets().join(", ");
    text + &format!(
        "{mark} CPU backend{suffix}\n    instructions        {} (FSVAE_CPU chooses: {others})\n\n* is what --backend auto takes\n",
        instruction_set()
    )
}
