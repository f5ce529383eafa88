//! How work gets into a function that is compiled for an instruction set.

use pulp::NullaryFnOnce;

use super::{Vectors, Work};

/// Gives the token to the work, inside such a function.
pub(super) struct Run<V, W>(pub(super) V, pub(super) W);

impl<V: Vectors, W: Work> NullaryFnOnce for Run<V, W> {
    type Output = W::Output;

    #[inline(always)]
    fn call(self) -> W::Output {
        self.1.with(self.0)
    }
}
