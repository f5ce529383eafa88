//! The spans that the `tracing` feature gives.

mod common;

use std::collections::BTreeSet;
use std::sync::Mutex;

use common::{TINY, gpus};
use fsvae::gpu::{Origin, Target};
use fsvae::{Checkpoint, Generator, Network, wgpu};
use tracing::{Event, Metadata, Subscriber, span};

static SEEN: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

/// Notes the names of spans.
struct Names;

impl Subscriber for Names {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.name().starts_with("fsvae.")
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        SEEN.lock().expect("no panic").insert(span.metadata().name());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn work_is_in_spans() {
    tracing::subscriber::set_global_default(Names).expect("the first");
    let network =
        Network::new(&Checkpoint::from_bytes(&TINY.bytes()).expect("a checkpoint")).expect("a network");
    let mut expected = BTreeSet::from(["fsvae.load", "fsvae.round"]);
    for gpu in gpus(&network) {
        let generator = pollster::block_on(Generator::builder(&network).gpu(&gpu)).expect("a generator");
        generator.generate(1, 0..1).expect("an image");
        let size = network.architecture().image_bytes() as u64;
        let usage = wgpu::BufferUsages::COPY_DST;
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = gpu.device().create_buffer(&descriptor);
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        let target = Target::Pixels { buffer: &buffer, offset: 0 };
        generator
            .record(&mut encoder, Origin::prior(1, 0..1).expect("a range"), &[target])
            .expect("recorded");
        expected.extend(["fsvae.compile", "fsvae.upload", "fsvae.submit", "fsvae.readback", "fsvae.record"]);
    }
    assert_eq!(*SEEN.lock().expect("no panic"), expected);
}
