//! What a batch is on a device: one list of copies and dispatches, whoever submits it. Our own submissions copy from and to
//! a [`Slot`](super::slot::Slot), recordings from and to what the application has.

use super::kernels::Pass;
use super::kernels::sample::Run;
use super::limits::ImageBytes;
use super::model::Model;
use super::plan::{EncoderPlan, Plan};
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

/// A copy, or a compute pass.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    Copy {
        from: Place<'a>,
        to: Place<'a>,
        bytes: u64,
    },
    Passes(Dispatches<'a>),
    /// Two timestamps become 16 bytes.
    Resolve {
        queries: &'a wgpu::QuerySet,
        to: &'a wgpu::Buffer,
    },
}

/// Dispatches of one compute pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dispatches<'a> {
    label: &'static str,
    passes: &'a [Pass],
    /// The last of them, in batches of our own: see [`proof`](super::kernels::proof).
    proof: Option<&'a Pass>,
    /// Where the device writes its clock, and whether at the pass's begin and end.
    clock: Option<&'a wgpu::QuerySet>,
    begins: bool,
    ends: bool,
}

/// Bytes of a layer's spikes of one image: a word a neuron, channels in groups of four.
pub(super) fn layer_bytes(layer: &Layer) -> u64 {
    4 * (layer.side * layer.side * layer.channels.next_multiple_of(4)) as u64
}

impl Dispatches<'_> {
    fn record(self, encoder: &mut wgpu::CommandEncoder, images: usize) {
        let timestamp_writes = self.clock.filter(|_| self.begins || self.ends).map(|query_set| {
            wgpu::ComputePassTimestampWrites {
                query_set,
                beginning_of_pass_write_index: self.begins.then_some(0),
                end_of_pass_write_index: self.ends.then_some(1),
            }
        });
        let descriptor = wgpu::ComputePassDescriptor { label: Some(self.label), timestamp_writes };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        self.passes.iter().for_each(|step| step.record(&mut pass, images as u32));
        self.proof.into_iter().for_each(|proof| proof.record(&mut pass, 1));
    }
}

/// The same list with a compute pass for each dispatch.
pub(super) fn singly<'a>(list: &[Step<'a>]) -> Vec<Step<'a>> {
    let single = |step: &Step<'a>| -> Vec<Step<'a>> {
        match *step {
            Step::Passes(it) => {
                it.passes.chunks(1).map(|passes| Step::Passes(Dispatches { passes, ..it })).collect()
            }
            other => vec![other],
        }
    };
    list.iter().flat_map(single).collect()
}

/// Parts of a list of one compute pass each: a copy is with the pass before it, those in front with the first.
pub(super) fn parts<'l, 'a>(list: &'l [Step<'a>]) -> Vec<&'l [Step<'a>]> {
    let is_pass = |step: &Step<'_>| matches!(step, Step::Passes(_));
    let passes = list.iter().enumerate().filter(|(_, step)| is_pass(step)).map(|(at, _)| at).skip(1);
    let ends: Vec<usize> = passes.chain([list.len()]).collect();
    let begins = std::iter::once(0).chain(ends.iter().copied());
    begins.zip(&ends).map(|(begin, &end)| &list[begin..end]).collect()
}

/// How many compute passes a list has.
pub(super) fn passes(list: &[Step<'_>]) -> u32 {
    list.iter().filter(|step| matches!(step, Step::Passes(_))).count() as u32
}

/// Has the device write its clock where the first pass begins and where the last one ends.
pub(super) fn clocked<'a>(list: &mut [Step<'a>], queries: &'a wgpu::QuerySet) {
    let mut passes: Vec<&mut Dispatches<'a>> = list
        .iter_mut()
        .filter_map(|step| match step {
            Step::Passes(dispatches) => Some(dispatches),
            _ => None,
        })
        .collect();
    let last = passes.len().saturating_sub(1);
    for (at, dispatches) in passes.iter_mut().enumerate() {
        (dispatches.clock, dispatches.begins, dispatches.ends) = (Some(queries), at == 0, at == last);
    }
}

fn copy<'a>(from: Place<'a>, to: Place<'a>, bytes: u64) -> Step<'a> {
    Step::Copy { from, to, bytes }
}

fn at(buffer: &wgpu::Buffer) -> Place<'_> {
    Place { buffer, offset: 0 }
}

/// A batch of `images` images. `run` holds its [`Run`]; `proof` ends every compute pass.
pub(super) fn steps<'a>(
    model: &Model,
    plan: &'a Plan,
    (run, proof): (Place<'a>, Option<&'a Pass>),
    from: From<'a>,
    outputs: &[To<'a>],
    images: usize,
) -> Vec<Step<'a>> {
    let pass = |label, passes| {
        Step::Passes(Dispatches { label, passes, proof, clock: None, begins: false, ends: false })
    };
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
            steps.push(pass("fsvae.prior", std::slice::from_ref(plan.prior(images))));
        }
        From::Images(encoder, pixels) => {
            steps.push(copy(pixels, at(&encoder.images), image.pixels * n));
            let wrote = |i| if i == depth { &encoder.encoded } else { &plan.maps[i % 2] };
            // The last pass draws the latents, which are copied with the others.
            let wanted = |i: usize| if i <= depth { spikes(i) } else { Vec::new() };
            layers(&mut steps, |passes| pass("fsvae.posterior", passes), &encoder.passes, wanted, wrote);
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
    let decoder = |passes| pass("fsvae.decoder", passes);
    layers(&mut steps, decoder, plan.decoder(images), wanted, |i| &plan.maps[i % 2]);
    for (step, readout) in plan.readouts.iter().enumerate() {
        let mut pixels =
            outputs.iter().filter(|to| matches!(to, To::Pixels(at, _) | To::Present(at, _) if *at == step));
        let Some(first) = pixels.next() else { continue };
        steps.push(pass("fsvae.readout", std::slice::from_ref(readout)));
        for output in std::iter::once(first).chain(pixels) {
            steps.push(match *output {
                To::Present(_, present) => pass("fsvae.present", std::slice::from_ref(present)),
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
    pass: impl Fn(&'a [Pass]) -> Step<'a>,
    passes: &'a [Pass],
    wanted: impl Fn(usize) -> Vec<(Place<'a>, u64)>,
    wrote: impl Fn(usize) -> &'a wgpu::Buffer,
) {
    let mut begun = 0;
    for i in 0..passes.len() {
        let wanted = wanted(i);
        if !wanted.is_empty() {
            steps.push(pass(&passes[begun..=i]));
            begun = i + 1;
            steps.extend(wanted.into_iter().map(|(place, bytes)| copy(at(wrote(i)), place, bytes)));
        }
    }
    if begun < passes.len() {
        steps.push(pass(&passes[begun..]));
    }
}

/// Records the list for `images` images.
pub(super) fn record(encoder: &mut wgpu::CommandEncoder, steps: &[Step<'_>], images: usize) {
    for step in steps {
        match *step {
            Step::Copy { from, to, bytes } => {
                encoder.copy_buffer_to_buffer(from.buffer, from.offset, to.buffer, to.offset, bytes);
            }
            Step::Passes(dispatches) => dispatches.record(encoder, images),
            Step::Resolve { queries, to } => encoder.resolve_query_set(queries, 0..2, to, 0),
        }
    }
}
