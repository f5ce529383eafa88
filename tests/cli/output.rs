//! What the command line writes, and where: formats, standard output, names with numbers, links and special files.

use std::process::Command;
use std::time::Instant;

use crate::common::TINY;
use crate::common::command::{assert_refused, fsvae, messages};
use crate::outputs::{MODELS, RGB, command, directory, images, listing, refused, run, stdout};
use fsvae::image;

const EXTENSIONS: [&str; 17] = [
    "png", "apng", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "tga", "qoi", "pbm", "pgm", "ppm",
    "pnm", "pam", "PNG",
];

#[test]
fn what_is_written_can_be_read() {
    let directory = directory();
    for (model, reference) in MODELS.into_iter().zip([&RGB, &TINY]) {
        let expected = images(reference, 1);
        let expected = expected.get(0).expect("an image");
        for extension in EXTENSIONS {
            let name = format!("x.{extension}");
            stdout(&run(directory.path(), &["generate", "--count", "1", "--model", model, "--out", &name]));
            let output = run(
                directory.path(),
                &["encode", &name, "--model", model, "--out", &format!("{extension}.safetensors")],
            );
            assert!(output.status.success(), "{model} {extension}: {:?}", messages(&output));
            let bytes = std::fs::read(directory.path().join(&name)).expect("a file");
            // TGA has no mark that tells it.
            let Ok(picture) = fsvae::read_picture(&bytes) else { continue };
            let (found, wanted) = (picture.to_rgb8().into_raw(), expected.to_rgb().into_raw());
            let lossy = match extension {
                "jpg" | "jpeg" => true,
                "gif" => reference.channels == 3,
                "pgm" => reference.channels == 3,
                "pbm" => true,
                _ => false,
            };
            if !lossy {
                assert_eq!(found, wanted, "{model} {extension}");
            }
            assert_eq!((picture.width(), picture.height()), (8, 8));
        }
    }
    let magic = |name: &str| std::fs::read(directory.path().join(name)).expect("a file")[..2].to_vec();
    let netpbm = ["x.pbm", "x.pgm", "x.ppm", "x.pnm", "x.pam"].map(magic);
    assert_eq!(netpbm, [b"P4", b"P5", b"P6", b"P5", b"P7"]);
}

#[test]
fn pictures_that_are_too_large_for_their_format_are_refused_at_once() {
    let directory = directory();
    for (name, largest) in [("s.jpg", 65535_u64), ("s.jpeg", 65535), ("s.webp", 16383), ("s.tga", 65535)] {
        let steps = (largest / 8 + 1).to_string();
        refused(
            directory.path(),
            &["interpolate", "0", "1", "--steps", &steps, "--out", name],
            &[name, &format!("at most {largest} pixels a side")],
        );
    }
    // A grid of 2048 x 2048 tiles of 8 pixels is too much for WebP, and so is its animation.
    let count = (2048 * 2048).to_string();
    refused(directory.path(), &["generate", "--count", &count, "--out", "g.webp"], &["g.webp", "16383"]);
    refused(
        directory.path(),
        &["generate", "--count", &count, "--animate", "{step}.webp"],
        &["{step}.webp", "16383"],
    );
}

#[test]
fn numbers_in_names() {
    let directory = directory();
    std::fs::create_dir(directory.path().join("d")).expect("a directory");
    let plain = |number: u64| {
        let first = number.to_string();
        stdout(&run(
            directory.path(),
            &["generate", "--first", &first, "--count", "1", "--out", "plain.png"],
        ));
        std::fs::read(directory.path().join("plain.png")).expect("a file")
    };
    for (pattern, files) in [
        ("d/{index:03}.png", ["d/009.png", "d/010.png"]),
        ("d/{index}/{index:06}.png", ["d/9/000009.png", "d/10/000010.png"]),
        ("d/{{x}}{index:01}%%d.png", ["d/{x}9%d.png", "d/{x}10%d.png"]),
        // An address of the web and a price, as browsers and people call files.
        ("d/my%20digits{index}.png", ["d/my%20digits9.png", "d/my%20digits10.png"]),
        ("d/50%discount{index}.png", ["d/50%discount9.png", "d/50%discount10.png"]),
    ] {
        stdout(&run(directory.path(), &["generate", "--first", "9", "--count", "2", "--out", pattern]));
        for (file, number) in files.iter().zip([9, 10]) {
            assert_eq!(std::fs::read(directory.path().join(file)).expect(file), plain(number), "{file}");
        }
    }
    stdout(&run(directory.path(), &["generate", "--count", "2", "--animate", "d/s{step:03}.png"]));
    assert!(directory.path().join(format!("d/s{:03}.png", TINY.steps - 1)).exists());
    stdout(&run(directory.path(), &["interpolate", "0", "1", "--steps", "3", "--out", "d/i{step:02}.png"]));
    assert!(directory.path().join("d/i02.png").exists());
}

#[test]
fn other_placeholders_are_refused_by_name() {
    let directory = directory();
    for (arguments, named) in [
        (["generate", "--out", "a-{index:5}.png"], "`{index:5}`"),
        (["generate", "--out", "a-%05d.png"], "`%05d`"),
        (["generate", "--out", "a-%d.png"], "`%d`"),
        (["generate", "--out", "a-{}.png"], "`{}`"),
        (["generate", "--out", "a-{step}.png"], "`{step}`"),
        (["generate", "--out", "{n}/a-{index}.png"], "`{n}`"),
        (["generate", "--animate", "a-{index}.png"], "`{index}`"),
        (["generate", "--latents", "z-{index}.safetensors"], "`{index}`"),
        (["bench", "--json", "b-{index}.json"], "`{index}`"),
        (["bench", "--plot", "b-%d.png"], "`%d`"),
    ] {
        refused(directory.path(), &arguments, &[named]);
    }
    refused(directory.path(), &["interpolate", "0", "1", "--out", "{index}.png"], &["`{index}`", "{step}"]);
    refused(
        directory.path(),
        &["generate", "--out", "missing/{index}.png"],
        &["directory missing does not exist"],
    );
}

#[test]
fn an_input_is_never_written_over() {
    let directory = directory();
    stdout(&run(directory.path(), &["generate", "--count", "2", "--out", "{index}.png"]));
    stdout(&run(directory.path(), &["encode", "0.png", "--out", "z.safetensors"]));
    std::fs::copy(directory.path().join("0.png"), directory.path().join("picture")).expect("copied");
    for arguments in [
        &["reconstruct", "0.png", "1.png", "--out", "1.png"][..],
        &["reconstruct", "1.png", "--out", "./1.png"],
        // The second image has the name of the first input.
        &["reconstruct", "1.png", "0.png", "--out", "{index}.png"],
        &["reconstruct", ".", "--out", "0.png"],
        &["encode", "picture", "--out", "picture"],
        &["encode", "0.png", "--out", "tiny.safetensors"],
        &["generate", "--latents", "tiny.safetensors"],
        &["decode", "z.safetensors", "--out", "z.safetensors", "--format", "png"],
        &["interpolate", "0.png", "1", "--out", "0.png"],
        &["interpolate", "1", "z.safetensors", "--out", "z.safetensors", "--format", "gif"],
        &["bench", "--json", "tiny.safetensors"],
    ] {
        if arguments[1] == "." {
            let output = run(directory.path(), arguments);
            assert!(messages(&output).iter().any(|line| line.contains("0.png: is an input, too")));
            continue;
        }
        refused(directory.path(), arguments, &["is an input, too"]);
    }
    for arguments in [
        &["generate", "--out", "x", "--format", "png", "--latents", "./x"][..],
        &["generate", "--out", "x.gif", "--animate", "x.gif"],
        &["generate", "--out", "x{index}.png", "--animate", "x{step}.png"],
        &["generate", "--out", "x{index}", "--format", "png", "--latents", "x1"],
        &["bench", "--json", "x.svg", "--plot", "x.svg"],
    ] {
        refused(directory.path(), arguments, &["is the file of another output, too"]);
    }
    #[cfg(unix)]
    {
        std::fs::hard_link(directory.path().join("0.png"), directory.path().join("hard.png"))
            .expect("a link");
        std::os::unix::fs::symlink("0.png", directory.path().join("soft.png")).expect("a link");
        for out in ["hard.png", "soft.png"] {
            refused(directory.path(), &["reconstruct", "0.png", "--out", out], &[out, "is an input, too"]);
        }
        let mut redirected = command(directory.path(), &["reconstruct", "-", "--out", "0.png"]);
        redirected.stdin(std::fs::File::open(directory.path().join("0.png")).expect("a file"));
        let output = redirected.output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
#[cfg(unix)]
fn links_stay_and_what_they_lead_to_is_written() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let directory = directory();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir(at("real")).expect("a directory");
    std::fs::write(at("real/t.png"), "old").expect("written");
    std::fs::set_permissions(at("real/t.png"), std::fs::Permissions::from_mode(0o640)).expect("set");
    symlink("real/t.png", at("link.png")).expect("a link");
    symlink("link.png", at("second.png")).expect("a link");
    symlink("real/new.png", at("dangling.png")).expect("a link");
    symlink("loop.png", at("loop.png")).expect("a link");
    std::fs::write(at("name.png"), "old").expect("written");
    std::fs::hard_link(at("name.png"), at("other.png")).expect("a link");
    let generate = |out: &str| stdout(&run(directory.path(), &["generate", "--count", "1", "--out", out]));
    let is_picture = |name: &str| image::open(at(name)).is_ok();
    generate("second.png");
    assert!(at("second.png").is_symlink() && at("link.png").is_symlink() && is_picture("real/t.png"));
    assert_eq!(at("real/t.png").metadata().expect("it is there").mode() & 0o777, 0o640);
    generate("dangling.png");
    assert!(at("dangling.png").is_symlink() && is_picture("real/new.png"));
    generate("name.png");
    assert!(is_picture("other.png"), "both names are of one file");
    refused(
        directory.path(),
        &["generate", "--out", "loop.png"],
        &["loop.png: its links lead to each other"],
    );
    assert_eq!(listing(&at("real")), ["new.png", "t.png"]);
}

#[test]
#[cfg(unix)]
fn modes_are_kept_and_read_only_files_are_safe() {
    use std::os::unix::fs::PermissionsExt;
    let directory = directory();
    let path = directory.path().join("x.png");
    for mode in [0o600, 0o640, 0o755] {
        std::fs::write(&path, "old").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        stdout(&run(directory.path(), &["generate", "--count", "1", "--out", "x.png"]));
        assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, mode);
    }
    std::fs::write(&path, "precious").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).expect("set");
    let output = run(directory.path(), &["generate", "--out", "x.png"]);
    let files = ["rgb.safetensors", "tiny.safetensors", "x.png"];
    assert_refused(&output, 1, &["x.png: is read-only"], directory.path(), &files);
    assert_eq!(std::fs::read(&path).expect("still there"), b"precious");
}

#[test]
#[cfg(target_os = "linux")]
fn special_files_are_written_in_place() {
    use std::os::unix::fs::FileTypeExt;
    let directory = directory();
    let fifo = directory.path().join("pipe.png");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let path = fifo.clone();
    let reader = std::thread::spawn(move || std::fs::read(path));
    stdout(&run(directory.path(), &["generate", "--count", "3", "--out", "pipe.png"]));
    let bytes = reader.join().expect("a reader").expect("bytes");
    assert_eq!(image::load_from_memory(&bytes).expect("a PNG"), images(&TINY, 3).to_grid());
    assert!(fifo.symlink_metadata().expect("it is there").file_type().is_fifo());
    assert_eq!(listing(directory.path()), ["pipe.png"]);
    stdout(&run(directory.path(), &["generate", "--count", "3", "--out", "/dev/null", "--format", "png"]));
    let output =
        run(directory.path(), &["generate", "--count", "3", "--out", "/dev/stderr", "--format", "gray"]);
    assert!(output.stderr.windows(64).any(|bytes| bytes == images(&TINY, 1).as_bytes()));
    let output = run(directory.path(), &["generate", "--out", "/dev/full", "--format", "png"]);
    let files = ["pipe.png", "rgb.safetensors", "tiny.safetensors"];
    assert_refused(&output, 1, &["/dev/full: cannot write it: No space left"], directory.path(), &files);

    // A file that something is mounted on cannot be replaced.
    let script = "mount --bind a.png b.png && exec \"$0\" generate --model tiny.safetensors --backend cpu --count 3 --out b.png";
    std::fs::write(directory.path().join("a.png"), "old").expect("written");
    std::fs::write(directory.path().join("b.png"), "under it").expect("written");
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--map-root-user", "sh", "-c", script, env!("CARGO_BIN_EXE_fsvae")]);
    let output = unshare.current_dir(directory.path()).output();
    match output.as_ref().map(|output| (output.status.success(), messages(output).join(" "))) {
        Ok((true, _)) => {
            assert!(image::open(directory.path().join("a.png")).is_ok(), "what is mounted was written");
            assert_eq!(listing(directory.path()), ["a.png", "b.png", "pipe.png"]);
        }
        Ok((false, text)) if text.contains("fsvae:") => panic!("{text}"),
        _ => println!("skipped: nothing can be mounted here"),
    }
}

#[test]
#[cfg(target_os = "linux")]
fn names_that_are_not_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let directory = directory();
    let pattern = std::ffi::OsStr::from_bytes(b"\xff-{index:02}.png");
    let output = command(directory.path(), &["generate", "--count", "2"]).arg("--out").arg(pattern).output();
    stdout(&output.expect("it runs"));
    for name in [b"\xff-00.png", b"\xff-01.png"] {
        assert!(directory.path().join(std::ffi::OsStr::from_bytes(name)).exists());
    }
}

/// Files for a thousand images of the bundled model cost no more than twice what the images cost.
#[test]
fn a_file_each_takes_at_most_three_times_as_long_as_digests() {
    let directory = tempfile::tempdir().expect("a directory");
    let time = |arguments: &[&str]| {
        let start = Instant::now();
        let mut command = fsvae(directory.path());
        command.args(["generate", "--backend", "cpu", "--count", "1000"]).args(arguments);
        stdout(&command.output().expect("it runs"));
        start.elapsed()
    };
    let digests = time(&["--digests"]);
    for round in ["new files", "files that are there"] {
        let files = time(&["--out", "{index:04}.png"]);
        println!("{round}: {files:?}, digests: {digests:?}");
        assert!(files < 3 * digests, "{round}: {files:?}, digests: {digests:?}");
    }
}

/// A shell's glob may put a picture where tensors were to go.
#[test]
fn tensors_do_not_take_a_pictures_name() {
    let directory = directory();
    for name in ["b.png", "b.PNG", "b.jpeg", "b.pam", "b.avif"] {
        std::fs::write(directory.path().join(name), "a picture").expect("written");
        for (arguments, what) in [
            (&["encode", "a.png", "--out", name][..], "latents are a safetensors file"),
            (&["encode", "a.png", "--rates", "--out", name], "rates are a safetensors file"),
            (&["direction", "a.png", "a.png", "--out", name], "directions are a safetensors file"),
            (&["generate", "--latents", name, "--digests"], "latents are a safetensors file"),
        ] {
            refused(directory.path(), arguments, &[&format!("{name}: {what}, found a picture's extension")]);
        }
        assert_eq!(std::fs::read(directory.path().join(name)).expect("it is there"), b"a picture");
    }
}

/// The system says why, not only what kind of reason that is.
#[cfg(target_os = "linux")]
#[test]
fn the_systems_own_words_are_said() {
    let directory = directory();
    let run = |script: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh", env!("CARGO_BIN_EXE_fsvae"), "generate", "--backend", "cpu"]);
        shell.args(["--model", "tiny.safetensors", "--count", "3", "--out"]);
        shell.current_dir(directory.path()).env("FSVAE_CACHE_DIR", "");
        shell
    };
    let output = run("exec \"$@\"").arg("/proc/a.png").output().expect("it runs");
    let lines = messages(&output);
    assert_eq!(lines, ["fsvae: /proc/a.png: cannot write it: No such file or directory (os error 2)"]);
    assert_eq!(output.status.code(), Some(1));
    for limit in 4..12 {
        let script = format!("ulimit -n {limit} && exec \"$@\" < /dev/null");
        let output = run(&script).arg("u{index}.png").output().expect("it runs");
        for line in messages(&output) {
            assert!(!line.contains("uncategorized"), "{limit}: {line}");
            if line.contains("u0.png: cannot write it") {
                assert!(line.contains("Too many open files (os error 24)"), "{limit}: {line}");
                assert_eq!(output.status.code(), Some(1), "{limit}: {line}");
            }
        }
    }
}

/// A place that no file can have is the argument's fault, and known before anything is computed.
#[cfg(unix)]
#[test]
fn names_that_no_file_can_have_are_refused_at_once() {
    let directory = directory();
    let name = format!("{}.png", "n".repeat(252));
    let film = format!("{}.gif", "n".repeat(252));
    let path = format!("{}a.png", "d/".repeat(2500));
    let numbered = format!("{{index}}{name}");
    let tensors = format!("{}a.safetensors", "d/".repeat(2500));
    for arguments in [
        ["generate", "--count", "1000000", "--out", &name],
        ["generate", "--count", "1000000", "--out", &path],
        ["generate", "--count", "1000000", "--out", &numbered],
        ["generate", "--count", "2", "--animate", &film],
        ["generate", "--count", "2", "--latents", &tensors],
        ["interpolate", "1", "2", "--out", &name],
    ] {
        refused(directory.path(), &arguments, &["cannot write it", "too long"]);
    }
    for arguments in [&["man", &name][..], &["info", "tiny.safetensors", "--kernels", &name]] {
        let output = fsvae(directory.path()).args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    let _listener = std::os::unix::net::UnixListener::bind(directory.path().join("s")).expect("a socket");
    let output = run(directory.path(), &["generate", "--count", "1000000", "--out", "s", "--format", "png"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("s: is a socket"), "{output:?}");

    let gone = tempfile::tempdir().expect("a directory");
    let script = format!(
        "rmdir \"$PWD\" && exec \"{}\" generate --count 100000 --out a.png",
        env!("CARGO_BIN_EXE_fsvae")
    );
    let mut shell = Command::new("sh");
    let output = shell
        .args(["-c", &script])
        .env("FSVAE_CACHE_DIR", "")
        .current_dir(gone.path())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("a.png: the working directory does not exist any more"), "{text}");
}
