//! A thread that waits for submissions of a device of our own, so that tasks are woken and nobody polls in a loop.

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
    /// None if the process has too many threads: tasks are then woken by whoever polls.
    handle: Option<JoinHandle<()>>,
}

impl Waiter {
    pub(crate) fn new(device: wgpu::Device) -> Self {
        Waiter { device, thread: Mutex::new(None) }
    }

    /// Callbacks that are due when `submission` is done will be called on the waiter's thread, unless somebody else
    /// polls first. Does not wait.
    pub(crate) fn wait_for(&self, submission: wgpu::SubmissionIndex) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody listens only where there is no thread.
        let _ = thread.get_or_insert_with(|| start(self.device.clone())).submissions.send(submission);
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
            let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
            // A device that is lost fails its callbacks when it is polled; the error has nothing to add.
            let _ = device.poll(wait);
        }
    };
    let handle = std::thread::Builder::new().name("fsvae-waiter".into()).spawn(run);
    Thread { submissions, handle: handle.ok() }
}
