//! The CPU as a [`Backend`].

use std::sync::Arc;

use super::Cpu;
use super::lane::CpuLane;
use crate::backend::{Backend, Lane, Order};
use crate::error::Result;
use crate::network::Network;

/// Bytes of the outputs of a batch: more would take memory and gain nothing.
const LARGEST_BATCH: usize = 1 << 26;

#[derive(Debug)]
pub(crate) struct CpuBackend {
    cpu: Arc<Cpu>,
    batch: usize,
}

impl CpuBackend {
    /// Makes `batch` images at once, or fewer if they are very large.
    pub(crate) fn new(network: &Network, batch: usize) -> Self {
        let most = LARGEST_BATCH / network.architecture.image_bytes();
        CpuBackend { cpu: Arc::new(Cpu::new(network)), batch: batch.min(most).max(1) }
    }
}

impl Backend for CpuBackend {
    fn network(&self) -> &Network {
        self.cpu.network()
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn lane(&self, order: &Order) -> Result<Box<dyn Lane>> {
        let architecture = &self.cpu.network().architecture;
        let most = (LARGEST_BATCH / order.wants.image_bytes(architecture).max(1)).max(1);
        let batch = order.batch.map_or(self.batch, |batch| batch.get().min(most));
        // Who takes everything at once has the pool for itself until it is done.
        let most = if order.batch.is_some() { batch } else { most };
        Ok(Box::new(CpuLane::new(self.cpu.clone(), batch, most)))
    }
}
