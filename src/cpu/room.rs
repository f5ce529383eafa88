//! How many threads there is address space for. `ulimit -v`, as shared machines have it, is a limit of addresses, not of
//! memory: a thread takes 64 MiB of them as soon as it asks for memory, for glibc gives each its own arena. Where they run
//! out the program is ended, whatever memory there is.

/// Bytes of addresses that a thread takes: its arena, its stack and their guards.
const A_THREAD: u64 = 70 << 20;

/// `wanted`, or as many threads as fit, 1 at least.
pub(crate) fn threads_that_fit(wanted: usize) -> usize {
    left().map_or(wanted, |left| fit(wanted, left))
}

/// Half of what is left is for all else.
fn fit(wanted: usize, left: u64) -> usize {
    let most = usize::try_from(left / 2 / A_THREAD).unwrap_or(usize::MAX);
    wanted.min(most.max(1))
}

/// Bytes of addresses that this process may still take; `None` without a limit, or where it is not known.
#[cfg(target_os = "linux")]
fn left() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let limit = number_after("Max address space", &limits)?;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let used = number_after("VmSize:", &status)?.saturating_mul(1 << 10);
    Some(limit.saturating_sub(used))
}

/// Other systems have no such limit or do not keep to it.
#[cfg(not(target_os = "linux"))]
fn left() -> Option<u64> {
    None
}

/// The number behind the name of a line, if that is what is there.
#[cfg(any(target_os = "linux", test))]
fn number_after(name: &str, lines: &str) -> Option<u64> {
    lines.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_leave_room_for_all_else() {
        assert_eq!(fit(8, u64::MAX), 8);
        assert_eq!(fit(8, 2 * 8 * A_THREAD), 8);
        assert_eq!(fit(8, 2 * 8 * A_THREAD - 1), 7);
        assert_eq!(fit(8, 2 * A_THREAD), 1);
        assert_eq!(fit(8, 0), 1);
    }

    #[test]
    fn limits_are_read_as_linux_writes_them() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max cpu time              unlimited            unlimited            seconds   \n\
                      Max address space         204800000            unlimited            bytes     \n";
        assert_eq!(number_after("Max address space", limits), Some(204_800_000));
        assert_eq!(number_after("Max cpu time", limits), None, "without a limit");
        assert_eq!(number_after("VmSize:", "Name:\tfsvae\nVmPeak:\t    10 kB\nVmSize:\t    7 kB\n"), Some(7));
        assert_eq!(number_after("VmSize:", ""), None);
    }
}
