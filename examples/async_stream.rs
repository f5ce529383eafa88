//! A task that awaits images and is slow with them. The next ones are made meanwhile, but only so many: when the reader
//! falls behind, the stream waits, and memory stays the same.
//!
//! The stream runs on any executor. This one is pollster, which runs one task on the thread that calls it.

use std::num::NonZeroUsize;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use fsvae::{Checkpoint, Generator, Network, StreamOptions};
use futures_lite::StreamExt;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    pollster::block_on(run())
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let network = Network::new(&Checkpoint::bundled("mnist").ok_or("no such model")??)?;
    let generator = Generator::builder(&network).auto().await;

    // 8 images at a time, and at most 2 times 8 that are in the making or wait for the reader.
    let options = StreamOptions { batch: NonZeroUsize::new(8), ..StreamOptions::throughput() };
    let mut images = generator.stream_with(options, 7, 0..64)?;
    let mut most = 0;
    // The stream is an iterator as well, so `images.next()` would not say which is meant.
    while let Some(batch) = StreamExt::next(&mut images).await {
        let batch = batch?;
        let ahead = images.progress().in_flight;
        most = most.max(ahead);
        for image in batch.iter() {
            let ink: u64 = image.pixels.iter().copied().map(u64::from).sum();
            println!("image {}: ink {ink}", image.index);
        }
        println!("{ahead} images ahead");
        read(Duration::from_millis(50)).await;
    }
    println!("done on {}; never more than {most} images ahead", generator.backend_name());
    Ok(())
}

/// The slow part: an upload, a disk, a person. The task sleeps; its thread is free for other tasks.
async fn read(time: Duration) {
    let end = Instant::now() + time;
    let timer = |context: &mut std::task::Context<'_>| {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        thread::spawn(move || {
            thread::sleep(left);
            waker.wake();
        });
        Poll::Pending
    };
    std::future::poll_fn(timer).await;
}
