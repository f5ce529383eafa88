//! Messages for the person at the terminal. They never cost a result: a standard error that is closed, full or read by
//! nobody loses the message and nothing else. clippy refuses every other way to standard error in this program.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

pub(crate) use fsvae::bench::one_line;

use super::standard_error;

/// How long the end of the program waits for a reader that is slow.
const PATIENCE: Duration = Duration::from_millis(500);

/// Characters of a message. It may quote a file, and that may hold a megabyte where a name is expected.
const LONGEST: usize = 8192;

/// Prints `fsvae: TEXT` as one line, whatever is in the text.
pub(crate) fn say(text: impl AsRef<str>) {
    say_all(format!("fsvae: {}\n", message(text.as_ref())));
}

/// The one line that a text is said as.
pub(super) fn message(text: &str) -> String {
    let mut line = one_line(text);
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        let more = line[end..].chars().count();
        line.truncate(end);
        line += &format!("... ({more} characters more)");
    }
    line
}

/// Prints a text of many lines as it is: help.
pub(super) fn say_all(text: String) {
    send(Message::Text(text));
}

/// Waits for what was said to be written, but not for ever.
pub(crate) fn finish() {
    let (done, written) = channel();
    if send(Message::Finish(done)) {
        let _ = written.recv_timeout(PATIENCE);
    }
}

/// The line below all messages is this from now on, or none for an empty text. A reader that is slow sees the last of
/// many.
pub(super) fn show_bar(text: String) {
    if BARS_END.load(Ordering::Relaxed) {
        return;
    }
    let unseen = lock(&NEXT_BAR).replace(text);
    if unseen.is_none() && !send(Message::Bar) {
        // No thread can be had, and a bar is not worth waiting for.
        lock(&NEXT_BAR).take();
    }
}

/// Takes the bar away until something else is shown there.
pub(super) fn hide_bar() {
    show_bar(String::new());
    finish();
}

/// Takes the bar away for good: results follow on the same terminal.
pub(super) fn end_bars() {
    if !BARS_END.load(Ordering::Relaxed) {
        hide_bar();
        BARS_END.store(true, Ordering::Relaxed);
    }
}

enum Message {
    Text(String),
    /// [`NEXT_BAR`] is new.
    Bar,
    Finish(Sender<()>),
}

/// A thread of its own does the writing, for a pipe that nobody empties would stop the work; without one (no thread
/// can be had) the caller writes.
static WRITER: Mutex<Option<Sender<Message>>> = Mutex::new(None);
/// What the writer has not seen yet. One at most, so that nothing piles up behind a terminal that was stopped.
static NEXT_BAR: Mutex<Option<String>> = Mutex::new(None);
static BARS_END: AtomicBool = AtomicBool::new(false);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// False if there is no thread.
fn send(message: Message) -> bool {
    let mut writer = lock(&WRITER);
    if writer.is_none() {
        let (sender, messages) = channel();
        let thread = thread::Builder::new().name("fsvae-messages".into());
        match thread.spawn(move || write_all(&messages)) {
            Ok(_) => *writer = Some(sender),
            Err(_) => {
                if let Message::Text(text) = message {
                    write(text.as_bytes());
                }
                return false;
            }
        }
    }
    writer.as_ref().is_some_and(|writer| writer.send(message).is_ok())
}

fn write_all(messages: &Receiver<Message>) {
    let mut bar = String::new();
    for message in messages {
        match message {
            Message::Text(text) => write(format!("{}{text}{bar}", blank(&bar)).as_bytes()),
            Message::Bar => {
                let next = lock(&NEXT_BAR).take().unwrap_or_default();
                let width = standard_error::width().saturating_sub(1);
                let next: String = next.chars().take(width).collect();
                if next != bar {
                    write(format!("{}{next}", blank(&bar)).as_bytes());
                    bar = next;
                }
            }
            Message::Finish(done) => drop(done.send(())),
        }
    }
}

/// Takes a bar off its line. Spaces do so on any terminal.
fn blank(bar: &str) -> String {
    if bar.is_empty() { String::new() } else { format!("\r{}\r", " ".repeat(bar.chars().count())) }
}

fn write(bytes: &[u8]) {
    // Nobody is left to be told that nobody can be told.
    let _ = standard_error::write(bytes);
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, message, one_line};

    #[test]
    fn a_message_has_an_end() {
        let longest = "é".repeat(LONGEST);
        assert_eq!(message(&longest), longest);
        assert_eq!(message(&(longest.clone() + "xy")), longest + "... (2 characters more)");
    }

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        assert_eq!(
            one_line("a\nb\r\u{1b}[2J\u{202e}\u{200f}.png: größer\n"),
            "a\\nb\\r\\u{1b}[2J\\u{202e}\\u{200f}.png: größer"
        );
    }
}
