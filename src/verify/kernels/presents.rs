//! The generator of random words by itself, and what presents images.

use super::{Case, Dispatch, Part, Random, Results, Shape, Unit, results, storage};
use crate::architecture::Architecture;
use crate::cpu::vectors::Processor;
use crate::gpu::kernels::sample::Run;
use crate::gpu::kernels::{Kernel, philox_words, rgba, tiles};
use crate::gpu::{Gpu, Variant};
use crate::images::Images;
use crate::philox::philox;

pub(super) fn kernel(part: Part) -> &'static Kernel {
    if part == Part::Tiles { &tiles::KERNEL } else { &rgba::KERNEL }
}

pub(super) fn cases(part: Part, random: &mut Random) -> Vec<Box<dyn Case>> {
    if part == Part::Philox {
        // The first word of the counter wraps on the way.
        let counter = [u32::MAX - 1000, random.word(), random.word(), random.word()];
        return vec![Box::new(Words { key: [random.word(), random.word()], counter })];
    }
    let mut case = |side, channels| -> Box<dyn Case> {
        let pixels = random.pixels(IMAGES * side * side * channels);
        Box::new(Presented { part, side, channels, pixels })
    };
    vec![case(8, 1), case(32, 1), case(16, 3)]
}

/// Words of so many counters.
const COUNTERS: usize = 1 << 14;

struct Words {
    key: [u32; 2],
    counter: [u32; 4],
}

impl Case for Words {
    fn constants(&self, _: Variant, _: &wgpu::Limits) -> Vec<(&'static str, u32)> {
        Vec::new()
    }

    fn input(&self) -> String {
        format!("key {:x?}, {COUNTERS} counters from {:x?} on", self.key, self.counter)
    }

    fn images(&self) -> usize {
        1
    }

    fn shape(&self) -> Shape {
        Shape { side: 1, channels: 4 * COUNTERS, unit: Unit::Words }
    }

    fn on_cpu(&self, _: Processor) -> Vec<u32> {
        let [first, rest @ ..] = self.counter;
        let counter = |at: u32| [first.wrapping_add(at), rest[0], rest[1], rest[2]];
        (0..COUNTERS as u32).flat_map(|at| philox(self.key, counter(at))).collect()
    }

    fn on_gpu(&self, gpu: &Gpu, pipeline: &wgpu::ComputePipeline, _: u32) -> Dispatch {
        let ([key0, key1], [a, b, c, d]) = (self.key, self.counter);
        // The counter is aligned to 16 bytes.
        let run = storage(gpu, &[key0, key1, 0, 0, a, b, c, d]);
        let words = results(gpu, 4 * COUNTERS);
        let workgroups = [(COUNTERS as u32).div_ceil(philox_words::KERNEL.workgroup_size), 1];
        let pass = philox_words::KERNEL.pass(gpu, pipeline, &[&run, &words], workgroups);
        Dispatch { pass, results: Results::Buffer(words) }
    }
}

const IMAGES: usize = 3;
/// Number of the first of them among all that are presented: not all places are written.
const PLACE: usize = 5;
/// The tile of the first place, and the tile that is tile 0 again: the last of the images wraps.
const FIRST_TILE: usize = 2;
const WRAP: usize = 9;
/// Texels of a row of the texture: rows of 256 bytes can be copied to a buffer.
const WIDTH: usize = 128;
/// What is not written keeps its value, which is that of a new texture and of the results' buffer.
const UNTOUCHED: [u32; 2] = [0, u32::MAX];

struct Presented {
    part: Part,
    side: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Presented {
    fn columns(&self) -> usize {
        WIDTH / self.side
    }

    /// Rows of tiles.
    fn rows(&self) -> usize {
        WRAP.div_ceil(self.columns())
    }

    fn grid(&self) -> tiles::Grid {
        tiles::Grid::new(self.columns() as u32, FIRST_TILE as u32, WRAP as u32)
    }

    /// Of the n-th image.
    fn tile(&self, n: usize) -> usize {
        (FIRST_TILE + n) % WRAP
    }

    /// RGBA words `[images, side, side]`.
    fn words(&self) -> Vec<u32> {
        let architecture = Architecture {
            time_steps: 1,
            latent_channels: 1,
            family: crate::Family::Esvae,
            rate_widths: Vec::new(),
            encoder_widths: vec![1; self.side.ilog2() as usize - 1],
            decoder_widths: vec![1; self.side.ilog2() as usize],
            image_channels: self.channels,
        };
        let images = Images::new(&architecture, 0, self.pixels.clone());
        let words =
            |images: Images| images.iter().flat_map(|image| image.to_rgba().into_raw()).collect::<Vec<u8>>();
        images.map(|images| bytemuck::pod_collect_to_vec(&words(images))).unwrap_or_default()
    }
}

impl Case for Presented {
    fn constants(&self, _: Variant, _: &wgpu::Limits) -> Vec<(&'static str, u32)> {
        vec![("IMAGE_CHANNELS", self.channels as u32)]
    }

    fn input(&self) -> String {
        format!("{IMAGES} images of {} channels, side {}, from place {PLACE} on", self.channels, self.side)
    }

    fn images(&self) -> usize {
        IMAGES
    }

    /// All that the target holds, as one line.
    fn shape(&self) -> Shape {
        let channels = match self.part {
            Part::Tiles => self.rows() * self.side * WIDTH,
            _ => (PLACE + IMAGES) * self.side * self.side,
        };
        Shape { side: 1, channels, unit: Unit::Words }
    }

    fn on_cpu(&self, _: Processor) -> Vec<u32> {
        let (side, size) = (self.side, self.side * self.side);
        let tiles = self.part == Part::Tiles;
        let mut target = vec![UNTOUCHED[usize::from(!tiles)]; self.shape().words()];
        for (at, word) in self.words().into_iter().enumerate() {
            let (image, y, x) = (self.tile(PLACE + at / size), at % size / side, at % side);
            let (row, column) = (image / self.columns(), image % self.columns());
            let place = if tiles { (row * side + y) * WIDTH + column * side + x } else { PLACE * size + at };
            target[place] = word;
        }
        target
    }

    fn on_gpu(&self, gpu: &Gpu, pipeline: &wgpu::ComputePipeline, _: u32) -> Dispatch {
        let start = Run::new(0, 0).presented(PLACE as u32, self.side as u32);
        let (run, pixels) = (storage(gpu, &[start]), storage(gpu, &self.pixels));
        if self.part != Part::Tiles {
            let buffer = results(gpu, self.shape().words());
            let target = wgpu::BufferBinding { buffer: &buffer, offset: 0, size: None };
            let pass = rgba::pass(gpu, pipeline, &run, &pixels, target, self.side);
            return Dispatch { pass, results: Results::Buffer(buffer) };
        }
        let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("fsvae.verify"),
            size: wgpu::Extent3d {
                width: WIDTH as u32,
                height: (self.rows() * self.side) as u32,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let pass = tiles::pass(gpu, pipeline, &run, &pixels, &view, self.grid(), self.side);
        Dispatch { pass, results: Results::Texture(texture) }
    }
}
