//! Generation recorded into an application's commands, on the application's device: every target holds the CPU's
//! images, and the application keeps what is its own.

#[path = "common/app.rs"]
mod app;
mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use app::{App, BATCH, apps};
use common::{GREY, RandomModel, adapters};
use fsvae::gpu::{Layout, Origin, Target};
use fsvae::{Generator, Images, Job, Latents, Network, Outputs, wgpu};

const RGB: RandomModel = RandomModel { rng: 32, channels: 3, layers: 3, ..GREY };
const RATES: RandomModel = RandomModel { rng: 34, k: None, ..GREY };
/// 4 x 4 pixels, less than a workgroup.
const SMALLEST: RandomModel = RandomModel { rng: 33, layers: 1, channels: 3, ..GREY };

const SEED: u64 = 9;
const FIRST: u64 = (1 << 32) - 3;
const COUNT: u64 = 7;

fn expected(network: &Network) -> Images {
    Generator::builder(network).cpu().generate(SEED, FIRST..FIRST + COUNT).expect("images")
}

fn rgba(images: &Images) -> Vec<u8> {
    images.iter().flat_map(|image| image.to_rgba().into_raw()).collect()
}

const COPY: wgpu::BufferUsages = wgpu::BufferUsages::COPY_DST.union(wgpu::BufferUsages::COPY_SRC);
const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC);
const TILES: wgpu::TextureUsages = wgpu::TextureUsages::STORAGE_BINDING.union(wgpu::TextureUsages::COPY_SRC);

#[test]
fn every_target_holds_the_images() {
    for model in [GREY, RGB, SMALLEST, RATES] {
        let network = model.network();
        let (images, side) = (expected(&network), network.architecture().image_side() as u32);
        for app in apps(&network) {
            let name = &app.name;
            let generator = app.generator(&network);
            let bytes = images.as_bytes().len();

            // Some room before and after, which stays zero.
            let pixels = app.buffer(bytes as u64 + 16, COPY);
            let words = app.buffer(256 + u64::from(4 * side * side) * COUNT + 8, STORAGE);
            let texture = app.texture([3 * side + 5, 3 * side], TILES);
            let mut encoder = app.encoder();
            let range = FIRST..FIRST + COUNT;
            let origin = Origin::prior(SEED, range).expect("a range");
            let mut record = |target| generator.record(&mut encoder, origin, &[target]);
            let below = Layout { images: COUNT as u32, columns: 1, side };
            assert_eq!(record(Target::Pixels { buffer: &pixels, offset: 8 }).expect("recorded"), below);
            assert_eq!(record(Target::Rgba { buffer: &words, offset: 256 }).expect("recorded"), below);
            let layout = record(Target::tiles(&texture, 3)).expect("recorded");
            assert_eq!(layout, Layout { columns: 3, ..below });
            assert_eq!((layout.rows(), layout.size()), (3, [3 * side, 3 * side]));
            app.queue.submit([encoder.finish()]);

            let found = app.read(&pixels);
            assert_eq!(&found[8..8 + bytes], images.as_bytes(), "{name}");
            assert!(found[..8].iter().chain(&found[8 + bytes..]).all(|&byte| byte == 0), "{name}");
            let found = app.read(&words);
            let (words, rest) = found[256..].split_at(found.len() - 256 - 8);
            assert_eq!(words, rgba(&images), "{name}");
            assert!(found[..256].iter().chain(rest).all(|&byte| byte == 0), "{name}");

            let found = app.read_texture(&texture);
            let line = 4 * texture.width() as usize;
            let mut seen = vec![false; found.len()];
            for (n, image) in images.iter().enumerate() {
                let [x, y] = layout.corner(n as u32).map(|at| at as usize);
                for (row, pixels) in image.to_rgba().chunks(4 * side as usize).enumerate() {
                    let start = (y + row) * line + 4 * x;
                    assert_eq!(&found[start..start + pixels.len()], pixels, "{name}: image {n}");
                    seen[start..start + pixels.len()].fill(true);
                }
            }
            assert!(
                found.iter().zip(seen).all(|(&byte, seen)| seen || byte == 0),
                "{name}: beside the tiles"
            );
            assert_eq!(app.errors.load(Ordering::SeqCst), 0, "{name}");
        }
    }
}

/// Each part goes on where the last one ended, and has as many images as fit the budget.
#[test]
fn parts_follow_the_budget_and_say_how_far_they_got() {
    let network = GREY.network();
    let (images, side) = (expected(&network), network.architecture().image_side() as u32);
    for app in apps(&network) {
        let gpu = app.lend();
        let generator = |budget| {
            let room = 64.try_into().expect("not 0");
            let builder = Generator::builder(&network).at_most(room).budget(Duration::from_nanos(budget));
            pollster::block_on(builder.gpu(&gpu)).expect("a generator")
        };
        let parts = |generator: &Generator| {
            let pixels = app.buffer(images.as_bytes().len() as u64 + 8, COPY);
            let words = app.buffer(u64::from(4 * side * side) * COUNT, STORAGE);
            let texture = app.texture([3 * side, 3 * side], TILES);
            let targets = [
                Target::Pixels { buffer: &pixels, offset: 4 },
                Target::Rgba { buffer: &words, offset: 0 },
                Target::Texture { texture: &texture, layer: 0, columns: 3, first: 5, wrap: 9 },
            ];
            let origin = Origin::prior(SEED, FIRST..FIRST + COUNT).expect("a range");
            let mut ends = vec![0];
            while ends[ends.len() - 1] < COUNT as u32 {
                let mut encoder = app.encoder();
                let done = ends[ends.len() - 1];
                ends.push(generator.record_part(&mut encoder, origin, &targets, done).expect("recorded"));
                app.queue.submit([encoder.finish()]);
            }
            let mut encoder = app.encoder();
            let end = COUNT as u32;
            let again = generator.record_part(&mut encoder, origin, &targets, end).expect("nothing to do");
            assert_eq!(again, end);
            let error = generator.record_part(&mut encoder, origin, &targets, end + 1).expect_err("too many");
            let text = "expected at most 7 images to be done, found 8";
            assert!(error.to_string().contains(text), "{error}");

            assert_eq!(&app.read(&pixels)[4..][..images.as_bytes().len()], images.as_bytes(), "{}", app.name);
            assert_eq!(app.read(&words), rgba(&images), "{}", app.name);
            let (found, line) = (app.read_texture(&texture), 4 * texture.width() as usize);
            for (n, image) in images.iter().enumerate() {
                let tile = (5 + n) % 9;
                let [x, y] = [tile % 3, tile / 3].map(|at| at * side as usize);
                let start = y * line + 4 * x;
                let row = 4 * side as usize;
                for (y, expected) in image.to_rgba().as_raw().chunks(row).enumerate() {
                    assert_eq!(
                        &found[start + y * line..][..row],
                        expected,
                        "{}, image {n}, row {y}",
                        app.name
                    );
                }
            }
            assert_eq!(app.errors.load(Ordering::SeqCst), 0, "{}", app.name);
            ends
        };
        let one_by_one: Vec<u32> = (0..=COUNT as u32).collect();

        // Nothing is known of the device.
        let patient = generator(u64::MAX);
        assert_eq!(parts(&patient), one_by_one, "{}", app.name);
        assert_eq!(app.frames(std::pin::pin!(patient.measure())).expect("measured"), 64, "{}", app.name);
        assert_eq!(parts(&patient), [0, COUNT as u32], "{}", app.name);

        let hasty = generator(1);
        assert_eq!(app.frames(std::pin::pin!(hasty.measure())).expect("measured"), 1, "{}", app.name);
        assert_eq!(parts(&hasty), one_by_one, "{}", app.name);

        assert_eq!(parts(&app.generator(&network)), [0, BATCH as u32, 2 * BATCH as u32, 7], "{}", app.name);
    }
}

#[test]
fn recordings_may_be_submitted_in_any_order_and_beside_other_work() {
    let network = GREY.network();
    for app in apps(&network) {
        let generator = app.generator(&network);
        let other = generator.generate(1, 0..4).expect("images");
        let images = expected(&network);
        let image = network.architecture().image_bytes() as u64;
        let target = app.buffer(image * COUNT, COPY);
        let mut commands = Vec::new();
        for n in 0..COUNT {
            let mut encoder = app.encoder();
            let place = Target::Pixels { buffer: &target, offset: n * image };
            let origin = Origin::Prior { seed: SEED, first: FIRST + n, count: 1 };
            generator.record(&mut encoder, origin, &[place]).expect("recorded");
            commands.push(encoder.finish());
        }
        assert_eq!(generator.generate(1, 0..4).expect("images"), other, "{}", app.name);
        commands.rotate_left(2);
        app.queue.submit(commands.into_iter().rev());
        assert_eq!(generator.generate(1, 0..4).expect("images"), other, "{}", app.name);
        assert_eq!(app.read(&target), images.as_bytes(), "{}", app.name);
    }
}

#[test]
fn frames_are_those_of_the_host() {
    let network = RGB.network();
    let steps = network.architecture().time_steps;
    let cpu = Generator::builder(&network).cpu();
    let latents = cpu.sample_latents(SEED, FIRST..FIRST + COUNT).expect("latents");
    let expected = cpu.frames(&latents).expect("frames");
    for app in apps(&network) {
        let generator = app.generator(&network);
        let buffers: Vec<_> =
            expected.iter().map(|frame| app.buffer(rgba(frame).len() as u64, STORAGE)).collect();
        let targets: Vec<_> = buffers.iter().map(|buffer| Target::Rgba { buffer, offset: 0 }).collect();
        let mut encoder = app.encoder();
        let origin = Origin::prior(SEED, FIRST..FIRST + COUNT).expect("a range");
        generator.record_frames(&mut encoder, origin, &targets).expect("recorded");
        app.queue.submit([encoder.finish()]);
        for (step, (buffer, frame)) in buffers.iter().zip(&expected).enumerate() {
            assert_eq!(app.read(buffer), rgba(frame), "{}: step {step}", app.name);
        }
        let mut encoder = app.encoder();
        let error = generator.record_frames(&mut encoder, origin, &targets[1..]).expect_err("one short");
        let text = format!("expected {steps} targets, one a time step, found {}", steps - 1);
        assert!(error.to_string().contains(&text), "{error}");
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_recorded() {
    let network = GREY.network();
    for app in apps(&network) {
        let generator = app.generator(&network);
        let small = app.buffer(100, COPY | STORAGE);
        let uniform = app.buffer(1 << 16, wgpu::BufferUsages::UNIFORM);
        let (narrow, unusable) =
            (app.texture([15, 64], TILES), app.texture([64, 64], wgpu::TextureUsages::TEXTURE_BINDING));
        let mut encoder = app.encoder();
        let cases = [
            (Target::Pixels { buffer: &small, offset: 0 }, "448 bytes and more from offset 0 on, found 100"),
            (Target::Pixels { buffer: &small, offset: u64::MAX - 3 }, "from offset 18446744073709551612 on"),
            (Target::Pixels { buffer: &small, offset: 2 }, "offset that is a multiple of 4, found 2"),
            (Target::Pixels { buffer: &uniform, offset: 0 }, "usage BufferUsages(COPY_DST), found"),
            (Target::Rgba { buffer: &uniform, offset: 0 }, "usage BufferUsages(STORAGE), found"),
            (Target::Rgba { buffer: &small, offset: 4 }, "offset that is a multiple of"),
            (Target::Rgba { buffer: &small, offset: 0 }, "1792 bytes and more"),
            (Target::tiles(&narrow, 2), "16 x 32 texels at least, found 15 x 64"),
            (Target::tiles(&narrow, 0), "at least 1 column"),
            (Target::tiles(&unusable, 2), "usage TextureUsages(STORAGE_BINDING)"),
            (
                Target::Texture { texture: &narrow, layer: 1, columns: 1, first: 0, wrap: 0 },
                "a layer below 1, found 1",
            ),
        ];
        let seven = Origin::prior(SEED, 0..7).expect("a range");
        for (target, text) in cases {
            let error = generator.record(&mut encoder, seven, &[target]).expect_err(text).to_string();
            assert!(error.contains(text), "{}: {error}", app.name);
        }
        let target = Target::Pixels { buffer: &small, offset: 0 };
        assert!(Origin::prior(SEED, 0..1 << 32).is_err());
        let none = Origin::prior(SEED, 5..5).expect("a range");
        assert_eq!(generator.record(&mut encoder, none, &[target]).expect("nothing").images, 0);
        let past = Origin::Prior { seed: SEED, first: u64::MAX, count: 2 };
        let error = generator.record(&mut encoder, past, &[]).expect_err("past the end").to_string();
        assert!(error.contains("2 images from index 18446744073709551615 on pass"), "{error}");
        app.queue.submit([encoder.finish()]);
        assert_eq!(app.errors.load(Ordering::SeqCst), 0, "{}", app.name);
        let error = Generator::builder(&network)
            .cpu()
            .record(&mut app.encoder(), seven, &[target])
            .expect_err("no GPU");
        assert!(error.to_string().contains("this one is on the CPU"), "{error}");
    }
}

/// Everything that a host can ask for goes between an application's own buffers, too.
#[test]
fn images_and_latents_of_the_application_are_recorded() {
    for model in [GREY, RGB] {
        let network = model.network();
        let architecture = network.architecture();
        let image = architecture.image_bytes() as u64;
        let count = COUNT as u32;
        let pixels: Vec<u8> = (0..COUNT * image).map(|at| (at * at / 5 + at) as u8).collect();
        let names: Vec<String> = architecture.layers().into_iter().map(|layer| layer.name).collect();
        let job = Job::posterior(&pixels[..], SEED, FIRST)
            .giving(Outputs::images().and(Outputs::latents()).and(Outputs::spikes(names)));
        let cpu = Generator::builder(&network).cpu();
        let expected = cpu.start(job).expect("a task").wait().expect("a part");
        for app in apps(&network) {
            let (name, generator) = (&app.name, app.generator(&network));
            pollster::block_on(generator.prepare()).expect("prepared");
            let given = app.buffer(image * COUNT + 4, COPY);
            app.queue.write_buffer(&given, 4, &pixels);
            let origin = Origin::Images { buffer: &given, offset: 4, seed: SEED, first: FIRST, count };
            let padded = |channels: usize| 4 * channels.next_multiple_of(4) as u64;
            let latents = app.buffer(padded(architecture.latent_channels) * COUNT + 8, COPY);
            let made = app.buffer(image * COUNT, COPY);
            let maps: Vec<_> = expected
                .spikes
                .iter()
                .map(|spikes| {
                    let layer = spikes.layer();
                    app.buffer((layer.side * layer.side) as u64 * padded(layer.channels) * COUNT, COPY)
                })
                .collect();
            let mut targets = vec![
                Target::Latents { buffer: &latents, offset: 8 },
                Target::Pixels { buffer: &made, offset: 0 },
            ];
            for (spikes, buffer) in expected.spikes.iter().zip(&maps) {
                targets.push(Target::Spikes { layer: &spikes.layer().name, buffer, offset: 0 });
            }
            let (commands, layout) = generator.commands(origin, &targets).expect("recorded");
            assert_eq!(layout.images, count);
            app.queue.submit([commands]);
            assert_eq!(app.read(&made), expected.images.as_ref().expect("images").as_bytes(), "{name}");
            let unpadded = |bytes: &[u8], channels: usize| -> Vec<u32> {
                let words: Vec<u32> =
                    bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().expect("4"))).collect();
                words
                    .chunks(channels.next_multiple_of(4))
                    .flat_map(|words| &words[..channels])
                    .copied()
                    .collect()
            };
            let found = unpadded(&app.read(&latents)[8..], architecture.latent_channels);
            assert_eq!(found, expected.latents.as_ref().expect("latents").words(), "{name}");
            for (spikes, buffer) in expected.spikes.iter().zip(&maps) {
                let found = unpadded(&app.read(buffer), spikes.layer().channels);
                assert_eq!(found, spikes.words(), "{name}: {}", spikes.layer().name);
            }

            // Latents in a buffer of the application, which edits them there.
            app.queue.write_buffer(&latents, 8, &1_u32.to_le_bytes());
            let mut words = expected.latents.as_ref().expect("latents").words().to_vec();
            words[0] = 1;
            let edited = Latents::from_words(architecture.time_steps, architecture.latent_channels, words);
            let edited = cpu.decode(&edited.expect("latents")).expect("images");
            let origin = Origin::Latents { buffer: &latents, offset: 8, count };
            let mut encoder = app.encoder();
            generator
                .record(&mut encoder, origin, &[Target::Pixels { buffer: &made, offset: 0 }])
                .expect("recorded");
            app.queue.submit([encoder.finish()]);
            assert_eq!(app.read(&made), edited.as_bytes(), "{name}");

            let layer = Target::Spikes { layer: "encoder.0", buffer: &made, offset: 0 };
            let error = generator.record(&mut app.encoder(), origin, &[layer]).expect_err("no encoder");
            assert!(error.to_string().starts_with("no layer \"encoder.0\" there"), "{error}");
            let small = Origin::Latents { buffer: &latents, offset: 12, count };
            let error = generator.record(&mut app.encoder(), small, &[]).expect_err("too small").to_string();
            assert!(error.contains("bytes and more from offset 12 on"), "{error}");
            assert_eq!(app.errors.load(Ordering::SeqCst), 0, "{name}");
        }
    }
}

#[test]
fn a_layer_of_an_array_is_a_target() {
    let network = RGB.network();
    let (images, side) = (expected(&network), network.architecture().image_side() as u32);
    for app in apps(&network) {
        let descriptor = wgpu::TextureDescriptor {
            label: Some("app"),
            size: wgpu::Extent3d { width: 3 * side, height: 3 * side, depth_or_array_layers: 3 },
            mip_level_count: 2,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: TILES,
            view_formats: &[],
        };
        let texture = app.device.create_texture(&descriptor);
        let target = Target::Texture { texture: &texture, layer: 1, columns: 3, first: 0, wrap: 0 };
        let mut encoder = app.encoder();
        let origin = Origin::Prior { seed: SEED, first: FIRST, count: COUNT as u32 };
        app.generator(&network).record(&mut encoder, origin, &[target]).expect("recorded");
        app.queue.submit([encoder.finish()]);
        let layer = |layer| {
            let single = app.texture([3 * side, 3 * side], TILES | wgpu::TextureUsages::COPY_DST);
            let mut from = texture.as_image_copy();
            from.origin.z = layer;
            let mut encoder = app.encoder();
            encoder.copy_texture_to_texture(from, single.as_image_copy(), single.size());
            app.queue.submit([encoder.finish()]);
            app.read_texture(&single)
        };
        let found = [0, 1, 2].map(layer);
        assert!(found[0].iter().chain(&found[2]).all(|&byte| byte == 0), "{}", app.name);
        let row = 4 * 3 * side as usize;
        let first = images.iter().next().expect("an image").to_rgba();
        for (y, pixels) in first.chunks(4 * side as usize).enumerate() {
            assert_eq!(&found[1][y * row..][..pixels.len()], pixels, "{}: row {y}", app.name);
        }
        assert_eq!(app.errors.load(Ordering::SeqCst), 0, "{}", app.name);
    }
}

/// The application finds out when its commands are complete, and then all of them are lost. So nothing is recorded that
/// would not be taken.
#[test]
fn what_is_of_another_device_is_refused_before_anything_is_recorded() {
    let network = GREY.network();
    for adapter in adapters() {
        let [app, other] = [App::open(&adapter, &network), App::open(&adapter, &network)];
        let generator = app.generator(&network);
        let mut encoder = app.encoder();
        let origin = Origin::Prior { seed: SEED, first: 0, count: 2 };
        let (buffer, texture) = (other.buffer(1 << 16, COPY | STORAGE), other.texture([64, 64], TILES));
        for target in [
            Target::Pixels { buffer: &buffer, offset: 0 },
            Target::Latents { buffer: &buffer, offset: 0 },
            Target::Rgba { buffer: &buffer, offset: 0 },
            Target::tiles(&texture, 2),
        ] {
            let outcome = generator.record(&mut encoder, origin, &[target]);
            let error = outcome.expect_err(&format!("{}: another device's {target:?}", app.name));
            assert!(matches!(error, fsvae::Error::Gpu { .. }), "{}: {error}", app.name);
        }
        let own = app.buffer(1 << 16, COPY);
        let target = Target::Pixels { buffer: &own, offset: 0 };
        generator.record(&mut encoder, origin, &[target]).expect("recorded");
        app.queue.submit([encoder.finish()]);
        let images = Generator::builder(&network).cpu().generate(SEED, 0..2).expect("images");
        assert_eq!(&app.read(&own)[..images.as_bytes().len()], images.as_bytes(), "{}", app.name);
        assert_eq!(app.errors.load(Ordering::SeqCst), 0, "{}", app.name);
    }
}

/// A wall of tiles whose oldest images give way, in one texture.
#[test]
fn tiles_begin_anywhere_and_wrap() {
    let network = RGB.network();
    let (images, side) = (expected(&network), network.architecture().image_side() as u32);
    for app in apps(&network) {
        let generator = app.generator(&network);
        let texture = app.texture([3 * side, 3 * side], TILES);
        let target = Target::Texture { texture: &texture, layer: 0, columns: 3, first: 5, wrap: 8 };
        let mut encoder = app.encoder();
        let origin = Origin::Prior { seed: SEED, first: FIRST, count: COUNT as u32 };
        generator.record(&mut encoder, origin, &[target]).expect("recorded");
        app.queue.submit([encoder.finish()]);
        let found = app.read_texture(&texture);
        let line = 4 * texture.width() as usize;
        for (n, image) in images.iter().enumerate() {
            let tile = (5 + n) % 8;
            let (x, y) = (tile % 3 * side as usize, tile / 3 * side as usize);
            for (row, pixels) in image.to_rgba().chunks(4 * side as usize).enumerate() {
                let start = (y + row) * line + 4 * x;
                assert_eq!(&found[start..start + pixels.len()], pixels, "{}: image {n}", app.name);
            }
        }
        for (first, wrap, text) in
            [(8, 8, "a tile below 8"), (0, 6, "at most 6 images"), (3, 0, "texels at least")]
        {
            let target = Target::Texture { texture: &texture, layer: 0, columns: 3, first, wrap };
            let error = generator.record(&mut app.encoder(), origin, &[target]).expect_err(text).to_string();
            assert!(error.contains(text), "{error}");
        }
        assert_eq!(app.errors.load(Ordering::SeqCst), 0, "{}", app.name);
    }
}
