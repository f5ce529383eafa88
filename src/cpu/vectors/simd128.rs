//! Registers of WebAssembly with SIMD128, which a module is compiled for or not.

use std::arch::wasm32::{
    i32x4_add, i32x4_bitmask, i32x4_extract_lane, i32x4_gt, i32x4_mul, i32x4_shr, i32x4_splat, v128,
    v128_and, v128_andnot, v128_xor,
};

use super::{Vectors, Work};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Simd128;

/// All bits of a lane are set, or none.
#[derive(Clone, Copy)]
pub(crate) struct Mask(v128);

impl Default for Mask {
    #[inline(always)]
    fn default() -> Self {
        Mask(i32x4_splat(0))
    }
}

impl Vectors for Simd128 {
    type Vector = v128;
    type Mask = Mask;
    const LANES: usize = 4;

    #[inline(always)]
    fn run<W: Work>(self, work: W) -> W::Output {
        work.with(self)
    }

    #[inline(always)]
    fn splat(self, value: i32) -> v128 {
        i32x4_splat(value)
    }

    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }

    #[inline(always)]
    fn exclusive(self, a: v128, b: v128) -> v128 {
        v128_xor(a, b)
    }

    #[inline(always)]
    fn multiply(self, a: v128, b: v128) -> v128 {
        i32x4_mul(a, b)
    }

    #[inline(always)]
    fn add_where(self, mask: Mask, a: v128, b: v128) -> v128 {
        i32x4_add(a, v128_and(mask.0, b))
    }

    #[inline(always)]
    fn greater(self, a: v128, b: v128) -> Mask {
        Mask(i32x4_gt(a, b))
    }

    #[inline(always)]
    fn quarter_unless(self, mask: Mask, a: v128) -> v128 {
        v128_andnot(i32x4_shr(a, 2), mask.0)
    }

    #[inline(always)]
    fn bits(self, mask: Mask) -> u64 {
        i32x4_bitmask(mask.0).into()
    }

    #[inline(always)]
    fn sum(self, a: v128) -> i32 {
        let lanes = [
            i32x4_extract_lane::<0>(a),
            i32x4_extract_lane::<1>(a),
            i32x4_extract_lane::<2>(a),
            i32x4_extract_lane::<3>(a),
        ];
        lanes[0].wrapping_add(lanes[1]).wrapping_add(lanes[2]).wrapping_add(lanes[3])
    }
}
