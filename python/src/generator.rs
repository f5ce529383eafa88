//! `Generator`.

use std::num::NonZeroUsize;
use std::ops::Bound::{Excluded, Included, Unbounded};

use fsvae::{Choice, Family, Job, Latents, LayerSpikes, Outputs, Part, Rates, operations};
use numpy::{PyArray1, PyReadonlyArray1};
use pollster::block_on;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::{both, python};
use crate::network::Network;
use crate::owned::Owned;
use crate::steering;
use crate::stream::Stream;
use crate::wait::{aside, wait};

/// Images of which the operations are counted between two looks at Ctrl-C.
const COUNTED: u64 = 4;

#[pyclass(frozen, module = "fsvae._fsvae")]
pub(crate) struct Generator {
    generator: Owned<fsvae::Generator>,
    network: fsvae::Network,
    backend: String,
    fallback: Option<String>,
    batch: usize,
}

/// Flat bytes, as they are owned by NumPy.
type Bytes<'py> = Bound<'py, PyArray1<u8>>;

/// A layer's name, side, channels and flat spikes.
type LayerArray<'py> = (String, usize, usize, Bound<'py, PyAny>);

#[pymethods]
impl Generator {
    #[new]
    fn new(
        py: Python<'_>,
        network: &Network,
        backend: &str,
        adapter: Option<String>,
        batch: Option<NonZeroUsize>,
    ) -> PyResult<Self> {
        let network = network.network.clone();
        let (backend, made) = (backend.to_owned(), network.clone());
        let make = move || {
            let choice = Choice::new(&backend, adapter.as_deref())?;
            let builder = fsvae::Generator::builder(&made);
            let builder = batch.map_or(builder, |batch| builder.batch(batch));
            block_on(builder.on(choice))
        };
        Ok(Generator::of(both(aside(py, make))?, &network))
    }

    /// Where it computes: `CPU`, or the GPU's name.
    #[getter]
    fn backend(&self) -> &str {
        &self.backend
    }

    /// Why `auto` took the CPU, if it did.
    #[getter]
    fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// Images that are made at once, at most.
    #[getter]
    fn batch(&self) -> usize {
        self.batch
    }

    fn generate<'py>(
        &self,
        py: Python<'py>,
        seed: u64,
        first: u64,
        count: u64,
        rates: Option<PyReadonlyArray1<'py, u16>>,
    ) -> PyResult<Bytes<'py>> {
        let job = self.drawn(seed, first, Some(count), rates)?;
        self.images(py, job)
    }

    fn sample_latents<'py>(
        &self,
        py: Python<'py>,
        seed: u64,
        first: u64,
        count: u64,
        rates: Option<PyReadonlyArray1<'py, u16>>,
    ) -> PyResult<Bytes<'py>> {
        let job = self.drawn(seed, first, Some(count), rates)?;
        self.latents(py, job)
    }

    fn encode<'py>(
        &self,
        py: Python<'py>,
        pixels: PyReadonlyArray1<'py, u8>,
        seed: u64,
        first: u64,
    ) -> PyResult<Bytes<'py>> {
        self.latents(py, posterior(&pixels, seed, first)?)
    }

    /// The rates of images, flat `[n, C]`.
    fn encode_rates<'py>(
        &self,
        py: Python<'py>,
        pixels: PyReadonlyArray1<'py, u8>,
        seed: u64,
        first: u64,
    ) -> PyResult<Bound<'py, PyArray1<u16>>> {
        // As `fsvae::Generator::encode_rates`, but Ctrl-C ends it.
        let job = posterior(&pixels, seed, first)?;
        let architecture = self.network.architecture();
        let latents = if architecture.family == Family::Esvae {
            let spikes = self.run(py, job.giving(Outputs::spikes(["before_latent_layer"])))?.spikes.remove(0);
            let words = spikes.words().to_vec();
            Latents::from_words(architecture.time_steps, architecture.latent_channels, words)
        } else {
            let latents = self.run(py, job.giving(Outputs::latents()))?.latents;
            Ok(latents.unwrap_or_else(|| unreachable!("latents are what the job gives")))
        };
        let rates = latents.and_then(|latents| Rates::of(&latents)).map_err(python)?;
        Ok(PyArray1::from_slice(py, rates.as_slice()))
    }

    fn reconstruct<'py>(
        &self,
        py: Python<'py>,
        pixels: PyReadonlyArray1<'py, u8>,
        seed: u64,
        first: u64,
    ) -> PyResult<Bytes<'py>> {
        self.images(py, posterior(&pixels, seed, first)?)
    }

    fn decode<'py>(&self, py: Python<'py>, spikes: PyReadonlyArray1<'py, u8>) -> PyResult<Bytes<'py>> {
        self.images(py, Job::latents(&self.read(&spikes)?))
    }

    /// `[T, n, side, side, channels]`
    fn frames<'py>(&self, py: Python<'py>, spikes: PyReadonlyArray1<'py, u8>) -> PyResult<Bytes<'py>> {
        let latents = self.read(&spikes)?;
        let frames = self.run(py, Job::latents(&latents).giving(Outputs::frames()))?.frames;
        let steps = frames.into_iter().flatten();
        Ok(PyArray1::from_vec(py, steps.flat_map(fsvae::Images::into_bytes).collect()))
    }

    fn spikes_of_latents<'py>(
        &self,
        py: Python<'py>,
        spikes: PyReadonlyArray1<'py, u8>,
        layers: Option<Vec<String>>,
        words: bool,
    ) -> PyResult<Vec<LayerArray<'py>>> {
        let latents = self.read(&spikes)?;
        self.spikes(py, Job::latents(&latents), layers, words, false)
    }

    fn spikes_of_images<'py>(
        &self,
        py: Python<'py>,
        pixels: PyReadonlyArray1<'py, u8>,
        seed: u64,
        first: u64,
        layers: Option<Vec<String>>,
        words: bool,
    ) -> PyResult<Vec<LayerArray<'py>>> {
        self.spikes(py, posterior(&pixels, seed, first)?, layers, words, true)
    }

    /// Name, mean additions and multiply-adds if dense of each layer.
    fn operations(
        &self,
        py: Python<'_>,
        seed: u64,
        first: u64,
        count: u64,
    ) -> PyResult<Vec<(String, f64, u64)>> {
        last(first, count)?;
        let mut sums: Vec<(String, f64, u64)> = Vec::new();
        let mut done = 0;
        while done < count {
            let more = COUNTED.min(count - done);
            let from = first + done;
            let to = from + (more - 1);
            let network = self.network.clone();
            let layers = both(aside(py, move || operations::generation(&network, seed, from..=to)))?;
            for (at, layer) in layers.into_iter().enumerate() {
                if sums.len() == at {
                    sums.push((layer.name, 0.0, layer.dense));
                }
                // The mean of whole numbers, so this is one again.
                sums[at].1 += (layer.additions * more as f64).round();
            }
            done += more;
        }
        sums.iter_mut().for_each(|(_, additions, _)| *additions /= count as f64);
        Ok(sums)
    }

    fn stream(
        &self,
        seed: u64,
        first: u64,
        count: Option<u64>,
        batch: Option<NonZeroUsize>,
        rates: Option<PyReadonlyArray1<'_, u16>>,
    ) -> PyResult<Stream> {
        let job = self.drawn(seed, first, count, rates)?;
        let job = match batch {
            Some(batch) => job.batch(batch),
            None => job,
        };
        let generator = self.generator.get()?;
        let task = generator.start(job).map_err(python)?;
        Ok(Stream::new(Owned::new(task, generator.gpu().is_some())))
    }
}

impl Generator {
    fn of(generator: fsvae::Generator, network: &fsvae::Network) -> Self {
        let on_gpu = generator.gpu().is_some();
        Generator {
            backend: generator.backend_name(),
            fallback: generator.fallback().map(Into::into),
            batch: generator.batch(),
            network: network.clone(),
            generator: Owned::new(generator, on_gpu),
        }
    }

    /// Images of consecutive indices, drawn from the prior, or from rates, flat `[n, C]`.
    fn drawn(
        &self,
        seed: u64,
        first: u64,
        count: Option<u64>,
        rates: Option<PyReadonlyArray1<'_, u16>>,
    ) -> PyResult<Job<'static>> {
        let end = match count {
            None => Unbounded,
            Some(0) => Excluded(first),
            Some(count) => Included(last(first, count)?),
        };
        let range = (Included(first), end);
        let Some(rates) = rates else { return Job::prior(seed, range).map_err(python) };
        let rates = steering::rates(self.network.architecture().latent_channels, &rates)?;
        Job::rates(&rates, seed, range).map(Job::into_owned).map_err(python)
    }

    fn run(&self, py: Python<'_>, job: Job<'_>) -> PyResult<Part> {
        let task = self.generator.get()?.start(job).map_err(python)?;
        if task.progress().remaining <= 1 {
            // One image is done before a thread for it would have been worth while.
            return py.detach(|| task.wait()).map_err(python);
        }
        both(wait(py, task.finish()))
    }

    fn images<'py>(&self, py: Python<'py>, job: Job<'_>) -> PyResult<Bytes<'py>> {
        let images = self.run(py, job)?.images;
        Ok(PyArray1::from_vec(py, images.map(fsvae::Images::into_bytes).unwrap_or_default()))
    }

    fn latents<'py>(&self, py: Python<'py>, job: Job<'_>) -> PyResult<Bytes<'py>> {
        let latents = self.run(py, job.giving(Outputs::latents()))?.latents;
        Ok(PyArray1::from_vec(py, latents.map(|latents| latents.to_spikes()).unwrap_or_default()))
    }

    fn spikes<'py>(
        &self,
        py: Python<'py>,
        job: Job<'_>,
        layers: Option<Vec<String>>,
        words: bool,
        encodes: bool,
    ) -> PyResult<Vec<LayerArray<'py>>> {
        let architecture = self.network.architecture();
        let from = if encodes { 0 } else { architecture.depth() + 1 };
        let all = || architecture.layers().into_iter().skip(from).map(|layer| layer.name).collect();
        let part = self.run(py, job.giving(Outputs::spikes(layers.unwrap_or_else(all))))?;
        let array = |spikes: LayerSpikes| {
            let flat = if words {
                PyArray1::from_slice(py, spikes.words()).into_any()
            } else {
                PyArray1::from_vec(py, py.detach(|| spikes.raster())).into_any()
            };
            let layer = spikes.layer();
            (layer.name.clone(), layer.side, layer.channels, flat)
        };
        Ok(part.spikes.into_iter().map(array).collect())
    }

    fn read(&self, spikes: &PyReadonlyArray1<'_, u8>) -> PyResult<Latents> {
        let architecture = self.network.architecture();
        steering::latents(architecture.time_steps, architecture.latent_channels, spikes)
    }
}

/// While a call runs without the GIL other threads may write into an array: a copy is what it works on.
fn posterior(pixels: &PyReadonlyArray1<'_, u8>, seed: u64, first: u64) -> PyResult<Job<'static>> {
    Ok(Job::posterior(pixels.as_slice()?.to_vec(), seed, first))
}

fn last(first: u64, count: u64) -> PyResult<u64> {
    first.checked_add(count.saturating_sub(1)).ok_or_else(|| {
        PyValueError::new_err(format!("{count} images from index {first} on pass {}", u64::MAX))
    })
}
