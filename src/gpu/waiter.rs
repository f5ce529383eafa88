//! A thread that waits for submissions of a device of our own, so that tasks are woken and nobody polls in a loop.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

/// Starts its thread when it is first needed; the thread ends with the last handle to the device.
#[derive(Debug)]
pub(crate) struct Waiter {
    device: wgpu::Device,
    thread: Mutex<Option<Thread>>,
}

#[derive(Debug)]
struct Thread {
    submissions: mpsc::Sender<wgpu::SubmissionIndex>,
    /// None if no thread could be had.
    handle: Option<JoinHandle<()>>,
}

impl Waiter {
    pub(crate) fn new(device: wgpu::Device) -> Self {
        Waiter { device, thread: Mutex::new(None) }
    }

    /// Callbacks that are due when `submission` is done will be called on the waiter's thread, unless somebody else
    /// polls first. Does not wait, but where there is no such thread.
    pub(crate) fn wait_for(&self, submission: wgpu::SubmissionIndex) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = thread.get_or_insert_with(|| start(self.device.clone())).submissions.send(submission);
        drop(thread);
        // Nobody listens where no thread could be had. A task that is held up is better than one that is never woken.
        if let Err(mpsc::SendError(submission)) = sent {
            wait(&self.device, submission);
        }
    }
}

impl Drop for Waiter {
    /// Waits for the thread: a device that is torn down while the process ends brings some drivers down with it.
    fn drop(&mut self) {
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Thread { submissions, handle: Some(handle) }) = thread else { return };
        drop(submissions);
        // A task that is woken on the waiter's thread may drop the last handle right there.
        if handle.thread().id() != std::thread::current().id() {
            let _ = handle.join();
        }
    }
}

fn start(device: wgpu::Device) -> Thread {
    let (submissions, listener) = mpsc::channel();
    let run = move || {
        for submission in listener {
            // Callbacks and wakers of an application run in there. If one of them panics, the others are still awaited.
            let _ = catch_unwind(AssertUnwindSafe(|| wait(&device, submission)));
        }
    };
    let handle = std::thread::Builder::new().name("fsvae-waiter".into()).spawn(run);
    Thread { submissions, handle: handle.ok() }
}

fn wait(device: &wgpu::Device, submission: wgpu::SubmissionIndex) {
    // A device that is lost fails its callbacks when it is polled; the error has nothing to add.
    let _ = device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None });
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::gpu::Gpu;
    use crate::gpu::adapters::adapters;
    use crate::gpu::signal::{Signal, signal};

    /// Devices of the test's own, for its callbacks are called by whoever polls.
    fn devices() -> impl Iterator<Item = Gpu> {
        let limits = wgpu::Limits::downlevel_webgl2_defaults();
        let open = move |adapter: &wgpu::Adapter| {
            pollster::block_on(Gpu::request(adapter, &limits)).expect("a device")
        };
        pollster::block_on(adapters()).into_iter().map(move |adapter| open(&adapter))
    }

    /// Something to wait for, and what says that it is done.
    fn submit(gpu: &Gpu) -> (wgpu::SubmissionIndex, Signal) {
        let submission = gpu.queue.submit([]);
        let (sender, signal) = signal();
        gpu.queue.on_submitted_work_done(move || sender.say(true));
        (submission, signal)
    }

    #[test]
    fn where_no_thread_can_be_had_the_caller_waits() {
        for gpu in devices() {
            let (submissions, _) = mpsc::channel();
            let none = Thread { submissions, handle: None };
            let waiter = Waiter { device: gpu.device.clone(), thread: Mutex::new(Some(none)) };
            let (submission, signal) = submit(&gpu);
            waiter.wait_for(submission);
            let done = signal.poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(done, Poll::Ready(true), "{}", gpu.name());
        }
    }

    #[test]
    fn a_callback_that_panics_does_not_end_the_thread() {
        for gpu in devices() {
            let waiter = Waiter::new(gpu.device.clone());
            let submission = gpu.queue.submit([]);
            gpu.queue.on_submitted_work_done(|| panic!("an application's callback"));
            waiter.wait_for(submission);
            // The thread has heard of it, or its channel could not be sent to.
            std::thread::sleep(std::time::Duration::from_millis(200));
            let (submission, signal) = submit(&gpu);
            waiter.wait_for(submission);
            let (done, result) = mpsc::channel();
            std::thread::spawn(move || done.send(signal.wait()));
            let result = result.recv_timeout(std::time::Duration::from_secs(60));
            assert_eq!(result, Ok(true), "{}", gpu.name());
            let thread = waiter.thread.lock().expect("no panic");
            assert!(!thread.as_ref().expect("it was started").handle.as_ref().expect("it was").is_finished());
        }
    }
}
