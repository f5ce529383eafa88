use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::gpu::testing::{Between, gpus};
use crate::gpu::{Origin, Target};
use crate::{Checkpoint, Generator, Network};

/// The application may submit what it recorded at any time, between the parts of a batch, too. Such a batch is made again.
#[test]
fn a_recording_between_the_parts_of_a_batch_costs_time_only() {
    /// Latents, the decoder's input and its layers; behind the readout nothing comes any more.
    const PARTS: usize = 6;
    let network =
        Network::new(&Checkpoint::bundled("mnist").expect("bundled").expect("valid")).expect("valid");
    let expected = Generator::builder(&network).cpu().generate(7, 0..1).expect("an image");
    for gpu in gpus() {
        let (countdown, recording) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
        let (counted, taken, queue) = (countdown.clone(), recording.clone(), gpu.queue().clone());
        let mut gpu = gpu.clone();
        gpu.between = Between::new(move || {
            if counted.fetch_sub(1, Ordering::SeqCst) == 1 {
                queue.submit(taken.lock().expect("a lock").take());
            }
        });
        let builder = Generator::builder(&network).budget(Duration::ZERO);
        let generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
        let buffer = gpu.buffer("test", 1 << 16, wgpu::BufferUsages::COPY_DST);
        let target = Target::Pixels { buffer: &buffer, offset: 0 };
        for part in 1..=PARTS {
            let origin = Origin::prior(8, 50..51).expect("a range");
            let (commands, _) = generator.commands(origin, &[target]).expect("recorded");
            *recording.lock().expect("a lock") = Some(commands);
            countdown.store(part, Ordering::SeqCst);
            let found = generator.generate(7, 0..1).expect("an image");
            assert!(recording.lock().expect("a lock").is_none(), "{}: there is no part {part}", gpu.name());
            assert_eq!(found, expected, "{}: after part {part}", gpu.name());
        }
    }
}
