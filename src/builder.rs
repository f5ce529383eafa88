//! Where a generator computes, and with which options.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::cpu::CpuBackend;
use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::gpu::{self, Gpu, GpuBackend, Variants};
use crate::network::Network;

/// Images of a batch on the CPU and on software adapters, unless the builder says otherwise.
const DEFAULT_BATCH: usize = 64;

/// More images at once keep no CPU busier, and the first of them would come after minutes.
const LARGEST_CPU_BATCH: usize = 4096;

/// Images of a batch on a GPU, which has thousands of lanes to fill, unless the builder says otherwise.
const DEFAULT_GPU_BATCH: usize = 256;

/// Where somebody wants images to be made: what `--backend` and `--adapter` say, and their like in other languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// See [`Builder::auto`].
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, even a software adapter: the one of a number or a part of a name, else the one that `WGPU_ADAPTER_NAME`
    /// names, else the one of highest performance (see [`choose_adapter`](gpu::choose_adapter)).
    Gpu(Option<&'a str>),
}

impl<'a> Choice<'a> {
    /// What a backend, `auto`, `gpu` or `cpu`, and an adapter mean together. An adapter is a GPU, also with `auto`.
    ///
    /// # Errors
    /// [`Error::Choice`] for another backend, and for `cpu` with an adapter.
    pub fn new(backend: &str, adapter: Option<&'a str>) -> Result<Self> {
        match (backend, adapter) {
            ("auto", None) => Ok(Choice::Auto),
            ("auto" | "gpu", adapter) => Ok(Choice::Gpu(adapter)),
            ("cpu", None) => Ok(Choice::Cpu),
            ("cpu", Some(_)) => Err(Error::Choice(
                "an adapter names a GPU, so it does not go with the backend \"cpu\"".into(),
            )),
            _ => Err(Error::Choice(format!(
                "backend: expected \"auto\", \"gpu\" or \"cpu\", found {backend:?}"
            ))),
        }
    }
}

/// Options of a [`Generator`] that are the same on all backends.
#[derive(Clone, Copy, Debug)]
pub struct Builder<'a> {
    network: &'a Network,
    options: Options,
}

/// A [`Builder`]'s, which a generator keeps to be [rebuilt](Generator::rebuild) with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    batch: Option<NonZeroUsize>,
    most: NonZeroUsize,
    variants: Variants,
    budget: Duration,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(network: &'a Network) -> Self {
        let (batch, most) = (None, NonZeroUsize::MAX);
        Builder {
            network,
            options: Options { batch, most, variants: Variants::default(), budget: gpu::BUDGET },
        }
    }

    pub(crate) fn with(network: &'a Network, options: Options) -> Self {
        Builder { network, options }
    }

    /// How many images are made at once. It decides speed and memory, never pixels. Fewer are made where memory or a GPU's
    /// limits ask for it. By default 64 on the CPU, and 4096 at most; on a GPU as many as take the [budget](Builder::budget), at most 256, or
    /// 64 on software adapters.
    pub fn batch(self, batch: NonZeroUsize) -> Self {
        Builder { options: Options { batch: Some(batch), ..self.options }, ..self }
    }

    /// Makes no room for more images than will be asked for at once.
    pub fn at_most(self, images: NonZeroUsize) -> Self {
        Builder { options: Options { most: images, ..self.options }, ..self }
    }

    /// How long a submission to a GPU should take, by default 100 ms: batches begin with one image and grow until they take
    /// so long, and an image that takes longer is submitted layer by layer. 4 ms is right where frames are drawn on the same
    /// GPU. A [batch](Builder::batch) that was said is submitted as it is.
    pub fn budget(self, budget: Duration) -> Self {
        Builder { options: Options { budget, ..self.options }, ..self }
    }

    /// Which [variants](gpu::Variant) of the layers' kernels a GPU runs: one for all, or what [`calibrate`](gpu::calibrate)
    /// found. They decide speed, never pixels.
    pub fn variants(self, variants: impl Into<Variants>) -> Self {
        Builder { options: Options { variants: variants.into(), ..self.options }, ..self }
    }

    fn batch_or(self, default: usize) -> usize {
        self.options.batch.map_or(default, NonZeroUsize::get).min(self.options.most.get())
    }

    /// A generator on the CPU, which always works.
    pub fn cpu(self) -> Generator {
        self.on_cpu(None)
    }

    fn on_cpu(self, fallback: Option<String>) -> Generator {
        let backend = CpuBackend::new(self.network, self.batch_or(DEFAULT_BATCH).min(LARGEST_CPU_BATCH));
        Generator::on(Arc::new(backend), self.options, fallback)
    }

    /// A generator on a GPU. Its kernels are compiled on other threads meanwhile.
    ///
    /// # Errors
    /// [`Error::DeviceLimit`] if the network does not fit the device, [`Error::Gpu`] if the device
    /// is out of memory or cannot compile the kernels.
    pub async fn gpu(self, gpu: &Gpu) -> Result<Generator> {
        let software = gpu::is_software(gpu.info());
        let batch = self.batch_or(if software { DEFAULT_BATCH } else { DEFAULT_GPU_BATCH });
        let budget = self.options.batch.is_none().then_some(self.options.budget);
        let backend = GpuBackend::new(gpu, self.network, self.options.variants, batch, budget).await?;
        Ok(Generator::on(Arc::new(backend), self.options, None))
    }

    /// A generator on the adapter of highest performance, or on the CPU where that is a software
    /// adapter, missing, or does not fit; [`Generator::fallback`] then says why. `WGPU_BACKEND`
    /// limits the choice, and an adapter that `WGPU_ADAPTER_NAME` names is taken even if it is
    /// software.
    pub async fn auto(self) -> Generator {
        match self.auto_gpu().await {
            Ok(generator) => generator,
            Err(reason) => self.on_cpu(Some(reason)),
        }
    }

    async fn auto_gpu(self) -> Result<Generator, String> {
        let adapters = gpu::adapters().await;
        self.on_adapter(gpu::auto_adapter(&adapters)?).await.map_err(|error| error.to_string())
    }

    async fn on_adapter(self, adapter: &wgpu::Adapter) -> Result<Generator> {
        self.gpu(&Gpu::request(adapter, &gpu::required_limits(self.network)).await?).await
    }

    /// A generator where somebody wants it, on a device of its own.
    ///
    /// # Errors
    /// For a GPU, [`Error::Environment`], [`Error::NoAdapter`], [`Error::AdapterNotFound`] or [`Error::AdapterNumber`] if it
    /// is not there, and those of [`Builder::gpu`]. None otherwise.
    pub async fn on(self, choice: Choice<'_>) -> Result<Generator> {
        match choice {
            Choice::Auto => Ok(self.auto().await),
            Choice::Cpu => Ok(self.cpu()),
            Choice::Gpu(name) => {
                gpu::check_environment()?;
                let adapters = gpu::adapters().await;
                self.on_adapter(gpu::choose_adapter(&adapters, name)?).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_is_a_gpu() {
        let read = |backend, adapter| Choice::new(backend, adapter).map_err(|error| error.to_string());
        assert_eq!(read("auto", None), Ok(Choice::Auto));
        assert_eq!(read("cpu", None), Ok(Choice::Cpu));
        assert_eq!(read("gpu", None), Ok(Choice::Gpu(None)));
        assert_eq!(read("gpu", Some("0")), Ok(Choice::Gpu(Some("0"))));
        assert_eq!(read("auto", Some("llvm")), Ok(Choice::Gpu(Some("llvm"))));
        let refused = "an adapter names a GPU, so it does not go with the backend \"cpu\"";
        assert_eq!(read("cpu", Some("0")), Err(refused.into()));
        let unknown = "backend: expected \"auto\", \"gpu\" or \"cpu\", found \"tpu\"";
        assert_eq!(read("tpu", None), Err(unknown.into()));
        assert!(Choice::new("tpu", None).is_err_and(|error| error.is_input()));
    }
}
