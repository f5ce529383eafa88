//! Batches on the CPU: made ahead of the consumer by a thread where there are threads, or when they are taken.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
#[cfg(not(target_arch = "wasm32"))]
use std::thread::ThreadId;

use super::Cpu;
use crate::backend::{Lane, Made, Work};
use crate::error::{Error, Result, panic_text};

#[derive(Debug)]
pub(super) struct CpuLane {
    cpu: Arc<Cpu>,
    batch: usize,
    /// The batch of who takes everything at once.
    #[cfg(not(target_arch = "wasm32"))]
    most: usize,
    /// Whether a thread may work ahead.
    #[cfg(not(target_arch = "wasm32"))]
    ahead: bool,
    /// What was begun and not taken, the oldest first.
    begun: VecDeque<Arc<Work>>,
    shared: Arc<Shared>,
    /// The process that the thread was started in; `None` while there is no thread.
    process: Option<u32>,
}

/// What the consumer and the thread have in common.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    to_make: VecDeque<Arc<Work>>,
    made: VecDeque<Result<Made>>,
    /// Waits for the next batch.
    waker: Option<Waker>,
    /// The thread that makes them.
    #[cfg(not(target_arch = "wasm32"))]
    thread: Option<ThreadId>,
    /// The thread panicked, with this.
    end: Option<String>,
    /// The consumer is gone.
    cancelled: bool,
}

impl CpuLane {
    pub(super) fn new(cpu: Arc<Cpu>, batch: usize, most: usize) -> Self {
        #[cfg(target_arch = "wasm32")]
        let _ = most;
        CpuLane {
            cpu,
            batch,
            #[cfg(not(target_arch = "wasm32"))]
            most,
            #[cfg(not(target_arch = "wasm32"))]
            ahead: true,
            begun: VecDeque::new(),
            shared: Arc::default(),
            process: None,
        }
    }

    /// True in a child of `fork`, which has the lane without its thread: nothing will come, and the thread may have held
    /// the lock.
    fn is_orphan(&self) -> bool {
        self.process.is_some_and(|process| process != std::process::id())
    }

    fn adopt(&mut self) {
        if self.is_orphan() {
            self.process = None;
            self.shared = Arc::default();
            self.shared.state().to_make = self.begun.clone();
        }
    }

    /// Starts the thread, the first time; true if there is one.
    fn start(&mut self) -> bool {
        self.adopt();
        #[cfg(not(target_arch = "wasm32"))]
        if self.process.is_none() {
            let (cpu, shared) = (self.cpu.clone(), self.shared.clone());
            let thread = std::thread::Builder::new().name("fsvae-worker".into());
            self.process = thread.spawn(move || shared.run(&cpu)).is_ok().then(std::process::id);
        }
        self.process.is_some()
    }

    /// Makes the oldest batch here and now.
    fn make(&self) -> Result<Made> {
        let work = self.shared.state().to_make.pop_front();
        work.map_or_else(
            || Err(Error::Panic("nothing was begun".into())),
            |work| caught(|| self.cpu.make(&work)),
        )
    }

    fn taken(&mut self, made: Result<Made>) -> Result<Made> {
        self.begun.pop_front();
        self.shared.changed.notify_all();
        made
    }
}

impl Lane for CpuLane {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn batch(&self) -> usize {
        self.batch
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn take_all(&mut self) {
        self.ahead = false;
        self.batch = self.most;
    }

    fn begin(&mut self, work: Work) {
        self.adopt();
        let work = Arc::new(work);
        self.begun.push_back(work.clone());
        self.shared.state().to_make.push_back(work);
        self.shared.changed.notify_all();
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Made>> {
        if !self.start() {
            let made = self.make();
            return Poll::Ready(self.taken(made));
        }
        let mut state = self.shared.state();
        match state.take() {
            Some(made) => {
                drop(state);
                Poll::Ready(self.taken(made))
            }
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn wait(&mut self) -> Result<Made> {
        self.adopt();
        if self.process.is_none() && !(self.ahead && self.start()) {
            let made = self.make();
            return self.taken(made);
        }
        let made = {
            let mut state = self.shared.state();
            loop {
                if let Some(made) = state.take() {
                    break Some(made);
                }
                // The thread calls wakers, and one may lead right back here: it would wait for itself.
                if state.thread == Some(std::thread::current().id()) {
                    break None;
                }
                state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let made = made.unwrap_or_else(|| self.make());
        self.taken(made)
    }
}

impl Drop for CpuLane {
    fn drop(&mut self) {
        if !self.is_orphan() {
            let mut state = self.shared.state();
            state.cancelled = true;
            // The thread finishes its batch; the consumer's waker, and all that it keeps alive, does not wait for that.
            let waker = state.waker.take();
            drop(state);
            drop(waker);
            self.shared.changed.notify_all();
        }
    }
}

impl State {
    fn take(&mut self) -> Option<Result<Made>> {
        self.made.pop_front().or_else(|| Some(Err(Error::Panic(self.end.clone()?))))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread. If it panics, that is what the consumer gets.
    #[cfg(not(target_arch = "wasm32"))]
    fn run(&self, cpu: &Cpu) {
        self.state().thread = Some(std::thread::current().id());
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.make_all(cpu))) {
            self.tell(|state| state.end = Some(panic_text(&*panic).into()));
        }
    }

    /// Makes what is begun while the consumer is there, who sees to it that that is not too much.
    #[cfg(not(target_arch = "wasm32"))]
    fn make_all(&self, cpu: &Cpu) {
        loop {
            let idle = |state: &mut State| state.to_make.is_empty() && !state.cancelled;
            let state = self.changed.wait_while(self.state(), idle);
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            let work = state.to_make.pop_front().filter(|_| !state.cancelled);
            drop(state);
            let Some(work) = work else { return };
            let made = cpu.make(&work);
            self.tell(|state| state.made.push_back(Ok(made)));
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn tell(&self, what: impl FnOnce(&mut State)) {
        let mut state = self.state();
        what(&mut state);
        let waker = state.waker.take();
        drop(state);
        self.changed.notify_all();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// A panic of `work` as an error. What it leaves half done is not used again.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Error::Panic(panic_text(&*panic).into()))
}

#[cfg(all(test, feature = "bundled"))]
mod tests {
    use std::sync::mpsc;
    use std::task::Wake;
    use std::time::Duration;

    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::{Generator, ImageStream, Network};

    const LONG: Duration = Duration::from_secs(60);

    fn network() -> Network {
        let checkpoint = Checkpoint::bundled("mnist").expect("bundled").expect("valid");
        Network::new(&checkpoint).expect("valid")
    }

    /// A stream of the images 0 to 7, two a batch.
    fn stream(network: &Network) -> ImageStream {
        let two = 2.try_into().expect("not 0");
        Generator::builder(network).batch(two).cpu().stream(7, 0..8).expect("a stream")
    }

    /// A network that breaks the contract: to read out any of its images is a panic.
    fn broken() -> Network {
        let mut network = network();
        network.readout.moments.clear();
        network
    }

    /// Expects that `work` ends.
    fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        std::thread::spawn(move || done.send(work()));
        result.recv_timeout(LONG).expect("it ends, without a panic")
    }

    #[test]
    fn a_panic_of_the_thread_is_the_consumers_error() {
        let is_panic = |error: Error| {
            assert!(matches!(error, Error::Panic(_)) && !error.is_input(), "{error:?}");
            assert!(error.to_string().starts_with("a bug in fsvae: "), "{error}");
        };
        ends(move || {
            let mut waiting = stream(&broken());
            is_panic(waiting.next().expect("an end").expect_err("a panic"));
            assert!(waiting.next().is_none());
        });
        ends(move || {
            let mut awaiting = stream(&broken());
            let next = std::future::poll_fn(|context| {
                futures_core::Stream::poll_next(std::pin::Pin::new(&mut awaiting), context)
            });
            is_panic(pollster::block_on(next).expect("an end").expect_err("a panic"));
        });
        ends(move || {
            let mut trying = stream(&broken());
            loop {
                match trying.try_next() {
                    Poll::Pending => std::thread::sleep(Duration::from_millis(1)),
                    Poll::Ready(end) => return is_panic(end.expect("an end").expect_err("a panic")),
                }
            }
        });
    }

    /// A waker that does what the task would do, in place, and waits.
    struct Inline {
        stream: Arc<Mutex<ImageStream>>,
        images: Mutex<mpsc::Sender<Vec<u8>>>,
    }

    impl Wake for Inline {
        fn wake(self: Arc<Self>) {
            let mut stream = self.stream.lock().expect("no panic");
            let images = self.images.lock().expect("no panic");
            for batch in &mut *stream {
                images.send(batch.expect("images").as_bytes().to_vec()).expect("somebody listens");
            }
        }
    }

    #[test]
    fn a_consumer_on_the_thread_itself_does_not_wait_for_itself() {
        let network = network();
        let expected: Vec<Vec<u8>> =
            stream(&network).map(|images| images.expect("images").as_bytes().to_vec()).collect();
        let stream = Arc::new(Mutex::new(stream(&network)));
        let (images, taken) = mpsc::channel();
        let waker = Arc::new(Inline { stream: stream.clone(), images: Mutex::new(images) }).into();
        let mut held = stream.lock().expect("no panic");
        let mut context = Context::from_waker(&waker);
        let first = futures_core::Stream::poll_next(std::pin::Pin::new(&mut *held), &mut context);
        assert!(first.is_pending(), "an image takes longer than that");
        drop(held);
        for batch in expected {
            assert_eq!(taken.recv_timeout(LONG).expect("it does not hang"), batch);
        }
    }

    #[test]
    fn who_is_gone_leaves_no_waker_behind() {
        struct Nothing;
        impl Wake for Nothing {
            fn wake(self: Arc<Self>) {}
        }
        let many = 64.try_into().expect("not 0");
        let waker = Arc::new(Nothing);
        let mut stream = Generator::builder(&network()).batch(many).cpu().stream(7, 0..64).expect("a stream");
        let first = futures_core::Stream::poll_next(
            std::pin::Pin::new(&mut stream),
            &mut Context::from_waker(&waker.clone().into()),
        );
        assert!(first.is_pending(), "images take longer than that");
        assert_eq!(Arc::strong_count(&waker), 2);
        drop(stream);
        assert_eq!(Arc::strong_count(&waker), 1, "while the batch is still in the making");
    }

    #[test]
    fn a_waker_that_panics_is_an_error_too() {
        struct Bomb;
        impl Wake for Bomb {
            fn wake(self: Arc<Self>) {
                panic!("a waker's");
            }
        }
        ends(|| {
            let mut stream = stream(&network());
            let bomb = Arc::new(Bomb).into();
            let first = futures_core::Stream::poll_next(
                std::pin::Pin::new(&mut stream),
                &mut Context::from_waker(&bomb),
            );
            assert!(first.is_pending(), "an image takes longer than that");
            assert!(stream.next().expect("the first batch").is_ok());
            let error = stream.next().expect("an end").expect_err("the thread is gone");
            assert!(error.to_string().contains("a waker's"), "{error}");
        });
    }
}
