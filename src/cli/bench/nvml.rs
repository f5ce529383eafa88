//! The energy counter of an NVIDIA GPU. The driver's library is looked for at run time: without it there is no meter.

use nvml_wrapper::Nvml;

pub(super) struct Meter {
    nvml: Nvml,
    bus_id: String,
}

impl Meter {
    /// `bus_id` is the adapter's place on the PCI bus; empty where the graphics interface does not tell it.
    pub(super) fn new(bus_id: &str) -> Option<Self> {
        if bus_id.is_empty() {
            return None;
        }
        let meter = Meter { nvml: Nvml::init().ok()?, bus_id: bus_id.into() };
        meter.joules().map(|_| meter)
    }

    /// Since the driver was loaded; `None` on GPUs before Volta.
    pub(super) fn joules(&self) -> Option<f64> {
        let device = self.nvml.device_by_pci_bus_id(self.bus_id.as_str()).ok()?;
        Some(device.total_energy_consumption().ok()? as f64 / 1e3)
    }
}
