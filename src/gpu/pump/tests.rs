use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Waker};

use super::*;

/// A pump whose polls are answered by a test.
fn pump(
    owned: bool,
    answer: impl Fn(wgpu::PollType) -> Result<wgpu::PollStatus, wgpu::PollError> + Send + Sync + 'static,
) -> Pump {
    Pump::polling(Box::new(answer), Box::new(|| false), owned, Arc::default())
}

/// Runs `work` and fails if it hangs.
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(Duration::from_secs(30)).expect("it hangs, or panics")
}

/// `ERROR_DEVICE_LOST`: wgpu panics, and forgets the callbacks without dropping them.
#[test]
fn a_poll_that_panics_ends_every_wait() {
    for owned in [true, false] {
        ends(move || {
            let answer = |_| panic!("in a test: the device is lost");
            let pump = Pump::polling(Box::new(answer), Box::new(|| true), owned, Arc::default());
            let (forgotten, first) = pump.signal();
            let (other, second) = pump.signal();
            std::mem::forget((forgotten, other));
            assert!(!pump.wait(&first, None));
            assert!(pump.is_lost());
            assert!(!pump.wait(&second, None), "the others hear of it, too");
            let (late, third) = pump.signal();
            std::mem::forget(late);
            assert!(!pump.wait(&third, None), "and who comes later");
        });
    }
}

/// The poll that panicked was the application's; ours says that all is well, and no callback is ever called.
#[test]
fn a_borrowed_device_that_is_lost_is_looked_at() {
    let pump = || {
        let well = |_| Ok(wgpu::PollStatus::Poll);
        let pump = Pump::polling(Box::new(well), Box::new(|| true), false, Arc::default());
        let (forgotten, signal) = pump.signal();
        std::mem::forget(forgotten);
        (pump, signal)
    };
    ends(move || {
        let (waiting, signal) = pump();
        assert!(!waiting.wait(&signal, None));
        // A task that is polled from frame to frame.
        let (asked, signal) = pump();
        let mut context = Context::from_waker(Waker::noop());
        while signal.poll(&mut context).is_pending() {
            asked.look();
        }
        assert_eq!(signal.poll(&mut context), Poll::Ready(false));
    });
}

/// The callback is called inside of wgpu's locks, where a waker that goes on with its task at once would call wgpu.
#[test]
fn a_lost_callback_wakes_nobody_itself() {
    ends(|| {
        let end = Arc::new(End::default());
        let told = end.clone();
        let lose = move |_| {
            told.is_told();
            Ok(wgpu::PollStatus::Poll)
        };
        let pump = Pump::polling(Box::new(lose), Box::new(|| false), true, end.clone());
        let (forgotten, signal) = pump.signal();
        std::mem::forget(forgotten);
        end.is_told();
        assert_eq!(signal.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
        assert!(!pump.wait(&signal, None));
    });
}

/// OpenGL says so after two seconds, whatever it was asked.
#[test]
fn a_time_out_is_no_answer() {
    ends(|| {
        let sender = Mutex::new(None);
        let polls = Arc::new(AtomicUsize::new(0));
        let slot: Arc<Mutex<Option<Sender>>> = Arc::new(sender);
        let (counted, taken) = (polls.clone(), slot.clone());
        let pump = pump(true, move |how| {
            assert!(matches!(how, wgpu::PollType::Wait { timeout: Some(SLICE), .. }));
            if counted.fetch_add(1, Ordering::SeqCst) == 3 {
                taken.lock().expect("a lock").take().into_iter().for_each(|sender| sender.say(true));
            }
            Err(wgpu::PollError::Timeout)
        });
        let (sender, signal) = pump.signal();
        *slot.lock().expect("a lock") = Some(sender);
        assert!(pump.wait(&signal, None));
        assert_eq!(polls.load(Ordering::SeqCst), 4);
    });
}

/// Presenting a frame needs the lock that a waiting poll holds.
#[test]
fn a_borrowed_device_is_never_waited_for() {
    ends(|| {
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = polls.clone();
        let pump = pump(false, move |how| {
            assert!(matches!(how, wgpu::PollType::Poll));
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(wgpu::PollStatus::Poll)
        });
        let (sender, signal) = pump.signal();
        let later = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            sender.say(true);
        });
        assert!(pump.wait(&signal, None));
        later.join().expect("no panic");
        let so_far = polls.load(Ordering::SeqCst);
        assert!(so_far >= 2, "{so_far} polls");
        pump.wake_after(None);
        pump.poll_if_owned();
        assert_eq!(polls.load(Ordering::SeqCst), so_far, "a task's batch is the application's to poll");
    });
}

/// A driver that never comes back from a submission does not keep the pump's thread: it looks up after each slice.
#[test]
fn dropping_a_pump_ends_its_thread() {
    ends(|| {
        let pump = pump(true, |_| Err(wgpu::PollError::Timeout));
        pump.wake_after(None);
        drop(pump);
    });
}

#[test]
fn where_no_thread_can_be_had_the_caller_waits() {
    ends(|| {
        let slot: Arc<Mutex<Option<Sender>>> = Arc::default();
        let taken = slot.clone();
        let polls = AtomicUsize::new(0);
        let pump = pump(true, move |_| {
            if polls.fetch_add(1, Ordering::SeqCst) < 2 {
                return Err(wgpu::PollError::Timeout);
            }
            taken.lock().expect("a lock").take().into_iter().for_each(|sender| sender.say(true));
            Ok(wgpu::PollStatus::QueueEmpty)
        });
        let (submissions, _) = mpsc::channel();
        *pump.thread.lock().expect("a lock") = Some(Thread { submissions, handle: None });
        let (sender, signal) = pump.signal();
        *slot.lock().expect("a lock") = Some(sender);
        pump.wake_after(None);
        assert_eq!(signal.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(true));
    });
}

/// wgpu calls the callbacks of whoever shares the device, and one of them is wrong.
#[test]
fn a_callback_that_panics_is_not_the_devices_end() {
    for owned in [true, false] {
        ends(move || {
            let slot: Arc<Mutex<Option<Sender>>> = Arc::default();
            let taken = slot.clone();
            let polls = AtomicUsize::new(0);
            let answer = move |_| {
                assert!(polls.fetch_add(1, Ordering::SeqCst) > 0, "in a test: an application's callback");
                taken.lock().expect("a lock").take().into_iter().for_each(|sender| sender.say(true));
                Ok(wgpu::PollStatus::QueueEmpty)
            };
            let pump = Pump::polling(Box::new(answer), Box::new(|| false), owned, Arc::default());
            let (sender, signal) = pump.signal();
            *slot.lock().expect("a lock") = Some(sender);
            assert!(pump.wait(&signal, None));
            assert!(!pump.is_lost());
        });
    }
}

#[test]
fn a_task_is_woken_by_the_pumps_thread() {
    ends(|| {
        let slot: Arc<Mutex<Option<Sender>>> = Arc::default();
        let taken = slot.clone();
        let pump = pump(true, move |_| {
            taken.lock().expect("a lock").take().into_iter().for_each(|sender| sender.say(true));
            Ok(wgpu::PollStatus::QueueEmpty)
        });
        let (sender, signal) = pump.signal();
        *slot.lock().expect("a lock") = Some(sender);
        pump.wake_after(None);
        assert!(pollster::block_on(std::future::poll_fn(|context| signal.poll(context))));
    });
}
