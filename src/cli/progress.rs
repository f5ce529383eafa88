//! Progress bars. indicatif counts and formats; [`say`](super::say) draws, so that a terminal that was stopped, or that
//! shows results, too, is not in the way of the work.

use std::io;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::{say, standard_error};

/// How often a second a bar is drawn at most.
const RATE: u8 = 10;

/// A bar of so many images on standard error, where that is a terminal.
pub(super) fn progress(count: u64) -> ProgressBar {
    bar(count, "{bar:40} {pos}/{len} images, {per_sec}, {eta} left")
}

/// A bar of so many parts of some work, with what is being done: no thread of its own disturbs what is timed.
pub(super) fn parts(count: u64) -> ProgressBar {
    bar(count, "{bar:20} {msg}")
}

fn bar(count: u64, template: &str) -> ProgressBar {
    let target = if standard_error::is_terminal() {
        ProgressDrawTarget::term_like_with_hz(Box::new(Line::default()), RATE)
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(count), target);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The one line that a bar is, put together from what indicatif writes.
#[derive(Debug, Default)]
struct Line(Mutex<String>);

impl TermLike for Line {
    /// Wider than any bar: `say` cuts it to what the terminal has.
    fn width(&self) -> u16 {
        200
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(text);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let text = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        say::show_bar(say::one_line(text.trim()));
        Ok(())
    }
}
