//! A GPU as a [`Backend`]: one model and one plan, which all lanes and recordings share. Each submission brings its own
//! parameters and inputs and takes its outputs away, and a queue does one after the other, so nobody sees what the others
//! leave in the plan's memory.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::device::Gpu;
use super::lane::GpuLane;
use super::model::Model;
use super::pace::Pace;
use super::plan::Plan;
use super::slot::Slot;
use super::steps::layer_bytes;
use super::variants::Variants;
use crate::backend::{Backend, Lane, Order, Wants};
use crate::error::Result;
use crate::network::Network;

/// Slots that are kept for the next batches.
const KEPT: usize = 4;

/// A handle; clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct GpuBackend {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) model: Model,
    pub(super) plan: Plan,
    pub(super) pace: Pace,
    /// Slots that are not in use; made as they are first needed.
    free: Mutex<Vec<Slot>>,
    /// Of the last batch of any lane.
    ticket: AtomicU64,
    /// Held while a batch is submitted in several parts.
    pub(super) submitting: Mutex<()>,
    /// Whether an application has recordings, which it may submit at any time.
    recorded: AtomicBool,
}

impl GpuBackend {
    /// Memory for `batch` images, or as many as the device's limits allow. With a budget the lanes begin with one image a
    /// batch and make more as they see how long it takes.
    pub(crate) async fn new(
        gpu: &Gpu,
        network: &Network,
        variants: Variants,
        batch: usize,
        budget: Option<Duration>,
    ) -> Result<Self> {
        let model = Model::new(gpu, network, variants.up_to(batch)).await?;
        GpuBackend::of(model, batch, budget).await
    }

    pub(super) async fn of(model: Model, batch: usize, budget: Option<Duration>) -> Result<Self> {
        let plan = model.gpu.checked(|| Plan::new(&model, batch)).await??;
        let adapts = budget.is_some();
        let pace = Pace::new(budget.unwrap_or(super::pace::BUDGET), adapts, additions(&model.network));
        let (free, ticket, submitting, recorded) = Default::default();
        let shared = Shared { model, plan, pace, free, ticket, submitting, recorded };
        Ok(GpuBackend { shared: Arc::new(shared) })
    }

    pub(crate) fn device(&self) -> &Gpu {
        &self.shared.model.gpu
    }

    pub(crate) fn variants(&self) -> Variants {
        self.shared.model.variants
    }

    /// Compiles what encoding and recording need, too.
    pub(crate) async fn prepare(&self) -> Result<()> {
        let Shared { model, plan, .. } = &*self.shared;
        plan.prepare_encoder(model).await?;
        model.prepare_presenters().await
    }
}

impl Backend for GpuBackend {
    fn network(&self) -> &Network {
        &self.shared.model.network
    }

    fn batch(&self) -> usize {
        self.shared.plan.capacity
    }

    fn lane(&self, order: &Order) -> Result<Box<dyn Lane>> {
        let most = self.shared.most(&order.wants);
        let batch = order.batch.map_or(most, |batch| batch.get().min(most));
        Ok(Box::new(GpuLane::new(self.clone(), batch, order.batch.is_some(), order)))
    }

    fn gpu(&self) -> Option<&GpuBackend> {
        Some(self)
    }
}

impl Shared {
    pub(super) fn next_ticket(&self) -> u64 {
        self.ticket.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.recorded.load(Ordering::SeqCst)
    }

    pub(super) fn note_recording(&self) {
        // Not while a batch is submitted in parts.
        let _alone = self.submitting.lock().unwrap_or_else(PoisonError::into_inner);
        self.recorded.store(true, Ordering::SeqCst);
    }

    /// The largest batch whose outputs a buffer holds.
    fn most(&self, wants: &Wants) -> usize {
        let architecture = self.model.architecture();
        let image = wants.image_bytes(architecture).max(1) as u64;
        let most =
            self.model.gpu.device.limits().max_buffer_size.saturating_sub(super::slot::OVERHEAD) / image;
        self.plan.capacity.min(usize::try_from(most).unwrap_or(usize::MAX)).max(1)
    }

    /// Whether the device's own clock tells how long a batch took. On a device of the application nobody may look before the
    /// next frame comes, and a time to the frame would be the frame's.
    fn reads_clock(&self) -> bool {
        let gpu = &self.model.gpu;
        let has_clock = gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        self.pace.adapts() && !gpu.pump.is_ours() && has_clock
    }

    /// Bytes of input and output that most batches need; a slot with more is not kept.
    fn everyday(&self) -> u64 {
        let image = super::limits::ImageBytes::new(self.model.architecture());
        image.pixels.max(image.latents) * self.plan.capacity as u64
    }

    /// A slot with room for so many bytes of input and output; not checked yet.
    pub(super) fn slot(&self, input: u64, output: u64) -> Slot {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = free.iter().position(|slot| slot.fits(input, output));
        match fits {
            Some(at) => free.swap_remove(at),
            None => {
                let everyday = self.everyday();
                let input = if input > 0 { input.max(everyday) } else { 0 };
                Slot::new(&self.model.gpu, input, output.max(everyday), self.reads_clock())
            }
        }
    }

    /// After a success. The application may have destroyed its device in between, and wgpu would then object to the
    /// unmapping where the application hears it.
    pub(super) fn reuse(&self, slot: Slot) {
        let (_, verdict) = self.model.gpu.watch(|| slot.unmap());
        drop(verdict);
        let everyday = self.everyday();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if !slot.exceeds(everyday, everyday) && free.len() < KEPT {
            free.push(slot);
        }
    }

    /// Bytes of a batch's spikes of each layer that is wanted.
    pub(super) fn spike_bytes(&self, wants: &Wants, images: usize) -> Vec<u64> {
        let layers = self.model.architecture().layers();
        wants.spikes.iter().map(|&at| layer_bytes(&layers[at]) * images as u64).collect()
    }
}

/// Additions of an image if every input spiked, about: a first guess of what it takes.
fn additions(network: &Network) -> u64 {
    let spiking = network.decoder.iter().map(|layer| layer.dense());
    spiking.sum::<u64>() * network.architecture.time_steps as u64
}
