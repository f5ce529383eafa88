//! Threads of every kind around a generator: whoever waits, it ends, and the images are the same.

mod common;

use std::sync::{Mutex, mpsc};
use std::task::Poll;
use std::time::Duration;

use common::{RandomModel, TINY, command};
use fsvae::{Checkpoint, Generator, ImageStream, Network};
use rayon::prelude::*;
use safetensors::Dtype;

/// Work enough for several threads.
const MODEL: RandomModel = RandomModel {
    rng: 43,
    steps: 6,
    latent: 8,
    k: Some(4),
    hidden: &[],
    layers: 3,
    channels: 1,
    width: 16,
    large: Dtype::F32,
};
const SEED: u64 = 11;
const SHARDS: u64 = 8;
const IMAGES: u64 = 12;

fn network(model: &RandomModel) -> Network {
    Network::new(&Checkpoint::from_bytes(&model.bytes()).expect("a checkpoint")).expect("a network")
}

fn on_cpu(network: &Network) -> Generator {
    Generator::builder(network).batch(4.try_into().expect("not 0")).cpu()
}

/// Expects that `work` ends. What hangs is left behind.
fn ends<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    match result.recv_timeout(Duration::from_secs(120)) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{what}: it panicked"),
    }
}

/// Runs `work` on the threads of an application's pool: rayon's global one, and small ones of its own.
fn in_every_pool(what: &str, work: impl Fn() + Copy + Send + Sync + 'static) {
    ends(&format!("{what}, global pool"), move || rayon::scope(|_| work()));
    for threads in [1, 2, 4] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        ends(&format!("{what}, a pool of {threads}"), move || pool.install(work));
    }
}

fn waited(stream: ImageStream) -> Vec<u8> {
    stream.flat_map(|images| images.expect("images").as_bytes().to_vec()).collect()
}

fn awaited(mut stream: ImageStream) -> Vec<u8> {
    let mut pixels = Vec::new();
    while let Some(images) = pollster::block_on(futures_lite::StreamExt::next(&mut stream)) {
        pixels.extend(images.expect("images").as_bytes());
    }
    pixels
}

fn tried(mut stream: ImageStream) -> Vec<u8> {
    let mut pixels = Vec::new();
    loop {
        match stream.try_next() {
            Poll::Ready(Some(images)) => pixels.extend(images.expect("images").as_bytes()),
            Poll::Ready(None) => return pixels,
            Poll::Pending => std::thread::yield_now(),
        }
    }
}

#[test]
fn streams_are_consumed_on_the_threads_of_any_pool() {
    in_every_pool("streams", || {
        let network = network(&MODEL);
        let expected = on_cpu(&network).generate(SEED, 0..SHARDS * IMAGES).expect("images");
        for consume in [waited, awaited, tried] {
            let shards: Vec<Vec<u8>> = (0..SHARDS)
                .into_par_iter()
                .map(|shard| {
                    let range = shard * IMAGES..(shard + 1) * IMAGES;
                    consume(on_cpu(&network).stream(SEED, range).expect("a stream"))
                })
                .collect();
            assert_eq!(shards.concat(), expected.as_bytes());
        }
    });
}

/// While a thread of a pool waits for jobs, rayon gives it others, and one of those may want the lock that it holds.
#[test]
fn a_lock_may_be_held_while_images_are_made_on_the_threads_of_any_pool() {
    in_every_pool("a shared generator", || {
        let network = network(&MODEL);
        let expected = on_cpu(&network).generate(SEED, 0..SHARDS * IMAGES).expect("images");
        let generator = Mutex::new(on_cpu(&network));
        let shards: Vec<Vec<u8>> = (0..SHARDS)
            .into_par_iter()
            .map(|shard| {
                let range = shard * IMAGES..(shard + 1) * IMAGES;
                let generator = generator.lock().expect("no panic");
                generator.generate(SEED, range).expect("images").as_bytes().to_vec()
            })
            .collect();
        assert_eq!(shards.concat(), expected.as_bytes());
    });
}

/// Rounding, generating, encoding and streaming inside of jobs inside of jobs.
#[test]
fn calls_may_be_nested_in_joins_and_scopes() {
    in_every_pool("nested calls", || {
        let network = network(&MODEL);
        let expected = on_cpu(&network).generate(SEED, 0..IMAGES).expect("images");
        let all_ways = || {
            let ((images, rounded), (streamed, reconstructed)) = rayon::join(
                || {
                    rayon::join(
                        || on_cpu(&network).generate(SEED, 0..IMAGES).expect("images"),
                        || self::network(&MODEL),
                    )
                },
                || {
                    rayon::join(
                        || waited(on_cpu(&network).stream(SEED, 0..IMAGES).expect("a stream")),
                        || on_cpu(&network).reconstruct(expected.as_bytes(), SEED, 0).expect("images"),
                    )
                },
            );
            assert_eq!(images, expected);
            assert_eq!(streamed, expected.as_bytes());
            assert!(rounded == network);
            reconstructed
        };
        let (first, second) = rayon::join(all_ways, all_ways);
        assert_eq!(first, second);
        rayon::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|_| drop(all_ways()));
            }
        });
    });
}

#[test]
fn many_threads_generate_at_once() {
    ends("many threads", || {
        let network = network(&MODEL);
        let expected = on_cpu(&network).generate(SEED, 0..IMAGES).expect("images");
        std::thread::scope(|scope| {
            for thread in 0..200 {
                let (network, expected) = (&network, &expected);
                scope.spawn(move || {
                    let generator = on_cpu(network);
                    if thread % 2 == 0 {
                        assert_eq!(generator.generate(SEED, 0..IMAGES).expect("images"), *expected);
                    } else {
                        let stream = generator.stream(SEED, 0..IMAGES).expect("a stream");
                        assert_eq!(waited(stream), expected.as_bytes());
                    }
                });
            }
        });
    });
}

/// Of how many threads there are in all: a process under `ulimit -u` or a container's limit of pids.
#[cfg(target_os = "linux")]
#[test]
fn the_command_works_with_the_threads_that_it_gets() {
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Output, Stdio};
    use std::time::Instant;

    // A user that nobody is, whose processes are those of this test.
    const USER: &str = "3141592";
    let run = |command: &mut Command| -> Option<Output> {
        let start = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
        while child.try_wait().expect("a state").is_none() {
            if start.elapsed() > Duration::from_secs(60) {
                child.kill().expect("it is there");
                panic!("{command:?}: it hangs");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(child.wait_with_output().expect("output"))
    };
    let limited = |program: &std::path::Path, threads: &str| {
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups"]);
        command.args(["prlimit", &format!("--nproc={threads}:{threads}")]).arg(program);
        command
    };
    let able = run(&mut limited("true".as_ref(), "9")).is_some_and(|output| output.status.success());
    if !able {
        eprintln!("skipped: limits of another user's threads need root, setpriv and prlimit");
        return;
    }

    let directory = tempfile::tempdir().expect("a directory");
    let at = |name| directory.path().join(name);
    std::fs::copy(env!("CARGO_BIN_EXE_fsvae"), at("fsvae")).expect("a copy");
    std::fs::write(at("tiny.safetensors"), TINY.bytes()).expect("a file");
    for (path, mode) in [(directory.path(), 0o755), (&at("fsvae"), 0o755), (&at("tiny.safetensors"), 0o644)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    }
    let generate = |mut command: Command| {
        command.args(["generate", "--model", "tiny.safetensors", "--backend", "cpu"]);
        command.args(["--count", "100", "--digests"]).current_dir(directory.path());
        command.env("RAYON_NUM_THREADS", "4").env("FSVAE_CACHE_DIR", "");
        run(&mut command).expect("it starts")
    };
    let expected = generate(command::fsvae(directory.path()));
    assert!(expected.status.success());
    for threads in ["1", "2", "3", "4", "5", "6"] {
        let output = generate(limited(&at("fsvae"), threads));
        assert_eq!(output.status.code(), Some(0), "{threads} threads: {output:?}");
        assert_eq!(output.stderr, b"", "{threads} threads: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, expected.stdout, "{threads} threads");
    }
}

/// `ulimit -v`, as shared machines have it, and more threads than any machine has room for.
#[cfg(target_os = "linux")]
#[test]
fn the_command_works_with_the_threads_that_it_has_addresses_for() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("tiny.safetensors"), TINY.bytes()).expect("a file");
    let generate = |limit: Option<u64>, threads: &str| {
        // The program itself lies in memory, too, with its models.
        let program = std::fs::metadata(env!("CARGO_BIN_EXE_fsvae")).expect("it is there").len() >> 10;
        let limit = limit.map_or_else(|| "unlimited".into(), |limit| (program + limit).to_string());
        let mut command = std::process::Command::new("bash");
        command.args(["-c", "ulimit -v $0 && exec \"$@\"", &limit, env!("CARGO_BIN_EXE_fsvae")]);
        command.args([
            "generate",
            "--model",
            "tiny.safetensors",
            "--backend",
            "cpu",
            "--count",
            "100",
            "--digests",
        ]);
        command.current_dir(directory.path()).env("RAYON_NUM_THREADS", threads).env("FSVAE_CACHE_DIR", "");
        command.env_remove("FSVAE_DRIVER_MESSAGES").output().expect("it runs")
    };
    let expected = generate(None, "1");
    assert!(expected.status.success(), "{expected:?}");
    for (limit, threads) in [
        (Some(120_000), "8"),
        (Some(500_000), "8"),
        (Some(340_000), "128"),
        (Some(1_900_000), "4000"),
        (None, "20000"),
        (None, "99999999"),
    ] {
        let output = generate(limit, threads);
        assert_eq!(output.status.code(), Some(0), "{limit:?} {threads} threads: {output:?}");
        assert_eq!(output.stderr, b"", "{threads} threads: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, expected.stdout, "{threads} threads");
    }
}
