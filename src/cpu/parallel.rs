//! Work over all cores where the `threads` feature is on, in place elsewhere (browsers).

/// Calls `work(i, chunk)` for the i-th `size` elements of `data`, in any order.
#[cfg(feature = "threads")]
pub(crate) fn for_each_chunk<T: Send>(data: &mut [T], size: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    use rayon::prelude::*;
    // A pool of one would only be woken up and waited for.
    if rayon::current_num_threads() == 1 {
        return data.chunks_mut(size).enumerate().for_each(|(i, chunk)| work(i, chunk));
    }
    data.par_chunks_mut(size).enumerate().for_each(|(i, chunk)| work(i, chunk));
}

/// Calls `work(i, chunk)` for the i-th `size` elements of `data`, in order.
#[cfg(not(feature = "threads"))]
pub(crate) fn for_each_chunk<T>(data: &mut [T], size: usize, work: impl Fn(usize, &mut [T])) {
    data.chunks_mut(size).enumerate().for_each(|(i, chunk)| work(i, chunk));
}
