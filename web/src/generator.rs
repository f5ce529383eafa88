//! Jobs, each awaited.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::rc::Rc;

use fsvae::{Images, Job, LayerSpikes, Outputs, Part, Rates};
use js_sys::{Array, Uint32Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::choice::Choice;
use crate::error::{input, js};
use crate::network::latents;
use crate::object::{array, number, object};
use crate::stream::Stream;

#[wasm_bindgen]
pub struct Generator {
    network: fsvae::Network,
    choice: Choice,
    /// Shared with what is awaited, so that a rebuild need not wait for it.
    running: RefCell<Rc<fsvae::Generator>>,
}

#[wasm_bindgen]
impl Generator {
    /// `webgpu` or `cpu`, the adapter's name, and why there is no GPU where one was looked for.
    pub fn backend(&self) -> JsValue {
        let running = self.running();
        object([
            ("name", if running.gpu().is_some() { "webgpu" } else { "cpu" }.into()),
            ("adapter", running.gpu().map(|gpu| gpu.info().name.trim().to_owned()).into()),
            ("fallback", running.fallback().map(str::to_owned).into()),
            ("batch", number(running.batch())),
        ])
    }

    pub async fn generate(&self, seed: u64, first: u64, count: u32) -> Result<Vec<u8>, JsValue> {
        let part = self.prior(seed, first, count, Outputs::images()).await?;
        Ok(part.and_then(|part| part.images).map(Images::into_bytes).unwrap_or_default())
    }

    pub async fn sample(&self, seed: u64, first: u64, count: u32) -> Result<Vec<u8>, JsValue> {
        let part = self.prior(seed, first, count, Outputs::latents()).await?;
        Ok(part.and_then(|part| part.latents).map(|latents| latents.to_spikes()).unwrap_or_default())
    }

    /// `[T, n, side, side, channels]`.
    pub async fn frames(&self, seed: u64, first: u64, count: u32) -> Result<Vec<u8>, JsValue> {
        let part = self.prior(seed, first, count, Outputs::frames()).await?;
        Ok(part.and_then(|part| part.frames).map(joined).unwrap_or_default())
    }

    pub async fn spikes(
        &self,
        seed: u64,
        first: u64,
        count: u32,
        layers: Vec<String>,
    ) -> Result<Array, JsValue> {
        let part = self.prior(seed, first, count, Outputs::spikes(layers)).await?;
        Ok(array(part.iter().flat_map(|part| &part.spikes).map(layer)))
    }

    pub async fn encode(&self, pixels: Vec<u8>, seed: u64, first: u64) -> Result<Vec<u8>, JsValue> {
        let part = self.finish(Job::posterior(pixels, seed, first).giving(Outputs::latents())).await?;
        Ok(part.latents.map(|latents| latents.to_spikes()).unwrap_or_default())
    }

    pub async fn decode(&self, spikes: Vec<u8>) -> Result<Vec<u8>, JsValue> {
        let latents = latents(&self.network, &spikes)?;
        let part = self.finish(Job::latents(&latents)).await?;
        Ok(part.images.map(Images::into_bytes).unwrap_or_default())
    }

    pub async fn reconstruct(&self, pixels: Vec<u8>, seed: u64, first: u64) -> Result<Vec<u8>, JsValue> {
        let part = self.finish(Job::posterior(pixels, seed, first)).await?;
        Ok(part.images.map(Images::into_bytes).unwrap_or_default())
    }

    /// How often each channel spikes, `[n, C]`, of 65,536.
    pub async fn rates(&self, pixels: Vec<u8>, seed: u64, first: u64) -> Result<Vec<u16>, JsValue> {
        let part = self.finish(self.running().rates_job(pixels, seed, first)).await?;
        Ok(Rates::of_part(part).map_err(js)?.as_slice().to_vec())
    }

    /// Images from `first` on, without end; so many at once.
    pub fn stream(&self, seed: u64, first: u64, batch: Option<u32>) -> Result<Stream, JsValue> {
        let job = Job::prior(seed, first..).map_err(js)?;
        let batch = batch.and_then(|batch| std::num::NonZeroUsize::new(batch as usize));
        let job = batch.map_or(job.clone(), |batch| job.batch(batch));
        Ok(Stream::new(self.running().start(job).map_err(js)?))
    }

    /// The browser's own device, on which the application makes what is drawn into.
    pub fn device(&self) -> JsValue {
        let running = self.running();
        let device = running.gpu().and_then(|gpu| gpu.device().as_webgpu());
        device.map_or(JsValue::UNDEFINED, |device| device.clone().into())
    }

    /// Draws into a canvas of no other context, or into a texture of [`Generator::device`], on a GPU.
    #[wasm_bindgen(js_name = drawTo)]
    pub async fn draw_to(
        &self,
        target: JsValue,
        seed: u64,
        first: u64,
        count: u32,
        columns: u32,
    ) -> Result<(), JsValue> {
        let Some(range) = range(first, count)? else { return Ok(()) };
        crate::canvas::draw(&self.running(), target, seed, range, columns).await
    }

    /// Goes on with a new device of the same choice.
    pub async fn rebuild(&self) -> Result<(), JsValue> {
        let generator = self.choice.open(&self.network).await.map_err(js)?;
        *self.running.borrow_mut() = Rc::new(generator);
        Ok(())
    }
}

impl Generator {
    pub(crate) async fn open(network: fsvae::Network, choice: Choice) -> fsvae::Result<Self> {
        let running = RefCell::new(Rc::new(choice.open(&network).await?));
        Ok(Generator { network, choice, running })
    }

    fn running(&self) -> Rc<fsvae::Generator> {
        self.running.borrow().clone()
    }

    async fn prior(
        &self,
        seed: u64,
        first: u64,
        count: u32,
        outputs: Outputs,
    ) -> Result<Option<Part>, JsValue> {
        let Some(range) = range(first, count)? else { return Ok(None) };
        let job = Job::prior(seed, range).map_err(js)?.giving(outputs);
        self.finish(job).await.map(Some)
    }

    async fn finish(&self, job: Job<'_>) -> Result<Part, JsValue> {
        self.running().start(job).map_err(js)?.finish().await.map_err(js)
    }
}

/// Indices of `count` images; `None` if there are none.
pub(crate) fn range(first: u64, count: u32) -> Result<Option<RangeInclusive<u64>>, JsValue> {
    let Some(further) = count.checked_sub(1) else { return Ok(None) };
    let past_the_end = || input(&format!("{count} images from index {first} on pass {}", u64::MAX));
    let last = first.checked_add(further.into()).ok_or_else(past_the_end)?;
    Ok(Some(first..=last))
}

fn joined(frames: Vec<Images>) -> Vec<u8> {
    frames.into_iter().flat_map(Images::into_bytes).collect()
}

fn layer(spikes: &LayerSpikes) -> JsValue {
    let layer = spikes.layer();
    object([
        ("name", layer.name.as_str().into()),
        ("side", number(layer.side)),
        ("channels", number(layer.channels)),
        ("timeSteps", number(spikes.time_steps())),
        ("words", Uint32Array::from(spikes.words()).into()),
    ])
}
