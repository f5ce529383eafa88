//! Spans of the `tracing` crate, where that feature is on: load, compile, upload, record, submit, readback.

/// A debug span with this name until the end of the block.
#[cfg(feature = "tracing")]
macro_rules! trace {
    ($name:literal) => {
        let _span = tracing::debug_span!($name).entered();
    };
}

/// Nothing, without the `tracing` feature.
#[cfg(not(feature = "tracing"))]
macro_rules! trace {
    ($name:literal) => {};
}
