//! The sizes of a network, read off the shapes of its tensors (integer machine, section 1).

use crate::checkpoint::Tensors;
use crate::error::{CheckpointError, Error};
use crate::family::{Family, rate_layer};
use crate::layer::{Kind, Shape};
use crate::spikes::Layer;

/// Family and sizes of a network. Nothing here is fixed to the papers' networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// How latent spikes are drawn.
    pub family: Family,
    /// T, the number of time steps, 1 to 32.
    pub time_steps: usize,
    /// C, the latent channels.
    pub latent_channels: usize,
    /// Widths of the hidden layers between an ESVAE's normal numbers and its rates, 0 to 2 of them (integer machine,
    /// section 8b). An FSVAE has none.
    pub rate_widths: Vec<usize>,
    /// Output channels of the encoder's stride-2 convolutions, first to last.
    pub encoder_widths: Vec<usize>,
    /// Channels of the decoder's maps: of its 2x2 input, then of each transposed convolution that
    /// doubles the side. One more than there are such layers.
    pub decoder_widths: Vec<usize>,
    /// Channels of the image: 1 (grey) or 3 (RGB).
    pub image_channels: usize,
}

/// Widths above this are refused: no such network exists, and it keeps every size inside 32 bits.
const LARGEST_WIDTH: usize = 1 << 16;
/// Hidden layers before an ESVAE's rates.
const MOST_RATE_WIDTHS: usize = 2;
/// More stride-2 layers than this would make images of over 2048 x 2048 pixels.
pub(crate) const DEEPEST: usize = 10;

impl Architecture {
    /// The number of stride-2 layers on either side.
    pub fn depth(&self) -> usize {
        self.encoder_widths.len()
    }

    /// Height and width of the images in pixels: 2^(depth + 1).
    pub fn image_side(&self) -> usize {
        2 << self.depth()
    }

    /// Bytes of one image, `[height, width, channels]` of u8.
    pub fn image_bytes(&self) -> usize {
        self.image_side() * self.image_side() * self.image_channels
    }

    /// The layers of spiking neurons, from the image to the latents and on to the image: `encoder.0` and on,
    /// `before_latent_layer` (the encoder's latents), `latent` (z), `decoder_input`, `decoder.0` and on, `final_layer.0`.
    pub fn layers(&self) -> Vec<Layer> {
        let maps = |shapes: Vec<Shape>| shapes.into_iter().map(|shape| shape.map());
        let latent = Layer::new("latent", 1, self.latent_channels);
        maps(self.encoder()).chain([latent]).chain(maps(self.decoder())).collect()
    }

    /// From the image to the latents' channels.
    pub(crate) fn encoder(&self) -> Vec<Shape> {
        let (mut side, mut inputs) = (self.image_side(), self.image_channels);
        let mut layers = Vec::new();
        for (i, &outputs) in self.encoder_widths.iter().enumerate() {
            let kind = if i == 0 { Kind::Image } else { Kind::Convolution };
            layers.push(Shape::new(format!("encoder.{i}"), kind, side, inputs, outputs));
            (side, inputs) = (side / 2, outputs);
        }
        layers.push(Shape::new("before_latent_layer", Kind::Linear, side, inputs, self.latent_channels));
        layers
    }

    /// What draws latents for images that were encoded: it sees their spikes and its own.
    pub(crate) fn posterior(&self) -> Vec<Shape> {
        let c = self.latent_channels;
        match self.family {
            Family::Fsvae { neurons_per_channel: k } => Shape::autoregressive("posterior", 2 * c, c, k),
            Family::Esvae => Vec::new(),
        }
    }

    /// What draws latents for new images.
    pub(crate) fn prior(&self) -> Vec<Shape> {
        let c = self.latent_channels;
        match self.family {
            Family::Fsvae { neurons_per_channel: k } => Shape::autoregressive("prior", c, c, k),
            Family::Esvae => Shape::rates(c, &self.rate_widths),
        }
    }

    /// From the latents to the last spikes.
    pub(crate) fn decoder(&self) -> Vec<Shape> {
        let first = 4 * self.decoder_widths[0];
        let mut layers = vec![Shape::new("decoder_input", Kind::Unfold, 1, self.latent_channels, first)];
        for (i, pair) in self.decoder_widths.windows(2).enumerate() {
            let name = decoder_name(i, self.depth());
            layers.push(Shape::new(name, Kind::Transposed, 2 << i, pair[0], pair[1]));
        }
        layers
    }

    /// From those to the image.
    pub(crate) fn readout(&self) -> Shape {
        let inputs = self.decoder_widths[self.depth()];
        Shape::new("final_layer.1", Kind::Readout, self.image_side(), inputs, self.image_channels)
    }

    /// Every layer in the order of the data flow.
    pub(crate) fn shapes(&self) -> impl Iterator<Item = Shape> {
        let latents = self.encoder().into_iter().chain(self.posterior());
        latents.chain(self.prior()).chain(self.decoder()).chain([self.readout()])
    }

    /// Whether so many bytes are whole images, and how many.
    pub(crate) fn check_pixels(&self, bytes: usize) -> Result<usize, Error> {
        let expected = self.image_bytes();
        if bytes.is_multiple_of(expected) {
            return Ok(bytes / expected);
        }
        let (side, channels) = (self.image_side(), self.image_channels);
        Err(Error::Pixels { expected, side, channels, found: bytes })
    }

    /// Reads the sizes off the tensors that carry them. That all other tensors agree is checked
    /// against [`Architecture::tensors`] afterwards.
    pub(crate) fn infer(tensors: &Tensors) -> Result<Self, CheckpointError> {
        let coef = "membrane_output_layer.coef";
        let time_steps = match *shape(tensors, coef)? {
            [1, 1, 1, 1, steps] => size("the number of time steps T", coef, steps, 1..=32, "1 to 32")?,
            _ => return Err(wrong_shape(tensors, coef, "[1, 1, 1, 1, T]")),
        };

        let latent = "before_latent_layer.weight";
        let &[channels, _] = shape(tensors, latent)? else {
            return Err(wrong_shape(tensors, latent, "[C, 4 * h]"));
        };
        let latent_channels = width("the number of latent channels C", latent, channels)?;

        let family = family(tensors, latent_channels)?;
        let rate_widths = if family == Family::Esvae { rate_widths(tensors)? } else { Vec::new() };

        let depth = encoder_depth(tensors)?;
        let mut encoder_widths = Vec::new();
        let mut image_channels = 0;
        for layer in 0..depth {
            let name = format!("encoder.{layer}.weight");
            let &[outputs, inputs, 3, 3, 1] = shape(tensors, &name)? else {
                return Err(wrong_shape(tensors, &name, "[outputs, inputs, 3, 3, 1]"));
            };
            if layer == 0 {
                if inputs != 1 && inputs != 3 {
                    return Err(CheckpointError::Size {
                        what: "the number of image channels",
                        tensor: name,
                        expected: "1 or 3",
                        found: inputs,
                    });
                }
                image_channels = inputs;
            }
            encoder_widths.push(width("the number of output channels", &name, outputs)?);
        }

        let start = "decoder_input.weight";
        let &[rows, _] = shape(tensors, start)? else {
            return Err(wrong_shape(tensors, start, "[4 * h, C]"));
        };
        if rows % 4 != 0 {
            return Err(wrong_shape(tensors, start, "[4 * h, C]"));
        }
        let mut decoder_widths = vec![width("the number of decoder channels h", start, rows / 4)?];
        for layer in 0..depth {
            let name = format!("{}.weight", decoder_name(layer, depth));
            let &[_, outputs, 3, 3, 1] = shape(tensors, &name)? else {
                return Err(wrong_shape(tensors, &name, "[inputs, outputs, 3, 3, 1]"));
            };
            decoder_widths.push(width("the number of output channels", &name, outputs)?);
        }

        Ok(Architecture {
            family,
            time_steps,
            latent_channels,
            rate_widths,
            encoder_widths,
            decoder_widths,
            image_channels,
        })
    }

    /// Every tensor of the checkpoint with its shape, batch-norm counters apart.
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = Vec::new();
        for shape in self.shapes() {
            let name = &shape.name;
            list.push((format!("{name}.weight"), shape.tensor()));
            list.push((format!("{name}.bias"), vec![shape.outputs]));
            if shape.has_norm() {
                for part in ["weight", "bias", "running_mean", "running_var"] {
                    list.push((format!("{name}.bn.{part}"), vec![shape.outputs]));
                }
            }
        }
        if let Family::Fsvae { .. } = self.family {
            for name in ["prior", "posterior"] {
                list.push((format!("{name}.initial_input"), vec![1, self.latent_channels, 1]));
            }
        }
        list.push(("membrane_output_layer.coef".into(), vec![1, 1, 1, 1, self.time_steps]));
        list
    }
}

fn family(tensors: &Tensors, latent_channels: usize) -> Result<Family, CheckpointError> {
    if Family::has_rates(tensors) {
        return Ok(Family::Esvae);
    }
    let drawn = "prior.layers.2.weight";
    let &[neurons, _] = shape(tensors, drawn)? else {
        return Err(wrong_shape(tensors, drawn, "[C * k, 4 * C]"));
    };
    if neurons % latent_channels != 0 {
        return Err(wrong_shape(tensors, drawn, "[C * k, 4 * C]"));
    }
    let what = "the number of neurons a latent channel k";
    let neurons_per_channel = size(what, drawn, neurons / latent_channels, 1..=255, "1 to 255")?;
    Ok(Family::Fsvae { neurons_per_channel })
}

/// As many hidden layers as layers come after the first.
fn rate_widths(tensors: &Tensors) -> Result<Vec<usize>, CheckpointError> {
    let weight = |layer: usize| format!("{}.weight", rate_layer(layer));
    let hidden =
        (1..=MOST_RATE_WIDTHS).rev().find(|&layer| tensors.contains_key(&weight(layer))).unwrap_or(0);
    let outputs = |layer: usize| match *shape(tensors, &weight(layer))? {
        [outputs, _] => width("the width of a hidden layer", &weight(layer), outputs),
        _ => Err(wrong_shape(tensors, &weight(layer), "[outputs, inputs]")),
    };
    (0..hidden).map(outputs).collect()
}

/// The reference's name of the i-th of `depth` stride-2 layers of the decoder.
fn decoder_name(layer: usize, depth: usize) -> String {
    if layer + 1 < depth { format!("decoder.{layer}") } else { "final_layer.0".into() }
}

/// One more than the largest N of the tensors `encoder.N.*`; a gap shows up as missing.
fn encoder_depth(tensors: &Tensors) -> Result<usize, CheckpointError> {
    let depth = tensors
        .keys()
        .filter_map(|name| name.strip_prefix("encoder.")?.split('.').next()?.parse().ok())
        .max()
        .map_or(0, |last: usize| last.saturating_add(1));
    if depth == 0 {
        return Err(CheckpointError::Missing("encoder.0.weight".into()));
    }
    let what = "the number of encoder layers";
    size(what, &format!("encoder.{}.weight", depth - 1), depth, 1..=DEEPEST, "1 to 10")
}

fn shape<'a>(tensors: &'a Tensors, name: &str) -> Result<&'a [usize], CheckpointError> {
    match tensors.get(name) {
        Some(info) => Ok(&info.shape),
        None => Err(CheckpointError::Missing(name.into())),
    }
}

fn wrong_shape(tensors: &Tensors, name: &str, expected: &str) -> CheckpointError {
    CheckpointError::Shape {
        tensor: name.into(),
        expected: expected.into(),
        found: tensors.get(name).map(|info| info.shape.clone()).unwrap_or_default(),
    }
}

fn width(what: &'static str, tensor: &str, found: usize) -> Result<usize, CheckpointError> {
    size(what, tensor, found, 1..=LARGEST_WIDTH, "1 to 65536")
}

fn size(
    what: &'static str,
    tensor: &str,
    found: usize,
    allowed: std::ops::RangeInclusive<usize>,
    expected: &'static str,
) -> Result<usize, CheckpointError> {
    if allowed.contains(&found) {
        Ok(found)
    } else {
        Err(CheckpointError::Size { what, tensor: tensor.into(), expected, found })
    }
}
