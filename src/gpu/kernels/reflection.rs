//! Every shader is valid, translates to what the backends take, and agrees with the host about
//! bindings, struct offsets, workgroup sizes and workgroup memory.

use naga::back;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};

use super::{
    Binding, Kernel, LayerSizes, WORKGROUP, conv_lif, conv_transpose_lif, conv_transpose_quads, image_lif,
    layer_constants, linear_lif, parts_of, philox_words, proof, readout, resample, rgba, sample,
    sample_rates, shared_bytes, tiles,
};
use crate::gpu::roofline;
use crate::gpu::variant::Variant;
use crate::network::{RateLayer, Rates, logits};
use crate::philox::Stream;

/// Every kernel with some constants that it may be compiled with.
pub(crate) fn kernels() -> Vec<(&'static Kernel, Vec<(&'static str, u32)>)> {
    let mut kernels = vec![(&philox_words::KERNEL, vec![]), (&proof::KERNEL, vec![])];
    kernels.extend([&roofline::ADD, &roofline::MULTIPLY_ADD, &roofline::COPY].map(|kernel| (kernel, vec![])));
    for channels in [1, 3] {
        kernels.push((&rgba::KERNEL, vec![("IMAGE_CHANNELS", channels)]));
        kernels.push((&tiles::KERNEL, vec![("IMAGE_CHANNELS", channels)]));
    }
    for steps in [1, 7, 16, 32] {
        for (inputs, outputs, side) in [(1, 1, 2), (9, 8, 16), (64, 32, 2)] {
            let sizes = LayerSizes { inputs, outputs, side };
            for kernel in [&linear_lif::KERNEL, &conv_lif::KERNEL, &conv_transpose_lif::KERNEL] {
                for variant in Variant::ALL {
                    kernels.push((kernel, layer_constants(steps as usize, variant, sizes).to_vec()));
                }
            }
            kernels.push((
                &conv_transpose_quads::KERNEL,
                conv_transpose_quads::constants(steps as usize, sizes).into(),
            ));
        }
        for channels in [1, 3] {
            let both = [("TIME_STEPS", steps), ("IMAGE_CHANNELS", channels), ("SIDE", 16)];
            kernels.push((&image_lif::KERNEL, [&both[..], &[("OUTPUTS", 9)]].concat()));
            kernels.push((&readout::KERNEL, [&both[..], &[("INPUTS", 9)]].concat()));
        }
        for latent in [1, 6, 33, 128, 300] {
            for encoded in [0, 1] {
                for variant in Variant::SAMPLERS {
                    kernels.push((&sample::KERNEL, sampler(steps, latent, encoded, variant)));
                }
            }
            let (steps, latent) = (steps as usize, latent as usize);
            kernels.push((&resample::KERNEL, resample::constants(steps, latent).into()));
            for hidden in [&[][..], &[7], &[64, 129]] {
                let constants = sample_rates::constants(steps, &rates(latent, hidden));
                kernels.push((&sample_rates::KERNEL, constants.into()));
            }
        }
    }
    kernels
}

/// Layers of these widths.
fn rates(latent: usize, hidden: &[usize]) -> Rates {
    let widths = [&[latent], hidden, &[latent]].concat();
    let layer = |pair: &[usize]| RateLayer {
        inputs: pair[0],
        outputs: pair[1],
        weights: vec![0; pair[0] * pair[1]].into(),
        bias: vec![0; pair[1]],
        exponent: 20,
    };
    Rates { layers: widths.windows(2).map(layer).collect(), logits: logits(20) }
}

fn sampler(steps: u32, latent: u32, encoded: u32, variant: Variant) -> Vec<(&'static str, u32)> {
    let stream = if encoded == 1 { Stream::Posterior } else { Stream::Prior };
    let (steps, latent, limits) = (steps as usize, latent as usize, wgpu::Limits::default());
    let manner = sample::Manner::new(variant, latent, steps, &limits);
    sample::constants(steps, latent, 20, stream, manner).into()
}

pub(crate) fn validated(kernel: &Kernel, constants: &[(&str, u32)]) -> (Module, ModuleInfo) {
    let source = kernel.source(super::ROW, constants);
    let module = naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|error| panic!("{}", error.emit_to_string_with_path(&source, kernel.name)));
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    let info = validator.validate(&module).unwrap_or_else(|error| panic!("{}: {error:?}", kernel.name));
    (module, info)
}

/// A person reads from the top: no part uses a name that is declared behind it.
#[test]
fn parts_need_only_what_is_in_front_of_them() {
    for (kernel, constants) in kernels() {
        for parts in 1..kernel.parts.len() {
            let source = kernel.joined(super::ROW, &constants, parts);
            naga::front::wgsl::parse_str(&source)
                .unwrap_or_else(|error| panic!("{}", error.emit_to_string_with_path(&source, kernel.name)));
        }
    }
}

/// What `fsvae info --kernels` writes is valid by itself.
#[cfg(feature = "bundled")]
#[test]
fn the_kernels_of_a_network_are_valid_by_themselves() {
    for (name, bytes) in crate::bundled::MODELS {
        let checkpoint = crate::Checkpoint::from_bytes(bytes).expect("a checkpoint");
        let network = crate::Network::new(&checkpoint).expect("a network");
        let sources = crate::gpu::kernels(&network);
        assert!(sources.len() > 10, "{name}: {}", sources.len());
        for source in sources {
            let module = naga::front::wgsl::parse_str(&source.wgsl).expect("WGSL");
            let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
            validator.validate(&module).unwrap_or_else(|error| panic!("{}: {error:?}", source.name));
        }
    }
}

#[test]
fn a_shader_file_is_in_a_kernel() {
    let used: String = kernels().iter().flat_map(|(kernel, _)| kernel.parts).copied().collect();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders")).expect("shaders") {
        let path = entry.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("text");
        assert!(used.contains(&text), "{} is tested by nobody", path.display());
    }
}

#[test]
fn bindings_and_workgroups_are_what_the_host_thinks() {
    for (kernel, constants) in kernels() {
        let (module, _) = validated(kernel, &constants);
        let [entry] = &module.entry_points[..] else { panic!("{}: one entry point", kernel.name) };
        assert_eq!(entry.name, kernel.name);
        let constant = |of: &str| constants.iter().find(|(name, _)| *name == of).map(|&(_, value)| value);
        let workgroup_size = constant(WORKGROUP).unwrap_or(kernel.workgroup_size);
        assert_eq!(entry.workgroup_size, [workgroup_size, 1, 1], "{}", kernel.name);
        let layouter = layouter(&module);
        let mut bindings: Vec<(u32, Binding)> = Vec::new();
        for (_, global) in module.global_variables.iter() {
            let Some(at) = &global.binding else { continue };
            assert_eq!(at.group, 0);
            let binding = match global.space {
                AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Binding::Write,
                AddressSpace::Storage { .. } => Binding::Read,
                AddressSpace::Handle => {
                    let TypeInner::Image { dim: naga::ImageDimension::D2, arrayed: false, class } =
                        &module.types[global.ty].inner
                    else {
                        panic!("{}: not a texture", kernel.name)
                    };
                    let format = naga::StorageFormat::Rgba8Unorm;
                    assert_eq!(*class, naga::ImageClass::Storage { format, access: StorageAccess::STORE });
                    Binding::Texture
                }
                other => panic!("{}: {other:?}", kernel.name),
            };
            bindings.push((at.binding, binding));
        }
        bindings.sort_by_key(|(at, _)| *at);
        let expected: Vec<(u32, Binding)> = (0..).zip(kernel.bindings.iter().copied()).collect();
        assert_eq!(bindings, expected, "{}", kernel.name);

        let workgroup =
            module.global_variables.iter().filter(|(_, global)| global.space == AddressSpace::WorkGroup);
        let bytes: u32 = workgroup.map(|(_, global)| layouter[global.ty].size).sum();
        let promised = match kernel.name {
            "sample" => {
                let [steps, latent] = [0, 1].map(|at| constants[at].1 as usize);
                sample::workgroup_bytes(latent, steps, constant("PARTED") == Some(1))
            }
            "linear_lif" | "conv_lif" | "conv_transpose_lif" => {
                shared_bytes(constants[0].1 as usize, parts_of(&constants))
            }
            "sample_rates" => {
                let hidden = ["HIDDEN_0", "HIDDEN_1"].map(|name| constant(name).unwrap_or(0) as usize);
                let hidden: Vec<usize> = hidden.into_iter().filter(|&outputs| outputs > 0).collect();
                sample_rates::workgroup_bytes(&rates(constants[1].1 as usize, &hidden))
            }
            "readout" => readout::WORKGROUP_BYTES,
            "conv_transpose_quads" => {
                let [steps, inputs, outputs, side] = [0, 1, 2, 3].map(|at| constants[at].1);
                let sizes = LayerSizes { inputs, outputs, side };
                conv_transpose_quads::workgroup_bytes(steps as usize, sizes)
            }
            _ => 0,
        };
        assert!(bytes as usize <= promised, "{}: {bytes} bytes of workgroup memory", kernel.name);
    }
}

fn layouter(module: &Module) -> naga::proc::Layouter {
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).expect("a layout");
    layouter
}

/// Offsets of the members of a shader's struct.
fn offsets(kernel: &Kernel, constants: &[(&str, u32)], name: &str) -> Vec<usize> {
    let (module, _) = validated(kernel, constants);
    let found = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name));
    let (_, ty) = found.expect("the struct");
    let TypeInner::Struct { members, .. } = &ty.inner else { panic!("{name} is a struct") };
    members.iter().map(|member| member.offset as usize).collect()
}

#[test]
fn structs_have_the_hosts_offsets() {
    use std::mem::offset_of;
    let run = [
        offset_of!(sample::Run, seed),
        offset_of!(sample::Run, first),
        offset_of!(sample::Run, place),
        offset_of!(sample::Run, side),
        offset_of!(sample::Run, ticket),
    ];
    assert_eq!(offsets(&proof::KERNEL, &[], "Run"), run);
    assert_eq!(offsets(&sample::KERNEL, &sampler(16, 128, 0, Variant::default()), "Run"), run);
    assert_eq!(offsets(&sample_rates::KERNEL, &sample_rates::constants(16, &rates(128, &[])), "Run"), run);
    assert_eq!(offsets(&resample::KERNEL, &resample::constants(16, 128), "Run"), run);
    assert_eq!(offsets(&rgba::KERNEL, &[("IMAGE_CHANNELS", 1)], "Run"), run);
    assert_eq!(offsets(&tiles::KERNEL, &[("IMAGE_CHANNELS", 1)], "Run"), run);
}

/// OpenGL ES guarantees no more.
#[test]
fn no_kernel_needs_more_than_four_storage_buffers() {
    for (kernel, _) in kernels() {
        let buffers = kernel.bindings.iter().filter(|binding| **binding != Binding::Texture);
        assert!(buffers.count() <= 4, "{}", kernel.name);
    }
}

#[test]
fn every_shader_translates() {
    for (kernel, constants) in kernels() {
        let (module, info) = validated(kernel, &constants);
        let name = kernel.name;

        let words = back::spv::write_vec(&module, &info, &back::spv::Options::default(), None);
        assert!(words.is_ok_and(|words| !words.is_empty()), "{name}: SPIR-V");

        let options =
            back::msl::Options { lang_version: (2, 0), fake_missing_bindings: true, ..Default::default() };
        let pipeline = back::msl::PipelineOptions::default();
        let metal = back::msl::write_string(&module, &info, &options, &pipeline);
        assert!(metal.is_ok_and(|(text, _)| text.contains("kernel void")), "{name}: MSL");

        let mut text = String::new();
        let options = back::hlsl::Options::default();
        let pipeline = back::hlsl::PipelineOptions::default();
        let hlsl = back::hlsl::Writer::new(&mut text, &options, &pipeline).write(&module, &info, None);
        assert!(hlsl.is_ok() && text.contains("numthreads"), "{name}: HLSL");

        let mut text = String::new();
        let options =
            back::glsl::Options { version: back::glsl::Version::new_gles(310), ..Default::default() };
        let pipeline = back::glsl::PipelineOptions {
            shader_stage: naga::ShaderStage::Compute,
            entry_point: name.into(),
            multiview: None,
        };
        let policies = naga::proc::BoundsCheckPolicies::default();
        let writer = back::glsl::Writer::new(&mut text, &module, &info, &options, &pipeline, policies);
        assert!(writer.and_then(|mut writer| writer.write()).is_ok(), "{name}: GLSL");
        assert!(text.contains("local_size_x"), "{name}: GLSL");
    }
}
