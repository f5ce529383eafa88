//! `shaders/philox_words.wgsl`: the generator by itself, to hold it against its twin.

use super::{Binding, Kernel, shader};

pub(crate) const KERNEL: Kernel = Kernel {
    name: "philox_words",
    parts: &[shader!("../../../shaders/philox.wgsl"), shader!("../../../shaders/philox_words.wgsl")],
    bindings: &[Binding::Read, Binding::Write],
    workgroup_size: 64,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::device::Gpu;
    use crate::gpu::kernels::constant_buffer;
    use crate::gpu::testing::{gpus, results, run};
    use crate::philox::{KNOWN, philox};

    /// Words of so many counters that differ in the first word.
    fn words(gpu: &Gpu, key: [u32; 2], first: [u32; 4], counters: usize) -> Vec<u32> {
        let pipeline = KERNEL.pipeline(gpu, &[]);
        // The counter is aligned to 16 bytes.
        let uniform = [key[0], key[1], 0, 0, first[0], first[1], first[2], first[3]];
        let uniform = constant_buffer(gpu, "test", &uniform, wgpu::BufferUsages::STORAGE);
        let words = results(gpu, 4 * counters);
        let workgroups = [(counters as u32).div_ceil(KERNEL.workgroup_size), 1];
        run(gpu, &KERNEL.pass(gpu, &pipeline, &[&uniform, &words], workgroups), 1, &words)
    }

    #[test]
    fn known_answers() {
        for gpu in gpus() {
            for (key, counter, expected) in KNOWN {
                assert_eq!(words(gpu, key, counter, 1), expected, "{}", gpu.name());
            }
        }
    }

    #[test]
    fn a_million_counters_agree_with_the_twin() {
        const COUNTERS: usize = 1 << 20;
        // The first word of the counter wraps on the way.
        let (key, [first, rest @ ..]) = ([0xdead_beef, 0x0123_4567], [u32::MAX - 1000, 1, u32::MAX, 77]);
        let twin = |i: u32| philox(key, [first.wrapping_add(i), rest[0], rest[1], rest[2]]);
        let expected: Vec<u32> = (0..COUNTERS as u32).flat_map(twin).collect();
        for gpu in gpus() {
            assert!(
                words(gpu, key, [first, rest[0], rest[1], rest[2]], COUNTERS) == expected,
                "{}",
                gpu.name()
            );
        }
    }
}
