//! Times of kernels come from the device's clock where it has one, and from nowhere else.

mod common;

use std::time::{Duration, Instant};

use common::gpus;
use fsvae::{Checkpoint, Generator, Gpu, Network, gpu, wgpu};

const KERNELS: [&str; 7] = [
    "sample",
    "linear_lif",
    "conv_transpose_lif",
    "conv_transpose_lif",
    "conv_transpose_lif",
    "conv_transpose_lif",
    "readout",
];

#[test]
fn kernels_are_timed_where_the_device_has_timestamps() {
    let checkpoint = Checkpoint::bundled("mnist").expect("bundled").expect("valid");
    let network = Network::new(&checkpoint).expect("a network");
    assert_eq!(pollster::block_on(Generator::builder(&network).cpu().timings(7, 0)).expect("no error"), None);
    for gpu in gpus(&network) {
        let name = gpu.name();
        let able = gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let builder = Generator::builder(&network).batch(2.try_into().expect("not 0"));
        let generator = pollster::block_on(builder.gpu(&gpu)).expect("a generator");
        let before = generator.generate(7, 0..2).expect("images");
        let start = Instant::now();
        let times = pollster::block_on(generator.timings(7, 0)).expect("no error");
        let wall = start.elapsed();
        assert_eq!(times.is_some(), able, "{name}");
        if let Some(times) = times {
            let kernels: Vec<&str> = times.iter().map(|time| time.kernel).collect();
            assert_eq!(kernels, KERNELS, "{name}");
            let total: Duration = times.iter().map(|time| time.time).sum();
            eprintln!("{name}: {total:?} in kernels of {wall:?}: {times:?}");
            // The clocks differ, the order of magnitude does not.
            assert!(total > Duration::ZERO && total < 2 * wall, "{name}: {total:?} of {wall:?}");
        }
        assert_eq!(generator.generate(7, 0..2).expect("images"), before, "{name}");
    }
}

#[test]
fn a_device_without_the_feature_has_no_times() {
    let checkpoint = Checkpoint::bundled("mnist").expect("bundled").expect("valid");
    let network = Network::new(&checkpoint).expect("a network");
    for adapter in common::adapters() {
        let limits = wgpu::Limits::downlevel_webgl2_defaults()
            .or_worse_values_from(&adapter.limits())
            .or_better_values_from(&gpu::required_limits(&network));
        let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
        let gpu = Gpu::from_wgpu(device, queue);
        let generator = pollster::block_on(Generator::builder(&network).gpu(&gpu)).expect("a generator");
        assert_eq!(pollster::block_on(generator.timings(7, 0)).expect("no error"), None, "{}", gpu.name());
    }
}
