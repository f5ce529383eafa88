//! What the layers ask of a processor: vectors of 32-bit integers, as wide as it has them.
//!
//! The instruction set is chosen while the program runs, so one binary is fast everywhere. Additions of
//! integers are exact in any order, so all of them give the same spikes.

use std::fmt;
use std::sync::OnceLock;

use crate::environment;
use crate::error::Result;

const VARIABLE: &str = "FSVAE_CPU";

/// Vectors of `i32`. The tokens that have this trait exist only where their instructions do.
pub(crate) trait Vectors: Copy + Send + Sync {
    type Vector: bytemuck::Pod;
    /// A truth value for each lane.
    type Mask: Copy + Default;
    const LANES: usize;

    /// Runs `work` compiled for this instruction set. What is computed with the vectors must be inlined into it.
    fn run<W: Work>(self, work: W) -> W::Output;
    fn splat(self, value: i32) -> Self::Vector;
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The bits that are set in one of the two.
    fn exclusive(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The low halves of the products, which only the roofline asks for.
    #[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "no roofline in browsers"))]
    fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a + b` in the lanes of the mask, `a` in the others.
    fn add_where(self, mask: Self::Mask, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn greater(self, a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// 0 in the lanes of the mask, `a >> 2` in the others.
    fn quarter_unless(self, mask: Self::Mask, a: Self::Vector) -> Self::Vector;
    /// A bit a lane, the first lane's the lowest.
    fn bits(self, mask: Self::Mask) -> u64;
    /// The sum of all lanes.
    fn sum(self, a: Self::Vector) -> i32;
}

/// Something to compute with vectors, whichever they are.
pub(crate) trait Work {
    type Output;

    /// `#[inline(always)]` where it is implemented, or it is not compiled for the instruction set.
    fn with<V: Vectors>(self, vectors: V) -> Self::Output;
}

/// An instruction set that this processor has.
#[derive(Clone, Copy)]
pub(crate) enum Processor {
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "x86_64")]
    Sse(pulp::x86::V2),
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128(simd128::Simd128),
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    Portable(Portable),
}

impl Processor {
    /// All there are here, the widest first.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(pulp::x86::V4::try_new().map(Processor::Avx512));
            all.extend(pulp::x86::V3::try_new().map(Processor::Avx2));
            all.extend(pulp::x86::V2::try_new().map(Processor::Sse));
        }
        #[cfg(target_arch = "aarch64")]
        all.extend(pulp::aarch64::Neon::try_new().map(Processor::Neon));
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        all.push(Processor::Simd128(simd128::Simd128));
        // A module that is compiled for SIMD runs nowhere else, and would be larger by every layer.
        #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
        all.push(Processor::Portable(Portable));
        all
    }

    /// The widest, or the one that the environment variable `FSVAE_CPU` names where there is such a one.
    pub(crate) fn get() -> Self {
        static CHOSEN: OnceLock<Processor> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let all = Processor::all();
            let named = environment::read(VARIABLE).and_then(|name| Processor::named(&all, &name));
            named.unwrap_or(all[0])
        })
    }

    fn named(all: &[Self], name: &str) -> Option<Self> {
        all.iter().find(|processor| processor.name().eq_ignore_ascii_case(name)).copied()
    }

    /// What `FSVAE_CPU` calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Processor::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Processor::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Processor::Sse(_) => "sse4.2",
            #[cfg(target_arch = "aarch64")]
            Processor::Neon(_) => "neon",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Processor::Simd128(_) => "simd128",
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            Processor::Portable(_) => "portable",
        }
    }

    /// Lanes of a vector.
    pub(crate) fn lanes(self) -> usize {
        struct Lanes;
        impl Work for Lanes {
            type Output = usize;

            #[inline(always)]
            fn with<V: Vectors>(self, _: V) -> usize {
                V::LANES
            }
        }
        self.run(Lanes)
    }

    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Processor::Avx512(vectors) => vectors.run(work),
            #[cfg(target_arch = "x86_64")]
            Processor::Avx2(vectors) => vectors.run(work),
            #[cfg(target_arch = "x86_64")]
            Processor::Sse(vectors) => vectors.run(work),
            #[cfg(target_arch = "aarch64")]
            Processor::Neon(vectors) => vectors.run(work),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Processor::Simd128(vectors) => vectors.run(work),
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            Processor::Portable(vectors) => vectors.run(work),
        }
    }
}

/// The instruction set that the CPU backend runs with: the widest of [`instruction_sets`], or the one that the
/// environment variable `FSVAE_CPU` names. It decides speed, never pixels.
pub fn instruction_set() -> &'static str {
    Processor::get().name()
}

/// Whether `FSVAE_CPU`, if it is set, names one of them.
pub(crate) fn check_environment() -> Result<()> {
    match environment::read(VARIABLE) {
        Some(name) if Processor::named(&Processor::all(), &name).is_none() => {
            let expected =
                format!("an instruction set of this processor ({})", instruction_sets().join(", "));
            Err(environment::error(VARIABLE, expected, &name))
        }
        _ => Ok(()),
    }
}

/// The instruction sets that this processor has and the CPU backend knows, the widest first.
pub fn instruction_sets() -> Vec<&'static str> {
    Processor::all().into_iter().map(Processor::name).collect()
}

impl fmt::Debug for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// 64 bytes: what a vector load likes to begin at.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Line([i32; 16]);

/// Numbers that begin at a cache line. Filled up with zeros to whole lines.
#[derive(Debug)]
pub(crate) struct Aligned(Vec<Line>);

impl Aligned {
    pub(crate) fn new(numbers: &[i32]) -> Self {
        let line = |part: &[i32]| {
            let mut line = [0; 16];
            line[..part.len()].copy_from_slice(part);
            Line(line)
        };
        Aligned(numbers.chunks(16).map(line).collect())
    }

    pub(crate) fn zeros(count: usize) -> Self {
        Aligned(vec![Line([0; 16]); count.div_ceil(16)])
    }

    pub(crate) fn vectors<V: Vectors>(&self, _: V) -> &[V::Vector] {
        bytemuck::cast_slice(&self.0)
    }

    pub(crate) fn numbers(&self) -> &[i32] {
        bytemuck::cast_slice(&self.0)
    }

    pub(crate) fn lines_mut(&mut self) -> &mut [Line] {
        &mut self.0
    }
}

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod run;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) use neon::prefetch;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::prefetch;

/// Asks for data that will be needed soon, on processors where that can be said.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn prefetch<T>(_: &[T]) {}

/// Arrays, for the compiler to make of what it can.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
impl Vectors for Portable {
    type Vector = [i32; 4];
    type Mask = [bool; 4];
    const LANES: usize = 4;

    #[inline(always)]
    fn run<W: Work>(self, work: W) -> W::Output {
        work.with(self)
    }

    #[inline(always)]
    fn splat(self, value: i32) -> [i32; 4] {
        [value; 4]
    }

    #[inline(always)]
    fn add(self, a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        std::array::from_fn(|lane| a[lane].wrapping_add(b[lane]))
    }

    #[inline(always)]
    fn exclusive(self, a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        std::array::from_fn(|lane| a[lane] ^ b[lane])
    }

    #[inline(always)]
    fn multiply(self, a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        std::array::from_fn(|lane| a[lane].wrapping_mul(b[lane]))
    }

    #[inline(always)]
    fn add_where(self, mask: [bool; 4], a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        std::array::from_fn(|lane| a[lane].wrapping_add(if mask[lane] { b[lane] } else { 0 }))
    }

    #[inline(always)]
    fn greater(self, a: [i32; 4], b: [i32; 4]) -> [bool; 4] {
        std::array::from_fn(|lane| a[lane] > b[lane])
    }

    #[inline(always)]
    fn quarter_unless(self, mask: [bool; 4], a: [i32; 4]) -> [i32; 4] {
        std::array::from_fn(|lane| if mask[lane] { 0 } else { a[lane] >> 2 })
    }

    #[inline(always)]
    fn bits(self, mask: [bool; 4]) -> u64 {
        (0..4).map(|lane| u64::from(mask[lane]) << lane).sum()
    }

    #[inline(always)]
    fn sum(self, a: [i32; 4]) -> i32 {
        a.iter().sum()
    }
}
