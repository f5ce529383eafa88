//! The ways in which the layers' kernels look for spikes.

use std::fmt;
use std::str::FromStr;

use super::kernels::Loops;
use crate::error::Error;

/// How the layers' kernels look for the inputs that spike. It decides speed, never a bit of an image; see
/// [`calibrate`](crate::gpu::calibrate).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Variant {
    /// They do not: all inputs are computed with. No branch depends on a spike.
    Dense = 0,
    /// Inputs that are silent at all time steps are jumped over.
    Branches = 1,
    /// Inputs that are not silent are found by their bits in a mask.
    #[default]
    Events = 2,
    /// Transposed convolutions go step by step, and add spikes only; the other layers are as with `Events`. So is a
    /// layer whose masks do not fit the device's workgroup memory.
    Quads = 3,
    /// As `Events`, but each loop of a kernel counts its turns and ends after 2^64 of them. The others trust loops that are
    /// known to end, which is less work; this is for a driver that makes something wrong of them.
    Checked = 4,
    /// As `Events`, but weights are multiplied by spikes, not masked, and the sampler asks for several weights at once: for
    /// GPUs that multiply beside they add, and whose memory is far.
    Products = 5,
    /// As `Products`, but several invocations share the inputs of an output: for batches that leave a GPU idle.
    Shared = 6,
}

impl Variant {
    /// Every variant there is.
    pub const ALL: [Variant; 7] = [
        Variant::Dense,
        Variant::Branches,
        Variant::Events,
        Variant::Quads,
        Variant::Checked,
        Variant::Products,
        Variant::Shared,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Dense => "dense",
            Variant::Branches => "branches",
            Variant::Events => "events",
            Variant::Quads => "quads",
            Variant::Checked => "checked",
            Variant::Products => "products",
            Variant::Shared => "shared",
        }
    }

    /// Those that `shaders/gather.wgsl` has a way of its own for.
    pub(crate) const GATHERS: [Variant; 5] =
        [Variant::Dense, Variant::Branches, Variant::Events, Variant::Products, Variant::Shared];

    /// Those that `shaders/sample.wgsl` has a way of its own for; the others are as `Events` there.
    pub(crate) const SAMPLERS: [Variant; 3] = [Variant::Events, Variant::Products, Variant::Shared];

    /// What `shaders/gather.wgsl` calls its way.
    pub(crate) fn gather(self) -> u32 {
        match self {
            Variant::Quads | Variant::Checked => Variant::Events as u32,
            other => other as u32,
        }
    }

    pub(crate) fn loops(self) -> Loops {
        match self {
            // Of a loop without branches and without a counter AMD's compiler makes 132 registers, which spill.
            Variant::Checked | Variant::Dense => Loops::Counted,
            _ => Loops::Audited,
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Variant {
    type Err = Error;

    /// # Errors
    /// [`Error::Variant`] if there is none of this name.
    fn from_str(name: &str) -> Result<Self, Error> {
        Variant::ALL
            .into_iter()
            .find(|variant| variant.name() == name)
            .ok_or_else(|| Error::Variant { found: name.into() })
    }
}
