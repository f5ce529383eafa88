//! Spike trains of whole layers, as data.

/// The spike trains of one layer for some images. The same on every backend, bit for bit, and what a dense network of
/// PyTorch computes (integer machine, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSpikes {
    pub(crate) layer: Layer,
    pub(crate) time_steps: usize,
    pub(crate) words: Vec<u32>,
}

/// A layer of spiking neurons: a map of `side` x `side` pixels with so many channels. Linear layers have a side of 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// As its tensors are called in a checkpoint; `latent` is what the sampler draws.
    pub name: String,
    /// Height and width of its map.
    pub side: usize,
    /// Neurons of a pixel.
    pub channels: usize,
}

impl Layer {
    pub(crate) fn new(name: impl Into<String>, side: usize, channels: usize) -> Self {
        Layer { name: name.into(), side, channels }
    }

    /// Neurons of one image.
    pub fn neurons(&self) -> usize {
        self.side * self.side * self.channels
    }
}

impl LayerSpikes {
    /// The layer.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// T.
    pub fn time_steps(&self) -> usize {
        self.time_steps
    }

    /// How many images they are of.
    pub fn len(&self) -> usize {
        self.words.len() / self.layer.neurons()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// All spike trains, `[n, y, x, channels]`; bit t is the spike at time step t.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The spike trains of the n-th image, `[y, x, channels]`.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn image(&self, n: usize) -> &[u32] {
        &self.words[n * self.layer.neurons()..][..self.layer.neurons()]
    }

    /// Spikes of each neuron per time step, `[n, y, x, channels]`, 0 to 1.
    pub fn rates(&self) -> Vec<f32> {
        self.words.iter().map(|word| word.count_ones() as f32 / self.time_steps as f32).collect()
    }

    /// A raster `[n, T, y, x, channels]`, each 0 or 1.
    pub fn raster(&self) -> Vec<u8> {
        let mut raster = Vec::with_capacity(self.words.len() * self.time_steps);
        for words in self.words.chunks(self.layer.neurons()) {
            for step in 0..self.time_steps {
                raster.extend(words.iter().map(|word| (word >> step & 1) as u8));
            }
        }
        raster
    }

    /// Spikes in all.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(crate) fn append(&mut self, other: &LayerSpikes) {
        self.words.extend_from_slice(&other.words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_rasters() {
        let layer = Layer::new("decoder.0", 1, 2);
        let spikes = LayerSpikes { layer, time_steps: 4, words: vec![0b0101, 0b1000, 0, 0b1111] };
        assert_eq!((spikes.len(), spikes.count()), (2, 7));
        assert_eq!(spikes.rates(), [0.5, 0.25, 0.0, 1.0]);
        assert_eq!(spikes.raster(), [1, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
        assert_eq!(spikes.image(1), [0, 0b1111]);
    }
}
