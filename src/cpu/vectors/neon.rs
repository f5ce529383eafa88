//! Registers of 64-bit ARM processors: NEON, which all of them have that Rust's targets name.

use std::arch::aarch64::{int32x4_t, uint32x4_t};
use std::arch::asm;

use pulp::aarch64::Neon;
use pulp::cast;

use super::run::Run;
use super::{Vectors, Work};

/// All bits of a lane are set, or none.
#[derive(Clone, Copy)]
pub(crate) struct Mask(uint32x4_t);

impl Default for Mask {
    #[inline(always)]
    fn default() -> Self {
        Mask(cast([0_u32; 4]))
    }
}

impl Vectors for Neon {
    type Vector = int32x4_t;
    type Mask = Mask;
    const LANES: usize = 4;

    #[inline(always)]
    fn run<W: Work>(self, work: W) -> W::Output {
        self.vectorize(Run(self, work))
    }

    #[inline(always)]
    fn splat(self, value: i32) -> int32x4_t {
        self.neon.vdupq_n_s32(value)
    }

    #[inline(always)]
    fn add(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        self.neon.vaddq_s32(a, b)
    }

    #[inline(always)]
    fn exclusive(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        self.neon.veorq_s32(a, b)
    }

    #[inline(always)]
    fn multiply(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        self.neon.vmulq_s32(a, b)
    }

    #[inline(always)]
    fn add_where(self, mask: Mask, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        self.add(a, self.neon.vandq_s32(self.neon.vreinterpretq_s32_u32(mask.0), b))
    }

    #[inline(always)]
    fn greater(self, a: int32x4_t, b: int32x4_t) -> Mask {
        Mask(self.neon.vcgtq_s32(a, b))
    }

    #[inline(always)]
    fn quarter_unless(self, mask: Mask, a: int32x4_t) -> int32x4_t {
        self.neon.vbicq_s32(self.neon.vshrq_n_s32::<2>(a), self.neon.vreinterpretq_s32_u32(mask.0))
    }

    /// There is no instruction that gathers a bit of each lane, so each lane keeps its own and they are added up.
    #[inline(always)]
    fn bits(self, mask: Mask) -> u64 {
        let own: uint32x4_t = cast([1_u32, 2, 4, 8]);
        self.neon.vaddvq_u32(self.neon.vandq_u32(mask.0, own)).into()
    }

    #[inline(always)]
    fn sum(self, a: int32x4_t) -> i32 {
        self.neon.vaddvq_s32(a)
    }
}

/// Asks for data that will be needed soon.
#[inline(always)]
pub(crate) fn prefetch<T>(data: &[T]) {
    let start = data.as_ptr().cast::<u8>();
    for line in (0..size_of_val(data)).step_by(64) {
        #[expect(
            unsafe_code,
            reason = "a hint that reads and writes nothing, at an address inside the slice"
        )]
        unsafe {
            asm!("prfm pldl1keep, [{}]", in(reg) start.add(line), options(nostack, preserves_flags, readonly));
        }
    }
}
