//! What happens to messages: on terminals, in pipes that nobody reads, on a full disk, and whatever is in them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::common::command::{fsvae, messages};
use crate::common::pictures::directory;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Action, Winsize, tcflow, tcsetwinsize};

fn tiny(directory: &Path, command: &str, arguments: &[&str]) -> Command {
    let mut all = fsvae(directory);
    all.args([command, "--model", "tiny.safetensors", "--backend", "cpu"]).args(arguments);
    all
}

/// Waits for a minute, not for ever.
fn ends(command: &mut Command) -> ExitStatus {
    let mut child = command.spawn().expect("it runs");
    let start = Instant::now();
    loop {
        match child.try_wait().expect("a child") {
            Some(status) => return status,
            None if start.elapsed() > Duration::from_secs(60) => {
                child.kill().expect("killed");
                panic!("{command:?}: it hangs");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// A pipe that is full and stays so. Its reader is to be kept.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut filler = writer.try_clone().expect("a copy");
    // It ends with the reader.
    std::thread::spawn(move || while filler.write_all(&[b'.'; 1 << 12]).is_ok() {});
    std::thread::sleep(Duration::from_millis(100));
    (reader, writer)
}

struct Terminal {
    master: std::os::fd::OwnedFd,
    slave: File,
}

impl Terminal {
    fn new() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let name = ptsname(&master, Vec::new()).expect("a name");
        let path = Path::new(OsStr::from_bytes(name.as_bytes()));
        let slave = File::options().read(true).write(true).open(path).expect("its other end");
        let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).expect("a size");
        Terminal { master, slave }
    }

    fn end(&self) -> Stdio {
        self.slave.try_clone().expect("a copy").into()
    }

    /// Runs the command and returns all that the terminal got.
    fn run(self, mut command: Command) -> (ExitStatus, String) {
        let Terminal { master, slave } = self;
        let reader = std::thread::spawn(move || {
            let (mut text, mut master) = (Vec::new(), File::from(master));
            // Linux ends with an error once nobody has the other end.
            let _ = master.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let status = ends(&mut command);
        drop((command, slave));
        (status, reader.join().expect("a text"))
    }
}

/// Makes a standard error.
type Way<'a> = Box<dyn Fn() -> Stdio + 'a>;

#[test]
fn nothing_is_lost_to_a_standard_error_that_takes_nothing() {
    let (reader, full) = full_pipe();
    let (closed_reader, closed) = std::io::pipe().expect("a pipe");
    drop(closed_reader);
    let stopped = Terminal::new();
    tcflow(&stopped.slave, Action::OOff).expect("stopped");
    let mut ways: Vec<(&str, Way<'_>)> = vec![
        ("a full pipe", Box::new(|| full.try_clone().expect("a copy").into())),
        ("a closed pipe", Box::new(|| closed.try_clone().expect("a copy").into())),
        ("a terminal that was stopped", Box::new(|| stopped.end())),
    ];
    if Path::new("/dev/full").exists() {
        let full = || -> Stdio { File::options().write(true).open("/dev/full").expect("/dev/full").into() };
        ways.push(("a full disk", Box::new(full)));
    }
    for (what, standard_error) in &ways {
        let directory = directory();
        std::fs::create_dir(directory.path().join("photos")).expect("a folder");
        let run = |mut command: Command| ends(command.stderr(standard_error()));
        let made = run(tiny(directory.path(), "generate", &["--count", "3", "--out", "photos/{index}.png"]));
        assert!(made.success(), "{what}");
        std::fs::write(directory.path().join("photos/readme.png"), "no picture").expect("written");
        let encoded = run(tiny(directory.path(), "encode", &["photos", "--out", "z.safetensors"]));
        assert_eq!(encoded.code(), Some(1), "{what}: one file is no picture");
        assert!(directory.path().join("z.safetensors").exists(), "{what}");
        // Drivers write there, too.
        let mut devices = fsvae(directory.path());
        devices.arg("devices").env_remove("XDG_RUNTIME_DIR").stdout(Stdio::null());
        assert!(run(devices).success(), "{what}");
        assert_eq!(run(tiny(directory.path(), "generate", &["--frobnicate"])).code(), Some(2), "{what}");
        assert_eq!(run(fsvae(directory.path())).code(), Some(2), "{what}: help");
        let mut missing = fsvae(directory.path());
        missing.args(["info", "no-such-model"]);
        assert_eq!(run(missing).code(), Some(2), "{what}");
    }
    drop(reader);
}

#[test]
fn digests_and_progress_do_not_mix_on_a_terminal() {
    let directory = directory();
    let digests = ["--count", "3000", "--batch", "16", "--digests"];
    let plain = tiny(directory.path(), "generate", &digests).output().expect("it runs");
    let plain = String::from_utf8(plain.stdout).expect("text");
    let terminal = Terminal::new();
    let mut command = tiny(directory.path(), "generate", &digests);
    command.env("TERM", "xterm").stdout(terminal.end()).stderr(terminal.end());
    let (status, text) = terminal.run(command);
    assert!(status.success(), "{text}");
    let lines: Vec<&str> = text.lines().map(|line| line.rsplit('\r').next().unwrap_or(line)).collect();
    assert_eq!(lines, plain.lines().collect::<Vec<_>>());
}

#[test]
fn rows_of_bench_and_its_bar_do_not_mix_on_a_terminal() {
    let directory = directory();
    let terminal = Terminal::new();
    let mut command = tiny(directory.path(), "bench", &["--quick", "--batch", "1"]);
    command.env("TERM", "xterm").stdout(terminal.end()).stderr(terminal.end());
    let (status, text) = terminal.run(command);
    assert!(status.success(), "{text}");
    assert!(text.contains("CPU (1 of 1): throughput at batch 1"), "{text}");
    let lines: Vec<&str> =
        text.trim_end().lines().map(|line| line.trim_end().rsplit('\r').next().unwrap_or(line)).collect();
    assert!(lines.iter().all(|line| !line.contains("(1 of 1)")), "{lines:#?}");
    for row in ["model    tiny", "CPU  cold start ", "CPU  first image ", "CPU  batch 1 ", "CPU  limits "] {
        assert_eq!(lines.iter().filter(|line| line.starts_with(row)).count(), 1, "{row}: {lines:#?}");
    }
    assert!(
        lines.last().is_some_and(|line| line.starts_with("fsvae ") && line.contains(" · tiny · ")),
        "{lines:#?}"
    );
}

#[test]
fn a_bar_is_drawn_and_gone_before_the_last_message() {
    let directory = directory();
    let terminal = Terminal::new();
    let mut command = tiny(directory.path(), "generate", &["--count", "3000", "--batch", "16"]);
    command.env("TERM", "xterm").stdout(Stdio::null()).stderr(terminal.end());
    let (status, text) = terminal.run(command);
    assert!(status.success(), "{text}");
    assert!(text.contains("/3000 images, "), "{text}");
    // Columns of the terminal: no bar is longer.
    let pieces = text.split(['\r', '\n']);
    assert!(
        pieces.clone().all(|piece| piece.starts_with("fsvae: ") || piece.chars().count() < 100),
        "{text}"
    );
    let seen: Vec<&str> = text.trim_end().lines().collect();
    assert_eq!(seen.len(), 1, "{text}");
    assert!(seen[0].rsplit('\r').next().expect("a piece").starts_with("fsvae: wrote fsvae.png"), "{text}");
}

/// What a driver writes is a matter of the driver; here it is what libraries say without a place for sockets.
#[test]
fn noise_of_drivers_is_not_heard_unless_it_is_asked_for() {
    let directory = directory();
    let noise = |show: &str| {
        let mut command = fsvae(directory.path());
        command.arg("devices").env_remove("XDG_RUNTIME_DIR").env("FSVAE_DRIVER_MESSAGES", show);
        String::from_utf8_lossy(&command.output().expect("it runs").stderr).into_owned()
    };
    assert_eq!(noise(""), "");
    assert_eq!(noise("0"), "");
    if noise("1").is_empty() {
        eprintln!("no driver here says anything");
    }
}

#[test]
fn every_message_is_one_line() {
    let directory = directory();
    let odd = "a\n\nb\u{1b}[2J\u{202e}  c";
    let option = format!("--{odd}");
    let invalid = OsStr::from_bytes(b"\xff\xfe\n");
    let cases: [(&[&OsStr], &str); 9] = [
        (&[OsStr::new("generate"), OsStr::new("--seed"), OsStr::new(odd)], "a\\n\\nb\\u{1b}[2J\\u{202e}  c"),
        (&[OsStr::new("generate"), OsStr::new("--backend"), OsStr::new(odd)], "auto, gpu, cpu"),
        (&[OsStr::new("generate"), OsStr::new(odd)], "a\\n\\nb"),
        (&[OsStr::new(odd)], "a\\n\\nb"),
        (&[OsStr::new("generate"), OsStr::new(&option)], "--a\\n\\nb"),
        (&[OsStr::new("generate"), OsStr::new("--seed"), invalid], "UTF-8"),
        (&[OsStr::new("info"), OsStr::new(odd)], "a\\n\\nb"),
        (&[OsStr::new("info"), invalid], "no such file"),
        (&[OsStr::new("reconstruct"), OsStr::new(odd), invalid], "a\\n\\nb"),
    ];
    for (arguments, part) in cases {
        let output = fsvae(directory.path()).args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let messages = messages(&output);
        assert!(messages.iter().all(|line| line.starts_with("fsvae: ")), "{arguments:?}: {messages:#?}");
        assert!(messages.iter().any(|line| line.contains(part)), "{arguments:?}: {messages:#?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        if arguments[0] != "reconstruct" {
            assert_eq!(messages.len(), 1, "{arguments:?}: {messages:#?}");
        }
    }
    // On standard output, too.
    std::fs::copy(directory.path().join("tiny.safetensors"), directory.path().join(odd)).expect("copied");
    let output = fsvae(directory.path()).args(["info", odd]).output().expect("it runs");
    let first = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
    assert!(first.starts_with("a\\n\\nb\\u{1b}") && first.contains(" parameters)"), "{first}");
}

#[test]
#[cfg(target_os = "linux")]
fn help_that_cannot_be_printed_is_a_failure() {
    let directory = directory();
    for arguments in [&["--help"][..], &["generate", "--help"], &["--version"], &["completions", "bash"]] {
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let output = fsvae(directory.path()).args(arguments).stdout(full).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let messages = messages(&output);
        assert!(
            messages.len() == 1 && messages[0].contains("standard output: No space left"),
            "{messages:?}"
        );
    }
}

/// Runs a program where it is installed.
fn tool(name: &str, arguments: &[&OsStr]) -> Option<std::process::Output> {
    let output = Command::new(name).args(arguments).output();
    if output.is_err() {
        eprintln!("{name} is not installed");
    }
    output.ok()
}

#[test]
fn completions_for_every_shell() {
    let directory = directory();
    for (shell, check) in [
        ("bash", Some(["bash", "-n"])),
        ("zsh", Some(["zsh", "-n"])),
        ("fish", Some(["fish", "--no-execute"])),
        ("elvish", None),
        ("powershell", None),
    ] {
        let output = fsvae(directory.path()).args(["completions", shell]).output().expect("it runs");
        assert!(output.status.success() && messages(&output).is_empty(), "{shell}");
        let script = String::from_utf8(output.stdout).expect("text");
        for part in ["generate", "interpolate", "side-by-side", "any-model"] {
            assert!(script.contains(part), "{shell}: {part}");
        }
        let path = directory.path().join(shell);
        std::fs::write(&path, script).expect("written");
        if let Some([program, option]) = check
            && let Some(output) = tool(program, &[OsStr::new(option), path.as_os_str()])
        {
            assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    // What a person sees who presses Tab.
    let completed = "source ./bash; COMP_WORDS=(fsvae generate --ba); COMP_CWORD=2; _fsvae fsvae --ba generate; \
                     echo \"${COMPREPLY[@]}\"";
    let output =
        Command::new("bash").args(["-c", completed]).current_dir(directory.path()).output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "--backend --batch\n");
    let output = fsvae(directory.path()).args(["completions", "tcsh"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(messages(&output)[0].contains("'tcsh'") && messages(&output)[0].contains("bash"));
}

#[test]
fn a_manual_page_for_every_command() {
    let directory = directory();
    let help = fsvae(directory.path()).arg("--help").output().expect("it runs");
    let help = String::from_utf8(help.stdout).expect("text");
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> =
        listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    assert!(commands.len() >= 10, "{commands:?}");
    // Braces in a name that is no pattern are braces.
    let output = fsvae(directory.path()).args(["man", "share{1}/man1"]).output().expect("it runs");
    assert!(output.status.success(), "{:?}", messages(&output));
    let page = |name: &str| directory.path().join("share{1}/man1").join(name);
    let mut expected: Vec<String> = commands.iter().map(|name| format!("fsvae-{name}.1")).collect();
    expected.push("fsvae.1".into());
    expected.extend(["check", "compare", "index"].map(|name| format!("fsvae-bench-{name}.1")));
    assert_eq!(messages(&output), [format!("fsvae: wrote {} pages into share{{1}}/man1", expected.len())]);
    for name in &expected {
        let text = std::fs::read_to_string(page(name)).expect(name);
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{name}");
        if let Some(output) = tool("groff", &["-man".as_ref(), "-Tutf8".as_ref(), page(name).as_os_str()]) {
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name}");
            assert!(output.stdout.len() > 500, "{name}");
        }
    }
    let generate = std::fs::read_to_string(page("fsvae-generate.1")).expect("a page");
    assert!(generate.contains("\\-\\-seed") && generate.contains("fsvae generate"), "{generate}");
    assert_eq!(std::fs::read_dir(page("")).expect("pages").count(), expected.len());
    // A file where the folder is to be is wrong input; a file on the way there is what the system says it is.
    let output = fsvae(directory.path()).args(["man", "tiny.safetensors"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(messages(&output), ["fsvae: tiny.safetensors: expected a folder, found a file"]);
    let output = fsvae(directory.path()).args(["man", "tiny.safetensors/man1"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        messages(&output)[0].contains("tiny.safetensors/man1: cannot make the folder"),
        "{:?}",
        messages(&output)
    );
}
