//! Which adapters there are, and which one to take.

use wgpu::{Backends, DeviceType};

use crate::environment;
use crate::error::{Error, Result};

const BACKEND: &str = "WGPU_BACKEND";
const ADAPTER_NAME: &str = "WGPU_ADAPTER_NAME";

/// Every adapter that `WGPU_BACKEND` (all backends if it is not set) lets through, the one that
/// promises the highest performance first, software adapters last.
pub async fn adapters() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends = backends();
    let adapters = wgpu::Instance::new(descriptor).enumerate_adapters(backends()).await;
    // A browser shows one at a time, and sorting would be a KB of what it loads.
    #[cfg(not(target_arch = "wasm32"))]
    let adapters = best_first(adapters);
    adapters
}

#[cfg(not(target_arch = "wasm32"))]
fn best_first(mut adapters: Vec<wgpu::Adapter>) -> Vec<wgpu::Adapter> {
    adapters.sort_by_key(|adapter| {
        let info = adapter.get_info();
        let kind = match info.device_type {
            DeviceType::DiscreteGpu => 0,
            DeviceType::IntegratedGpu => 1,
            DeviceType::VirtualGpu => 2,
            DeviceType::Other => 3,
            DeviceType::Cpu => 4,
        };
        // OpenGL reaches the same hardware with more overhead.
        (kind, info.backend == wgpu::Backend::Gl)
    });
    adapters
}

/// Those that this program has, and that `WGPU_BACKEND` names if it is set.
fn backends() -> Backends {
    let compiled = wgpu::Instance::enabled_backend_features();
    match environment::read(BACKEND) {
        None => compiled,
        Some(text) => names(&text).filter_map(known).fold(Backends::empty(), Backends::union) & compiled,
    }
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// The names that wgpu knows, in any case.
fn known(name: &str) -> Option<Backends> {
    match name.to_ascii_lowercase().as_str() {
        "vulkan" | "vk" => Some(Backends::VULKAN),
        "dx12" | "d3d12" => Some(Backends::DX12),
        "metal" | "mtl" => Some(Backends::METAL),
        "opengl" | "gles" | "gl" => Some(Backends::GL),
        "webgpu" => Some(Backends::BROWSER_WEBGPU),
        "noop" => Some(Backends::NOOP),
        _ => None,
    }
}

/// Looks at `WGPU_BACKEND`, which [`adapters`] obeys as far as it can.
///
/// # Errors
/// [`Error::Environment`] if it names a graphics interface that wgpu does not know, or that this program does not have
/// on this system.
pub fn check_environment() -> Result<()> {
    let Some(text) = environment::read(BACKEND) else { return Ok(()) };
    let compiled = wgpu::Instance::enabled_backend_features();
    let here = [
        (Backends::VULKAN, "vulkan"),
        (Backends::DX12, "dx12"),
        (Backends::METAL, "metal"),
        (Backends::GL, "gl"),
        (Backends::BROWSER_WEBGPU, "webgpu"),
    ];
    let here: Vec<&str> =
        here.iter().filter(|(backend, _)| compiled.contains(*backend)).map(|(_, name)| *name).collect();
    let wrong = names(&text).find_map(|name| match known(name) {
        None => Some(format!("{name} is not known")),
        Some(backend) if !compiled.contains(backend) => {
            Some(format!("{name} is known, but not built in or not of this system"))
        }
        Some(_) => None,
    });
    wrong.map_or(Ok(()), |why| {
        let expected = format!("{}, or several with commas ({why})", here.join(" or "));
        Err(environment::error(BACKEND, expected, &text))
    })
}

/// What the user asked for by `WGPU_ADAPTER_NAME`, if anything.
pub fn adapter_name_from_env() -> Option<String> {
    environment::read(ADAPTER_NAME)
}

/// The positions of all adapters that `text` names: the one at this place for a number, which counts from 0, or else
/// those whose [`describe`]d name, PCI bus or ids (`10de:2335`) contain it, in any case.
///
/// # Errors
/// [`Error::AdapterNotFound`] or [`Error::AdapterNumber`] if there is none.
pub fn matching_adapters(adapters: &[wgpu::Adapter], text: &str) -> Result<Vec<usize>> {
    let infos: Vec<_> = adapters.iter().map(wgpu::Adapter::get_info).collect();
    matching(&infos, text)
}

fn matching(infos: &[wgpu::AdapterInfo], text: &str) -> Result<Vec<usize>> {
    let present = || match infos {
        [] => "none".into(),
        _ => numbered(infos).collect::<Vec<_>>().join(", "),
    };
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return match text.parse().ok().filter(|&number| number < infos.len()) {
            Some(number) => Ok(vec![number]),
            None => Err(Error::AdapterNumber { wanted: text.into(), present: present() }),
        };
    }
    let wanted = text.to_ascii_lowercase();
    let has = |info: &wgpu::AdapterInfo| {
        [describe(info), pci(info)].iter().any(|name| name.to_ascii_lowercase().contains(&wanted))
    };
    let found: Vec<usize> = (0..infos.len()).filter(|&number| has(&infos[number])).collect();
    if found.is_empty() {
        return Err(Error::AdapterNotFound { wanted: text.into(), present: present() });
    }
    Ok(found)
}

fn numbered(infos: &[wgpu::AdapterInfo]) -> impl Iterator<Item = String> {
    infos.iter().enumerate().map(|(number, info)| format!("{number}: {}", describe(info)))
}

/// The first of the [`matching_adapters`].
///
/// # Errors
/// As [`matching_adapters`].
pub fn find_adapter<'a>(adapters: &'a [wgpu::Adapter], text: &str) -> Result<&'a wgpu::Adapter> {
    Ok(&adapters[matching_adapters(adapters, text)?[0]])
}

/// The first adapter of the list.
///
/// # Errors
/// [`Error::NoAdapter`] if it is empty, or [`Error::Environment`] if that is the fault of `WGPU_BACKEND`.
pub fn first_adapter(adapters: &[wgpu::Adapter]) -> Result<&wgpu::Adapter> {
    if let Some(first) = adapters.first() {
        return Ok(first);
    }
    check_environment().and_then(|()| {
        let names = backends().iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect::<Vec<_>>();
        Err(Error::NoAdapter { backends: names.join(", ") })
    })
}

/// The adapter to take where a GPU is asked for: the first that `name` matches, or else `WGPU_ADAPTER_NAME`, or else the
/// first of all.
///
/// # Errors
/// As [`find_adapter`] and [`first_adapter`]; [`Error::Environment`] if the variable matches none.
pub fn choose_adapter<'a>(adapters: &'a [wgpu::Adapter], name: Option<&str>) -> Result<&'a wgpu::Adapter> {
    match (name, adapter_name_from_env()) {
        (Some(name), _) => find_adapter(adapters, name),
        (None, Some(name)) => find_adapter(adapters, &name).map_err(|error| match error {
            Error::AdapterNotFound { present, .. } | Error::AdapterNumber { present, .. } => {
                let expected = format!("the number of an adapter or a part of its name (present: {present})");
                environment::error(ADAPTER_NAME, expected, &name)
            }
            other => other,
        }),
        (None, None) => first_adapter(adapters),
    }
}

/// The adapter that [`Builder::auto`](crate::Builder::auto) takes from a list of [`adapters`], or
/// why it takes the CPU instead.
pub fn auto_adapter(adapters: &[wgpu::Adapter]) -> Result<&wgpu::Adapter, String> {
    let adapter = choose_adapter(adapters, None).map_err(|error| error.to_string())?;
    let info = adapter.get_info();
    if adapter_name_from_env().is_none() && is_software(&info) {
        return Err(format!("the only GPU adapter is software, {}", describe(&info)));
    }
    Ok(adapter)
}

/// True for an adapter that emulates a GPU on the CPU.
pub fn is_software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == DeviceType::Cpu
}

/// An adapter in one phrase, such as `NVIDIA H200 (Vulkan)`.
pub fn describe(info: &wgpu::AdapterInfo) -> String {
    format!("{} ({})", info.name.trim(), info.backend)
}

/// Where an adapter is on the PCI bus, if it is known, and the ids of its vendor and device:
/// `0000:65:00.0, 10de:2335`.
pub fn pci(info: &wgpu::AdapterInfo) -> String {
    let comma = if info.device_pci_bus_id.is_empty() { "" } else { ", " };
    format!("{}{comma}{:04x}:{:04x}", info.device_pci_bus_id, info.vendor, info.device)
}

/// A phrase for each adapter, no two of which are the same: [`describe`]d, and for those of one name the place on the
/// PCI bus, or their number where that does not tell them apart, either.
pub fn labels(adapters: &[wgpu::Adapter]) -> Vec<String> {
    let infos: Vec<_> = adapters.iter().map(wgpu::Adapter::get_info).collect();
    labels_of(&infos)
}

fn labels_of(infos: &[wgpu::AdapterInfo]) -> Vec<String> {
    let alone = |labels: &[String], label: &str| labels.iter().filter(|other| *other == label).count() == 1;
    let names: Vec<String> = infos.iter().map(describe).collect();
    let places: Vec<String> =
        names.iter().zip(infos).map(|(name, info)| format!("{name} {}", info.device_pci_bus_id)).collect();
    (0..infos.len())
        .map(|number| match (&names[number], &places[number]) {
            (name, _) if alone(&names, name) => name.clone(),
            (_, place) if alone(&places, place) => place.clone(),
            (name, _) => format!("{name} #{number}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, bus: &str) -> wgpu::AdapterInfo {
        let mut info = wgpu::AdapterInfo::new(DeviceType::DiscreteGpu, wgpu::Backend::Vulkan);
        (info.name, info.device_pci_bus_id) = (name.into(), bus.into());
        (info.vendor, info.device) = (0x10de, 0x2335);
        info
    }

    #[test]
    fn adapters_of_one_name_are_told_apart() {
        let infos = [info("A", "0000:01:00.0"), info("B", ""), info("A", "0000:65:00.0"), info("B", "")];
        assert_eq!(
            labels_of(&infos),
            ["A (vulkan) 0000:01:00.0", "B (vulkan) #1", "A (vulkan) 0000:65:00.0", "B (vulkan) #3"]
        );
        assert_eq!(labels_of(&infos[..2]), ["A (vulkan)", "B (vulkan)"]);
    }

    #[test]
    fn an_adapter_is_named_by_number_name_or_bus() {
        let infos = [info("RTX 4090", "0000:01:00.0"), info("Other", ""), info("RTX 4090", "0000:65:00.0")];
        for (text, expected) in [
            ("1", &[1][..]),
            (" 02 ", &[2]),
            ("rtx", &[0, 2]),
            ("(VULKAN)", &[0, 1, 2]),
            ("65:00", &[2]),
            ("10DE:2335", &[0, 1, 2]),
            ("rtx 4090", &[0, 2]),
        ] {
            assert_eq!(matching(&infos, text).expect("some"), expected, "{text}");
        }
        for (text, expected) in [
            ("3", "there is no GPU adapter 3; present: 0: RTX 4090 (vulkan), 1: Other (vulkan), 2: RTX 4090"),
            ("99999999999999999999999", "there is no GPU adapter 99999999999999999999999; present: 0:"),
            ("4090", "there is no GPU adapter 4090; present: 0:"),
            ("matrox", "no GPU adapter matches \"matrox\"; present: 0: RTX 4090 (vulkan), 1: "),
        ] {
            let error = matching(&infos, text).expect_err("none").to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let error = matching(&[], "0").expect_err("none");
        assert_eq!(error.to_string(), "there is no GPU adapter 0; present: none");
        assert!(error.is_input());
    }
}
