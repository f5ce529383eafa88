//! One-shot: a callback of wgpu says how it went, a thread or a task waits for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
#[cfg(not(target_arch = "wasm32"))]
use std::time::Duration;

use super::pace::Clock;

#[derive(Debug, Default)]
struct State {
    outcome: Option<bool>,
    /// When that was said.
    when: Option<Clock>,
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

    /// The first word counts.
    fn say(&self, outcome: bool) {
        let mut state = self.state();
        if state.outcome.is_none() {
            state.outcome = Some(outcome);
            state.when = Some(Clock::now());
        }
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

impl Drop for Signal {
    /// A device that is really lost may keep its callback for ever; the waker, and all that it keeps alive, goes now.
    fn drop(&mut self) {
        let waker = self.0.state().waker.take();
        drop(waker);
    }
}

/// Calls a wait off that nobody else will end: a device that is really lost forgets its callbacks without dropping them.
#[derive(Debug)]
pub(crate) struct CallOff(Weak<Shared>);

/// Both ends.
pub(crate) fn signal() -> (Sender, Signal) {
    let shared = Arc::new(Shared::default());
    (Sender(shared.clone()), Signal(shared))
}

impl CallOff {
    /// The signal has failed, if nothing was said before.
    pub(crate) fn fail(&self) {
        self.0.upgrade().into_iter().for_each(|shared| shared.say(false));
    }

    /// False where nobody waits any more.
    pub(crate) fn is_needed(&self) -> bool {
        self.0.upgrade().is_some_and(|shared| shared.state().outcome.is_none())
    }
}

impl Signal {
    /// When the callback was called.
    pub(super) fn when(&self) -> Option<Clock> {
        self.0.state().when
    }

    pub(crate) fn call_off(&self) -> CallOff {
        CallOff(Arc::downgrade(&self.0))
    }

    /// Waits until the callback was called or dropped, but not longer than `patience`, and says whether it succeeded.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn wait(&self, patience: Duration) -> Option<bool> {
        let waited =
            self.0.said.wait_timeout_while(self.0.state(), patience, |state| state.outcome.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.outcome
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

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_word_is_kept_and_silence_is_failure() {
        let (sender, word) = signal();
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(word.poll(&mut context), Poll::Pending);
        assert_eq!(word.wait(Duration::ZERO), None);
        let waiting = std::thread::spawn(move || (word.wait(LONG), word));
        sender.say(true);
        let (success, word) = waiting.join().expect("no panic");
        assert_eq!(success, Some(true));
        assert_eq!(word.poll(&mut context), Poll::Ready(true));

        let (sender, word) = signal();
        drop(sender);
        assert_eq!(word.wait(LONG), Some(false));
    }

    #[test]
    fn a_wait_can_be_called_off_but_a_word_stands() {
        let (sender, word) = signal();
        let call_off = word.call_off();
        assert!(call_off.is_needed());
        call_off.fail();
        assert!(!call_off.is_needed());
        sender.say(true);
        assert_eq!(word.wait(LONG), Some(false));
        drop(word);
        call_off.fail();
    }

    #[test]
    fn who_is_gone_leaves_no_waker_behind() {
        struct Nothing;
        impl std::task::Wake for Nothing {
            fn wake(self: Arc<Self>) {}
        }
        let waker = Arc::new(Nothing);
        let (sender, word) = signal();
        assert!(word.poll(&mut Context::from_waker(&waker.clone().into())).is_pending());
        assert_eq!(Arc::strong_count(&waker), 2);
        drop(word);
        assert_eq!(Arc::strong_count(&waker), 1, "while the callback is still there");
        drop(sender);
    }
}
