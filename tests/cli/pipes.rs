//! Standard input and standard output: one thing at a time, whole, in pipes with other programs.

use std::process::{Command, Output, Stdio};

use crate::common::TINY;
use crate::common::command::{assert_refused, messages};
use crate::outputs::{RGB, command, directory, images, listing, refused, run, stdout};
use fsvae::image;

/// Runs with some bytes as standard input.
fn piped(mut command: Command, input: &[u8]) -> Output {
    use std::io::Write;
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || pipe.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    drop(writer.join());
    output
}

#[test]
fn frames_and_pictures_on_standard_output() {
    let directory = directory();
    let count = 5;
    let (grey, colour) = (images(&TINY, count), images(&RGB, count));
    let generate = |arguments: &[&str]| {
        stdout(&run(directory.path(), &[&["generate", "--count", "5", "--out", "-"], arguments].concat()))
    };
    assert_eq!(generate(&["--format", "gray"]), grey.as_bytes());
    assert_eq!(generate(&["--format", "rgb24", "--model", "rgb.safetensors"]), colour.as_bytes());
    let repeated: Vec<u8> = grey.as_bytes().iter().flat_map(|&level| [level; 3]).collect();
    assert_eq!(generate(&["--format", "rgb24"]), repeated);
    // One picture of them all, as in a file; and the same by another name of standard output.
    let grid = image::load_from_memory(&generate(&[])).expect("a PNG");
    assert_eq!(grid, grey.to_grid());
    let bmp = image::load_from_memory_with_format(&generate(&["--format", "bmp"]), image::ImageFormat::Bmp);
    assert_eq!(bmp.expect("a BMP").to_luma8(), grid.to_luma8());
    #[cfg(target_os = "linux")]
    {
        let output = run(directory.path(), &["generate", "--count", "5", "--out", "/dev/stdout"]);
        assert_eq!(image::load_from_memory(&stdout(&output)).expect("a PNG"), grid);
    }
    // A file each, one after the other.
    let stream = generate(&["--format", "png-stream"]);
    let heads = stream.windows(8).filter(|bytes| bytes == b"\x89PNG\r\n\x1a\n").count();
    assert_eq!(heads, 5);
    assert_eq!(image::load_from_memory(&stream).expect("a PNG").as_bytes(), grey.get(0).expect("one").pixels);
    // Frames into a file are the same.
    stdout(&run(directory.path(), &["generate", "--count", "5", "--out", "f.raw", "--format", "gray"]));
    assert_eq!(std::fs::read(directory.path().join("f.raw")).expect("a file"), grey.as_bytes());
    // An animation.
    let gif = stdout(&run(directory.path(), &["generate", "--count", "5", "--animate", "-"]));
    assert_eq!(&gif[..6], b"GIF89a");
    let arguments = ["generate", "--count", "5", "--animate", "-", "--format", "gray"];
    let frames = stdout(&run(directory.path(), &arguments));
    assert!(frames.ends_with(grid.as_bytes()));
    assert_eq!(frames.len(), TINY.steps * grid.as_bytes().len());
    assert_eq!(listing(directory.path()), ["f.raw"]);
}

#[test]
fn standard_output_holds_one_thing() {
    let directory = directory();
    let digests = ["generate", "--out", "-", "--digests"];
    refused(directory.path(), &digests, &["standard output cannot take both"]);
    for outputs in [["--out", "--latents"], ["--animate", "--latents"], ["--out", "--animate"]] {
        let arguments = ["generate", outputs[0], "-", outputs[1], "-"];
        refused(directory.path(), &arguments, &["standard output can take one output, found - for two"]);
    }
    let scaled = ["generate", "--out", "-", "--format", "gray", "--scale", "8"];
    refused(directory.path(), &scaled, &["standard output: --scale is for pictures"]);
    // What is said of the images goes elsewhere.
    stdout(&run(directory.path(), &["generate", "--count", "2", "--out", "{index}.png"]));
    let output = run(directory.path(), &["reconstruct", "0.png", "1.png", "--out", "-"]);
    assert_eq!(image::load_from_memory(&stdout(&output)).expect("a PNG").width(), 16);
    assert!(
        messages(&output).iter().any(|line| line.contains("mean squared error")),
        "{:?}",
        messages(&output)
    );
    refused(directory.path(), &["reconstruct", "0.png", "--out", "-", "--json"], &["JSON"]);
}

#[test]
fn pictures_and_latents_through_pipes() {
    let directory = directory();
    let frames =
        stdout(&run(directory.path(), &["generate", "--count", "4", "--out", "-", "--format", "gray"]));
    let pngs =
        stdout(&run(directory.path(), &["generate", "--count", "4", "--out", "-", "--format", "png-stream"]));
    stdout(&run(directory.path(), &["generate", "--count", "4", "--out", "{index}.png"]));
    let files = ["0.png", "1.png", "2.png", "3.png"];
    let expected = stdout(&run(directory.path(), &[&["reconstruct", "--digests"], &files[..]].concat()));
    let rgb: Vec<u8> = frames.iter().flat_map(|&level| [level; 3]).collect();
    for (bytes, format) in [(&frames, "gray"), (&rgb, "rgb24"), (&pngs, "pictures"), (&pngs, "png-stream")] {
        let arguments = ["reconstruct", "-", "--digests", "--input-format", format];
        assert_eq!(stdout(&piped(command(directory.path(), &arguments), bytes)), expected, "{format}");
    }
    let cut =
        piped(command(directory.path(), &["reconstruct", "-", "--input-format", "gray"]), &frames[..100]);
    assert_eq!(cut.status.code(), Some(2));
    let line = "fsvae: -: expected frames of 64 bytes (gray, 8 x 8 pixels), found 1 frame and 36 bytes";
    assert_eq!(messages(&cut), [line]);

    let latents = stdout(&run(directory.path(), &[&["encode", "--out", "-"], &files[..]].concat()));
    let decoded = piped(command(directory.path(), &["decode", "-", "--digests"]), &latents);
    assert_eq!(stdout(&decoded), expected);
    let kept = stdout(&run(directory.path(), &["generate", "--count", "4", "--latents", "-"]));
    let decoded = piped(command(directory.path(), &["decode", "-", "--out", "-", "--format", "gray"]), &kept);
    assert_eq!(stdout(&decoded), frames);
    // Either end of a way.
    for bytes in [&latents, &std::fs::read(directory.path().join("0.png")).expect("a file")] {
        let way = ["interpolate", "-", "1", "--steps", "3", "--out", "-", "--format", "gray"];
        let images = stdout(&piped(command(directory.path(), &way), bytes));
        assert_eq!(images.len(), 3 * 64);
        assert_eq!(
            images[..64],
            stdout(&piped(
                command(directory.path(), &["decode", "-", "--out", "-", "--format", "gray"]),
                &latents
            ))[..64]
        );
    }
    assert_eq!(listing(directory.path()), files);
}

/// Some programs share such pipes with those that they start: Node and ssh, for example.
#[test]
#[cfg(unix)]
fn a_nonblocking_standard_output_is_waited_for() {
    use std::io::Read;
    let directory = directory();
    for what in [&["--digests"][..], &["--out", "-", "--format", "gray"]] {
        let arguments = [&["generate", "--count", "4000"], what].concat();
        let expected = stdout(&run(directory.path(), &arguments));
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).expect("nonblocking");
        let mut slow = command(directory.path(), &arguments);
        let mut child = slow.stdout(writer).stderr(Stdio::piped()).spawn().expect("it runs");
        // It has the other end.
        drop(slow);
        let (mut found, mut part) = (Vec::<u8>::new(), [0_u8; 1 << 14]);
        std::thread::sleep(std::time::Duration::from_millis(500));
        while let Ok(read @ 1..) = reader.read(&mut part) {
            found.extend(&part[..read]);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(child.wait().expect("it ends").success(), "{what:?}");
        assert!(found == expected, "{what:?}: {} of {} bytes", found.len(), expected.len());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_standard_output_that_is_closed_is_a_failure() {
    let directory = directory();
    let shell = |redirected: &str, arguments: &[&str]| {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("exec \"$0\" \"$@\" {redirected}"), env!("CARGO_BIN_EXE_fsvae")]);
        command.args(arguments).current_dir(directory.path()).env("FSVAE_CACHE_DIR", "");
        command.env_remove("FSVAE_DRIVER_MESSAGES").output().expect("it runs")
    };
    let tiny = ["generate", "--model", "tiny.safetensors", "--backend", "cpu", "--count", "2"];
    let with = |more: &[&'static str]| [&tiny[..], more].concat();
    for arguments in [
        with(&["--latents", "-"]),
        with(&["--digests"]),
        with(&["--out", "/dev/stdout", "--format", "png"]),
        vec!["info", "tiny.safetensors"],
        vec!["--help"],
        vec!["completions", "bash"],
    ] {
        let closed = shell(">&-", &arguments);
        let files = ["rgb.safetensors", "tiny.safetensors"];
        assert_refused(&closed, 1, &["fsvae: standard output is closed"], directory.path(), &files);
        // As Python's subprocess.DEVNULL and others open it, and as shells do.
        for given in ["1<>/dev/null", ">/dev/null"] {
            let output = shell(given, &arguments);
            assert!(output.status.success(), "{given} {arguments:?}: {:?}", messages(&output));
        }
    }
    let output = shell(">&-", &with(&["--out", "x.png"]));
    assert!(output.status.success(), "nothing goes there: {:?}", messages(&output));
}

/// The recipes of the README, where ffmpeg is.
#[test]
#[cfg(unix)]
fn a_pipe_with_ffmpeg() {
    if Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("FSVAE_REQUIRE_FFMPEG").is_none(), "ffmpeg is not there");
        println!("skipped: ffmpeg is not there");
        return;
    }
    let directory = directory();
    let shell = |script: &str| {
        let script = script.replace("fsvae", env!("CARGO_BIN_EXE_fsvae"));
        let script = format!("set -euo pipefail; export AV_LOG_FORCE_NOCOLOR=1; {script}");
        let output = Command::new("bash").args(["-c", &script]).current_dir(directory.path()).output();
        stdout(&output.expect("bash"))
    };
    let model = "--model rgb.safetensors --backend cpu";
    let expected = images(&RGB, 12);
    for format in ["rawvideo -pix_fmt rgb24 -s 8x8", "image2pipe -c:v png"] {
        let name = if format.starts_with("raw") { "rgb24" } else { "png-stream" };
        shell(&format!(
            "fsvae generate {model} --count 12 --out - --format {name} \
             | ffmpeg -v error -f {format} -i - -c:v ffv1 -pix_fmt bgr0 -y video.mkv"
        ));
        let frames = shell("ffmpeg -v error -i video.mkv -f rawvideo -pix_fmt rgb24 -");
        assert_eq!(frames, expected.as_bytes(), "{name}");
        let digests = shell(&format!(
            "ffmpeg -v error -i video.mkv -f {} - | fsvae reconstruct - {model} --digests --input-format {name}",
            format.replace("-s 8x8", "").replace("-c:v png", "-c:v png -pix_fmt rgb24")
        ));
        assert_eq!(digests.iter().filter(|&&byte| byte == b'\n').count(), 12);
        std::fs::write(directory.path().join("all.raw"), expected.as_bytes()).expect("written");
        let wanted = shell(&format!("fsvae reconstruct all.raw {model} --digests --input-format rgb24"));
        assert_eq!(digests, wanted, "{name}");
    }
}
