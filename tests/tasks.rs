//! Jobs and tasks: whatever is asked for, of whatever source, on whatever backend, in whatever batches, together or alone,
//! waited for or awaited, is the same.

mod common;

use std::num::NonZeroUsize;
use std::task::Poll;

use common::{GREY, RandomModel, gpus, is_slow};
use fsvae::{Error, Generator, Job, Latents, Network, Outputs, Part};

const RGB: RandomModel = RandomModel { rng: 52, channels: 3, layers: 3, steps: 17, latent: 8, ..GREY };

const SEED: u64 = 9;
const FIRST: u64 = (1 << 32) - 3;
const COUNT: usize = 7;

fn size(n: usize) -> NonZeroUsize {
    n.try_into().expect("not 0")
}

/// On the CPU and on every adapter, in batches of three.
fn generators(network: &Network) -> Vec<Generator> {
    let builder = Generator::builder(network).batch(size(3));
    let on = |gpu: &fsvae::Gpu| pollster::block_on(builder.gpu(gpu)).expect("a generator");
    std::iter::once(builder.cpu()).chain(gpus(network).iter().map(on)).collect()
}

fn pixels(network: &Network) -> Vec<u8> {
    (0..COUNT * network.architecture().image_bytes()).map(|at| (at * at / 7 + at) as u8).collect()
}

fn layers(network: &Network, encodes: bool) -> Outputs {
    let all = network.architecture().layers().into_iter().map(|layer| layer.name);
    Outputs::spikes(all.skip(if encodes { 0 } else { network.architecture().depth() + 1 }))
}

fn everything(network: &Network, encodes: bool) -> Outputs {
    Outputs::images().and(Outputs::latents()).and(Outputs::frames()).and(layers(network, encodes))
}

/// A job of each source.
fn jobs<'a>(pixels: &'a [u8], latents: &'a Latents) -> [(bool, Job<'a>); 3] {
    [
        (false, Job::prior(SEED, FIRST..FIRST + COUNT as u64).expect("a range")),
        (true, Job::posterior(pixels, SEED, FIRST)),
        (false, Job::latents(latents)),
    ]
}

#[test]
fn together_or_alone_on_every_backend() {
    for model in [GREY, RGB] {
        let network = model.network();
        let pixels = pixels(&network);
        let cpu = Generator::builder(&network).cpu();
        let latents = cpu.sample_latents(3, 0..COUNT as u64).expect("latents");
        let take = |generator: &Generator, job: &Job<'_>, outputs: Outputs| -> Part {
            generator.start(job.clone().giving(outputs)).expect("a task").wait().expect("a part")
        };
        for (encodes, job) in jobs(&pixels, &latents) {
            let expected = take(&cpu, &job, everything(&network, encodes));
            assert_eq!(expected.count, COUNT);
            let images = expected.images.as_ref().expect("images");
            assert_eq!(expected.frames.as_ref().expect("frames").last(), Some(images));
            assert!(expected.spikes.iter().any(|spikes| spikes.count() > 0));
            for generator in generators(&network) {
                let name = generator.backend_name();
                assert_eq!(take(&generator, &job, everything(&network, encodes)), expected, "{name}");
                let alone = |outputs| take(&generator, &job, outputs);
                assert_eq!(alone(Outputs::images()).images, expected.images, "{name}");
                assert_eq!(alone(Outputs::latents()).latents, expected.latents, "{name}");
                assert_eq!(alone(Outputs::frames()).frames, expected.frames, "{name}");
                for spikes in &expected.spikes {
                    let layer = &spikes.layer().name;
                    let found = alone(Outputs::spikes([layer])).spikes;
                    assert_eq!(found, std::slice::from_ref(spikes), "{name}: {layer}");
                }
            }
        }
    }
}

#[test]
fn parts_are_the_whole_and_awaiting_is_waiting() {
    let network = GREY.network();
    let pixels = pixels(&network);
    let latents = Generator::builder(&network).cpu().sample_latents(3, 0..COUNT as u64).expect("latents");
    for generator in generators(&network) {
        let name = generator.backend_name();
        for (encodes, job) in jobs(&pixels, &latents) {
            let job = job.giving(everything(&network, encodes));
            let start = || generator.start(job.clone()).expect("a task");
            let whole = start().wait().expect("a part");
            let awaited = pollster::block_on(start().finish()).expect("a part");
            assert_eq!(awaited, whole, "{name}");
            let parts: Vec<Part> = start().map(|part| part.expect("a part")).collect();
            let counts: Vec<usize> = parts.iter().map(|part| part.count).collect();
            assert_eq!(counts, [3, 3, 1], "{name}");
            assert_eq!(parts[1].first, whole.first + 3, "{name}");
            let mut tried = Vec::new();
            let mut task = start();
            loop {
                match task.try_next() {
                    Poll::Pending => std::thread::sleep(std::time::Duration::from_millis(1)),
                    Poll::Ready(Some(part)) => tried.push(part.expect("a part")),
                    Poll::Ready(None) => break,
                }
            }
            assert_eq!(tried, parts, "{name}");
            let joined = |bytes: fn(&Part) -> Vec<u8>| parts.iter().flat_map(bytes).collect::<Vec<u8>>();
            let images = joined(|part| part.images.as_ref().expect("images").as_bytes().to_vec());
            assert_eq!(images, whole.images.expect("images").as_bytes(), "{name}");
        }
    }
}

/// Tasks of one generator in turns, and from several threads.
#[test]
fn tasks_run_side_by_side() {
    let network = GREY.network();
    let pixels = pixels(&network);
    let cpu = Generator::builder(&network).cpu();
    let latents = cpu.sample_latents(3, 0..COUNT as u64).expect("latents");
    let expected = |(encodes, job): (bool, Job<'_>)| {
        cpu.start(job.giving(everything(&network, encodes))).expect("a task").wait().expect("a part")
    };
    let expected = jobs(&pixels, &latents).map(expected);
    for generator in generators(&network) {
        let name = generator.backend_name();
        let mut tasks = jobs(&pixels, &latents).map(|(encodes, job)| {
            generator.start(job.giving(everything(&network, encodes))).expect("a task")
        });
        for turn in 0..3 {
            for (task, expected) in tasks.iter_mut().zip(&expected) {
                let part = task.next().expect("a part").expect("a part");
                let all = expected.images.as_ref().expect("images").iter();
                let images = part.images.expect("images");
                let wanted = all.skip(3 * turn).map(|image| image.pixels);
                assert!(images.iter().map(|image| image.pixels).eq(wanted.take(part.count)), "{name}");
            }
        }
        std::thread::scope(|scope| {
            for (job, expected) in jobs(&pixels, &latents).into_iter().zip(&expected).cycle().take(6) {
                let (generator, network, name) = (&generator, &network, &name);
                scope.spawn(move || {
                    for _ in 0..5 {
                        let job = job.1.clone().giving(everything(network, job.0));
                        let found = generator.start(job).expect("a task").wait().expect("a part");
                        assert_eq!(&found, expected, "{name}");
                    }
                });
            }
        });
    }
}

#[test]
fn without_a_batch_that_was_said_batches_grow() {
    let network = GREY.network();
    for gpu in gpus(&network) {
        let generator = pollster::block_on(Generator::builder(&network).gpu(&gpu)).expect("a generator");
        let parts: Vec<usize> = generator
            .start(Job::prior(SEED, 0..300).expect("a range"))
            .expect("a task")
            .map(|part| part.expect("a part").count)
            .collect();
        // Two are begun before the first is measured.
        assert_eq!(parts[..2], [1, 1], "{}: {parts:?}", gpu.name());
        assert!(
            parts.iter().max() > Some(&4) && parts.iter().sum::<usize>() == 300,
            "{}: {parts:?}",
            gpu.name()
        );
    }
}

/// An image that takes longer than the budget, however small that is, is submitted layer by layer.
#[test]
fn a_budget_of_nothing_is_one_image_layer_by_layer() {
    let network = RGB.network();
    let expected = Generator::builder(&network).cpu().generate(SEED, 0..5).expect("images");
    for gpu in gpus(&network) {
        let builder = Generator::builder(&network).budget(std::time::Duration::ZERO);
        let generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
        for _ in 0..2 {
            assert_eq!(generator.generate(SEED, 0..5).expect("images"), expected, "{}", gpu.name());
        }
        let task = generator.start(Job::prior(SEED, 0..5).expect("a range")).expect("a task");
        assert!(task.map(|part| part.expect("a part").count).eq([1; 5]), "{}", gpu.name());
    }
}

/// Whoever says how many images come at once gets them at once, and submissions keep the budget all the same.
#[test]
fn a_batch_that_was_said_comes_whole_within_any_budget() {
    let network = RGB.network();
    let cpu = Generator::builder(&network).cpu();
    let expected = cpu.generate(SEED, 0..11).expect("images");
    for gpu in gpus(&network) {
        let builder = Generator::builder(&network).budget(std::time::Duration::ZERO);
        let generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
        let job = || Job::prior(SEED, 0..11).expect("a range").batch(size(4));
        let mut task = generator.start(job()).expect("a task");
        let (first, mut most, mut remaining) = (task.next_index(), 0, 11);
        let mut parts = Vec::new();
        while let Some(index) = task.next_index() {
            match task.try_next() {
                std::task::Poll::Ready(part) => parts.extend(part.map(|part| part.expect("a part"))),
                // What is made of a part that is not whole is not there yet.
                std::task::Poll::Pending => assert_eq!(task.next_index(), Some(index)),
            }
            let progress = task.progress();
            most = most.max(progress.in_flight);
            // Two are begun at first, and one for each that was made: no call takes more than two.
            let begun = if remaining == 11 { 4 } else { 2 };
            assert!(
                remaining - progress.remaining <= begun,
                "{remaining} to begin, then {}",
                progress.remaining
            );
            remaining = progress.remaining;
            assert_eq!(progress.delivered, parts.iter().map(|part| part.count as u128).sum::<u128>());
            assert_eq!(progress.delivered + progress.in_flight + progress.remaining, 11);
        }
        let name = gpu.name();
        assert_eq!(
            (first, parts.iter().map(|part| part.count).collect::<Vec<_>>()),
            (Some(0), vec![4, 4, 3])
        );
        // One image a submission, two of them at once, and what is there of the part.
        assert!(most <= 5, "{name}: {most} images at once");
        let pixels: Vec<&[u8]> =
            parts.iter().flat_map(|part| &part.images).map(fsvae::Images::as_bytes).collect();
        assert_eq!(pixels.concat(), expected.as_bytes(), "{name}");

        // Another generator goes on within a part.
        let mut task = generator.start(job()).expect("a task");
        let one = |task: &mut fsvae::Task<'_>| task.next().expect("a part").expect("images");
        let mut parts = vec![one(&mut task)];
        if let std::task::Poll::Ready(Some(part)) = task.try_next() {
            parts.push(part.expect("images"));
        }
        task.rebuild(&cpu).expect("the CPU");
        while task.next_index().is_some() {
            parts.push(one(&mut task));
        }
        let pixels: Vec<&[u8]> =
            parts.iter().flat_map(|part| &part.images).map(fsvae::Images::as_bytes).collect();
        assert!(pixels.concat() == expected.as_bytes(), "{name}: rebuilt");
    }
}

/// Between the parts of one batch nobody else's dispatches may come: all share the memory of a batch.
#[test]
fn batches_in_parts_do_not_disturb_each_other() {
    let network = RGB.network();
    let cpu = Generator::builder(&network).cpu();
    let pixels = pixels(&network);
    let (generated, latents) =
        (cpu.generate(SEED, 0..3).expect("images"), cpu.encode(&pixels, 5, 0).expect("z"));
    for gpu in gpus(&network) {
        let builder = Generator::builder(&network).budget(std::time::Duration::ZERO);
        let generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
        pollster::block_on(generator.prepare()).expect("prepared");
        let rounds = if is_slow(&gpu) { 1 } else { 5 };
        std::thread::scope(|threads| {
            threads.spawn(|| {
                for _ in 0..rounds {
                    assert_eq!(generator.generate(SEED, 0..3).expect("images"), generated, "{}", gpu.name());
                }
            });
            threads.spawn(|| {
                for _ in 0..rounds {
                    assert_eq!(generator.encode(&pixels, 5, 0).expect("latents"), latents, "{}", gpu.name());
                }
            });
            threads.spawn(|| {
                for _ in 0..2 * rounds {
                    pollster::block_on(generator.timings(77, 9)).expect("times, or none");
                }
            });
        });
    }
}

#[test]
fn a_rebuilt_generator_keeps_its_options() {
    let network = GREY.network();
    for gpu in gpus(&network) {
        let builder = Generator::builder(&network).budget(std::time::Duration::ZERO);
        let mut generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
        pollster::block_on(generator.rebuild(&gpu)).expect("rebuilt");
        // One image at a time, as the budget says, not as many as there is room for.
        let task = generator.start(Job::prior(SEED, 0..5).expect("a range")).expect("a task");
        assert!(task.map(|part| part.expect("a part").count).eq([1; 5]), "{}", gpu.name());
        let mut stream = generator.stream(SEED, 0..3).expect("a stream");
        pollster::block_on(stream.rebuild(&gpu)).expect("rebuilt");
        assert!(stream.map(|images| images.expect("images").len()).eq([1; 3]), "{}", gpu.name());
    }
}

#[test]
fn a_task_goes_on_elsewhere() {
    let network = GREY.network();
    let pixels = pixels(&network);
    let all = generators(&network);
    let expected = all[0].reconstruct(&pixels, SEED, FIRST).expect("images");
    for (from, to) in all.iter().zip(all.iter().cycle().skip(1)) {
        let mut task = from.start(Job::posterior(&pixels[..], SEED, FIRST)).expect("a task");
        let mut found = task.next().expect("a part").expect("a part").images.expect("images").into_bytes();
        task.rebuild(to).expect("rebuilt");
        assert_eq!(task.next_index(), Some(FIRST + 3));
        found.extend(task.wait().expect("a part").images.expect("images").into_bytes());
        assert_eq!(found, expected.as_bytes(), "{} to {}", from.backend_name(), to.backend_name());
    }
}

#[test]
fn what_is_not_there_is_refused() {
    let network = GREY.network();
    let pixels = pixels(&network);
    for generator in generators(&network) {
        let prior = || Job::prior(SEED, 0..2).expect("a range");
        let error = |job: Job<'_>| generator.start(job).expect_err("refused").to_string();
        let text = error(prior().giving(Outputs::spikes(["decoder.9"])));
        let known = "latent, decoder_input, decoder.0, final_layer.0";
        assert_eq!(text, format!("no layer \"decoder.9\" there: expected {known}"));
        let text = error(prior().giving(Outputs::spikes(["encoder.0"])));
        assert_eq!(text, format!("no layer \"encoder.0\" there: expected {known}"));
        assert!(generator.start(Job::posterior(&pixels[1..], SEED, 0)).is_err());
        let error = generator.start(Job::posterior(&pixels[..], SEED, u64::MAX)).expect_err("past the end");
        assert!(matches!(error, Error::Range(_)), "{error}");
        let error = generator.start(prior().giving(Outputs::default())).expect("nothing is something").wait();
        assert_eq!(error.expect("a part").count, 2);
        let all = generator.start(Job::prior(SEED, ..).expect("a range")).expect("a task").wait();
        assert!(matches!(all, Err(Error::Range(_))), "{all:?}");
        let spikes = Job::prior(SEED, ..).expect("a range").giving(Outputs::spikes(["latent"]));
        let all = generator.start(spikes).expect("a task").wait();
        assert!(matches!(all, Err(Error::Range(_))), "{all:?}");
    }
}
