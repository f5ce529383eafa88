//! What is left when the command line is told to end.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::common::command::{entries, fsvae, messages};
use crate::common::pictures::directory;
use fsvae::image;

const MODEL: &str = "tiny.safetensors";
/// What takes as long does not end.
const HANGS: Duration = Duration::from_secs(20);

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = fsvae(directory);
    command.args(arguments).args(["--model", MODEL, "--backend", "cpu"]);
    command
}

/// Starts it, sends it a signal, and waits for its end.
#[allow(unsafe_code)] // two calls whose only conditions are those said beside them
fn interrupt(mut command: Command, after: Duration, signal: &str) -> Output {
    // Shells start what runs in the background with SIGINT ignored, these tests, too; programs inherit that.
    let heard = || {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
            // SAFETY: may be called between fork and exec (POSIX: async-signal-safe).
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: it allocates nothing and takes no lock.
    unsafe { command.pre_exec(heard) };
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    std::thread::sleep(after);
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", signal, &id]).status().expect("kill").success());
    let start = Instant::now();
    let output = child.wait_with_output().expect("it ends");
    assert!(start.elapsed() < HANGS, "it took {:?}", start.elapsed());
    output
}

/// The names in a directory, but for what the system keeps of a crash.
fn left(directory: &Path) -> Vec<String> {
    entries(directory).into_iter().filter(|name| !name.starts_with("core")).collect()
}

#[test]
fn signals_leave_nothing_behind() {
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        for arguments in [
            &["--out", "big.png", "--count", "4000000"][..],
            &["--latents", "z.safetensors", "--animate", "a.gif", "--count", "3000000"],
            &["--format", "gray", "--out", "frames.raw", "--count", "100000000"],
        ] {
            let directory = directory();
            let arguments = [&["generate"], arguments].concat();
            let output = interrupt(command(directory.path(), &arguments), Duration::from_millis(700), signal);
            assert_eq!(output.status.signal(), Some(number), "{arguments:?} {:?}", messages(&output));
            assert_eq!(entries(directory.path()), [MODEL], "SIG{signal} {arguments:?}");
        }
    }
    // A file each: those that are finished stay, and are whole.
    let directory = directory();
    std::fs::create_dir(directory.path().join("d")).expect("a directory");
    let arguments = ["generate", "--count", "4000000", "--out", "d/{index}.png"];
    let output = interrupt(command(directory.path(), &arguments), Duration::from_millis(700), "TERM");
    assert_eq!(output.status.signal(), Some(15));
    for name in entries(&directory.path().join("d")) {
        assert!(image::open(directory.path().join("d").join(&name)).is_ok(), "{name}");
    }
    // What was started with a signal ignored goes on ignoring it, as `nohup` wants.
    let mut command = Command::new("bash");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "bash", env!("CARGO_BIN_EXE_fsvae"), "generate"]);
    command.args(["--model", "tiny.safetensors", "--backend", "cpu", "--count", "300000", "--digests"]);
    command.current_dir(directory.path()).stdout(Stdio::null());
    let output = interrupt(command, Duration::from_millis(150), "HUP");
    assert_eq!(output.status.code(), Some(0), "{:?}", messages(&output));
}

#[test]
fn other_signals_leave_nothing_behind_either() {
    let others = [
        ("QUIT", libc::SIGQUIT),
        ("XCPU", libc::SIGXCPU),
        ("ALRM", libc::SIGALRM),
        ("USR1", libc::SIGUSR1),
        ("USR2", libc::SIGUSR2),
    ];
    for (signal, number) in others {
        let directory = directory();
        let arguments = ["generate", "--out", "big.png", "--count", "4000000"];
        let output = interrupt(command(directory.path(), &arguments), Duration::from_millis(700), signal);
        assert_eq!(output.status.signal(), Some(number), "{:?}", messages(&output));
        assert_eq!(messages(&output), [""; 0], "SIG{signal}");
        assert_eq!(left(directory.path()), [MODEL], "SIG{signal}");
    }
}

/// The signal is what ends it, whatever fails while folders vanish.
#[test]
fn folders_with_numbers_are_not_left_empty() {
    for after in 0..24 {
        let directory = directory();
        let arguments = ["generate", "--count", "4000000", "--out", "d{index}/a.png"];
        let after = Duration::from_millis(120 + 23 * after);
        let output = interrupt(command(directory.path(), &arguments), after, "TERM");
        assert_eq!(output.status.signal(), Some(15), "after {after:?}: {:?}", messages(&output));
        assert_eq!(messages(&output), [""; 0], "after {after:?}");
        for name in entries(directory.path()).into_iter().filter(|name| name != MODEL) {
            let folder = directory.path().join(&name);
            assert_eq!(entries(&folder), ["a.png"], "after {after:?}: {name}");
            assert!(image::open(folder.join("a.png")).is_ok(), "after {after:?}: {name}");
        }
    }
}

#[test]
fn a_limit_of_file_sizes_is_an_error_of_writing() {
    let directory = directory();
    let limited = |script: &str| {
        let script = format!("ulimit -f 2; {script}");
        let mut command = Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_fsvae"), "--model", MODEL, "--backend", "cpu"]);
        command.current_dir(directory.path()).env("FSVAE_CACHE_DIR", "").env_remove("FSVAE_DRIVER_MESSAGES");
        command.output().expect("it runs")
    };
    let output = limited("exec \"$0\" generate \"$@\" --count 4000 --out a.png");
    let line = "fsvae: a.png: cannot write it: File too large (os error 27)";
    assert_eq!((output.status.code(), messages(&output)), (Some(1), vec![line.to_owned()]));
    assert_eq!(entries(directory.path()), [MODEL]);
    let output = limited("exec \"$0\" generate \"$@\" --count 4000 --digests > digests");
    let line = "fsvae: standard output: File too large (os error 27)";
    assert_eq!((output.status.code(), messages(&output)), (Some(1), vec![line.to_owned()]));
}

/// What drivers do when they give up, and what ends a program without memory.
#[test]
fn an_end_from_inside_is_said_and_leaves_nothing_behind() {
    let signals = [
        ("ABRT", libc::SIGABRT),
        ("SEGV", libc::SIGSEGV),
        ("BUS", libc::SIGBUS),
        ("ILL", libc::SIGILL),
        ("FPE", libc::SIGFPE),
    ];
    for (signal, number) in signals {
        let directory = directory();
        let arguments = ["generate", "--out", "big.png", "--count", "4000000"];
        let output = interrupt(command(directory.path(), &arguments), Duration::from_millis(700), signal);
        assert_eq!(output.status.signal(), Some(number), "{:?}", messages(&output));
        // No driver is to blame where none was loaded.
        let lines = messages(&output);
        let line = format!("fsvae: the program was ended from inside (signal {number}): ");
        assert!(lines.len() == 1 && lines[0].starts_with(&line), "{lines:?}");
        assert!(!lines[0].contains("driver") && !lines[0].contains("--backend"), "{lines:?}");
        assert_eq!(lines[0].contains("no memory was left"), signal == "ABRT", "{lines:?}");
        assert_eq!(left(directory.path()), [MODEL], "SIG{signal}");
    }
    let directory = directory();
    let mut command = fsvae(directory.path());
    command.args(["generate", "--model", MODEL, "--out", "big.png", "--count", "4000000"]);
    let output = interrupt(command, Duration::from_secs(4), "ABRT");
    let lines = messages(&output);
    let line = format!(
        "fsvae: the program was ended from inside (signal {}): a driver, or no memory; \
         FSVAE_DRIVER_MESSAGES=1 shows what it said, --backend cpu does without GPUs",
        libc::SIGABRT
    );
    assert_eq!(lines.last(), Some(&line), "{lines:?}");
    // A line that nobody can take is not waited for.
    let (_reader, full) = std::io::pipe().expect("a pipe");
    let mut filler = full.try_clone().expect("a copy");
    std::thread::spawn(move || while std::io::Write::write_all(&mut filler, &[b'.'; 1 << 12]).is_ok() {});
    let mut command =
        self::command(directory.path(), &["generate", "--out", "big.png", "--count", "4000000"]);
    let mut child = command.stdout(Stdio::null()).stderr(full).spawn().expect("it runs");
    std::thread::sleep(Duration::from_millis(700));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "ABRT", &id]).status().expect("kill").success());
    let start = Instant::now();
    assert_eq!(child.wait().expect("it ends").signal(), Some(libc::SIGABRT));
    assert!(start.elapsed() < HANGS, "it took {:?}", start.elapsed());
}

/// As far as it is known when a driver ends the program: in a file at once, and on standard output with the last words.
#[test]
fn bench_keeps_what_it_has_measured_in_a_crash_too() {
    let is_interrupted = |bytes: &[u8]| {
        let json: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
        let result = &json["results"][0];
        assert_eq!((&result["backend"], &result["status"]), (&"CPU".into(), &"interrupted".into()), "{json}");
        assert!(result["cold_start_ns"].as_u64().is_some_and(|time| time > 0), "{json}");
    };
    let directory = directory();
    // Long enough to be found at work.
    let batches = (1..=60).map(|batch| batch.to_string()).collect::<Vec<_>>().join(",");
    let mut bench =
        command(directory.path(), &["bench", "--thorough", "--batch", &batches, "--json", "b.json"]);
    let mut child = bench.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let (file, start) = (directory.path().join("b.json"), Instant::now());
    while !file.exists() && start.elapsed() < Duration::from_secs(100) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        Command::new("kill").args(["-s", "ABRT", &child.id().to_string()]).status().expect("kill").success()
    );
    assert_eq!(child.wait().expect("it ends").signal(), Some(libc::SIGABRT));
    is_interrupted(&std::fs::read(&file).expect("a file"));
    let found = [2, 8, 30, 100].into_iter().find_map(|seconds| {
        let bench = command(directory.path(), &["bench", "--thorough", "--batch", &batches, "--json", "-"]);
        let output = interrupt(bench, Duration::from_secs(seconds), "SEGV");
        assert_eq!(output.status.signal(), Some(libc::SIGSEGV));
        (!output.stdout.is_empty()).then_some(output.stdout)
    });
    is_interrupted(&found.expect("what was measured"));
}

#[test]
fn bench_keeps_what_it_has_measured() {
    const BATCHES: &str = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30";
    let directory = directory();
    let arguments = ["bench", "--thorough", "--json", "b.json", "--batch", BATCHES];
    // A few points of two seconds and more, of many.
    let output = interrupt(command(directory.path(), &arguments), Duration::from_secs(25), "INT");
    assert_eq!(output.status.signal(), Some(2));
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(directory.path().join("b.json")).expect("a file"))
            .expect("JSON");
    let result = &json["results"][0];
    assert_eq!((&result["backend"], &result["status"]), (&"CPU".into(), &"interrupted".into()), "{json}");
    assert!(!result["latency_ns"].as_array().expect("samples").is_empty());
    let table = String::from_utf8(output.stdout.clone()).expect("text");
    assert!(table.contains("CPU: interrupted; cold start "), "{table}");
    assert!(messages(&output).iter().any(|line| line.contains("interrupted")), "{:?}", messages(&output));
    assert_eq!(entries(directory.path()), ["b.json", MODEL]);
    let compared = fsvae(directory.path()).args(["bench", "compare", "b.json"]).output().expect("it runs");
    assert!(compared.status.success(), "{:?}", messages(&compared));
    assert!(String::from_utf8_lossy(&compared.stdout).contains("interrupted"));
    // Before anything was measured there is nothing to keep, and what was there stays.
    std::fs::write(directory.path().join("b.json"), "old").expect("written");
    let output = interrupt(command(directory.path(), &arguments), Duration::from_millis(5), "TERM");
    assert_eq!(output.status.signal(), Some(15));
    assert_eq!(std::fs::read(directory.path().join("b.json")).expect("a file"), b"old");
}
