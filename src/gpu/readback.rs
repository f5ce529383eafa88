//! Commands that are submitted and awaited, with what they wrote.

use std::future::poll_fn;

use super::device::Gpu;
use crate::error::Result;

/// Submits what `record` records, which copies its results into the buffer that it is given, of `bytes` bytes, and waits
/// for them.
///
/// # Errors
/// The device's.
pub(crate) async fn submit(
    gpu: &Gpu,
    bytes: u64,
    record: impl FnOnce(&mut wgpu::CommandEncoder, &wgpu::Buffer),
) -> Result<Vec<u32>> {
    let (sender, mapped) = gpu.pump.signal();
    let ((readback, submission), verdict) = gpu.watch(|| {
        let readback =
            gpu.buffer("fsvae.readback", bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("fsvae.verify") };
        let mut encoder = gpu.device.create_command_encoder(&descriptor);
        record(&mut encoder, &readback);
        let submission = gpu.queue.submit([encoder.finish()]);
        readback.map_async(wgpu::MapMode::Read, .., gpu.on_map(|success| sender.say(success)));
        (readback, submission)
    });
    verdict.await?;
    gpu.pump.wake_after(Some(&submission));
    if !poll_fn(|context| mapped.poll(context)).await {
        return Err(gpu.lost());
    }
    let view = readback.get_mapped_range(..).map_err(|_| gpu.lost())?;
    Ok(bytemuck::pod_collect_to_vec(&view))
}
