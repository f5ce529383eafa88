//! Mesa's compiler for AMD GPUs, without one: RADV opens a "null" device of the family that `RADV_FORCE_FAMILY` names, on
//! which pipelines compile and nothing runs; `VK_KHR_pipeline_executable_properties` tells what it made.

// Vulkan is a C interface.
#![allow(unsafe_code)]

use std::ffi::CStr;

use ash::{khr, vk};
use naga::back::spv;
use naga::{AddressSpace, TypeInner};
use sha2::{Digest, Sha256};

/// What is asked of the driver, as it calls it.
pub(super) const STATISTICS: [&str; 7] = [
    "VGPRs",
    "Spilled VGPRs",
    "LDS size",
    "Subgroups per SIMD",
    "Instructions",
    "Latency",
    "Inverse Throughput",
];

pub(super) struct Radv {
    device: ash::Device,
    properties: khr::pipeline_executable_properties::Device,
    /// The driver and its version.
    pub(super) driver: String,
    // They go last.
    _instance: ash::Instance,
    _entry: ash::Entry,
}

/// A kernel as the driver gets it.
pub(super) struct Kernel {
    words: Vec<u32>,
    entry: String,
    bindings: Vec<vk::DescriptorSetLayoutBinding<'static>>,
}

impl Kernel {
    /// The entry point of WGSL with storage buffers and storage textures, as wgpu has it. `counted`: loops count their turns.
    pub(super) fn new(wgsl: &str, counted: bool) -> Result<Self, String> {
        let module = naga::front::wgsl::parse_str(wgsl).map_err(text)?;
        let (words, entry) = spirv(&module, counted)?;
        Ok(Self { words, entry, bindings: bindings(&module) })
    }

    /// The beginning of the SHA-256 of its SPIR-V: what is the same, the same compiler makes the same of.
    pub(super) fn digest(&self) -> String {
        let bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        Sha256::digest(bytes)[..6].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A kernel as it was compiled: numbers in the order of [`STATISTICS`], and the listing.
pub(super) struct Compiled {
    pub(super) statistics: Vec<u64>,
    pub(super) assembly: String,
}

fn text(problem: impl ToString) -> String {
    problem.to_string()
}

impl Radv {
    /// Without the driver an error; the variables are set already.
    pub(super) fn open() -> Result<Self, String> {
        let wanted = [khr::pipeline_executable_properties::NAME.as_ptr()];
        let queues = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
        let mut told = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default()
            .pipeline_executable_info(true);
        let mut model = vk::PhysicalDeviceVulkan12Features::default().vulkan_memory_model(true);
        let mut zeroes =
            vk::PhysicalDeviceVulkan13Features::default().shader_zero_initialize_workgroup_memory(true);
        // SAFETY: each call has what it is said to take, all handles are of this instance, and none is destroyed before the
        // process ends.
        unsafe {
            let entry = ash::Entry::load().map_err(text)?;
            let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let instance = vk::InstanceCreateInfo::default().application_info(&application);
            let instance = entry.create_instance(&instance, None).map_err(text)?;
            let adapters = instance.enumerate_physical_devices().map_err(text)?;
            let adapter = *adapters.first().ok_or("RADV has no device")?;
            let (mut driver, mut all) = Default::default();
            all = vk::PhysicalDeviceProperties2::push_next(all, &mut driver);
            instance.get_physical_device_properties2(adapter, &mut all);
            let driver: vk::PhysicalDeviceDriverProperties<'_> = driver;
            let name = driver.driver_info_as_c_str().map_err(text)?.to_string_lossy().into_owned();
            let device = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queues)
                .enabled_extension_names(&wanted)
                .push_next(&mut told)
                .push_next(&mut model)
                .push_next(&mut zeroes);
            let device = instance.create_device(adapter, &device, None).map_err(text)?;
            let properties = khr::pipeline_executable_properties::Device::new(&instance, &device);
            Ok(Radv { device, properties, driver: name, _instance: instance, _entry: entry })
        }
    }

    /// Compiles a kernel as wgpu does.
    pub(super) fn compile(&self, kernel: &Kernel) -> Result<Compiled, String> {
        let Kernel { words, entry, bindings } = kernel;
        // SAFETY: as in `open`; the SPIR-V is valid, for naga wrote it.
        unsafe {
            let shader = vk::ShaderModuleCreateInfo::default().code(words);
            let shader = self.device.create_shader_module(&shader, None).map_err(text)?;
            let layout = vk::DescriptorSetLayoutCreateInfo::default().bindings(bindings);
            let layouts = [self.device.create_descriptor_set_layout(&layout, None).map_err(text)?];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&layouts);
            let layout = self.device.create_pipeline_layout(&layout, None).map_err(text)?;
            let entry = std::ffi::CString::new(entry.as_str()).map_err(text)?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(shader)
                .name(&entry);
            let flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let pipeline = vk::ComputePipelineCreateInfo::default().flags(flags).stage(stage).layout(layout);
            let pipelines =
                self.device.create_compute_pipelines(vk::PipelineCache::null(), &[pipeline], None);
            let pipeline = pipelines.map_err(|(_, error)| text(error))?[0];
            let told = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
            Ok(Compiled { statistics: self.statistics(&told)?, assembly: self.assembly(&told)? })
        }
    }

    unsafe fn statistics(&self, of: &vk::PipelineExecutableInfoKHR<'_>) -> Result<Vec<u64>, String> {
        // SAFETY: the caller's pipeline is of this device and captured its statistics.
        let found = unsafe { self.properties.get_pipeline_executable_statistics(of) }.map_err(text)?;
        let value = |name: &&str| {
            let named = |it: &&vk::PipelineExecutableStatisticKHR<'_>| {
                it.name_as_c_str().ok().and_then(|text| text.to_str().ok()) == Some(*name)
            };
            let it = found.iter().find(named).ok_or_else(|| format!("RADV does not tell {name}"))?;
            // SAFETY: RADV's are all of this format.
            Ok(unsafe { it.value.u64 })
        };
        STATISTICS.iter().map(value).collect()
    }

    unsafe fn assembly(&self, of: &vk::PipelineExecutableInfoKHR<'_>) -> Result<String, String> {
        let get = self.properties.fp().get_pipeline_executable_internal_representations_khr;
        let device = self.device.handle();
        let mut count = 0;
        // SAFETY: called for the number, for the sizes and for the data, as Vulkan has it; the data's memory lives on.
        unsafe {
            get(device, of, &raw mut count, std::ptr::null_mut()).result().map_err(text)?;
            let mut all = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            get(device, of, &raw mut count, all.as_mut_ptr()).result().map_err(text)?;
            let mut data: Vec<Vec<u8>> = all.iter().map(|it| vec![0; it.data_size]).collect();
            for (it, data) in all.iter_mut().zip(&mut data) {
                it.p_data = data.as_mut_ptr().cast();
            }
            get(device, of, &raw mut count, all.as_mut_ptr()).result().map_err(text)?;
            let named = |it: &vk::PipelineExecutableInternalRepresentationKHR<'_>| {
                it.name_as_c_str().is_ok_and(|name| name.to_bytes() == b"Assembly")
            };
            let found = all.iter().position(named).ok_or("RADV has no listing")?;
            let listing = CStr::from_bytes_until_nul(&data[found]).map_err(text)?;
            Ok(listing.to_string_lossy().into_owned())
        }
    }
}

/// As wgpu's Vulkan backend writes it for us: buffers are checked by the hardware, other indices by code, and loops if they
/// are to be counted.
fn spirv(module: &naga::Module, counted: bool) -> Result<(Vec<u32>, String), String> {
    let mut validator =
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all());
    let info = validator.validate(module).map_err(text)?;
    let entry = module.entry_points.first().ok_or("no entry point")?.name.clone();
    let options = spv::Options {
        lang_version: (1, 3),
        bounds_check_policies: naga::proc::BoundsCheckPolicies {
            index: naga::proc::BoundsCheckPolicy::Restrict,
            buffer: naga::proc::BoundsCheckPolicy::Unchecked,
            image_load: naga::proc::BoundsCheckPolicy::Restrict,
            binding_array: naga::proc::BoundsCheckPolicy::Unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::Native,
        force_loop_bounding: counted,
        ..spv::Options::default()
    };
    let pipeline =
        spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: entry.clone() };
    Ok((spv::write_vec(module, &info, &options, Some(&pipeline)).map_err(text)?, entry))
}

fn bindings(module: &naga::Module) -> Vec<vk::DescriptorSetLayoutBinding<'static>> {
    let bound = module.global_variables.iter().filter_map(|(_, variable)| {
        let place = variable.binding?;
        let kind = match (variable.space, &module.types[variable.ty].inner) {
            (AddressSpace::Uniform, _) => vk::DescriptorType::UNIFORM_BUFFER,
            (AddressSpace::Handle, TypeInner::Image { .. }) => vk::DescriptorType::STORAGE_IMAGE,
            _ => vk::DescriptorType::STORAGE_BUFFER,
        };
        let binding = vk::DescriptorSetLayoutBinding::default().binding(place.binding).descriptor_count(1);
        Some(binding.descriptor_type(kind).stage_flags(vk::ShaderStageFlags::COMPUTE))
    });
    bound.collect()
}
