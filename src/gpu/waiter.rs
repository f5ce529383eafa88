//! A thread that waits for submissions of a device of our own, so that tasks are woken and nobody polls in a loop.

use std::sync::{Mutex, PoisonError, mpsc};

/// Starts its thread when it is first needed; the thread ends with the last handle to the device.
#[derive(Debug)]
pub(crate) struct Waiter {
    device: wgpu::Device,
    sender: Mutex<Option<mpsc::Sender<wgpu::SubmissionIndex>>>,
}

impl Waiter {
    pub(crate) fn new(device: wgpu::Device) -> Self {
        Waiter { device, sender: Mutex::new(None) }
    }

    /// Callbacks that are due when `submission` is done will be called on the waiter's thread, unless somebody else
    /// polls first. Does not wait.
    pub(crate) fn wait_for(&self, submission: wgpu::SubmissionIndex) {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        // A device that is lost fails its callbacks when it is polled, so an error has nothing to add. A closed
        // channel cannot be: the thread ends after the sender only.
        let _ = sender.get_or_insert_with(|| start(self.device.clone())).send(submission);
    }
}

fn start(device: wgpu::Device) -> mpsc::Sender<wgpu::SubmissionIndex> {
    let (sender, submissions) = mpsc::channel();
    let run = move || {
        for submission in submissions {
            let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
            let _ = device.poll(wait);
        }
    };
    // Without a thread (the process has too many) tasks are woken by whoever polls.
    let _ = std::thread::Builder::new().name("fsvae-waiter".into()).spawn(run);
    sender
}
