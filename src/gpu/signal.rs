//! One-shot: a callback of wgpu says how it went, a thread or a task waits for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Debug, Default)]
struct State {
    outcome: Option<bool>,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    said: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, outcome: bool) {
        let mut state = self.state();
        state.outcome.get_or_insert(outcome);
        let waker = state.waker.take();
        drop(state);
        self.said.notify_all();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// The callback's end. Dropped without a word, it has failed: that is how callbacks of a lost device end.
#[derive(Debug)]
pub(crate) struct Sender(Arc<Shared>);

impl Sender {
    pub(crate) fn say(self, success: bool) {
        self.0.say(success);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.say(false);
    }
}

/// The waiting end.
#[derive(Debug)]
pub(crate) struct Signal(Arc<Shared>);

/// Both ends.
pub(crate) fn signal() -> (Sender, Signal) {
    let shared = Arc::new(Shared::default());
    (Sender(shared.clone()), Signal(shared))
}

impl Signal {
    /// Waits until the callback was called or dropped, and says whether it succeeded.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn wait(&self) -> bool {
        let state = self.0.said.wait_while(self.0.state(), |state| state.outcome.is_none());
        state.unwrap_or_else(PoisonError::into_inner).outcome.unwrap_or(false)
    }

    /// The same for a task.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.0.state();
        match state.outcome {
            Some(success) => Poll::Ready(success),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_kept_and_silence_is_failure() {
        let (sender, word) = signal();
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(word.poll(&mut context), Poll::Pending);
        let waiting = std::thread::spawn(move || (word.wait(), word));
        sender.say(true);
        let (success, word) = waiting.join().expect("no panic");
        assert!(success);
        assert_eq!(word.poll(&mut context), Poll::Ready(true));

        let (sender, word) = signal();
        drop(sender);
        assert!(!word.wait());
    }
}
