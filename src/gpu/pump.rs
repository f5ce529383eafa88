//! Who polls a device, one pump a device, and what is known of the device's end.
//!
//! wgpu calls back only while somebody polls. How a poll can go wrong, read in the sources of wgpu 30:
//!
//! - A device that is really lost is a panic of `poll` (`handle_error_fatal`), and the callbacks that were waited for are
//!   neither called nor dropped. So a poll is caught, and every wait is called off.
//! - OpenGL waits for two seconds and calls that a time-out. So a wait is many short ones, until the callback was called.
//! - On a device of the application the poll that panics is the application's, and its lost callback, too. So such a device
//!   is looked at now and then while somebody waits: of one that is lost nothing can be made any more.
//! - While a poll waits it holds a lock that presenting a frame needs. So a device of the application is never polled but
//!   in passing; between polls its callback is waited for.

use std::fmt;
#[cfg(not(target_arch = "wasm32"))]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(target_arch = "wasm32"))]
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
#[cfg(not(target_arch = "wasm32"))]
use std::thread::JoinHandle;
#[cfg(not(target_arch = "wasm32"))]
use std::time::{Duration, Instant};

use super::signal::{CallOff, Sender, Signal, signal};

/// A poll waits so long before it looks up.
#[cfg(not(target_arch = "wasm32"))]
const SLICE: Duration = Duration::from_millis(50);
/// A device of the application is polled this often while a call waits.
#[cfg(not(target_arch = "wasm32"))]
const PAUSE: Duration = Duration::from_millis(1);

/// Looks at a device of the application are this far apart.
#[cfg(not(target_arch = "wasm32"))]
const LOOKS: Duration = Duration::from_millis(100);

/// What is known of a device's end; the lost callback holds it, too.
#[derive(Debug, Default)]
pub(crate) struct End {
    lost: AtomicBool,
    /// Waits that would never end.
    waits: Mutex<Vec<CallOff>>,
}

impl End {
    /// From wgpu's callback, which is called inside of its locks: who waits hears of it from the next poll. In browsers
    /// nobody polls.
    pub(crate) fn is_told(&self) {
        #[cfg(not(target_arch = "wasm32"))]
        self.lost.store(true, Ordering::SeqCst);
        #[cfg(target_arch = "wasm32")]
        self.comes();
    }

    /// The device is lost: everybody who waits hears of it.
    fn comes(&self) {
        self.lost.store(true, Ordering::SeqCst);
        let waits = std::mem::take(&mut *self.waits.lock().unwrap_or_else(PoisonError::into_inner));
        waits.iter().for_each(CallOff::fail);
    }

    pub(crate) fn has_come(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }

    fn watch(&self, wait: CallOff) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.retain(CallOff::is_needed);
        waits.push(wait);
    }
}

/// `wgpu::Device::poll`, or what stands in for it in a test.
#[cfg(not(target_arch = "wasm32"))]
type PollDevice = dyn Fn(wgpu::PollType) -> Result<wgpu::PollStatus, wgpu::PollError> + Send + Sync;

/// Polls a device, for whoever waits for it.
pub(crate) struct Pump {
    end: Arc<End>,
    #[cfg(not(target_arch = "wasm32"))]
    native: Arc<Native>,
    /// Waits for submissions of a device of our own on behalf of tasks; started when it is first needed.
    #[cfg(not(target_arch = "wasm32"))]
    thread: Mutex<Option<Thread>>,
}

#[cfg(not(target_arch = "wasm32"))]
struct Native {
    poll: Box<PollDevice>,
    /// Whether the device can still be used, asked after a panic.
    objects: Box<dyn Fn() -> bool + Send + Sync>,
    end: Arc<End>,
    /// Made by [`Gpu::request`](crate::Gpu::request): ours to poll.
    owned: bool,
    /// The pump is gone.
    closing: AtomicBool,
    /// When a device of the application was last looked at.
    looked: Mutex<Option<Instant>>,
}

#[cfg(not(target_arch = "wasm32"))]
struct Thread {
    submissions: mpsc::Sender<Option<wgpu::SubmissionIndex>>,
    /// None if the process has too many threads.
    handle: Option<JoinHandle<()>>,
}

impl fmt::Debug for Pump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pump").field("end", &self.end).finish_non_exhaustive()
    }
}

impl Pump {
    /// Of a device of our own, whose lost callback calls [`End::comes`], or of a borrowed one.
    pub(crate) fn new(device: &wgpu::Device, owned: bool, end: Arc<End>) -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        {
            let (polled, probed) = (device.clone(), device.clone());
            let objects = move || super::device::objects(&probed);
            Pump::polling(Box::new(move |how| polled.poll(how)), Box::new(objects), owned, end)
        }
        #[cfg(target_arch = "wasm32")]
        {
            let _ = (device, owned);
            Pump { end }
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn polling(
        poll: Box<PollDevice>,
        objects: Box<dyn Fn() -> bool + Send + Sync>,
        owned: bool,
        end: Arc<End>,
    ) -> Self {
        let (closing, looked) = Default::default();
        let native = Native { poll, objects, end: end.clone(), owned, closing, looked };
        Pump { end, native: Arc::new(native), thread: Mutex::new(None) }
    }

    /// For a callback of this device.
    pub(crate) fn signal(&self) -> (Sender, Signal) {
        let (sender, signal) = signal();
        self.end.watch(signal.call_off());
        // The end may have come in between.
        if self.end.has_come() {
            signal.call_off().fail();
        }
        (sender, signal)
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.end.has_come()
    }

    /// False for a device of the application, which has to poll it. In browsers nobody has to.
    pub(crate) fn is_ours(&self) -> bool {
        #[cfg(not(target_arch = "wasm32"))]
        return self.native.owned;
        #[cfg(target_arch = "wasm32")]
        return true;
    }

    /// Waits for a callback of `submission`, or of all that was submitted; true if it succeeded.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn wait(&self, signal: &Signal, submission: Option<&wgpu::SubmissionIndex>) -> bool {
        loop {
            if let Some(success) = signal.wait(Duration::ZERO) {
                return success;
            }
            if self.native.owned {
                self.native.wait_a_slice(submission);
            } else {
                self.native.ask(wgpu::PollType::Poll);
                self.look();
            }
            // Another thread's poll may be about to call back.
            if let Some(success) = signal.wait(PAUSE) {
                return success;
            }
        }
    }

    /// Sees to it that the callbacks of a submission are called while nobody waits for it, where that is ours to do.
    pub(crate) fn wake_after(&self, submission: Option<&wgpu::SubmissionIndex>) {
        #[cfg(not(target_arch = "wasm32"))]
        if self.native.owned {
            let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            let sent = thread
                .get_or_insert_with(|| Thread::start(self.native.clone()))
                .submissions
                .send(submission.cloned());
            drop(thread);
            // Nobody listens where no thread could be had. A task that is held up is better than one that is never woken.
            if let Err(mpsc::SendError(submission)) = sent {
                self.native.wait_until_done(submission.as_ref());
            }
        }
        #[cfg(target_arch = "wasm32")]
        let _ = submission;
    }

    /// While somebody waits for a device of the application: whether it is lost.
    pub(crate) fn look(&self) {
        #[cfg(not(target_arch = "wasm32"))]
        if !self.native.owned {
            self.native.look();
        }
    }

    /// Calls the callbacks that are due, where that is ours to do.
    pub(crate) fn poll_if_owned(&self) {
        #[cfg(not(target_arch = "wasm32"))]
        if self.native.owned {
            self.native.ask(wgpu::PollType::Poll);
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Drop for Pump {
    /// Waits for the thread, a slice at most: a device that is torn down while the process ends brings some drivers down
    /// with it.
    fn drop(&mut self) {
        self.native.closing.store(true, Ordering::SeqCst);
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Thread { submissions, handle: Some(handle) }) = thread else { return };
        drop(submissions);
        // A task that is woken on the pump's thread may drop the last handle right there.
        if handle.thread().id() != std::thread::current().id() {
            let _ = handle.join();
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Native {
    /// True once the submission is done, or nobody will ever know.
    fn wait_a_slice(&self, submission: Option<&wgpu::SubmissionIndex>) -> bool {
        let submission_index = submission.cloned();
        self.ask(wgpu::PollType::Wait { submission_index, timeout: Some(SLICE) })
    }

    /// Until the submission is done, nobody will ever know, or the pump is gone.
    fn wait_until_done(&self, submission: Option<&wgpu::SubmissionIndex>) {
        loop {
            if self.closing.load(Ordering::SeqCst) || self.wait_a_slice(submission) {
                return;
            }
        }
    }

    /// Whether it is time, and if so, whether anything can be made on the device.
    fn look(&self) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = looked.is_none_or(|last| last.elapsed() >= LOOKS);
        if is_time {
            *looked = Some(Instant::now());
        }
        drop(looked);
        if is_time && !self.end.has_come() && (self.objects)() {
            self.end.comes();
        }
    }

    fn ask(&self, how: wgpu::PollType) -> bool {
        if self.end.has_come() {
            self.end.comes();
            return true;
        }
        // wgpu's locks are not poisoned by a panic.
        let polled = catch_unwind(AssertUnwindSafe(|| (self.poll)(how)));
        if self.end.has_come() {
            self.end.comes();
            return true;
        }
        match polled {
            Ok(polled) => !matches!(polled, Err(wgpu::PollError::Timeout)),
            // Callbacks and wakers of an application run in there, too: if it was one of them, the others are still awaited.
            Err(_) if !(self.objects)() => false,
            Err(_) => {
                self.end.comes();
                true
            }
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Thread {
    fn start(native: Arc<Native>) -> Self {
        let (submissions, listener) = mpsc::channel::<Option<wgpu::SubmissionIndex>>();
        let run = move || {
            for submission in listener {
                native.wait_until_done(submission.as_ref());
            }
        };
        let handle = std::thread::Builder::new().name("fsvae-pump".into()).spawn(run);
        Thread { submissions, handle: handle.ok() }
    }
}

#[cfg(test)]
mod tests;
