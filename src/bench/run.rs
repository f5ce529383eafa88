//! Images, one after the other: waited for where one can wait, awaited in browsers.

use std::ops::Bound;

use crate::error::Result;
use crate::generator::Generator;
use crate::images::Images;
use crate::stream::ImageStream;

/// The last index of all is in reach, too.
fn range(first: u64, count: u64) -> (Bound<u64>, Bound<u64>) {
    let last = count.checked_sub(1).map(|more| Bound::Included(first.saturating_add(more)));
    (Bound::Included(first), last.unwrap_or(Bound::Excluded(first)))
}

/// `count` images from index `first` on.
#[cfg(not(target_arch = "wasm32"))]
pub(super) async fn images(generator: &Generator, seed: u64, first: u64, count: u64) -> Result<Images> {
    generator.generate(seed, range(first, count))
}

/// `count` images from index `first` on.
#[cfg(target_arch = "wasm32")]
pub(super) async fn images(generator: &Generator, seed: u64, first: u64, count: u64) -> Result<Images> {
    let part = generator.start(crate::Job::prior(seed, range(first, count))?)?.finish().await?;
    part.images.ok_or_else(|| unreachable!("images are what the job gives"))
}

#[cfg(not(target_arch = "wasm32"))]
pub(super) async fn next(stream: &mut ImageStream) -> Option<Result<Images>> {
    stream.next()
}

#[cfg(target_arch = "wasm32")]
pub(super) async fn next(stream: &mut ImageStream) -> Option<Result<Images>> {
    use futures_core::Stream;
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *stream).poll_next(context)).await
}
