//! The examples as a user runs them. `cargo test` without `--test` builds them, too.

mod common;

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::adapters;
use fsvae::image::{self, Rgba, RgbaImage};
use fsvae::{Checkpoint, Generator, Images, Network};

/// The directory of the command line's binary; that of the examples is in it.
fn binaries() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_fsvae")).parent().expect("a directory")
}

/// An example in some directory, on an adapter or on what it chooses itself.
fn example(name: &str, directory: &Path, adapter: Option<&str>) -> Command {
    let program = binaries().join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "{name} is not built: run `cargo build --release --examples`");
    let mut command = Command::new(program);
    command.current_dir(directory).env_remove("WGPU_BACKEND").env_remove("WGPU_ADAPTER_NAME");
    command.envs(adapter.map(|adapter| ("WGPU_ADAPTER_NAME", adapter)));
    command
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// What a command that succeeds says on standard output.
fn said(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    assert!(status.success(), "{command:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text")
}

/// The adapters that are present, by names that choose them.
fn names() -> Vec<String> {
    adapters().iter().map(|adapter| fsvae::gpu::describe(&adapter.get_info())).collect()
}

fn images(model: &str, seed: u64, range: std::ops::Range<u64>) -> Images {
    let checkpoint = Checkpoint::bundled(model).expect("a shipped model").expect("a checkpoint");
    let network = Network::new(&checkpoint).expect("a network");
    Generator::builder(&network).cpu().generate(seed, range).expect("images")
}

#[test]
fn quickstart_saves_a_grid() {
    let expected = images("mnist", 7, 0..64).to_grid();
    let names = names();
    for adapter in names.iter().map(|name| Some(name.as_str())).chain([None]) {
        let directory = directory();
        let said = said(&mut example("quickstart", directory.path(), adapter));
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("quickstart.png: 64 images, made on "), "{said}");
        assert!(said.contains(adapter.unwrap_or_default()), "{said}");
        let saved = image::open(directory.path().join("quickstart.png")).expect("an image");
        assert!(saved == expected, "other pixels: {said}");
    }
}

#[test]
fn async_stream_reads_every_image_and_the_stream_waits_for_it() {
    let ink = |image: fsvae::Image<'_>| image.pixels.iter().copied().map(u64::from).sum::<u64>();
    let images = images("mnist", 7, 0..64);
    let expected: Vec<String> =
        images.iter().map(|image| format!("image {}: ink {}", image.index, ink(image))).collect();
    let names = names();
    for adapter in names.iter().map(|name| Some(name.as_str())).chain([None]) {
        let said = said(&mut example("async_stream", directory().path(), adapter));
        let lines = || said.lines().filter(|line| line.starts_with("image "));
        assert_eq!(lines().collect::<Vec<_>>(), expected, "{said}");
        let ahead = said.lines().filter_map(|line| line.strip_suffix(" images ahead")?.parse::<u64>().ok());
        let ahead: Vec<u64> = ahead.collect();
        assert_eq!(ahead.len(), 8, "{said}");
        assert!(ahead.iter().all(|&images| images <= 16) && ahead.last() == Some(&0), "{said}");
        let last = said.lines().last().expect("a line");
        assert!(last.contains(adapter.unwrap_or("done on ")), "{last}");
    }
}

#[test]
fn embed_shows_the_images_of_the_cpu() {
    for adapter in names() {
        let said = said(&mut example("embed", directory().path(), Some(&adapter)));
        assert_eq!(said, format!("equal: 64 images, 256 x 256 pixels, on {adapter}\n"));
    }
    let output = example("embed", directory().path(), Some("no such adapter")).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn live_refuses_what_it_cannot_do() {
    let cases: [(&[&str], i32, &str); 5] = [
        (
            &["--frames", "x"],
            2,
            "live: --frames: expected a number from 1 to 18446744073709551615, found \"x\"",
        ),
        (&["--batch", "161"], 2, "live: --batch: expected a number from 1 to 160, found \"161\""),
        (&["--seed"], 2, "live: --seed: expected a number from 0 to 18446744073709551615, found \"\""),
        (
            &["--speed", "1"],
            2,
            "live: expected --seed N, --batch N, --frames N, --screenshot PATH, --measure SECONDS, found --speed",
        ),
        (&[], 1, "live: "),
    ];
    for (arguments, code, message) in cases {
        let directory = directory();
        let mut command = example("live", directory.path(), None);
        // No display to open a window on; other systems have no such thing.
        command.env_remove("WAYLAND_DISPLAY").env_remove("WAYLAND_SOCKET").env_remove("DISPLAY");
        if arguments.is_empty() && !cfg!(target_os = "linux") {
            continue;
        }
        let output = command.args(arguments).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.lines().last().is_some_and(|line| line.starts_with(message)), "{arguments:?}: {said}");
    }
}

/// An X server without a screen.
struct Xvfb {
    process: Child,
    display: String,
}

impl Xvfb {
    /// `None` if there is none on this machine.
    fn start() -> Option<Self> {
        let mut command = Command::new("Xvfb");
        // It finds a free display itself, and says which when it is ready.
        command.args(["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]);
        let mut process = match command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            process => process.expect("it starts"),
        };
        let mut number = String::new();
        let stdout = process.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut number).expect("a number");
        Some(Xvfb { process, display: format!(":{}", number.trim()) })
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

/// Waits for a process that is to end by itself.
fn ends(mut process: Child) -> Output {
    let start = Instant::now();
    while process.try_wait().expect("a process").is_none() {
        if start.elapsed() > Duration::from_secs(120) {
            process.kill().expect("it runs");
            panic!("it hangs: {:?}", process.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    process.wait_with_output().expect("output")
}

/// The example with a window, on lavapipe and a display of its own; what it said. `None` where one of them is missing.
fn live(directory: &Path, arguments: &[&str]) -> Option<String> {
    let names = names();
    let Some(lavapipe) = names.iter().find(|name| name.contains("llvmpipe") && name.contains("(vulkan)"))
    else {
        eprintln!("lavapipe is not present: live is skipped");
        return None;
    };
    let Some(server) = Xvfb::start() else {
        assert!(
            std::env::var_os("FSVAE_REQUIRE_ADAPTERS").is_none(),
            "live needs Xvfb, which is not installed"
        );
        eprintln!("Xvfb is not installed: live is skipped");
        return None;
    };
    let mut command = example("live", directory, Some(lavapipe));
    // A window that is 1.2 times as large as four times the grid, so there is an edge around it.
    command.args(arguments).env("DISPLAY", &server.display).env("WINIT_X11_SCALE_FACTOR", "1.2");
    command.env_remove("WAYLAND_DISPLAY").env_remove("WAYLAND_SOCKET");
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let output = ends(process);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("text"))
}

/// Frames go on while batches of any size run on their device. How fast is the machine's to say, and read by people.
#[test]
fn live_presents_while_images_are_made() {
    const PHASES: [&str; 3] =
        ["no images are made", "batches follow the budget", "batches of the largest size"];
    let Some(said) = live(directory().path(), &["--measure", "2"]) else { return };
    eprint!("{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), PHASES.len(), "{said}");
    for (phase, line) in PHASES.iter().zip(lines) {
        let rest = line.strip_prefix(&format!("{phase}: ")).expect(line);
        let numbers: Vec<f64> = rest
            .split(|c: char| !c.is_ascii_digit() && c != '.')
            .filter_map(|word| word.parse().ok())
            .collect();
        // Frames; of their times the median, 95, ..., 99, ... and 100 %; images a second.
        let [frames, median, _, most, _, nearly_all, slowest, images] = numbers[..] else { panic!("{line}") };
        assert!(frames >= 1.0 && median > 0.0, "{line}");
        assert!(median <= most && most <= nearly_all && nearly_all <= slowest, "{line}");
        assert!(images == 0.0 || *phase != PHASES[0], "{line}");
    }
}

/// 25 frames of 8 images: the 160 tiles are full after 20, and the first 40 are new ones in the end.
#[test]
fn live_shows_the_newest_images() {
    let directory = directory();
    let arguments = ["--seed", "3", "--batch", "8", "--frames", "25", "--screenshot", "live.png"];
    if live(directory.path(), &arguments).is_none() {
        return;
    }

    let images = images("faces-esvae", 3, 0..200);
    let tiles: Vec<RgbaImage> = images.iter().map(|image| image.to_rgba()).collect();
    let shot = image::open(directory.path().join("live.png")).expect("an image").into_rgba8();
    assert_eq!(shot.dimensions(), (1229, 768));
    let (left, top) = ((1229 - 1024) / 2, (768 - 640) / 2);
    let expected = RgbaImage::from_fn(1229, 768, |x, y| {
        let inside = (left..left + 1024).contains(&x) && (top..top + 640).contains(&y);
        if !inside {
            return Rgba([0, 0, 0, 255]);
        }
        let (x, y) = ((x - left) / 4, (y - top) / 4);
        let tile = (y / 16 * 16 + x / 16) as usize;
        let index = if tile < 40 { tile + 160 } else { tile };
        *tiles[index].get_pixel(x % 16, y % 16)
    });
    let differences = || shot.enumerate_pixels().zip(expected.pixels()).filter(|((_, _, a), b)| a != b);
    assert!(shot == expected, "{} pixels, the first {:?}", differences().count(), differences().next());
}

/// The recipe for shards, its commands taken from the page.
#[cfg(unix)]
mod sharded {
    use super::*;

    const PAGE: &str = include_str!("../examples/sharded.md");
    const RANGE: [&str; 6] = ["--seed", "7", "--first", "1000", "--count", "50"];

    /// The commands of the page that have `part` in them.
    fn commands(part: &str) -> &'static str {
        let blocks = || PAGE.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        let mut with_it = blocks().filter(|block| block.contains(part));
        let block = with_it.next().expect("a block");
        assert!(with_it.next().is_none(), "{part} is in several blocks");
        block
    }

    /// A directory with `shard.sh`.
    fn directory() -> tempfile::TempDir {
        let directory = super::directory();
        std::fs::write(directory.path().join("shard.sh"), commands("# shard.sh")).expect("written");
        directory
    }

    /// Commands of the page with `fsvae` on the path.
    fn sh(directory: &Path, commands: &str) -> Command {
        let mut command = Command::new("sh");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = [binaries().to_owned()].into_iter().chain(std::env::split_paths(&path));
        command.args(["-eu", "-c", commands]).current_dir(directory);
        command.env("PATH", std::env::join_paths(path).expect("a path")).env("FSVAE_CACHE_DIR", "");
        command.env_remove("WGPU_BACKEND").env_remove("WGPU_ADAPTER_NAME");
        command.envs([("SEED", "7"), ("FIRST", "1000"), ("COUNT", "50"), ("SHARDS", "3")]);
        command
    }

    /// Merges what the shards said and compares it with one run.
    fn assert_merged(directory: &Path) {
        let one = said(common::command::fsvae(directory).arg("generate").args(RANGE).arg("--digests"));
        assert_eq!(one.lines().count(), 50);
        let digest = said(&mut sh(directory, commands("cmp - indices")));
        assert_eq!(std::fs::read_to_string(directory.join("all.digests")).expect("a file"), one);
        assert_eq!(digest, format!("{}  all.digests\n", common::digest(one.as_bytes())));
    }

    #[test]
    fn processes_make_together_what_one_makes() {
        let directory = directory();
        let path = directory.path();
        said(&mut sh(path, commands("wait\n")));
        assert_merged(path);

        // What one must hear of: a shard that is missing, and two machines that disagree.
        let shard = path.join("shard-1.digests");
        let lines = std::fs::read_to_string(&shard).expect("a file");
        let merge = || sh(path, commands("cmp - indices")).output().expect("it runs").status.success();
        std::fs::remove_file(&shard).expect("removed");
        assert!(!merge());
        let digest = common::digest(b"another image");
        std::fs::write(&shard, format!("{lines}1020 {digest}\n")).expect("written");
        assert!(!merge());
        // What it takes: a shard that was killed in the middle of a line and ran again, and messages.
        std::fs::write(&shard, &lines[..200]).expect("written");
        std::fs::write(path.join("shard-1-again.digests"), format!("{lines}fsvae: a message\n"))
            .expect("written");
        assert_merged(path);
    }

    #[test]
    fn gnu_parallel_makes_what_one_process_makes() {
        if !Command::new("parallel").arg("--version").output().is_ok_and(|it| it.stdout.starts_with(b"GNU")) {
            eprintln!("GNU parallel is not installed: its recipe is skipped");
            return;
        }
        let directory = directory();
        said(&mut sh(directory.path(), commands("parallel ")));
        assert_merged(directory.path());
    }

    /// Each task of the array on another kind of machine, as far as there are any.
    #[test]
    fn a_slurm_array_makes_what_one_process_makes() {
        let directory = directory();
        let names = names();
        for task in 0..3 {
            let mut command = sh(directory.path(), commands("#SBATCH"));
            command.env("SLURM_ARRAY_TASK_ID", task.to_string());
            command.envs(names.get(task).map(|name| ("WGPU_ADAPTER_NAME", name)));
            let file = directory.path().join(format!("shard-{task}.digests"));
            std::fs::write(file, said(&mut command)).expect("written");
        }
        assert_merged(directory.path());
    }
}
