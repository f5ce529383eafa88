//! Batches ahead of the consumer on the CPU: a thread makes them where there are threads, elsewhere (browsers) each is
//! made when it is asked for.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Order;
use crate::cpu::Cpu;
use crate::indices::Indices;
use crate::network::Network;

/// What the consumer holds.
#[derive(Debug)]
pub(super) struct Worker {
    job: Arc<Job>,
    started: bool,
}

#[derive(Debug)]
struct Job {
    cpu: Arc<Cpu>,
    seed: u64,
    /// Images of a batch.
    batch: usize,
    /// Batches that are made ahead.
    #[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "without a thread nothing is made ahead"))]
    depth: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    to_begin: Indices,
    made: VecDeque<Vec<u8>>,
    /// Waits for the next batch.
    waker: Option<Waker>,
    /// The consumer is gone.
    cancelled: bool,
}

impl Worker {
    pub(super) fn new(cpu: Arc<Cpu>, Order { seed, batch, depth, indices: to_begin }: Order) -> Self {
        let state = State { to_begin, made: VecDeque::new(), waker: None, cancelled: false };
        let job = Job { cpu, seed, batch, depth, state: Mutex::new(state), changed: Condvar::new() };
        Worker { job: Arc::new(job), started: false }
    }

    pub(super) fn network(&self) -> &Network {
        self.job.cpu.network()
    }

    pub(super) fn to_begin(&self) -> u128 {
        self.job.state().to_begin.remaining
    }

    /// Starts the thread, the first time; true if there is one.
    fn start(&mut self) -> bool {
        #[cfg(not(target_arch = "wasm32"))]
        if !self.started {
            let job = self.job.clone();
            let thread = std::thread::Builder::new().name("fsvae-worker".into());
            self.started = thread.spawn(move || job.run()).is_ok();
        }
        self.started
    }

    /// The pixels of the next batch; the caller knows that there is one.
    pub(super) fn wait(&mut self) -> Vec<u8> {
        if !self.start() {
            return self.job.make_next();
        }
        let waiting = self.job.changed.wait_while(self.job.state(), |state| state.made.is_empty());
        let made = waiting.unwrap_or_else(PoisonError::into_inner).made.pop_front();
        self.job.changed.notify_all();
        made.unwrap_or_default()
    }

    /// The same for a task.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Vec<u8>> {
        if !self.start() {
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
        self.job.state().cancelled = true;
        self.job.changed.notify_all();
    }
}

impl Job {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, first: u64, count: usize) -> Vec<u8> {
        let mut pixels = vec![0; count * self.cpu.network().architecture().image_bytes()];
        self.cpu.generate(self.seed, first, &mut pixels);
        pixels
    }

    fn make_next(&self) -> Vec<u8> {
        let (first, count) = self.state().to_begin.take(self.batch);
        self.make(first, count)
    }

    /// The thread: makes batches while the consumer is there and not too far behind.
    #[cfg(not(target_arch = "wasm32"))]
    fn run(&self) {
        loop {
            let full = |state: &mut State| state.made.len() >= self.depth && !state.cancelled;
            let state = self.changed.wait_while(self.state(), full);
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            if state.cancelled || state.to_begin.remaining == 0 {
                return;
            }
            let (first, count) = state.to_begin.take(self.batch);
            drop(state);
            let pixels = self.make(first, count);
            let mut state = self.state();
            state.made.push_back(pixels);
            let waker = state.waker.take();
            drop(state);
            self.changed.notify_all();
            waker.into_iter().for_each(Waker::wake);
        }
    }
}
