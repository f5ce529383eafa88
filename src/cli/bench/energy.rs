//! Joules, where the platform counts them: RAPL on Linux, and NVML with the feature `nvml`.

use std::path::{Path, PathBuf};

use fsvae::bench::Meter;
use fsvae::bench::schema::Energy;
use fsvae::wgpu;

/// The counters that can be read.
pub(super) struct Meters {
    rapl: Vec<Zone>,
    #[cfg(feature = "nvml")]
    nvidia: Option<super::nvml::Meter>,
    begin: Option<Reading>,
}

/// What the counters showed.
struct Reading {
    rapl: Vec<Option<u64>>,
    #[cfg(feature = "nvml")]
    nvidia: Option<f64>,
}

impl Meters {
    /// Those of the machine, and those of a GPU.
    pub(super) fn new(adapter: Option<&wgpu::Adapter>) -> Self {
        #[cfg(not(feature = "nvml"))]
        let _ = adapter;
        Meters {
            rapl: zones(Path::new("/sys/class/powercap")),
            #[cfg(feature = "nvml")]
            nvidia: adapter
                .and_then(|adapter| super::nvml::Meter::new(&adapter.get_info().device_pci_bus_id)),
            begin: None,
        }
    }

    fn read(&self) -> Reading {
        Reading {
            rapl: self.rapl.iter().map(Zone::read).collect(),
            #[cfg(feature = "nvml")]
            nvidia: self.nvidia.as_ref().and_then(super::nvml::Meter::joules),
        }
    }

    /// What was used since an earlier reading.
    fn since(&self, before: &Reading) -> Vec<Energy> {
        let now = self.read();
        let zones = self.rapl.iter().zip(&before.rapl).zip(&now.rapl);
        #[cfg_attr(not(feature = "nvml"), expect(unused_mut, reason = "RAPL is all there is"))]
        let mut used: Vec<Energy> = zones
            .filter_map(|((zone, before), now)| {
                let joules = zone.used((*before)?, (*now)?) as f64 / 1e6;
                Some(Energy { source: format!("RAPL {}", zone.name), joules })
            })
            .collect();
        #[cfg(feature = "nvml")]
        if let (Some(before), Some(now)) = (before.nvidia, now.nvidia) {
            used.push(Energy { source: "NVML".into(), joules: now - before });
        }
        used
    }
}

impl Meter for Meters {
    fn start(&mut self) {
        self.begin = Some(self.read());
    }

    fn used(&mut self) -> Vec<Energy> {
        self.begin.take().map_or_else(Vec::new, |begin| self.since(&begin))
    }
}

/// A RAPL domain: a CPU package with all that is on it, or the memory beside it.
struct Zone {
    name: String,
    counter: PathBuf,
    /// The counter's value before it starts again.
    range: u64,
}

impl Zone {
    /// `None` for what cannot be read, which since 2020 is what the kernel tells anybody but root.
    fn new(directory: &Path) -> Option<Self> {
        let name = std::fs::read_to_string(directory.join("name")).ok()?.trim().to_owned();
        let range = number(&directory.join("max_energy_range_uj"))?;
        let zone = Zone { name, counter: directory.join("energy_uj"), range };
        let known = zone.name.starts_with("package") || zone.name == "dram";
        (known && zone.read().is_some()).then_some(zone)
    }

    /// Microjoules.
    fn read(&self) -> Option<u64> {
        number(&self.counter)
    }

    fn used(&self, before: u64, now: u64) -> u64 {
        now.checked_sub(before).unwrap_or_else(|| now + self.range.saturating_sub(before))
    }
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The domains that do not overlap, in order.
fn zones(powercap: &Path) -> Vec<Zone> {
    let entries = std::fs::read_dir(powercap).into_iter().flatten().flatten();
    // `intel-rapl-mmio:0` counts the same package as `intel-rapl:0`.
    let is_zone = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("intel-rapl:"))
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_zone).collect();
    paths.sort_unstable();
    paths.iter().filter_map(|path| Zone::new(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(root: &Path, directory: &str, files: [(&str, &str); 3]) {
        std::fs::create_dir_all(root.join(directory)).expect("a directory");
        for (name, text) in files {
            std::fs::write(root.join(directory).join(name), text).expect("written");
        }
    }

    fn files<'a>(name: &'a str, energy: &'a str) -> [(&'a str, &'a str); 3] {
        [("name", name), ("energy_uj", energy), ("max_energy_range_uj", "1000\n")]
    }

    #[test]
    fn packages_and_their_memory_are_counted_once() {
        let root = tempfile::tempdir().expect("a directory");
        zone(root.path(), "intel-rapl:0", files("package-0\n", "400\n"));
        zone(root.path(), "intel-rapl:0:0", files("core\n", "300\n"));
        zone(root.path(), "intel-rapl:0:1", files("dram\n", "7\n"));
        zone(root.path(), "intel-rapl:1", files("psys\n", "900\n"));
        zone(root.path(), "intel-rapl-mmio:0", files("package-0\n", "400\n"));
        zone(root.path(), "intel-rapl:2", files("package-2\n", "no number"));
        std::fs::create_dir(root.path().join("intel-rapl")).expect("a directory");
        let found = zones(root.path());
        let names: Vec<&str> = found.iter().map(|zone| zone.name.as_str()).collect();
        assert_eq!(names, ["package-0", "dram"]);
        assert!(zones(&root.path().join("missing")).is_empty());
    }

    #[test]
    fn a_counter_that_starts_again() {
        let root = tempfile::tempdir().expect("a directory");
        zone(root.path(), "intel-rapl:0", files("package-0", "990"));
        let meters = Meters { rapl: zones(root.path()), ..Meters::new(None) };
        let joules =
            |before: &Reading| meters.since(before).iter().map(|energy| energy.joules).collect::<Vec<_>>();
        let before = meters.read();
        assert_eq!(joules(&before), [0.0]);
        std::fs::write(root.path().join("intel-rapl:0/energy_uj"), "996").expect("written");
        assert_eq!(joules(&before), [6e-6]);
        std::fs::write(root.path().join("intel-rapl:0/energy_uj"), "25").expect("written");
        assert_eq!(joules(&before), [35e-6]);
        assert_eq!(meters.since(&before)[0].source, "RAPL package-0");
        // Root may take the right to read away in between.
        std::fs::remove_file(root.path().join("intel-rapl:0/energy_uj")).expect("removed");
        assert!(meters.since(&before).is_empty());
    }
}
