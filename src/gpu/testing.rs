//! What the kernels' tests share: every adapter's device, random layers and spike trains, buffers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;

use super::adapters::{adapters, describe};
use super::device::Gpu;
use super::kernels::Pass;
pub(crate) use super::kernels::grouped;
use super::variant::Variant;
use crate::layer::{Kind, Shape, SpikingLayer};

/// A device of every adapter present, opened once. The integration tests see to it that adapters
/// that must be present are.
pub(crate) fn gpus() -> &'static [Gpu] {
    static GPUS: OnceLock<Vec<Gpu>> = OnceLock::new();
    GPUS.get_or_init(|| {
        let adapters = pollster::block_on(adapters());
        if adapters.is_empty() {
            eprintln!("no GPU adapter is present: the kernels are not run");
        }
        let open = |adapter: &wgpu::Adapter| {
            eprintln!("adapter: {}", describe(&adapter.get_info()));
            let limits = wgpu::Limits::downlevel_webgl2_defaults();
            pollster::block_on(Gpu::request(adapter, &limits)).expect("a device")
        };
        adapters.iter().map(open).collect()
    })
}

/// Changes to the kernels' text: faults, to see whether they are found.
#[derive(Clone, Default)]
pub(crate) struct Planted(Option<Arc<Rewrite>>);

type Rewrite = dyn Fn(&'static str, String) -> String + Send + Sync;

impl Planted {
    #[cfg(feature = "verify")]
    pub(crate) fn new(rewrite: impl Fn(&'static str, String) -> String + Send + Sync + 'static) -> Self {
        Planted(Some(Arc::new(rewrite)))
    }

    pub(crate) fn rewrite(&self, kernel: &'static str, source: String) -> String {
        match &self.0 {
            Some(rewrite) => rewrite(kernel, source),
            None => source,
        }
    }
}

impl std::fmt::Debug for Planted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Planted").field(&self.0.is_some()).finish()
    }
}

/// Something to be done after each part of a batch that is submitted layer by layer, but for the last.
#[derive(Clone, Default)]
pub(crate) struct Between(Option<Arc<dyn Fn() + Send + Sync>>);

impl Between {
    #[cfg(feature = "bundled")]
    pub(crate) fn new(act: impl Fn() + Send + Sync + 'static) -> Self {
        Between(Some(Arc::new(act)))
    }

    pub(crate) fn act(&self) {
        self.0.iter().for_each(|act| act());
    }
}

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Between").field(&self.0.is_some()).finish()
    }
}

/// How many buffers and pipelines can be made before one fails. Clones of a device share it.
#[derive(Clone, Debug)]
pub(crate) struct Ration(Arc<AtomicUsize>);

const PLENTY: usize = usize::MAX;

impl Default for Ration {
    fn default() -> Self {
        Ration(Arc::new(AtomicUsize::new(PLENTY)))
    }
}

impl Ration {
    /// After `left` more one fails, and those after it do not.
    #[cfg(feature = "bundled")]
    pub(crate) fn fail_after(&self, left: usize) {
        self.0.store(left, Ordering::SeqCst);
    }

    /// None fails.
    #[cfg(feature = "bundled")]
    pub(crate) fn plenty(&self) {
        self.fail_after(PLENTY);
    }

    /// True until one failed.
    #[cfg(feature = "bundled")]
    pub(crate) fn is_waiting(&self) -> bool {
        self.0.load(Ordering::SeqCst) != PLENTY
    }

    /// Whether the one that is about to be made fails.
    pub(super) fn is_spent(&self) -> bool {
        let take = |left| (left != PLENTY).then(|| if left == 0 { PLENTY } else { left - 1 });
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) == Ok(0)
    }
}

/// Every variant that has a kernel of its own, or text of its own in one, on every adapter.
pub(crate) fn variants(all: &[Variant]) -> impl Iterator<Item = (&'static Gpu, Variant)> {
    gpus().iter().flat_map(|gpu| all.iter().map(move |&variant| (gpu, variant)))
}

/// A storage buffer with contents.
pub(crate) fn storage<T: bytemuck::NoUninit>(gpu: &Gpu, contents: &[T]) -> wgpu::Buffer {
    super::kernels::constant_buffer(gpu, "test", contents, wgpu::BufferUsages::STORAGE)
}

/// A storage buffer for results, full of ones so that a word that is not written shows.
pub(crate) fn results(gpu: &Gpu, words: usize) -> wgpu::Buffer {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
    super::kernels::constant_buffer(gpu, "test", &vec![u32::MAX; words], usage)
}

/// Runs one dispatch for so many images and reads a buffer.
pub(crate) fn run(gpu: &Gpu, pass: &Pass, images: usize, results: &wgpu::Buffer) -> Vec<u32> {
    let readback = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("test"),
        size: results.size(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    pass.record(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()), images as u32);
    encoder.copy_buffer_to_buffer(results, 0, &readback, 0, results.size());
    gpu.queue.submit([encoder.finish()]);
    readback.map_async(wgpu::MapMode::Read, .., |result| result.expect("mapped"));
    gpu.device.poll(wgpu::PollType::wait_indefinitely()).expect("finished");
    pollster::block_on(gpu.checked(|| ())).expect("no fault");
    bytemuck::cast_slice(&readback.get_mapped_range(..).expect("mapped")).to_vec()
}

/// Spike trains over `steps` time steps: silent, saturated, sparse or anything.
pub(crate) fn spike_trains(count: usize, steps: usize) -> impl Strategy<Value = Vec<u32>> {
    let train = prop_oneof![
        2 => Just(0),
        1 => Just(u32::MAX),
        2 => any::<[u32; 3]>().prop_map(|[a, b, c]| a & b & c),
        2 => any::<u32>(),
    ];
    let used = u32::MAX >> (32 - steps);
    prop::collection::vec(train.prop_map(move |train| train & used), count)
}

/// A layer whose current stays within the contract's bound: either of small numbers, where a
/// membrane often ends exactly at the threshold, or of numbers as large as they may be.
pub(crate) fn layer(
    kind: Kind,
    side: usize,
    inputs: usize,
    outputs: usize,
) -> impl Strategy<Value = SpikingLayer> {
    let shape = Shape::new("test", kind, side, inputs, outputs);
    let fan_in = shape.fan_in();
    let largest = ((3 << 29) - (1 << 16) - 1) / (fan_in as i32 + 1);
    prop_oneof![Just((4, 3)), Just((largest, largest / 2))].prop_flat_map(move |(weight, threshold)| {
        let weights = prop::collection::vec(-weight..=weight, outputs * fan_in);
        let bias = prop::collection::vec(-weight..=weight, outputs);
        let threshold = prop::collection::vec(0..=threshold, outputs);
        let shape = shape.clone();
        (weights, bias, threshold).prop_map(move |(weights, bias, threshold)| SpikingLayer {
            shape: shape.clone(),
            weights: weights.into(),
            bias,
            threshold,
            exponents: vec![8; outputs],
        })
    })
}

/// Few cases, because each compiles kernels on every adapter; fixed, so that CI is reproducible. `FSVAE_TEST_CASES`: no more
/// than so many, on processors that are emulated.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let most = std::env::var("FSVAE_TEST_CASES").map_or(u32::MAX, |most| most.parse().expect("a number"));
    let cases = cases.min(most);
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: prop::test_runner::RngSeed::Fixed(7),
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    }
}
