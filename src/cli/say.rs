//! Messages for the person at the terminal. They never cost a result: a standard error that is closed, full or read by
//! nobody loses the message and nothing else. clippy refuses every other way to standard error in this program.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long the end of the program waits for a reader that is slow.
const PATIENCE: Duration = Duration::from_millis(500);

/// Prints `fsvae: TEXT` as one line, whatever is in the text.
pub(crate) fn say(text: impl AsRef<str>) {
    send(Message::Line(format!("fsvae: {}\n", one_line(text.as_ref()))));
}

/// Waits for what was said to be written, but not for ever.
pub(crate) fn finish() {
    let (done, written) = channel();
    if send(Message::Finish(done)) {
        let _ = written.recv_timeout(PATIENCE);
    }
}

/// Line breaks and other control characters as Rust writes them in a string: a file may be called anything.
pub(crate) fn one_line(text: &str) -> String {
    text.trim_end().chars().fold(String::with_capacity(text.len()), |mut line, character| {
        match character {
            // Control characters, and those that turn the direction of a line.
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                line.extend(character.escape_default());
            }
            _ => line.push(character),
        }
        line
    })
}

enum Message {
    Line(String),
    Finish(Sender<()>),
}

/// A thread of its own does the writing, for a pipe that nobody empties would stop the work; without one (no thread
/// can be had) the caller writes.
static WRITER: Mutex<Option<Sender<Message>>> = Mutex::new(None);

fn send(message: Message) -> bool {
    let mut writer = WRITER.lock().unwrap_or_else(PoisonError::into_inner);
    if writer.is_none() {
        let (sender, messages) = channel();
        let thread = thread::Builder::new().name("fsvae-messages".into());
        match thread.spawn(move || write_all(&messages)) {
            Ok(_) => *writer = Some(sender),
            Err(_) => {
                write(&message);
                return false;
            }
        }
    }
    writer.as_ref().is_some_and(|writer| writer.send(message).is_ok())
}

fn write_all(messages: &Receiver<Message>) {
    messages.iter().for_each(|message| write(&message));
}

fn write(message: &Message) {
    match message {
        // Nobody is left to be told that nobody can be told.
        Message::Line(line) => drop(std::io::stderr().write_all(line.as_bytes())),
        Message::Finish(done) => drop(done.send(())),
    }
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        assert_eq!(
            one_line("a\nb\r\u{1b}[2J\u{202e}.png: größer\n"),
            "a\\nb\\r\\u{1b}[2J\\u{202e}.png: größer"
        );
    }
}
