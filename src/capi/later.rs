//! Calls that end later. One thread a generator polls what is under way, as it is woken, and calls the callers back.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::JoinHandle;

use super::call::{Failure, c_string, caught, check_count, elements, handle, status, unless_broken};
use super::{FsvaeGenerator, FsvaeStatus};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::task::{Part, Task};

/// So many calls of a generator are under way at once; the others wait for their turn. More would only take memory: two
/// keep a device busy.
const UNDER_WAY: usize = 4;

/// Hears how fsvae_generate_async() or fsvae_reconstruct_async() ended.
///
/// - `user_data` is what the call was given.
/// - With FSVAE_STATUS_OK `pixels` are the images, bytes `[n, side, side, channels]`, `pixels_len` in all, and `error` is
///   "". They are gone when the callback returns: copy them.
/// - Otherwise `pixels` is NULL, `pixels_len` is 0, and `error` says why, one line of UTF-8 that lives as long.
/// - Called off, by fsvae_cancel() or because its generator was freed, it hears FSVAE_STATUS_CANCELLED.
///
/// It is called from a thread of the generator, one callback after the other, and the generator's next calls wait until it
/// returns. It may call any function of this interface, fsvae_generator_free() too. No C++ exception may leave it.
pub type FsvaeDone = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        status: FsvaeStatus,
        pixels: *const u8,
        pixels_len: usize,
        error: *const std::ffi::c_char,
    ),
>;

/// Starts what fsvae_generate() does, and returns. Once the images are there, or cannot be made, `done` is called.
///
/// FSVAE_STATUS_OK says that `done` will be called, exactly once, perhaps before this function returns; with any other
/// status it never is. `*call` is the number of the call, for fsvae_cancel(); `call` may be NULL. Of one generator's calls a
/// few are under way at a time, the oldest, however many there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_generate_async(
    generator: *mut FsvaeGenerator,
    seed: u64,
    first: u64,
    count: usize,
    done: FsvaeDone,
    user_data: *mut c_void,
    call: *mut u64,
) -> FsvaeStatus {
    status(|| {
        let generator: &FsvaeGenerator = unsafe { handle(generator, "generator") }?;
        let job = match check_count(first, count)? {
            Some(last) => Job::prior(seed, first..=last)?,
            None => Job::prior(seed, first..first)?,
        };
        unsafe { generator.begin(job, done, user_data, call) }
    })
}

/// Starts what fsvae_reconstruct() does, and returns; `done` is called as by fsvae_generate_async(). `pixels` are copied:
/// they are not used after the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_reconstruct_async(
    generator: *mut FsvaeGenerator,
    seed: u64,
    first: u64,
    pixels: *const u8,
    pixels_len: usize,
    done: FsvaeDone,
    user_data: *mut c_void,
    call: *mut u64,
) -> FsvaeStatus {
    status(|| {
        let generator: &FsvaeGenerator = unsafe { handle(generator, "generator") }?;
        let pixels = match pixels_len {
            0 => &[],
            _ => unsafe { elements(pixels, pixels_len, "pixels") }?,
        };
        unsafe { generator.begin(Job::posterior(pixels.to_vec(), seed, first), done, user_data, call) }
    })
}

/// Calls off a call of this generator, `call` being its number. Its callback hears FSVAE_STATUS_CANCELLED soon, unless it
/// was called before, or is just being called. A call that has ended is no error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsvae_cancel(generator: *mut FsvaeGenerator, call: u64) -> FsvaeStatus {
    status(|| {
        unsafe { handle::<FsvaeGenerator>(generator, "generator") }?.calls.cancel(call);
        Ok(())
    })
}

// What follows is not in the header.

impl FsvaeGenerator {
    unsafe fn begin(
        &self,
        job: Job<'static>,
        done: FsvaeDone,
        user_data: *mut c_void,
        call: *mut u64,
    ) -> Result<(), Failure> {
        if done.is_none() {
            return Err(Failure::null("done"));
        }
        let task = self.with(|generator| Ok(generator.start(job)?))?;
        self.calls.begin(task, |number| {
            if let Some(place) = ptr::NonNull::new(call) {
                unsafe { place.write(number) };
            }
            Done { callback: done, user_data }
        })
    }
}

/// The calls of a generator that have not ended. It is to be closed before it is dropped.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Started by the first call.
    thread: Mutex<Option<Thread>>,
    next: AtomicU64,
    /// Whether the generator is being freed: nothing begins any more.
    closed: Arc<AtomicBool>,
    /// Whether a call panicked, of these or of those that wait.
    pub(super) broken: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Thread {
    messages: Sender<Message>,
    handle: JoinHandle<()>,
    /// A child of `fork` has none of its parent's threads.
    process: u32,
}

enum Message {
    Begin(Call),
    Wake(u64),
    Cancel(u64),
    Close,
}

struct Call {
    number: u64,
    work: Pin<Box<dyn Future<Output = Result<Part>> + Send>>,
    done: Done,
}

/// Who is called back. Dropped before it was, it hears that the call was called off.
struct Done {
    callback: FsvaeDone,
    user_data: *mut c_void,
}

// SAFETY: the header says that the callback is called from another thread, with its data.
unsafe impl Send for Done {}

impl Done {
    fn hears(&mut self, end: Result<Part, Failure>) {
        let Some(callback) = self.callback.take() else { return };
        match end.map(|part| part.images.map(|images| images.pixels).unwrap_or_default()) {
            Ok(pixels) => unsafe {
                callback(self.user_data, FsvaeStatus::Ok, pixels.as_ptr(), pixels.len(), c"".as_ptr());
            },
            Err(Failure { status, text }) => {
                let text = c_string(&text);
                unsafe { callback(self.user_data, status, ptr::null(), 0, text.as_ptr()) };
            }
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        let text = "the call was called off before it ended".into();
        self.hears(Err(Failure { status: FsvaeStatus::Cancelled, text }));
    }
}

impl Calls {
    /// `done` is told the new call's number, once it is sure that somebody is to be called back.
    fn begin(&self, task: Task<'static>, done: impl FnOnce(u64) -> Done) -> Result<(), Failure> {
        let messages = self.messages()?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let call = Call { number, work: Box::pin(task.finish()), done: done(number) };
        // Last, and without the lock: the callback may free the generator, or start another call, before this returns.
        let _ = messages.send(Message::Begin(call));
        Ok(())
    }

    /// The way to the thread, which is started if there is none.
    fn messages(&self) -> Result<Sender<Message>, Failure> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if self.closed.load(Ordering::Acquire) {
            return Err(Failure::input("this generator is being freed"));
        }
        let thread = match &mut *thread {
            Some(thread) => thread,
            none => none.insert(Thread::start(self.closed.clone(), self.broken.clone())?),
        };
        if thread.process != std::process::id() {
            let text =
                "this generator's thread stayed behind in the parent of fork(): make another generator";
            return Err(Failure { status: FsvaeStatus::Machine, text: text.into() });
        }
        Ok(thread.messages.clone())
    }

    fn cancel(&self, number: u64) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        // A child of `fork` does not touch the channel: its lock may have been held in the parent.
        if let Some(thread) = thread.as_ref().filter(|thread| thread.process == std::process::id()) {
            let _ = thread.messages.send(Message::Cancel(number));
        }
    }

    /// Calls off what has not ended, and waits until all who asked have heard.
    pub(super) fn close(&self) {
        let thread = {
            let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            self.closed.store(true, Ordering::Release);
            thread.take()
        };
        let Some(Thread { messages, handle, process }) = thread else { return };
        if process != std::process::id() {
            return;
        }
        let _ = messages.send(Message::Close);
        // A callback may free its generator; those who have not heard then do after it.
        if handle.thread().id() != std::thread::current().id() {
            let _ = handle.join();
        }
    }
}

impl Thread {
    fn start(closed: Arc<AtomicBool>, broken: Arc<AtomicBool>) -> Result<Self, Failure> {
        let (messages, inbox) = mpsc::channel();
        let wakes = messages.clone();
        let run = move || run(&inbox, &wakes, &closed, &broken);
        let handle = std::thread::Builder::new().name("fsvae-calls".into()).spawn(run);
        let handle = handle.map_err(|error| {
            let text = format!("a thread for the calls of a generator cannot be started: {error}");
            Failure { status: FsvaeStatus::Machine, text }
        })?;
        Ok(Thread { messages, handle, process: std::process::id() })
    }
}

/// The thread. What has not ended when it does is called off as it is dropped.
fn run(inbox: &Receiver<Message>, wakes: &Sender<Message>, closed: &AtomicBool, broken: &AtomicBool) {
    let mut waiting = VecDeque::new();
    let mut under_way: Vec<Call> = Vec::new();
    for message in inbox {
        // What a callback has freed goes no further, whatever waits in front of the message that says so.
        if closed.load(Ordering::Acquire) {
            return;
        }
        match message {
            Message::Begin(call) => waiting.push_back(call),
            Message::Cancel(number) => {
                waiting.retain(|call: &Call| call.number != number);
                under_way.retain(|call| call.number != number);
            }
            Message::Wake(number) => {
                if let Some(at) = under_way.iter().position(|call| call.number == number)
                    && under_way[at].poll(wakes, broken)
                {
                    under_way.remove(at);
                }
            }
            Message::Close => return,
        }
        while under_way.len() < UNDER_WAY
            && !closed.load(Ordering::Acquire)
            && let Some(mut call) = waiting.pop_front()
        {
            if !call.poll(wakes, broken) {
                under_way.push(call);
            }
        }
    }
}

impl Call {
    /// True if it has ended.
    fn poll(&mut self, wakes: &Sender<Message>, broken: &AtomicBool) -> bool {
        let waker = Waker::from(Arc::new(Again { number: self.number, messages: wakes.clone() }));
        let polled = caught(|| {
            unless_broken(broken, || Ok(self.work.as_mut().poll(&mut Context::from_waker(&waker))))
        });
        let end = match polled {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(end)) => end.map_err(|error: Error| error.into()),
            Err(failure) => Err(failure),
        };
        self.done.hears(end);
        true
    }
}

/// A call that can go on.
struct Again {
    number: u64,
    messages: Sender<Message>,
}

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Nobody listens once the generator is gone.
        let _ = self.messages.send(Message::Wake(self.number));
    }
}
