//! Writing to what another program opened: it may have made it nonblocking, on purpose or because it shares it with us (Node,
//! ssh). Then a full pipe is an error where a program expects to wait.
#![cfg(unix)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Bytes of a call; some systems refuse 2 GiB.
const PIECE: usize = 1 << 30;

/// Writes all of it, however long that takes.
pub(super) fn write_all(descriptor: impl AsFd, bytes: &[u8]) -> io::Result<()> {
    let descriptor = descriptor.as_fd();
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(descriptor, &rest[..rest.len().min(PIECE)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => _ = is_ready(descriptor, None)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits until something can be written, or `patience` is over. It makes one system call and nothing else.
pub(super) fn is_ready(descriptor: BorrowedFd<'_>, patience: Option<&Timespec>) -> Result<bool, Errno> {
    let mut waiting = [PollFd::from_borrowed_fd(descriptor, PollFlags::OUT)];
    match poll(&mut waiting, patience) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error),
    }
}
