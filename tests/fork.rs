//! A child of `fork()` has one thread, and perhaps locks whose holders stayed behind: the CPU backend goes on in it.
//! Python's `multiprocessing` forks, and so do servers that load a model first.

#![cfg(unix)]
#![allow(unsafe_code)]

mod common;

use std::time::{Duration, Instant};

use common::{RandomModel, TINY};
use fsvae::{Checkpoint, Generator, Network};

const MODEL: RandomModel = RandomModel { width: 8, ..TINY };
const SEED: u64 = 5;

fn network() -> Network {
    Network::new(&Checkpoint::from_bytes(&MODEL.bytes()).expect("a checkpoint")).expect("a network")
}

/// Does `work` in a child, and says whether it returned true within a minute.
fn in_child(work: impl FnOnce() -> bool) -> Result<bool, String> {
    // SAFETY: the child allocates, which glibc, musl and Apple's library allow after fork, and leaves by _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let right = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(false);
        unsafe { libc::_exit(if right { 0 } else { 1 }) };
    }
    let start = Instant::now();
    let mut status = 0;
    while unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == 0 {
        if start.elapsed() > Duration::from_secs(60) {
            unsafe {
                libc::kill(child, libc::SIGKILL);
                libc::waitpid(child, &raw mut status, 0);
            }
            return Err("it hangs".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(status == 0)
}

#[test]
fn generators_and_streams_go_on_in_a_child() {
    let network = network();
    let generator = Generator::builder(&network).batch(2.try_into().expect("not 0")).cpu();
    let expected = generator.generate(SEED, 0..20).expect("images");
    let mut stream = generator.stream(SEED, 0..20).expect("a stream");
    stream.next().expect("a batch").expect("images");

    let generated = in_child(|| generator.generate(SEED, 0..20).expect("images") == expected);
    assert_eq!(generated, Ok(true), "a generator of the parent's");
    let made = in_child(|| {
        let generator = Generator::builder(&self::network()).cpu();
        generator.generate(SEED, 0..20).expect("images") == expected
    });
    assert_eq!(made, Ok(true), "a generator of its own");
    let rest = &expected.as_bytes()[2 * expected.as_bytes().len() / 20..];
    let streamed = in_child(|| {
        let left = stream.progress();
        let begun = left.delivered == 2 && left.remaining + left.in_flight == 18;
        let pixels: Vec<u8> =
            (&mut stream).flat_map(|images| images.expect("images").as_bytes().to_vec()).collect();
        begun && pixels == rest
    });
    assert_eq!(streamed, Ok(true), "a stream of the parent's");
    // Again and again: the worker is in the middle of something else each time.
    for _ in 0..100 {
        let mut begun = generator.stream(SEED, ..).expect("a stream");
        begun.next().expect("a batch").expect("images");
        let dropped = in_child(|| {
            drop(begun.next());
            drop(begun);
            true
        });
        assert_eq!(dropped, Ok(true), "a stream of the parent's, dropped");
    }
    // Nothing of that is the parent's loss.
    let pixels: Vec<u8> = stream.flat_map(|images| images.expect("images").as_bytes().to_vec()).collect();
    assert_eq!(pixels, rest);
}
