//! What a batch is on a device: one list of copies and dispatches, whoever submits it. Our own submissions copy from and to
//! a [`Slot`](super::slot::Slot), recordings from and to what the application has.

use super::kernels::Pass;
use super::kernels::sample::Run;
use super::limits::ImageBytes;
use super::model::Model;
use super::plan::{EncoderPlan, Plan, record as record_passes};
use crate::spikes::Layer;

/// Bytes of [`Run`].
pub(super) const RUN_BYTES: u64 = size_of::<Run>() as u64;

/// A place in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) buffer: &'a wgpu::Buffer,
    pub(super) offset: u64,
}

impl Place<'_> {
    pub(super) fn after(self, bytes: u64) -> Self {
        Place { offset: self.offset + bytes, ..self }
    }
}

/// Where latents come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum From<'a> {
    Prior,
    /// Drawn from the posterior of u8 `[n, side, side, channels]`.
    Images(&'a EncoderPlan, Place<'a>),
    /// Words `[n, latent words]`.
    Latents(Place<'a>),
}

/// What goes where.
#[derive(Clone, Copy, Debug)]
pub(super) enum To<'a> {
    /// Words `[n, latent words]`.
    Latents(Place<'a>),
    /// Words `[n, side, side, channels in groups of four]` of one of [`Architecture::layers`](crate::Architecture::layers).
    Spikes(usize, Place<'a>),
    /// u8 `[n, side, side, channels]` after a time step.
    Pixels(usize, Place<'a>),
    /// The same through a pass that reads the pixels of the batch.
    Present(usize, &'a Pass),
}

/// A copy, or dispatches of one compute pass.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    Copy { from: Place<'a>, to: Place<'a>, bytes: u64 },
    Passes { label: &'static str, passes: &'a [Pass] },
}

/// Bytes of a layer's spikes of one image: a word a neuron, channels in groups of four.
pub(super) fn layer_bytes(layer: &Layer) -> u64 {
    4 * (layer.side * layer.side * layer.channels.next_multiple_of(4)) as u64
}

impl<'a> Step<'a> {
    /// The same as several steps of one copy or dispatch each.
    pub(super) fn singly(self) -> impl Iterator<Item = Step<'a>> {
        let (copy, label, passes) = match self {
            Step::Copy { .. } => (Some(self), "", &[][..]),
            Step::Passes { label, passes } => (None, label, passes),
        };
        copy.into_iter().chain(passes.chunks(1).map(move |passes| Step::Passes { label, passes }))
    }
}

fn copy<'a>(from: Place<'a>, to: Place<'a>, bytes: u64) -> Step<'a> {
    Step::Copy { from, to, bytes }
}

fn at(buffer: &wgpu::Buffer) -> Place<'_> {
    Place { buffer, offset: 0 }
}

/// A batch of `images` images. `run` holds its [`Run`].
pub(super) fn steps<'a>(
    model: &Model,
    plan: &'a Plan,
    run: Place<'a>,
    from: From<'a>,
    outputs: &[To<'a>],
    images: usize,
) -> Vec<Step<'a>> {
    let n = images as u64;
    let image = ImageBytes::new(model.architecture());
    let depth = model.architecture().depth();
    let maps = model.architecture().layers();
    // Where the spikes of a layer go, and how many bytes they are.
    let spikes = |layer: usize| -> Vec<(Place<'a>, u64)> {
        let bytes = layer_bytes(&maps[layer]) * n;
        let to = outputs.iter().filter_map(|to| match *to {
            To::Spikes(at, place) if at == layer => Some((place, bytes)),
            _ => None,
        });
        to.collect()
    };
    let mut steps = vec![copy(run, at(&plan.run), RUN_BYTES)];
    match from {
        From::Prior => {
            steps.push(Step::Passes { label: "fsvae.prior", passes: std::slice::from_ref(&plan.prior) });
        }
        From::Images(encoder, pixels) => {
            steps.push(copy(pixels, at(&encoder.images), image.pixels * n));
            let wrote = |i| if i == depth { &encoder.encoded } else { &plan.maps[i % 2] };
            // The last pass draws the latents, which are copied with the others.
            let wanted = |i: usize| if i <= depth { spikes(i) } else { Vec::new() };
            layers(&mut steps, "fsvae.posterior", &encoder.passes, wanted, wrote);
        }
        From::Latents(words) => steps.push(copy(words, at(&plan.latents), image.latents * n)),
    }
    let latent = depth + 1;
    let mut decodes = false;
    for output in outputs {
        match *output {
            To::Latents(place) => steps.push(copy(at(&plan.latents), place, image.latents * n)),
            To::Spikes(layer, place) if layer == latent => {
                steps.push(copy(at(&plan.latents), place, image.latents * n));
            }
            To::Spikes(layer, _) => decodes |= layer > latent,
            To::Pixels(..) | To::Present(..) => decodes = true,
        }
    }
    if !decodes {
        return steps;
    }
    let wanted = |i: usize| spikes(latent + 1 + i);
    layers(&mut steps, "fsvae.decoder", &plan.decoder, wanted, |i| &plan.maps[i % 2]);
    for (step, readout) in plan.readouts.iter().enumerate() {
        let mut pixels =
            outputs.iter().filter(|to| matches!(to, To::Pixels(at, _) | To::Present(at, _) if *at == step));
        let Some(first) = pixels.next() else { continue };
        steps.push(Step::Passes { label: "fsvae.readout", passes: std::slice::from_ref(readout) });
        for output in std::iter::once(first).chain(pixels) {
            steps.push(match *output {
                To::Present(_, pass) => {
                    Step::Passes { label: "fsvae.present", passes: std::slice::from_ref(pass) }
                }
                To::Pixels(_, place) | To::Latents(place) | To::Spikes(_, place) => {
                    copy(at(&plan.pixels), place, image.pixels * n)
                }
            });
        }
    }
    steps
}

/// Passes in as few compute passes as possible: maps are used in turn, so what is wanted of one is copied right after it.
fn layers<'a>(
    steps: &mut Vec<Step<'a>>,
    label: &'static str,
    passes: &'a [Pass],
    wanted: impl Fn(usize) -> Vec<(Place<'a>, u64)>,
    wrote: impl Fn(usize) -> &'a wgpu::Buffer,
) {
    let mut begun = 0;
    for i in 0..passes.len() {
        let wanted = wanted(i);
        if !wanted.is_empty() {
            steps.push(Step::Passes { label, passes: &passes[begun..=i] });
            begun = i + 1;
            steps.extend(wanted.into_iter().map(|(place, bytes)| copy(at(wrote(i)), place, bytes)));
        }
    }
    if begun < passes.len() {
        steps.push(Step::Passes { label, passes: &passes[begun..] });
    }
}

/// Records the list for `images` images.
pub(super) fn record(encoder: &mut wgpu::CommandEncoder, steps: &[Step<'_>], images: usize) {
    for step in steps {
        match *step {
            Step::Copy { from, to, bytes } => {
                encoder.copy_buffer_to_buffer(from.buffer, from.offset, to.buffer, to.offset, bytes);
            }
            Step::Passes { label, passes } => record_passes(encoder, label, passes, images),
        }
    }
}
