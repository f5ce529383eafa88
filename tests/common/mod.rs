//! What several test programs share: checkpoints of any shape with random weights, and the adapters
//! that are present.

#![allow(dead_code, missing_docs, unreachable_pub)]

#[cfg(feature = "cli")]
pub mod command;
pub mod models;
#[cfg(feature = "cli")]
pub mod pictures;
pub mod rows;
pub mod torch;

use std::collections::BTreeMap;

use fsvae::gpu::{self, Gpu};
use fsvae::{Network, wgpu};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// Sizes of a checkpoint with random weights. The same numbers always give the same file: only
/// operations that IEEE 754 defines to the last bit are used.
#[derive(Clone, Copy, Debug)]
pub struct RandomModel {
    pub rng: u64,
    pub steps: usize,
    pub latent: usize,
    /// None for an ESVAE.
    pub k: Option<usize>,
    /// Widths of an ESVAE's hidden layers.
    pub hidden: &'static [usize],
    pub layers: usize,
    pub channels: usize,
    pub width: usize,
    /// Type of the tensors with more than 4096 elements, as in the shipped checkpoints; all others
    /// are F32.
    pub large: Dtype,
}

impl RandomModel {
    /// The checkpoint's tensors.
    pub fn tensors(&self) -> Tensors {
        let mut tensors = Writer { random: Random(self.rng), large: self.large, tensors: Tensors::default() };
        let widths: Vec<usize> = (0..self.layers).map(|i| self.width << i).collect();
        let (c, deepest) = (self.latent, self.width << (self.layers - 1));
        let mut inputs = self.channels;
        for (i, &outputs) in widths.iter().enumerate() {
            tensors.convolution(&format!("encoder.{i}"), &[outputs, inputs], outputs, inputs, true);
            inputs = outputs;
        }
        tensors.linear("before_latent_layer", c, 4 * deepest);
        match self.k {
            Some(k) => {
                for (name, inputs) in [("prior", c), ("posterior", 2 * c)] {
                    tensors.linear(&format!("{name}.layers.0"), 2 * c, inputs);
                    tensors.linear(&format!("{name}.layers.1"), 4 * c, 2 * c);
                    tensors.linear(&format!("{name}.layers.2"), c * k, 4 * c);
                    tensors.put(&format!("{name}.initial_input"), vec![1, c, 1], &vec![0.0; c]);
                }
            }
            None => {
                let widths = [&[c], self.hidden, &[c]].concat();
                for (i, pair) in widths.windows(2).enumerate() {
                    let (name, deviation) =
                        (format!("sample_layer.{}", 2 * i), 1.5 / (pair[0] as f64).sqrt());
                    // Hidden units are silent, saturated and between; so are the channels.
                    let (mean, spread) = if i < self.hidden.len() { (0.5, 1.0) } else { (-1.0, 1.0) };
                    tensors.normal(&format!("{name}.weight"), vec![pair[1], pair[0]], 0.0, deviation);
                    tensors.normal(&format!("{name}.bias"), vec![pair[1]], mean, spread);
                }
            }
        }
        tensors.linear("decoder_input", 4 * deepest, c);
        for i in 0..self.layers {
            let inputs = widths[self.layers - 1 - i];
            let last = i + 1 == self.layers;
            let outputs = if last { self.width } else { widths[self.layers - 2 - i] };
            let name = if last { "final_layer.0".into() } else { format!("decoder.{i}") };
            tensors.convolution(&name, &[inputs, outputs], outputs, inputs, true);
        }
        tensors.convolution("final_layer.1", &[self.width, self.channels], self.channels, self.width, false);
        let mut coef = vec![1.0; self.steps];
        for t in (0..self.steps - 1).rev() {
            coef[t] = coef[t + 1] * 0.8;
        }
        tensors.put("membrane_output_layer.coef", vec![1, 1, 1, 1, self.steps], &coef);
        tensors.tensors
    }

    pub fn network(&self) -> Network {
        let bytes = self.bytes();
        fsvae::Checkpoint::from_bytes(&bytes)
            .and_then(|checkpoint| Network::new(&checkpoint))
            .expect("a network")
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.tensors().bytes()
    }
}

/// A model as small as can be that still has everything; the base of the bad-input tests.
pub const TINY: RandomModel = RandomModel {
    rng: 1,
    steps: 4,
    latent: 3,
    k: Some(2),
    hidden: &[],
    layers: 2,
    channels: 1,
    width: 2,
    large: Dtype::F32,
};

/// The same as an ESVAE.
pub const TINY_RATES: RandomModel = RandomModel { k: None, ..TINY };

/// An ESVAE with hidden layers.
pub const TINY_HIDDEN: RandomModel = RandomModel { k: None, hidden: &[5, 6], ..TINY };

/// One whose channels are no multiple of four.
pub const GREY: RandomModel = RandomModel { rng: 31, steps: 6, latent: 7, k: Some(3), width: 3, ..TINY };

/// One tensor of a file that is being made.
#[derive(Clone, Debug)]
pub struct RawTensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub data: Vec<u8>,
}

/// A file that is being made.
#[derive(Clone, Debug, Default)]
pub struct Tensors(pub BTreeMap<String, RawTensor>);

impl Tensors {
    pub fn bytes(&self) -> Vec<u8> {
        let views = self.0.iter().map(|(name, tensor)| {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.data).expect("consistent");
            (name.clone(), view)
        });
        safetensors::serialize(views, None).expect("serializable")
    }

    pub fn get(&mut self, name: &str) -> &mut RawTensor {
        self.0.get_mut(name).expect("a tensor of the model")
    }

    /// Sets one element of an F32 tensor.
    pub fn set(&mut self, name: &str, element: usize, value: f32) {
        let tensor = self.get(name);
        assert_eq!(tensor.dtype, Dtype::F32);
        tensor.data[4 * element..4 * element + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// Replaces a tensor by zeros of another shape and type.
    pub fn reshape(&mut self, name: &str, dtype: Dtype, shape: &[usize]) {
        let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let tensor = RawTensor { dtype, shape: shape.to_vec(), data: vec![0; bytes] };
        self.0.insert(name.into(), tensor);
    }
}

struct Writer {
    random: Random,
    large: Dtype,
    tensors: Tensors,
}

impl Writer {
    fn put(&mut self, name: &str, shape: Vec<usize>, values: &[f64]) {
        let dtype = if values.len() > 4096 { self.large } else { Dtype::F32 };
        let data = values.iter().flat_map(|&value| match dtype {
            // By way of f32, as processors with F16C do and others do not: the rows are of these bytes.
            Dtype::F16 => f16::from_f32(value as f32).to_le_bytes().to_vec(),
            Dtype::BF16 => bf16::from_f64(value).to_le_bytes().to_vec(),
            _ => (value as f32).to_le_bytes().to_vec(),
        });
        let tensor = RawTensor { dtype, shape, data: data.collect() };
        self.tensors.0.insert(name.into(), tensor);
    }

    fn normal(&mut self, name: &str, shape: Vec<usize>, mean: f64, deviation: f64) {
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|_| mean + deviation * self.random.normal()).collect();
        self.put(name, shape, &values);
    }

    fn uniform(&mut self, name: &str, count: usize, low: f64, high: f64) {
        let values: Vec<f64> = (0..count).map(|_| low + (high - low) * self.random.uniform()).collect();
        self.put(name, vec![count], &values);
    }

    /// Batch-norm statistics that keep every layer between silence and saturation.
    fn norm(&mut self, name: &str, outputs: usize) {
        let scale = (0..outputs).map(|_| {
            let sign = if self.random.uniform() < 0.25 { -1.0 } else { 1.0 };
            sign * (0.3 + 1.3 * self.random.uniform())
        });
        let scale: Vec<f64> = scale.collect();
        self.put(&format!("{name}.bn.weight"), vec![outputs], &scale);
        self.normal(&format!("{name}.bn.bias"), vec![outputs], 0.02, 0.15);
        self.normal(&format!("{name}.bn.running_mean"), vec![outputs], 0.0, 0.3);
        self.uniform(&format!("{name}.bn.running_var"), outputs, 0.05, 1.5);
        let counter = RawTensor { dtype: Dtype::I64, shape: vec![], data: 17_i64.to_le_bytes().to_vec() };
        self.tensors.0.insert(format!("{name}.bn.num_batches_tracked"), counter);
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) {
        let deviation = 1.6 / (inputs as f64).sqrt();
        self.normal(&format!("{name}.weight"), vec![outputs, inputs], 0.0, deviation);
        self.normal(&format!("{name}.bias"), vec![outputs], 0.0, 0.1);
        self.norm(name, outputs);
    }

    fn convolution(&mut self, name: &str, axes: &[usize], outputs: usize, inputs: usize, norm: bool) {
        let deviation = 1.6 / (3.0 * inputs as f64).sqrt();
        let shape = [axes, &[3, 3, 1]].concat();
        self.normal(&format!("{name}.weight"), shape, 0.0, deviation);
        self.normal(&format!("{name}.bias"), vec![outputs], 0.0, 0.1);
        if norm {
            self.norm(name, outputs);
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to 1, in steps of 2^-24.
    fn uniform(&mut self) -> f64 {
        (self.next() >> 40) as f64 / f64::from(1 << 24)
    }

    /// Mean 0, deviation 1, bell-shaped enough.
    fn normal(&mut self) -> f64 {
        let sum: f64 = (0..4).map(|_| self.uniform()).sum();
        (sum - 2.0) * 3_f64.sqrt()
    }
}

/// Every adapter present. With `FSVAE_REQUIRE_ADAPTERS=N`, fewer than N are an error; without it a
/// machine without adapters is told what it skips.
pub fn adapters() -> Vec<wgpu::Adapter> {
    let adapters = pollster::block_on(gpu::adapters());
    let required = std::env::var("FSVAE_REQUIRE_ADAPTERS")
        .map_or(0, |count| count.parse().expect("FSVAE_REQUIRE_ADAPTERS is a number"));
    let names: Vec<String> = adapters.iter().map(|adapter| gpu::describe(&adapter.get_info())).collect();
    assert!(adapters.len() >= required, "{required} adapters are required, present: {names:?}");
    if adapters.is_empty() {
        eprintln!("no GPU adapter is present: GPU checks are skipped, CPU checks run");
    }
    for name in names {
        eprintln!("adapter: {name}");
    }
    adapters
}

/// A device of each adapter present that can run `network`.
pub fn gpus(network: &Network) -> Vec<Gpu> {
    let limits = gpu::required_limits(network);
    let request =
        |adapter: &wgpu::Adapter| pollster::block_on(Gpu::request(adapter, &limits)).expect("a device");
    adapters().iter().map(request).collect()
}

/// True for SwiftShader, which interprets rather than compiles and gets a smaller share of tests.
pub fn is_slow(gpu: &Gpu) -> bool {
    gpu.name().contains("SwiftShader")
}

/// The image that a reconstruction row starts from; tests/oracle/rows.py has the same formulas.
pub fn input(name: &str, network: &Network) -> Vec<u8> {
    if let Some(index) = name.strip_prefix("sample") {
        let index: u64 = index.parse().expect("an index");
        return fsvae::Generator::builder(network)
            .cpu()
            .generate(0, index..=index)
            .expect("an image")
            .into_bytes();
    }
    let (side, channels) =
        (network.architecture().image_side() as u32, network.architecture().image_channels as u32);
    let mut image = Vec::new();
    for y in 0..side {
        for x in 0..side {
            image.extend((0..channels).map(|c| match name.strip_prefix("uniform") {
                Some(level) => level.parse().expect("a level"),
                None if name == "ramp" => (7 * x + 13 * y + 29 * c) as u8,
                None if name == "noise" => {
                    let mixed = x
                        .wrapping_mul(374_761_393)
                        .wrapping_add(y.wrapping_mul(668_265_263))
                        .wrapping_add(c.wrapping_mul(2_246_822_519))
                        .wrapping_add(12345);
                    (mixed.wrapping_mul(2_654_435_761) >> 24) as u8
                }
                None if name == "disc" => {
                    let square = |at: u32| (2 * i64::from(at) - i64::from(side)).pow(2);
                    if square(x) + square(y) < i64::from(side).pow(2) / 2 { 255 } else { 0 }
                }
                None => panic!("no image {name}"),
            }));
        }
    }
    image
}

/// SHA-256 of some bytes, in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
