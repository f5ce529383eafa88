//! PyTorch files made to take memory, in a process of its own: its peak is looked at.
#![cfg(target_os = "linux")]

mod common;

use common::TINY;
use common::torch::{Pickle, Pth};
use fsvae::Checkpoint;

/// A line of this process's status, in bytes: `VmRSS:`, what is resident, `VmHWM:`, the most that was.
fn resident(line: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let found = status.lines().find_map(|found| found.strip_prefix(line)).expect("a line");
    found.trim().strip_suffix(" kB").expect("KiB").parse::<usize>().expect("a number") << 10
}

#[test]
fn no_file_takes_more_memory_than_its_own_size() {
    const LONG: usize = 32 << 20;
    let pth = Pth::new(&TINY.tensors());
    let repeated = |start: &[u8], part: &[u8], times: usize| {
        let mut pickle = [&[0x80, 2], start].concat();
        pickle.extend(part.repeat(times));
        pickle
    };
    // 50,000 tensors of the same 20,000 axes.
    let mut axes = pth.views[0].clone();
    (axes.shape, axes.strides) = (vec![1; 20_000], vec![0; 20_000]);
    let call = Pickle::default().raw(b"}").text("f").global("torch._utils._rebuild_tensor_v2").raw(b"q\x01s");
    let mut shapes = call.text("a").arguments(&axes).raw(b"q\x02s");
    for tensor in 0..50_000 {
        let name = format!("{tensor:>300}.membrane_output_layer.coef");
        shapes = shapes.text(&name).raw(b"h\x01h\x02Rs");
    }
    let memos = (0..LONG as u32 / 5).flat_map(|place| {
        let [a, b, c, d] = place.to_le_bytes();
        [b'r', a, b, c, d]
    });
    for (name, pickle) in [
        ("values", repeated(b"", b"N", LONG)),
        ("dictionaries in a list", repeated(b"]", b"}a", LONG / 2)),
        ("tuples in tuples", repeated(b"N", b"\x85", LONG)),
        ("marks", repeated(b"", b"(", LONG)),
        ("memos", [0x80, 2, b'N'].into_iter().chain(memos).collect()),
        ("numbers in a list", repeated(b"]", b"Na", LONG / 2)),
        ("one tuple in many", repeated(b"(NNNNNNNNtq\x01", b"h\x01\x85", LONG / 3)),
        ("axes", shapes.raw(b".").0),
        ("a memo that counts", repeated(b"N", b"\x94", LONG)),
        ("foreign objects", repeated(b"ca\nb\n", b")\x81", LONG / 2)),
        ("foreign names", repeated(b"]", b"ca\nb\na", LONG / 6)),
        ("sets", repeated(b"]", b"\x8fa", LONG / 2)),
    ] {
        let bytes = pth.bytes_with(&pickle);
        drop(pickle);
        // From here on the most is counted anew.
        if std::fs::write("/proc/self/clear_refs", "5").is_err() {
            eprintln!("the system does not count anew: nothing is checked");
            return;
        }
        let before = resident("VmRSS:");
        let error = Checkpoint::from_bytes(&bytes).expect_err("no model").to_string();
        let grown = resident("VmHWM:").saturating_sub(before);
        eprintln!("{name}: {} bytes, {grown} bytes more: {error}", bytes.len());
        assert!(grown < bytes.len(), "{name}: {grown} bytes more for a file of {} bytes", bytes.len());
    }
}
