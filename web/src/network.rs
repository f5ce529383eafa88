//! A network, and what is asked of it alone.

use fsvae::image::RgbaImage;
use fsvae::{Checkpoint, Direction, Latents, Rates};
use js_sys::Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::choice::Choice;
use crate::error::{input, js};
use crate::generator::{Generator, range};
use crate::object::{array, number, object};

#[wasm_bindgen]
pub struct Network {
    network: fsvae::Network,
    parameters: usize,
}

#[wasm_bindgen]
impl Network {
    /// From the bytes of a checkpoint; `name` is what errors call it.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: &[u8], name: &str) -> Result<Network, JsValue> {
        let named = |error| match error {
            fsvae::Error::Checkpoint { problem, .. } => input(&format!("{name}: {problem}")),
            other => js(other),
        };
        let checkpoint = Checkpoint::from_bytes(bytes).map_err(named)?;
        let network = fsvae::Network::new(&checkpoint).map_err(named)?;
        Ok(Network { network, parameters: checkpoint.parameters() })
    }

    /// Sizes and layers.
    pub fn architecture(&self) -> JsValue {
        let architecture = self.network.architecture();
        let layers = array(architecture.layers().into_iter().map(|layer| {
            object([
                ("name", layer.name.into()),
                ("side", number(layer.side)),
                ("channels", number(layer.channels)),
            ])
        }));
        object([
            ("family", architecture.family.name().into()),
            ("timeSteps", number(architecture.time_steps)),
            ("latentChannels", number(architecture.latent_channels)),
            ("side", number(architecture.image_side())),
            ("channels", number(architecture.image_channels)),
            ("parameters", number(self.parameters)),
            ("layers", layers.into()),
        ])
    }

    /// A picture, RGBA, as the network's pixels.
    pub fn fit(&self, rgba: Vec<u8>, width: u32, height: u32) -> Result<Vec<u8>, JsValue> {
        let found = rgba.len();
        let picture = RgbaImage::from_raw(width, height, rgba).filter(|_| width > 0 && height > 0);
        let expected =
            || input(&format!("expected a picture of {width} x {height} RGBA pixels, found {found} bytes"));
        Ok(self.network.architecture().fit_rgba(picture.ok_or_else(expected)?))
    }

    /// Step `step` of `steps` on the way from latents `a` to `b`.
    pub fn interpolate(
        &self,
        a: &[u8],
        b: &[u8],
        seed: u64,
        step: usize,
        steps: usize,
    ) -> Result<Vec<u8>, JsValue> {
        let (a, b) = (self.latents(a)?, self.latents(b)?);
        Ok(Latents::interpolate(&a, &b, seed, step, steps).map_err(js)?.to_spikes())
    }

    /// By how much the channels' rates differ between pictures with something and without it, `[C]`, of 65,536.
    pub fn direction(&self, with: Vec<u16>, without: Vec<u16>) -> Result<Vec<i32>, JsValue> {
        let channels = self.network.architecture().latent_channels;
        let [with, without] = [with, without].map(|rates| Rates::new(channels, rates).map_err(js));
        Ok(Direction::between(&with?, &without?).map_err(js)?.as_slice().to_vec())
    }

    /// Latents that were moved along a direction.
    pub fn along(
        &self,
        spikes: &[u8],
        direction: Vec<i32>,
        amount: f64,
        seed: u64,
        first: u64,
    ) -> Result<Vec<u8>, JsValue> {
        let direction = Direction::new(direction).map_err(js)?;
        Ok(self.latents(spikes)?.along(&direction, amount, seed, first).map_err(js)?.to_spikes())
    }

    /// The additions of generating some images, layer by layer, and the multiply-adds of a dense network.
    pub fn operations(&self, seed: u64, first: u64, count: u32) -> Result<Array, JsValue> {
        let Some(range) = range(first, count)? else { return Ok(Array::new()) };
        let layers = fsvae::operations::generation(&self.network, seed, range).map_err(js)?;
        Ok(array(layers.into_iter().map(|layer| {
            object([
                ("name", layer.name.into()),
                ("additions", layer.additions.into()),
                ("dense", (layer.dense as f64).into()),
            ])
        })))
    }

    /// On the backend `auto`, `webgpu` or `cpu`.
    pub async fn generator(&self, backend: &str, adapter: Option<String>) -> Result<Generator, JsValue> {
        let choice = Choice::new(backend, adapter.as_deref())?;
        Generator::open(self.network.clone(), choice).await.map_err(js)
    }
}

impl Network {
    fn latents(&self, spikes: &[u8]) -> Result<Latents, JsValue> {
        latents(&self.network, spikes)
    }
}

/// Latents `[n, T, C]` of a network.
pub(crate) fn latents(network: &fsvae::Network, spikes: &[u8]) -> Result<Latents, JsValue> {
    let architecture = network.architecture();
    Latents::from_spikes(architecture.time_steps, architecture.latent_channels, spikes).map_err(js)
}
