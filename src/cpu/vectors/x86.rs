//! Registers of x86-64 processors: AVX-512, AVX2, SSE4.2.

use std::arch::x86_64::{__m128i, __m256i, __m512i, _MM_HINT_T0, _mm_prefetch};

use pulp::cast;
use pulp::x86::{V2, V3, V4};

use super::run::Run;
use super::{Vectors, Work};

impl Vectors for V4 {
    type Vector = __m512i;
    type Mask = u16;
    const LANES: usize = 16;

    #[inline(always)]
    fn run<W: Work>(self, work: W) -> W::Output {
        self.vectorize(Run(self, work))
    }

    #[inline(always)]
    fn splat(self, value: i32) -> __m512i {
        self.avx512f._mm512_set1_epi32(value)
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        self.avx512f._mm512_add_epi32(a, b)
    }

    #[inline(always)]
    fn exclusive(self, a: __m512i, b: __m512i) -> __m512i {
        self.avx512f._mm512_xor_epi32(a, b)
    }

    #[inline(always)]
    fn multiply(self, a: __m512i, b: __m512i) -> __m512i {
        self.avx512f._mm512_mullo_epi32(a, b)
    }

    #[inline(always)]
    fn add_where(self, mask: u16, a: __m512i, b: __m512i) -> __m512i {
        self.avx512f._mm512_mask_add_epi32(a, mask, a, b)
    }

    #[inline(always)]
    fn greater(self, a: __m512i, b: __m512i) -> u16 {
        self.avx512f._mm512_cmpgt_epi32_mask(a, b)
    }

    #[inline(always)]
    fn quarter_unless(self, mask: u16, a: __m512i) -> __m512i {
        self.avx512f._mm512_maskz_srai_epi32::<2>(!mask, a)
    }

    #[inline(always)]
    fn bits(self, mask: u16) -> u64 {
        mask.into()
    }

    #[inline(always)]
    fn sum(self, a: __m512i) -> i32 {
        self.avx512f._mm512_reduce_add_epi32(a)
    }
}

impl Vectors for V3 {
    type Vector = __m256i;
    type Mask = Lanes<__m256i>;
    const LANES: usize = 8;

    #[inline(always)]
    fn run<W: Work>(self, work: W) -> W::Output {
        self.vectorize(Run(self, work))
    }

    #[inline(always)]
    fn splat(self, value: i32) -> __m256i {
        self.avx._mm256_set1_epi32(value)
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        self.avx2._mm256_add_epi32(a, b)
    }

    #[inline(always)]
    fn exclusive(self, a: __m256i, b: __m256i) -> __m256i {
        self.avx2._mm256_xor_si256(a, b)
    }

    #[inline(always)]
    fn multiply(self, a: __m256i, b: __m256i) -> __m256i {
        self.avx2._mm256_mullo_epi32(a, b)
    }

    #[inline(always)]
    fn add_where(self, mask: Lanes<__m256i>, a: __m256i, b: __m256i) -> __m256i {
        self.add(a, self.avx2._mm256_and_si256(mask.0, b))
    }

    #[inline(always)]
    fn greater(self, a: __m256i, b: __m256i) -> Lanes<__m256i> {
        Lanes(self.avx2._mm256_cmpgt_epi32(a, b))
    }

    #[inline(always)]
    fn quarter_unless(self, mask: Lanes<__m256i>, a: __m256i) -> __m256i {
        self.avx2._mm256_andnot_si256(mask.0, self.avx2._mm256_srai_epi32::<2>(a))
    }

    #[inline(always)]
    fn bits(self, mask: Lanes<__m256i>) -> u64 {
        self.avx._mm256_movemask_ps(cast(mask.0)) as u64
    }

    #[inline(always)]
    fn sum(self, a: __m256i) -> i32 {
        let lanes: [i32; 8] = cast(a);
        lanes.iter().sum()
    }
}

impl Vectors for V2 {
    type Vector = __m128i;
    type Mask = Lanes<__m128i>;
    const LANES: usize = 4;

    #[inline(always)]
    fn run<W: Work>(self, work: W) -> W::Output {
        self.vectorize(Run(self, work))
    }

    #[inline(always)]
    fn splat(self, value: i32) -> __m128i {
        self.sse2._mm_set1_epi32(value)
    }

    #[inline(always)]
    fn add(self, a: __m128i, b: __m128i) -> __m128i {
        self.sse2._mm_add_epi32(a, b)
    }

    #[inline(always)]
    fn exclusive(self, a: __m128i, b: __m128i) -> __m128i {
        self.sse2._mm_xor_si128(a, b)
    }

    #[inline(always)]
    fn multiply(self, a: __m128i, b: __m128i) -> __m128i {
        self.sse4_1._mm_mullo_epi32(a, b)
    }

    #[inline(always)]
    fn add_where(self, mask: Lanes<__m128i>, a: __m128i, b: __m128i) -> __m128i {
        self.add(a, self.sse2._mm_and_si128(mask.0, b))
    }

    #[inline(always)]
    fn greater(self, a: __m128i, b: __m128i) -> Lanes<__m128i> {
        Lanes(self.sse2._mm_cmpgt_epi32(a, b))
    }

    #[inline(always)]
    fn quarter_unless(self, mask: Lanes<__m128i>, a: __m128i) -> __m128i {
        self.sse2._mm_andnot_si128(mask.0, self.sse2._mm_srai_epi32::<2>(a))
    }

    #[inline(always)]
    fn bits(self, mask: Lanes<__m128i>) -> u64 {
        self.sse._mm_movemask_ps(cast(mask.0)) as u64
    }

    #[inline(always)]
    fn sum(self, a: __m128i) -> i32 {
        let lanes: [i32; 4] = cast(a);
        lanes.iter().sum()
    }
}

/// Asks for data that will be needed soon.
#[inline(always)]
pub(crate) fn prefetch<T>(data: &[T]) {
    let start = data.as_ptr().cast::<i8>();
    for line in (0..size_of_val(data)).step_by(64) {
        #[expect(
            unsafe_code,
            reason = "a hint that reads and writes nothing, at an address inside the slice"
        )]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(start.add(line));
        }
    }
}

/// All bits of a lane, or none.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<V>(V);

impl<V: bytemuck::Zeroable> Default for Lanes<V> {
    #[inline(always)]
    fn default() -> Self {
        Lanes(V::zeroed())
    }
}
