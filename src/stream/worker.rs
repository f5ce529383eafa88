//! Batches ahead of the consumer on the CPU: a thread makes them where there are threads, elsewhere (browsers) each is
//! made when it is asked for.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::ThreadId;

use super::Order;
use crate::cpu::Cpu;
use crate::error::{Error, Result, panic_text};
use crate::indices::Indices;
use crate::network::Network;

/// What the consumer holds.
#[derive(Debug)]
pub(super) struct Worker {
    job: Arc<Job>,
    /// The process that the thread was started in; `None` while there is no thread.
    process: Option<u32>,
}

#[derive(Debug)]
struct Job {
    cpu: Arc<Cpu>,
    seed: u64,
    /// Images of a batch.
    batch: usize,
    /// Batches that are made ahead.
    depth: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    to_begin: Indices,
    /// An error is the last.
    made: VecDeque<Result<Vec<u8>>>,
    /// Waits for the next batch.
    waker: Option<Waker>,
    /// The thread that makes them.
    thread: Option<ThreadId>,
    /// The consumer is gone.
    cancelled: bool,
}

impl Worker {
    pub(super) fn new(cpu: Arc<Cpu>, order: Order) -> Self {
        Worker { job: Job::new(cpu, order), process: None }
    }

    pub(super) fn network(&self) -> &Network {
        self.job.cpu.network()
    }

    /// Images that are not begun; `left` are those that the consumer does not have.
    pub(super) fn to_begin(&self, left: Indices) -> u128 {
        if self.is_orphan() { left.remaining } else { self.job.state().to_begin.remaining }
    }

    /// True in a child of `fork`, which has the job without its thread: nothing will come, and the thread may have
    /// held the lock.
    fn is_orphan(&self) -> bool {
        self.process.is_some_and(|process| process != std::process::id())
    }

    /// Starts the thread, the first time; true if there is one.
    fn start(&mut self, left: Indices) -> bool {
        if self.is_orphan() {
            let Job { cpu, seed, batch, depth, .. } = &*self.job;
            let order = Order { seed: *seed, batch: *batch, depth: *depth, indices: left };
            *self = Worker::new(cpu.clone(), order);
        }
        #[cfg(not(target_arch = "wasm32"))]
        if self.process.is_none() {
            let job = self.job.clone();
            let thread = std::thread::Builder::new().name("fsvae-worker".into());
            self.process = thread.spawn(move || job.run()).is_ok().then(std::process::id);
        }
        self.process.is_some()
    }

    /// The pixels of the next batch, the first of those `left`; the caller knows that there is one.
    pub(super) fn wait(&mut self, left: Indices) -> Result<Vec<u8>> {
        if !self.start(left) {
            return self.job.make_next();
        }
        let mut state = self.job.state();
        // The thread calls wakers, and one may lead right back here: it would wait for itself.
        if state.made.is_empty() && state.thread == Some(std::thread::current().id()) {
            drop(state);
            return self.job.make_next();
        }
        loop {
            if let Some(made) = state.made.pop_front() {
                drop(state);
                self.job.changed.notify_all();
                return made;
            }
            state = self.job.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The same for a task.
    pub(super) fn poll(&mut self, left: Indices, context: &mut Context<'_>) -> Poll<Result<Vec<u8>>> {
        if !self.start(left) {
            return Poll::Ready(self.job.make_next());
        }
        let mut state = self.job.state();
        match state.made.pop_front() {
            Some(made) => {
                drop(state);
                self.job.changed.notify_all();
                Poll::Ready(made)
            }
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.is_orphan() {
            self.job.state().cancelled = true;
            self.job.changed.notify_all();
        }
    }
}

impl Job {
    fn new(cpu: Arc<Cpu>, Order { seed, batch, depth, indices: to_begin }: Order) -> Arc<Self> {
        let state = State { to_begin, made: VecDeque::new(), waker: None, thread: None, cancelled: false };
        Arc::new(Job { cpu, seed, batch, depth, state: Mutex::new(state), changed: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, first: u64, count: usize) -> Vec<u8> {
        let mut pixels = vec![0; count * self.cpu.network().architecture().image_bytes()];
        self.cpu.generate(self.seed, first, &mut pixels);
        pixels
    }

    fn make_next(&self) -> Result<Vec<u8>> {
        let (first, count) = self.state().to_begin.take(self.batch);
        caught(|| self.make(first, count))
    }

    /// The thread. If it panics, that is what the consumer gets.
    #[cfg(not(target_arch = "wasm32"))]
    fn run(&self) {
        self.state().thread = Some(std::thread::current().id());
        if let Err(error) = caught(|| self.make_all()) {
            self.hand_out(Err(error));
        }
    }

    /// Makes batches while the consumer is there and not too far behind.
    #[cfg(not(target_arch = "wasm32"))]
    fn make_all(&self) {
        loop {
            let full = |state: &mut State| state.made.len() >= self.depth && !state.cancelled;
            let state = self.changed.wait_while(self.state(), full);
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            if state.cancelled || state.to_begin.remaining == 0 {
                return;
            }
            let (first, count) = state.to_begin.take(self.batch);
            drop(state);
            self.hand_out(Ok(self.make(first, count)));
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn hand_out(&self, made: Result<Vec<u8>>) {
        let mut state = self.state();
        state.made.push_back(made);
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
    use crate::stream::ImageStream;

    const LONG: Duration = Duration::from_secs(60);

    fn network() -> Network {
        let checkpoint = Checkpoint::bundled("mnist").expect("bundled").expect("valid");
        Network::new(&checkpoint).expect("valid")
    }

    /// A stream of the images 0 to 7, two a batch.
    fn stream(network: &Network) -> ImageStream {
        let indices = Indices::new(0..8).expect("a range");
        let order = Order { seed: 7, batch: 2, depth: 2, indices };
        ImageStream::on_cpu(&Arc::new(Cpu::new(network)), network.architecture(), order)
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
